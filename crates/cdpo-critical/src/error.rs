//! What can go wrong between samples and critical tokens.

/// Why a question has no prompt.
pub type PromptError = Box<dyn std::error::Error + Send + Sync>;

/// Errors of this crate. Each names the question or pair concerned and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two problems share an id.
    #[error(
        "two questions have the id {problem_id:?}: ids must be unique, because samples belong to them by id"
    )]
    DuplicateProblem {
        /// The id.
        problem_id: String,
    },
    /// A sample or verdict of a question that is not in the data.
    #[error(
        "sample {sample} belongs to question {problem_id:?}, which is not among the questions given: \
         use the questions that were sampled"
    )]
    UnknownProblem {
        /// The sample's question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
    },
    /// Two records of the same sample.
    #[error(
        "question {problem_id:?} has two {what} for sample {sample}: remove one and run the stage again"
    )]
    DuplicateSample {
        /// The question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
        /// "trajectories" or "verdicts".
        what: &'static str,
    },
    /// A trajectory without a verdict, or the other way round.
    #[error(
        "sample {sample} of question {problem_id:?} has no {missing}: the graded file does not belong to these samples; grade them again"
    )]
    Unmatched {
        /// The question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
        /// "trajectory" or "verdict".
        missing: &'static str,
    },
    /// A verdict that claims an answer but carries no canonical key.
    #[error(
        "sample {sample} of question {problem_id:?} is graded {outcome} but has no answer key: grade it again"
    )]
    NoKey {
        /// The question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
        /// "correct" or "wrong".
        outcome: &'static str,
    },
    /// A question's prompt could not be made or encoded.
    #[error("question {problem_id:?} has no prompt: {source}")]
    Prompt {
        /// The question.
        problem_id: String,
        /// The tokenizer's reason, or the chat template's.
        source: PromptError,
    },
    /// A setting out of range.
    #[error("{name} = {value}: {expected}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Pairs already scored are not the beginning of the pairs to score.
    #[error(
        "scored pair {index} is {found}, but the pair to score there is {expected}: the scored file belongs to other pairs; \
         remove it to score from the start"
    )]
    NotAPrefix {
        /// Index from 0.
        index: usize,
        /// The pair found in the scored file.
        found: String,
        /// The pair expected.
        expected: String,
    },
    /// A pair that cannot be scored as it stands.
    #[error("{pair}: {reason}")]
    Pair {
        /// Question and samples of the pair.
        pair: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The model failed while it scored these pairs.
    #[error("scoring {pairs}: {source}")]
    Scoring {
        /// The pairs of the call.
        pairs: String,
        /// The engine's reason.
        source: cdpo_model::Error,
    },
    /// A score is not a number.
    #[error(
        "{pair}, {side} token {position} of {count}: {what} is {value}: a model's weights or adapter hold values that are not \
         finite; check the contrastive models' training losses"
    )]
    NotFinite {
        /// Question and samples of the pair.
        pair: String,
        /// Which response: `rejected` or `chosen`.
        side: &'static str,
        /// Position from 1.
        position: usize,
        /// Tokens of that response.
        count: usize,
        /// The quantity.
        what: &'static str,
        /// Its value.
        value: f32,
    },
    /// The sampling engine failed while rollouts were drawn.
    #[error(transparent)]
    Sampling(#[from] cdpo_sample::Error),
    /// The model gave logits along a response that are not finite.
    #[error(
        "question {problem_id:?}, sample {sample}: the model's logits along the response are not finite; check the weights"
    )]
    Logits {
        /// The question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
    },
    /// Rounds kept from an earlier call are not those that this one would draw.
    #[error(
        "question {problem_id:?}, sample {sample}: round {round} of the rollouts kept from before is not the one these settings draw: \
         they belong to other settings or another model; remove them to begin anew"
    )]
    OtherRounds {
        /// The question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
        /// The round, from 0.
        round: u32,
    },
    /// A position outside its response.
    #[error(
        "question {problem_id:?}, sample {sample}: position {position} is outside the response of {tokens} tokens; positions count from 1"
    )]
    Position {
        /// The question.
        problem_id: String,
        /// The sample's number.
        sample: u32,
        /// The position.
        position: usize,
        /// Content tokens of the response.
        tokens: usize,
    },
    /// The caller could not take a result (a full disk, say).
    #[error(transparent)]
    Data(#[from] cdpo_data::Error),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
