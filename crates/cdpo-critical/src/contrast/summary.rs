//! What the contrastive models said about all pairs together: scored pairs in, a few means out.

use cdpo_data::Pair;
use serde::{Deserialize, Serialize};

use super::name;
use crate::error::{Error, Result};

/// Where the greatest separation of a response is below this on average (in nats), the two contrastive models have hardly parted
/// anywhere and their scores say little.
pub const SEPARATION_FLOOR: f64 = 0.3;

/// Means over the rejected tokens of all scored pairs; terminators apart from content tokens. Means over nothing are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContrastSummary {
    /// Weight of the negative model.
    pub ce_beta: f64,
    /// Pairs scored.
    pub pairs: usize,
    /// Prompt, chosen and rejected tokens that each of the two models read.
    pub tokens_read: u64,
    /// Content tokens scored.
    pub content_tokens: u64,
    /// Terminators scored: at most one a pair.
    pub terminators: u64,
    /// Mean |log P_p - log P_n| over content tokens, in nats.
    pub separation: Option<f64>,
    /// The greatest |log P_p - log P_n| of each pair's content tokens, its mean over pairs, in nats; 0 of a pair without content.
    #[serde(default)]
    pub peak: Option<f64>,
    /// Mean score s_t of content tokens.
    pub mean_score: Option<f64>,
    /// Mean score of terminators.
    pub mean_terminator_score: Option<f64>,
    /// Content tokens by score, in ten equal steps from 0 to 1.
    pub score_histogram: [u64; 10],
}

impl ContrastSummary {
    pub(super) fn new(ce_beta: f64) -> Self {
        Self {
            ce_beta,
            pairs: 0,
            tokens_read: 0,
            content_tokens: 0,
            terminators: 0,
            separation: None,
            peak: None,
            mean_score: None,
            mean_terminator_score: None,
            score_histogram: [0; 10],
        }
    }

    /// The summary of pairs that were scored earlier.
    ///
    /// # Errors
    /// [`Error::Pair`] if one lacks scores or log-probabilities, or their counts do not match its tokens.
    pub fn of<'p>(ce_beta: f64, pairs: impl IntoIterator<Item = &'p Pair>) -> Result<Self> {
        let mut summary = Self::new(ce_beta);
        for pair in pairs {
            summary.add(pair)?;
        }
        Ok(summary)
    }

    /// Whether the two models hardly differ anywhere: [`Self::peak`] under [`SEPARATION_FLOOR`]. Then more training of the
    /// contrastive models is needed (more steps, a shorter warm-up) before their scores mean anything. The mean over all tokens
    /// would not tell: most tokens of a solution are forced, and both models are sure of them.
    pub fn barely_separated(&self) -> bool {
        self.peak.is_some_and(|peak| peak < SEPARATION_FLOOR)
    }

    pub(super) fn add(&mut self, pair: &Pair) -> Result<()> {
        let tokens = pair.rejected_ids.len();
        let scores = per_token(pair, "rejected_scores", pair.rejected_scores.as_deref())?;
        let positive = per_token(pair, "positive_logps", pair.positive_logps.as_deref())?;
        let negative = per_token(pair, "negative_logps", pair.negative_logps.as_deref())?;
        self.pairs += 1;
        self.tokens_read += (pair.prompt_ids.len() + pair.chosen_ids.len() + tokens) as u64;
        let mut peak: f64 = 0.0;
        for t in 0..tokens {
            let score = f64::from(scores[t]);
            if pair.rejected_terminated && t + 1 == tokens {
                self.terminators += 1;
                running_mean(&mut self.mean_terminator_score, self.terminators, score);
                continue;
            }
            self.content_tokens += 1;
            let apart = (f64::from(positive[t]) - f64::from(negative[t])).abs();
            peak = peak.max(apart);
            running_mean(&mut self.separation, self.content_tokens, apart);
            running_mean(&mut self.mean_score, self.content_tokens, score);
            self.score_histogram[((score * 10.0) as usize).min(9)] += 1;
        }
        running_mean(&mut self.peak, self.pairs as u64, peak);
        Ok(())
    }
}

/// The mean of `count` values, of which `value` is the last.
fn running_mean(mean: &mut Option<f64>, count: u64, value: f64) {
    let before = mean.unwrap_or(0.0);
    *mean = Some(before + (value - before) / count as f64);
}

fn per_token<'p>(pair: &Pair, field: &str, values: Option<&'p [f32]>) -> Result<&'p [f32]> {
    let count = pair.rejected_ids.len();
    match values {
        Some(values) if values.len() == count => Ok(values),
        found => {
            let found = found.map_or_else(
                || "is missing".into(),
                |values| format!("has {} values", values.len()),
            );
            let reason =
                format!("{field} {found} for {count} rejected tokens: score the pair again");
            Err(Error::Pair {
                pair: name(pair),
                reason,
            })
        }
    }
}
