//! Distributions over all scored responses: scored pairs in; histograms out.

use cdpo_data::Pair;
use serde::{Deserialize, Serialize};

/// Equal steps from 0 to 1 of every histogram.
pub const BINS: usize = 20;

/// Counts in [`BINS`] equal steps from 0 to 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Distributions {
    /// Responses.
    pub responses: u64,
    /// Content tokens.
    pub tokens: u64,
    /// Content tokens by 1 - s_t.
    pub weights: [u64; BINS],
    /// Terminators by 1 - s_t.
    pub terminator_weights: [u64; BINS],
    /// Responses by the 1 - s_t of their top critical token, the content token of the lowest score.
    pub critical_weights: [u64; BINS],
    /// Responses by where the top critical token lies, from the first token (0) to the last (1).
    pub critical_places: [u64; BINS],
    /// Responses by where the critical token of the definition lies; all 0 without rollouts.
    pub definition_places: [u64; BINS],
}

impl Distributions {
    /// Adds a pair; one without scores adds nothing.
    pub(super) fn add(&mut self, pair: &Pair) {
        let Some(scores) = &pair.rejected_scores else {
            return;
        };
        let content = content_tokens(pair);
        for (t, score) in scores.iter().enumerate() {
            let weight = 1.0 - f64::from(*score);
            if t < content {
                self.tokens += 1;
                self.weights[bin(weight)] += 1;
            } else {
                self.terminator_weights[bin(weight)] += 1;
            }
        }
        if let Some(t) = top_critical(pair) {
            self.responses += 1;
            self.critical_weights[bin(1.0 - f64::from(scores[t]))] += 1;
            self.critical_places[place(t, content)] += 1;
        }
    }

    /// Adds where the definition's critical token lies: its index from 0 among `content` tokens.
    pub(super) fn add_definition(&mut self, index: usize, content: usize) {
        self.definition_places[place(index, content)] += 1;
    }
}

/// Rejected tokens without the terminator.
pub(super) fn content_tokens(pair: &Pair) -> usize {
    pair.rejected_ids.len() - usize::from(pair.rejected_terminated)
}

/// The index of the content token with the lowest score, the first of several; none without scores or content.
pub(super) fn top_critical(pair: &Pair) -> Option<usize> {
    let scores = pair.rejected_scores.as_deref()?;
    // 1 - s keeps apart what has the same s near 1; where it is missing, s has to do.
    let weight = |t: usize| match &pair.rejected_weights {
        Some(weights) => weights[t],
        None => 1.0 - scores[t],
    };
    (0..content_tokens(pair)).reduce(|best, t| {
        let lower = scores[t] < scores[best];
        let tie = scores[t] == scores[best] && weight(t) > weight(best);
        if lower || tie { t } else { best }
    })
}

/// A token in the middle of its share of the response.
fn place(index: usize, content: usize) -> usize {
    bin((index as f64 + 0.5) / content.max(1) as f64)
}

fn bin(x: f64) -> usize {
    ((x * BINS as f64) as usize).min(BINS - 1)
}
