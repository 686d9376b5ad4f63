//! Token weights of TIS-DPO (Liu et al. 2024, arXiv 2410.04350), whose loss is [`super::WeightedDpo`] with weights on both
//! sides.
//!
//! With `d_t = log P_p(y_t | x, y_<t) - log P_n(y_t | x, y_<t)` from two contrastive models, and a sign `g` that is 1 for the
//! chosen and -1 for the rejected response, so that a token weighs more where the model of its own side likes it better, by
//! [`TisForm`]:
//!
//! - linear (the authors' code, `threshold_and_scale`): `w_t = floor + (ceiling - floor) (clamp(g d_t, low, high) - low) / (high - low)`
//! - exponential (the authors' paper, with k = 1): `w_t = exp( g mu clamp(d_t, low, high) )`
//!
//! The authors train the two models on chosen and on rejected responses ("SFT-based"), or by DPO on the pairs and on the pairs
//! turned round ("DPO-based", their code). Here they are the positive and the negative model of contrastive estimation, which
//! is the first of the two, so that all methods see the same models. Their code gives end-of-sequence the weight 0; here
//! it is weighed like any token.

use serde::{Deserialize, Serialize};

/// How a clamped difference becomes a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TisForm {
    /// A straight line from `floor` to `ceiling`.
    #[default]
    Linear,
    /// `exp(mu u)`.
    Exponential,
}

/// Which of a pair's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TisSide {
    /// The preferred one.
    Chosen,
    /// The other one.
    Rejected,
}

/// The settings of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TisWeights {
    /// Which curve.
    pub form: TisForm,
    /// Least difference, in nats; smaller ones are taken for it.
    pub low: f64,
    /// Greatest difference, `> low`.
    pub high: f64,
    /// The linear form's weight at `low`, `>= 0`.
    pub floor: f64,
    /// The linear form's weight at `high`, `>= floor`.
    pub ceiling: f64,
    /// The exponential form's scale, `>= 0`.
    pub mu: f64,
}

impl Default for TisWeights {
    /// The values of the authors' code.
    fn default() -> Self {
        Self {
            form: TisForm::Linear,
            low: -1.5,
            high: 1.5,
            floor: 0.7,
            ceiling: 1.3,
            mu: 1.0,
        }
    }
}

impl TisWeights {
    /// Weights `[T]` of a response from both models' log-probabilities of its tokens, `[T]` each.
    pub fn weights(&self, positive: &[f32], negative: &[f32], side: TisSide) -> Vec<f32> {
        let sign = match side {
            TisSide::Chosen => 1.0,
            TisSide::Rejected => -1.0,
        };
        positive
            .iter()
            .zip(negative)
            .map(|(&p, &n)| self.weight(f64::from(p) - f64::from(n), sign) as f32)
            .collect()
    }

    fn weight(&self, difference: f64, sign: f64) -> f64 {
        let clamp = |x: f64| x.clamp(self.low, self.high);
        match self.form {
            TisForm::Linear => {
                let share = (clamp(sign * difference) - self.low) / (self.high - self.low);
                self.floor + (self.ceiling - self.floor) * share
            }
            TisForm::Exponential => (sign * self.mu * clamp(difference)).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_line_by_hand() {
        // Differences 0, 0.75, 9 and -9.
        let (positive, negative) = ([-1.0f32, -0.25, -1.0, -10.0], [-1.0f32, -1.0, -10.0, -1.0]);
        let chosen = TisWeights::default().weights(&positive, &negative, TisSide::Chosen);
        let rejected = TisWeights::default().weights(&positive, &negative, TisSide::Rejected);
        for (got, expected) in chosen.iter().zip([1.0f32, 1.15, 1.3, 0.7]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
        for (c, r) in chosen.iter().zip(&rejected) {
            assert!((c + r - 2.0).abs() < 1e-6, "the sign is turned");
        }
    }

    #[test]
    fn the_papers_curve_by_hand() {
        let weights = TisWeights {
            form: TisForm::Exponential,
            low: -0.5,
            high: 1.5,
            mu: 2.0,
            ..TisWeights::default()
        };
        let got = weights.weights(&[-1.0, -1.0, -1.0], &[-1.25, -9.0, -0.25], TisSide::Chosen);
        let turned = weights.weights(
            &[-1.0, -1.0, -1.0],
            &[-1.25, -9.0, -0.25],
            TisSide::Rejected,
        );
        for (i, exponent) in [0.5f64, 3.0, -1.0].into_iter().enumerate() {
            assert!((f64::from(got[i]) / exponent.exp() - 1.0).abs() < 1e-6);
            assert!((f64::from(turned[i]) * exponent.exp() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn models_that_agree_weigh_every_token_one() {
        let logps = [-0.5f32, -3.0, -0.01];
        for form in [TisForm::Linear, TisForm::Exponential] {
            let weights = TisWeights {
                form,
                ..TisWeights::default()
            };
            for side in [TisSide::Chosen, TisSide::Rejected] {
                assert_eq!(weights.weights(&logps, &logps, side), [1.0; 3]);
            }
        }
    }
}
