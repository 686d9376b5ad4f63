//! What can go wrong when figures are computed: all of it is input that does not fit together.

/// Errors of this crate. Each says what was found, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More successes than trials.
    #[error(
        "{successes} successes in {trials} trials: the count of successes cannot exceed the trials"
    )]
    SuccessesExceedTrials {
        /// Successes given.
        successes: u64,
        /// Trials given.
        trials: u64,
    },
    /// Pass@k or maj@k was asked for more samples than there are.
    #[error("k = {k} was asked of {samples} samples{}: ask for 1 <= k <= samples, or draw more samples", of_question(problem_id.as_deref()))]
    KOutOfRange {
        /// The k asked for.
        k: u64,
        /// Samples at hand.
        samples: u64,
        /// The question, where one is known.
        problem_id: Option<String>,
    },
    /// A confidence level outside (0, 1).
    #[error("confidence {0} is not between 0 and 1 (95 % is 0.95)")]
    Confidence(f64),
    /// A statistic over no observations.
    #[error("{what} needs at least one observation, and there is none")]
    Empty {
        /// The statistic.
        what: &'static str,
    },
    /// Two methods to be compared as pairs were not evaluated on the same questions.
    #[error(
        "{left} and {right} cannot be compared as pairs: question {problem_id} was answered by only one of them; \
         evaluate both on the same questions"
    )]
    NotPaired {
        /// First method.
        left: String,
        /// Second method.
        right: String,
        /// A question that only one of them has.
        problem_id: String,
    },
    /// One question stands twice in an evaluation that takes one answer a question.
    #[error(
        "{method}: question {problem_id} was answered twice; keep one sample for each question"
    )]
    DuplicateQuestion {
        /// The method.
        method: String,
        /// The question.
        problem_id: String,
    },
    /// Two methods of one table have the same name.
    #[error("two methods are named {0}; give each row its own name")]
    DuplicateMethod(String),
    /// A comparison was asked for with a method that was not evaluated.
    #[error(
        "no method is named {baseline}, so nothing can be compared with it; the methods are: {methods}"
    )]
    UnknownBaseline {
        /// The baseline asked for.
        baseline: String,
        /// Names of the methods at hand.
        methods: String,
    },
    /// A baseline of several seeds was not evaluated with one of a method's.
    #[error(
        "{method} was evaluated with seed {seed} and {baseline} was not, so they cannot be paired; evaluate {baseline} with \
         the same seeds"
    )]
    SeedMissing {
        /// The method.
        method: String,
        /// The baseline.
        baseline: String,
        /// The seed that only the method has.
        seed: u64,
    },
    /// A true token beyond the tokens that were ranked.
    #[error("token {index} (from 0) cannot be ranked among {tokens} tokens")]
    NoSuchToken {
        /// The true token's index.
        index: usize,
        /// Tokens ranked.
        tokens: usize,
    },
    /// A value to rank by is not a number.
    #[error(
        "the value of token {index} (from 0) is not a number, so the tokens cannot be ranked by it"
    )]
    NotANumber {
        /// The token's index.
        index: usize,
    },
    /// Two signals did not rank the same responses.
    #[error("{left} and {right} did not rank the same responses; rank all of them by every signal")]
    UnequalRows {
        /// First signal.
        left: String,
        /// Second signal.
        right: String,
    },
    /// A row has not one value for each category of its table.
    #[error("row {row} has {given} values for {expected} categories")]
    CategoryCount {
        /// The row.
        row: String,
        /// Values given.
        given: usize,
        /// Categories of the table.
        expected: usize,
    },
    /// A data file's row is not what it should be.
    #[error(transparent)]
    Data(#[from] cdpo_data::Error),
    /// A file of the run cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A table could not be written as JSON.
    #[error("cannot write the table as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

fn of_question(problem_id: Option<&str>) -> String {
    problem_id.map_or_else(String::new, |id| format!(" of question {id}"))
}
