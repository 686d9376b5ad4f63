//! One method's graded answers to a set of questions: graded records in; counts, accuracy and pairings out.

use std::collections::{HashMap, HashSet};

use cdpo_data::Graded;
use cdpo_grade::Outcome;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::interval::{Interval, wilson_95};
use crate::paired::{Paired, mcnemar};

/// One method's outcome on each question of a test set, one answer a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    method: String,
    outcomes: Vec<(String, Outcome)>,
}

/// Answers counted by outcome, with the accuracy: correct answers over all questions, unparsed ones included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Questions answered.
    pub questions: u64,
    /// Right answers.
    pub correct: u64,
    /// Answers found and not right.
    pub wrong: u64,
    /// Responses in which no answer was found.
    pub unparsed: u64,
    /// `correct / questions`, a fraction; 0 without questions.
    pub accuracy: f64,
    /// 95 % Wilson interval of the accuracy.
    pub interval: Interval,
}

impl Evaluation {
    /// Collects a method's outcomes from `(question id, outcome)` records.
    ///
    /// # Errors
    /// [`Error::DuplicateQuestion`] if a question comes twice.
    pub fn new<S: Into<String>>(
        method: impl Into<String>,
        outcomes: impl IntoIterator<Item = (S, Outcome)>,
    ) -> Result<Self> {
        let method = method.into();
        let outcomes: Vec<(String, Outcome)> = outcomes
            .into_iter()
            .map(|(id, outcome)| (id.into(), outcome))
            .collect();
        let mut seen = HashSet::with_capacity(outcomes.len());
        for (id, _) in &outcomes {
            if !seen.insert(id.as_str()) {
                return Err(Error::DuplicateQuestion {
                    problem_id: id.clone(),
                    method,
                });
            }
        }
        Ok(Self { method, outcomes })
    }

    /// Collects a method's outcomes from graded rows, one a question.
    ///
    /// # Errors
    /// As [`Evaluation::new`].
    pub fn from_graded(method: impl Into<String>, graded: &[Graded]) -> Result<Self> {
        let outcome = |row: &Graded| (row.problem_id.clone(), row.verdict.outcome);
        Self::new(method, graded.iter().map(outcome))
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Question ids with their outcomes, in the order given.
    pub fn outcomes(&self) -> &[(String, Outcome)] {
        &self.outcomes
    }

    /// Counts and accuracy with its interval.
    pub fn accuracy(&self) -> Accuracy {
        let count = |wanted| {
            self.outcomes
                .iter()
                .filter(|(_, outcome)| *outcome == wanted)
                .count() as u64
        };
        let questions = self.outcomes.len() as u64;
        let correct = count(Outcome::Correct);
        Accuracy {
            questions,
            correct,
            wrong: count(Outcome::Wrong),
            unparsed: count(Outcome::Unparsed),
            accuracy: if questions == 0 {
                0.0
            } else {
                correct as f64 / questions as f64
            },
            interval: wilson_95(correct, questions).unwrap_or(Interval {
                low: 0.0,
                high: 1.0,
            }),
        }
    }

    /// Pairs this method (first) with `other` (second), question by question: `(first right, second right)` in this order.
    ///
    /// # Errors
    /// [`Error::NotPaired`] unless both answered the same questions.
    pub(crate) fn pairs_with(&self, other: &Self) -> Result<Vec<(bool, bool)>> {
        let mut theirs: HashMap<&str, bool> = other
            .outcomes
            .iter()
            .map(|(id, outcome)| (id.as_str(), *outcome == Outcome::Correct))
            .collect();
        let lonely = |problem_id: &str| Error::NotPaired {
            left: self.method.clone(),
            right: other.method.clone(),
            problem_id: problem_id.to_owned(),
        };
        let mut pairs = Vec::with_capacity(self.outcomes.len());
        for (id, outcome) in &self.outcomes {
            let right = theirs.remove(id.as_str()).ok_or_else(|| lonely(id))?;
            pairs.push((*outcome == Outcome::Correct, right));
        }
        match theirs.into_keys().min() {
            Some(id) => Err(lonely(id)),
            None => Ok(pairs),
        }
    }

    /// McNemar's exact test of this method (first) against `other` (second).
    ///
    /// # Errors
    /// If the two were not evaluated on the same questions.
    pub fn against(&self, other: &Self) -> Result<Paired> {
        Ok(mcnemar(self.pairs_with(other)?))
    }
}
