//! A preference pair: TRL's three columns, with token ids, per-token scores and weights beside them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{FINITE, Record, check_ids, check_per_token, check_text};

/// One prompt with a right and a wrong response. The ids are what is trained; TRL reads the text columns.
///
/// Per-token lists have one value per id of their side, end-of-sequence included where there is one: `R` values for `R`
/// rejected ids, `C` for `C` chosen ids. A count that does not match is an error, as is a value that is not finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The framed question, zero-shot (TRL's column).
    pub prompt: String,
    /// The right response (TRL's column).
    pub chosen: String,
    /// The wrong response (TRL's column).
    pub rejected: String,
    /// The question's id.
    pub problem_id: String,
    /// The sample the right response came from.
    pub chosen_sample: u32,
    /// The sample the wrong response came from.
    pub rejected_sample: u32,
    /// The prompt's ids, encoded apart from the responses.
    pub prompt_ids: Vec<u32>,
    /// The right response's ids `[C]`; the last is end-of-sequence iff `chosen_terminated`.
    pub chosen_ids: Vec<u32>,
    /// The wrong response's ids `[R]`; the last is end-of-sequence iff `rejected_terminated`.
    pub rejected_ids: Vec<u32>,
    /// Whether the right response ended by itself.
    pub chosen_terminated: bool,
    /// Whether the wrong response ended by itself.
    pub rejected_terminated: bool,
    /// Contrastive score `s_t` of each rejected token `[R]`, 0 to 1 (Eq. 1); low marks a critical token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_scores: Option<Vec<f32>>,
    /// Weight of each rejected token `[R]`, at least 0; cDPO's is `1 - s_t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_weights: Option<Vec<f32>>,
    /// Weight of each chosen token `[C]`, at least 0; absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_weights: Option<Vec<f32>>,
    /// Log-probability of each rejected token `[R]` under the positive model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_logps: Option<Vec<f32>>,
    /// Log-probability of each rejected token `[R]` under the negative model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_logps: Option<Vec<f32>>,
}

impl Record for Pair {
    fn check(&self) -> Result<(), String> {
        check_text("problem_id", &self.problem_id)?;
        check_ids("prompt_ids", &self.prompt_ids)?;
        check_ids("chosen_ids", &self.chosen_ids)?;
        check_ids("rejected_ids", &self.rejected_ids)?;
        let chosen = ("chosen_ids", self.chosen_ids.len());
        let rejected = ("rejected_ids", self.rejected_ids.len());
        let weight = 0.0..=f32::MAX;
        check_per_token(
            "rejected_scores",
            self.rejected_scores.as_deref(),
            rejected,
            0.0..=1.0,
        )?;
        check_per_token(
            "rejected_weights",
            self.rejected_weights.as_deref(),
            rejected,
            weight.clone(),
        )?;
        check_per_token(
            "chosen_weights",
            self.chosen_weights.as_deref(),
            chosen,
            weight,
        )?;
        check_per_token(
            "positive_logps",
            self.positive_logps.as_deref(),
            rejected,
            FINITE,
        )?;
        check_per_token(
            "negative_logps",
            self.negative_logps.as_deref(),
            rejected,
            FINITE,
        )
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id(&self.problem_id, &other.problem_id)
            .then(self.chosen_sample.cmp(&other.chosen_sample))
            .then(self.rejected_sample.cmp(&other.rejected_sample))
    }
}
