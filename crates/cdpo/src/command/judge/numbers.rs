//! What two contrastive models said of a response, kept so that a judgement that ended early, or is made again with another
//! `ce_beta`, reads no response twice.

use std::cmp::Ordering;

use cdpo_data::{Pair, Record, artifact, order};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// One response's numbers, `[T]` each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbers {
    problem_id: String,
    sample: u32,
    /// Hash of the prompt's and the response's ids.
    ids: String,
    /// `s_t` of Eq. 1.
    pub(super) scores: Vec<f32>,
    /// Log-probabilities under the positive model.
    pub(super) positive_logps: Vec<f32>,
    /// Log-probabilities under the negative model.
    pub(super) negative_logps: Vec<f32>,
}

impl Numbers {
    /// Takes a scored pair's.
    pub(super) fn of(pair: Pair) -> Self {
        Self {
            ids: hash(&pair),
            problem_id: pair.problem_id,
            sample: pair.rejected_sample,
            scores: pair.rejected_scores.unwrap_or_default(),
            positive_logps: pair.positive_logps.unwrap_or_default(),
            negative_logps: pair.negative_logps.unwrap_or_default(),
        }
    }

    /// Whether they are of this pair's prompt and response.
    pub(super) fn fits(&self, pair: &Pair) -> bool {
        self.problem_id == pair.problem_id
            && self.sample == pair.rejected_sample
            && self.ids == hash(pair)
    }
}

fn hash(pair: &Pair) -> String {
    artifact::hash_json(&json!([pair.prompt_ids, pair.rejected_ids]))
}

impl Record for Numbers {
    fn check(&self) -> Result<(), String> {
        let tokens = self.scores.len();
        if tokens == 0 || self.positive_logps.len() != tokens || self.negative_logps.len() != tokens
        {
            return Err(format!(
                "{tokens} scores, {} and {} log-probabilities: one of each a token is expected",
                self.positive_logps.len(),
                self.negative_logps.len()
            ));
        }
        Ok(())
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id_and_sample(
            (&self.problem_id, self.sample),
            (&other.problem_id, other.sample),
        )
    }
}
