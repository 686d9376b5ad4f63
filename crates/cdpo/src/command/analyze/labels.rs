//! Labelled solutions, or the questions' own, in; the first wrong step of a response out.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use cdpo_critical::analysis::departure;
use cdpo_data::rollout_record::RolloutRecord;
use cdpo_data::{GivenSolution, OnBadRow, Problem, given_solutions, jsonl};

use crate::messages;
use crate::run::Run;
use crate::stages::problems::{self, TRAIN};

/// Where the first wrong steps come from.
pub(super) enum Labels {
    None,
    /// A file of labelled solutions, by id.
    Given(HashMap<String, GivenSolution>),
    /// The questions' own solutions, by id: the first sentence that departs from them is the first wrong step.
    Solutions(HashMap<String, String>),
}

/// A response's steps as bytes, the first wrong one from 1, and what kind of error it is.
pub(super) struct Label {
    pub(super) steps: Vec<Range<usize>>,
    pub(super) first_error: usize,
    /// The bytes before the wrong token, of it, and after it, where one can be named.
    pub(super) token: Option<[Range<usize>; 3]>,
    pub(super) kind: Option<String>,
}

impl Labels {
    /// From a file; the solutions are turns' answers if the run's are.
    pub(super) fn given(file: &Path, run: &Run) -> anyhow::Result<Self> {
        let (solutions, skipped) = given_solutions::read(file, OnBadRow::Skip)?;
        if skipped.count() > 0 {
            messages::warn(format_args!(
                "{}: {} rows left out",
                file.display(),
                skipped.count()
            ));
        }
        let by_id = solutions.into_iter().map(|mut solution| {
            solution.in_turn = run.prompt.template().is_some();
            (solution.id.clone(), solution)
        });
        Ok(Self::Given(by_id.collect()))
    }

    pub(super) fn solutions(run: &Run) -> anyhow::Result<Self> {
        let path = run.path(&problems::id(), TRAIN);
        let (problems, _): (Vec<Problem>, _) = jsonl::read(path, OnBadRow::Fail)?;
        let full = |problem: Problem| {
            let text = format!("{} The answer is {}.", problem.solution?, problem.answer);
            Some((problem.id, text))
        };
        Ok(Self::Solutions(
            problems.into_iter().filter_map(full).collect(),
        ))
    }

    /// The label of a response of this text.
    pub(super) fn of(&self, record: &RolloutRecord, text: &[u8]) -> Option<Label> {
        match self {
            Self::None => None,
            Self::Given(solutions) => {
                let solution = solutions.get(&record.problem_id)?;
                if solution.response().as_bytes() != text {
                    messages::warn(format_args!(
                        "{}: the response that was rolled out is not the labelled one, and is left out",
                        record.problem_id
                    ));
                    return None;
                }
                Some(Label {
                    steps: solution.step_bytes(),
                    first_error: solution.first_error_step?,
                    token: None,
                    kind: solution.error_kind.clone(),
                })
            }
            Self::Solutions(solutions) => {
                let text = std::str::from_utf8(text).ok()?;
                let found = departure(text, solutions.get(&record.problem_id)?)?;
                Some(Label {
                    token: found
                        .token
                        .map(|wrong| [0..wrong.start, wrong.clone(), wrong.end..text.len()]),
                    steps: found.steps,
                    first_error: found.step,
                    kind: Some(found.kind.name().to_owned()),
                })
            }
        }
    }
}
