//! How far two models' log-probabilities of the same tokens are apart.

use cdpo_model::{AdapterStack, Model, TokenForest};
use serde::{Deserialize, Serialize};

/// The mean difference, in nats, above which there is a warning. In bf16, 0.04 is usual.
pub(super) const BOUND: f64 = 0.1;

/// How far two lists of log-probabilities of the same tokens are apart, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Apart {
    pub(super) tokens: usize,
    pub(super) mean: f64,
    pub(super) largest: f64,
}

impl Apart {
    /// Of both lists, token by token.
    pub(super) fn of(pairs: impl IntoIterator<Item = (f32, f32)>) -> Self {
        let mut apart = Self::default();
        let mut sum = 0.0;
        for (one, other) in pairs {
            let by = (f64::from(one) - f64::from(other)).abs();
            apart.tokens += 1;
            sum += by;
            apart.largest = apart.largest.max(by);
        }
        apart.mean = sum / apart.tokens.max(1) as f64;
        apart
    }
}

/// Log-probabilities of `ids` after `prompt`, in nats.
pub(super) fn logps(
    model: &Model,
    adapters: &AdapterStack<'_>,
    prompt: &[u32],
    ids: &[u32],
) -> anyhow::Result<Vec<f32>> {
    let mut forest = TokenForest::new();
    let root = forest.push(prompt, None, 0);
    let response = forest.push(ids, Some(root), 0);
    Ok(model.score(&forest, adapters, &forest.targets(response))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_of_absolute_values() {
        let apart = Apart::of([(-1.0, -1.5), (-2.0, -1.75), (-3.0, -3.0)]);
        assert_eq!(
            apart,
            Apart {
                tokens: 3,
                mean: 0.25,
                largest: 0.5
            }
        );
        assert_eq!(Apart::of([]), Apart::default());
    }
}
