//! Questions, trajectories and verdicts brought together: three flat files in; each question's samples by outcome out.

use std::collections::{BTreeMap, HashMap};

use cdpo_data::{Graded, Problem, Trajectory};
use cdpo_grade::{Outcome, Verdict};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Why a question gave no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// It was not sampled. It gives nothing.
    NoSamples,
    /// No sample had an answer that could be read. It gives nothing.
    NothingParsed,
    /// No sample was right. It gives negatives only.
    NoneCorrect,
    /// No sample with an answer was wrong. It gives a positive only.
    NoneWrong,
}

impl SkipReason {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoSamples => "no samples",
            Self::NothingParsed => "no sample had an answer that could be read",
            Self::NoneCorrect => "no sample was right",
            Self::NoneWrong => "no sample with an answer was wrong",
        }
    }
}

/// One question's samples by outcome, each with its verdict, in sample order.
#[derive(Debug, Default)]
pub(super) struct Samples<'a> {
    pub(super) correct: Vec<(&'a Verdict, &'a Trajectory)>,
    pub(super) wrong: Vec<(&'a Verdict, &'a Trajectory)>,
    pub(super) unparsed: usize,
}

impl Samples<'_> {
    /// Why these samples give no pair, if they give none.
    pub(super) fn skip_reason(&self) -> Option<SkipReason> {
        match (self.correct.is_empty(), self.wrong.is_empty()) {
            (false, false) => None,
            (true, false) => Some(SkipReason::NoneCorrect),
            (false, true) => Some(SkipReason::NoneWrong),
            (true, true) if self.unparsed > 0 => Some(SkipReason::NothingParsed),
            (true, true) => Some(SkipReason::NoSamples),
        }
    }
}

/// What is known of one sample: its trajectory and its verdict.
type Slot<'a> = (Option<&'a Trajectory>, Option<&'a Graded>);

/// Every question with its samples, in the questions' order.
pub(super) fn join<'a>(
    problems: &'a [Problem],
    trajectories: &'a [Trajectory],
    graded: &'a [Graded],
) -> Result<Vec<(&'a Problem, Samples<'a>)>> {
    let mut index: HashMap<&str, usize> = HashMap::with_capacity(problems.len());
    for (i, problem) in problems.iter().enumerate() {
        if index.insert(&problem.id, i).is_some() {
            return Err(Error::DuplicateProblem {
                problem_id: problem.id.clone(),
            });
        }
    }
    let place = |problem_id: &str, sample: u32| {
        index
            .get(problem_id)
            .copied()
            .ok_or_else(|| Error::UnknownProblem {
                problem_id: problem_id.to_owned(),
                sample,
            })
    };
    // By question, then by sample number.
    let mut found: Vec<BTreeMap<u32, Slot<'_>>> = vec![BTreeMap::new(); problems.len()];
    let duplicate = |problem_id: &str, sample, what| Error::DuplicateSample {
        problem_id: problem_id.to_owned(),
        sample,
        what,
    };
    for trajectory in trajectories {
        let slot = found[place(&trajectory.problem_id, trajectory.sample)?]
            .entry(trajectory.sample)
            .or_default();
        if slot.0.replace(trajectory).is_some() {
            return Err(duplicate(
                &trajectory.problem_id,
                trajectory.sample,
                "trajectories",
            ));
        }
    }
    for verdict in graded {
        let slot = found[place(&verdict.problem_id, verdict.sample)?]
            .entry(verdict.sample)
            .or_default();
        if slot.1.replace(verdict).is_some() {
            return Err(duplicate(&verdict.problem_id, verdict.sample, "verdicts"));
        }
    }
    let mut joined = Vec::with_capacity(problems.len());
    for (problem, by_sample) in problems.iter().zip(found) {
        let mut samples = Samples::default();
        for (sample, slot) in by_sample {
            let unmatched = |missing| Error::Unmatched {
                problem_id: problem.id.clone(),
                sample,
                missing,
            };
            let trajectory = slot.0.ok_or_else(|| unmatched("trajectory"))?;
            let graded = slot.1.ok_or_else(|| unmatched("verdict"))?;
            let (list, outcome) = match graded.verdict.outcome {
                Outcome::Correct => (&mut samples.correct, "correct"),
                Outcome::Wrong => (&mut samples.wrong, "wrong"),
                Outcome::Unparsed => {
                    samples.unparsed += 1;
                    continue;
                }
            };
            if graded.verdict.key.is_none() {
                return Err(Error::NoKey {
                    problem_id: problem.id.clone(),
                    sample,
                    outcome,
                });
            }
            list.push((&graded.verdict, trajectory));
        }
        joined.push((problem, samples));
    }
    Ok(joined)
}
