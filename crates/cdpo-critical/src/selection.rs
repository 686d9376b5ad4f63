//! Selection (Lin et al. 2025, section 3): graded samples of every question go in; the positive set, the negative set and the
//! preference pairs come out.
//!
//! For each question, answers are "the same" if [`Grader::group_verdicts`] puts them into one group; unparsed samples are never used.
//! - positive: one random trajectory of the most frequent right answer;
//! - negatives: the most frequent wrong answers, in order of frequency, until they hold `need = ceil(0.5 W)` of the question's
//!   `W` wrong samples with a parsed answer; one random trajectory of each;
//! - pair: the positive against the trajectory drawn for the most frequent wrong answer.
//!
//! Ties between answers go to the one seen first in sample order. A draw is a function of (key, question id, purpose) and of the
//! samples to draw from, so that neither other questions nor their order change it.

mod answers;
mod counts;
mod join;

use std::cmp::Ordering;

use cdpo_data::{Graded, Pair, Problem, Record as _, SftExample, Trajectory};
use cdpo_grade::Grader;
use cdpo_model::Key;
use serde::{Deserialize, Serialize};

use answers::{group, most_frequent_until};
pub use counts::{SelectionCounts, SkippedQuestion};
pub use join::SkipReason;

use crate::error::{Error, PromptError, Result};
use join::{Samples, join};

/// What counts as "the most frequent wrong answers".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionSettings {
    /// Share of a question's wrong parsed samples that its chosen wrong answers must hold, in (0, 1]; the paper's is 0.5.
    pub wrong_top_p: f64,
    /// Whether an answer seen once can be a negative.
    pub seen_once: SeenOnce,
}

/// Whether a wrong answer given by a single sample becomes a negative example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenOnce {
    /// Yes, as any other: the paper's text.
    #[default]
    Taken,
    /// Only if it is the question's most frequent wrong answer, i.e. every wrong answer was seen once: the paper's released code.
    OnlyFirst,
}

impl Default for SelectionSettings {
    fn default() -> Self {
        Self {
            wrong_top_p: 0.5,
            seen_once: SeenOnce::Taken,
        }
    }
}

impl SelectionSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] unless 0 < `wrong_top_p` <= 1.
    pub fn validate(&self) -> Result<()> {
        if self.wrong_top_p > 0.0 && self.wrong_top_p <= 1.0 {
            return Ok(());
        }
        Err(Error::Setting {
            name: "select.wrong_top_p",
            value: self.wrong_top_p.to_string(),
            expected: "a share above 0 and at most 1 is expected (the paper's is 0.5)",
        })
    }
}

/// How a question becomes a zero-shot prompt.
///
/// Gives the prompt's text and its ids, with a beginning-of-sequence token in front where the run's setting says so. Called once for each
/// question that gives an example.
pub type Prompts<'a> = dyn FnMut(&str) -> std::result::Result<(String, Vec<u32>), PromptError> + 'a;

/// The verdicts on the trajectories, and who made them.
#[derive(Clone, Copy)]
pub struct Verdicts<'a> {
    /// One verdict a trajectory.
    pub graded: &'a [Graded],
    /// The grader that made them, or one with the same options: it says which answers are the same.
    pub grader: &'a Grader,
}

/// The three data sets, each sorted by question id and sample, with an account of how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Positive set D_p, one example a question at most.
    pub positives: Vec<SftExample>,
    /// Negative set D_n, one example for each wrong answer taken.
    pub negatives: Vec<SftExample>,
    /// Preference pairs D, one a question at most, unscored.
    pub pairs: Vec<Pair>,
    /// How many of everything.
    pub counts: SelectionCounts,
    /// Questions that gave no pair, with the reason.
    pub skipped: Vec<SkippedQuestion>,
}

/// Selects the training data of the contrastive models and of preference training.
///
/// `eos` is appended to a response's ids iff it ended by itself ([`Trajectory::response_ids`]).
///
/// # Errors
/// [`Error::Setting`] for settings out of range; [`Error::DuplicateProblem`], [`Error::UnknownProblem`],
/// [`Error::DuplicateSample`], [`Error::Unmatched`] or [`Error::NoKey`] if the three inputs do not belong together;
/// [`Error::Prompt`] if a prompt cannot be encoded.
pub fn select(
    problems: &[Problem],
    trajectories: &[Trajectory],
    verdicts: Verdicts<'_>,
    prompts: &mut Prompts<'_>,
    eos: u32,
    settings: &SelectionSettings,
    key: Key,
) -> Result<Selection> {
    settings.validate()?;
    let mut selection = Selection {
        positives: Vec::new(),
        negatives: Vec::new(),
        pairs: Vec::new(),
        counts: SelectionCounts::default(),
        skipped: Vec::new(),
    };
    let rules = Rules {
        grader: verdicts.grader,
        settings,
        eos,
        key,
    };
    for (problem, samples) in join(problems, trajectories, verdicts.graded)? {
        select_question(problem, &samples, &rules, prompts, &mut selection)?;
    }
    selection.positives.sort_by(SftExample::order);
    selection.negatives.sort_by(SftExample::order);
    selection.pairs.sort_by(Pair::order);
    selection.skipped.sort_by(by_question);
    selection.counts.positives = selection.positives.len();
    selection.counts.negatives = selection.negatives.len();
    selection.counts.pairs = selection.pairs.len();
    Ok(selection)
}

fn by_question(a: &SkippedQuestion, b: &SkippedQuestion) -> Ordering {
    cdpo_data::order::by_id(&a.problem_id, &b.problem_id)
}

/// What every question's selection goes by.
struct Rules<'a> {
    grader: &'a Grader,
    settings: &'a SelectionSettings,
    eos: u32,
    key: Key,
}

fn select_question(
    problem: &Problem,
    samples: &Samples<'_>,
    rules: &Rules<'_>,
    prompts: &mut Prompts<'_>,
    selection: &mut Selection,
) -> Result<()> {
    let Rules { eos, settings, .. } = *rules;
    let key = rules.key.with_str("selection").with_str(&problem.id);
    let right = group(rules.grader, &samples.correct);
    let wrong = group(rules.grader, &samples.wrong);
    let drawn_right = right
        .first()
        .map(|answer| answer.draw(key.with_str("positive")));
    let chosen_wrong = most_frequent_until(&wrong, settings);
    let drawn_wrong: Vec<&Trajectory> = chosen_wrong
        .iter()
        .map(|answer| answer.draw(key.with_str("negative").with_str(answer.key)))
        .collect();

    selection.counts.add(samples);
    if let Some(reason) = samples.skip_reason() {
        selection.counts.skip(reason);
        selection
            .skipped
            .push(SkippedQuestion::new(problem, samples, reason));
    }
    if drawn_right.is_none() && drawn_wrong.is_empty() {
        return Ok(());
    }
    let (prompt, prompt_ids) = prompts(&problem.question).map_err(|source| Error::Prompt {
        problem_id: problem.id.clone(),
        source,
    })?;
    let example = |trajectory: &Trajectory| SftExample {
        problem_id: problem.id.clone(),
        sample: trajectory.sample,
        prompt: prompt.clone(),
        response: trajectory.text.clone(),
        prompt_ids: prompt_ids.clone(),
        response_ids: trajectory.response_ids(eos),
        terminated: trajectory.terminated(),
    };
    selection.positives.extend(drawn_right.map(example));
    selection
        .negatives
        .extend(drawn_wrong.iter().map(|trajectory| example(trajectory)));
    if let (Some(chosen), Some(rejected)) = (drawn_right, drawn_wrong.first()) {
        selection.pairs.push(Pair {
            prompt: prompt.clone(),
            chosen: chosen.text.clone(),
            rejected: rejected.text.clone(),
            problem_id: problem.id.clone(),
            chosen_sample: chosen.sample,
            rejected_sample: rejected.sample,
            prompt_ids: prompt_ids.clone(),
            chosen_ids: chosen.response_ids(eos),
            rejected_ids: rejected.response_ids(eos),
            chosen_terminated: chosen.terminated(),
            rejected_terminated: rejected.terminated(),
            ..Pair::default()
        });
    }
    Ok(())
}
