//! The account of a selection: what each question had, and why some gave no pair.

use std::collections::BTreeMap;

use cdpo_data::Problem;
use serde::{Deserialize, Serialize};

use super::join::{Samples, SkipReason};

/// A question that gave no pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedQuestion {
    /// The question's id.
    pub problem_id: String,
    /// Why.
    pub reason: SkipReason,
    /// Its right samples.
    pub correct: usize,
    /// Its wrong samples with an answer.
    pub wrong: usize,
    /// Its samples without an answer.
    pub unparsed: usize,
}

impl SkippedQuestion {
    pub(super) fn new(problem: &Problem, samples: &Samples<'_>, reason: SkipReason) -> Self {
        Self {
            problem_id: problem.id.clone(),
            reason,
            correct: samples.correct.len(),
            wrong: samples.wrong.len(),
            unparsed: samples.unparsed,
        }
    }
}

/// How many of everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SelectionCounts {
    /// Questions given.
    pub questions: usize,
    /// Samples of all questions.
    pub samples: usize,
    /// Right samples.
    pub correct: usize,
    /// Wrong samples with an answer.
    pub wrong: usize,
    /// Samples without an answer.
    pub unparsed: usize,
    /// Questions with at least one right sample.
    pub questions_with_correct: usize,
    /// Questions with at least one wrong sample that has an answer.
    pub questions_with_wrong: usize,
    /// Examples of the positive set.
    pub positives: usize,
    /// Examples of the negative set.
    pub negatives: usize,
    /// Preference pairs.
    pub pairs: usize,
    /// Questions that gave no pair, by reason.
    pub skipped: BTreeMap<SkipReason, usize>,
}

impl SelectionCounts {
    pub(super) fn add(&mut self, samples: &Samples<'_>) {
        let Samples {
            correct,
            wrong,
            unparsed,
        } = samples;
        self.questions += 1;
        self.samples += correct.len() + wrong.len() + unparsed;
        self.correct += correct.len();
        self.wrong += wrong.len();
        self.unparsed += unparsed;
        self.questions_with_correct += usize::from(!correct.is_empty());
        self.questions_with_wrong += usize::from(!wrong.is_empty());
    }

    pub(super) fn skip(&mut self, reason: SkipReason) {
        *self.skipped.entry(reason).or_insert(0) += 1;
    }

    /// Wrong samples with an answer for each question: the paper sets the temperature so that it is about 10 of 64.
    pub fn mean_wrong(&self) -> f64 {
        if self.questions == 0 {
            0.0
        } else {
            self.wrong as f64 / self.questions as f64
        }
    }
}
