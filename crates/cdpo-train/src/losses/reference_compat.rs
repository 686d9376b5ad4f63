//! The loss that the paper's released code computes, which is not the loss of the paper.

use super::{PairInput, PairLoss, PairTerms, WeightUse, preference};

/// Log-sigmoid **per position**, chosen token `t` against rejected token `t`, averaged over all positions of the padded
/// sequence:
///
/// `loss = (1/L) sum_{t<L} - log sigmoid( gamma [ (p_t - q_t)(y^p) - w^n_t (p_t - q_t)(y^n) ] )`
///
/// A side that has no token at `t` counts as 0, so prompt and padding positions add `log 2` each, and `L`
/// ([`PairInput::padded_positions`]) is one less than the tokens of the micro-batch's longest prompt with response. It
/// therefore depends on which pairs share a micro-batch, unlike every other loss here. Exists to reproduce results of
/// the released code (Lin et al. 2025); the paper's own loss is [`super::WeightedDpo`].
///
/// The rewards reported are the sums over tokens, as for the other losses, weighted on the rejected side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ReferenceCompat {
    /// KL coefficient, `> 0` (0.1 in the released code).
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`, applied per position.
    pub label_smoothing: f64,
}

impl PairLoss for ReferenceCompat {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let (chosen, rejected) = (&pair.chosen, &pair.rejected);
        let width = chosen.len().max(rejected.len());
        let positions = pair.padded_positions.max(width);
        let scale = 1.0 / positions as f64;
        let weight = |t: usize| f64::from(rejected.weights[t]);

        let empty = preference(0.0, self.label_smoothing).loss;
        let mut loss = (positions - width) as f64 * empty;
        let mut chosen_gradient = vec![0.0; chosen.len()];
        let mut rejected_gradient = vec![0.0; rejected.len()];
        for t in 0..width {
            let c = if t < chosen.len() {
                chosen.log_ratio(t)
            } else {
                0.0
            };
            let r = if t < rejected.len() {
                weight(t) * rejected.log_ratio(t)
            } else {
                0.0
            };
            let at = preference(self.gamma * (c - r), self.label_smoothing);
            loss += at.loss;
            let slope = at.slope * self.gamma * scale;
            if t < chosen.len() {
                chosen_gradient[t] = slope;
            }
            if t < rejected.len() {
                rejected_gradient[t] = -slope * weight(t);
            }
        }
        PairTerms {
            loss: loss * scale,
            chosen_gradient,
            rejected_gradient,
            kl_gradient: [0.0; 2],
            chosen_reward: self.gamma * chosen.log_ratio_sum(),
            rejected_reward: self.gamma * rejected.weighted_log_ratio_sum(),
            rejected_reward_unweighted: self.gamma * rejected.log_ratio_sum(),
        }
    }

    fn weights(&self) -> WeightUse {
        WeightUse::Rejected
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, check_gradient};
    use super::*;

    /// The released code's arithmetic on padded matrices `[B, L]`, step for step: log-probabilities masked to the
    /// response, weights padded with 0, element-wise log-sigmoid, mean over everything.
    fn padded_matrices(cases: &[Case], prompt: usize, gamma: f64, smoothing: f64) -> f64 {
        let longest = |c: &Case| prompt + c.chosen[0].len().max(c.rejected[0].len()) - 1;
        let width = cases.iter().map(longest).max().unwrap();
        let row = |values: &[f32]| {
            let mut row = vec![0.0f64; width];
            for (t, &v) in values.iter().enumerate() {
                row[prompt - 1 + t] = f64::from(v);
            }
            row
        };
        let mut sum = 0.0;
        for c in cases {
            let (pc, qc) = (row(&c.chosen[0]), row(&c.chosen[1]));
            let (pr, qr) = (row(&c.rejected[0]), row(&c.rejected[1]));
            let w = row(&c.weights[1]);
            for i in 0..width {
                let logit = (pc[i] - qc[i]) - w[i] * (pr[i] - qr[i]);
                let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
                sum += -sigmoid(gamma * logit).ln() * (1.0 - smoothing)
                    - sigmoid(-gamma * logit).ln() * smoothing;
            }
        }
        sum / (cases.len() * width) as f64
    }

    #[test]
    fn equals_the_released_codes_padded_matrices() {
        let prompt = 4;
        for smoothing in [0.0, 0.1] {
            let mut cases = [Case::mixed(3), Case::mixed(8)];
            cases[0].chosen.iter_mut().for_each(|v| v.truncate(2));
            let longest = |c: &Case| prompt + c.chosen[0].len().max(c.rejected[0].len()) - 1;
            let positions = cases.iter().map(longest).max().unwrap();
            for case in &mut cases {
                case.weights[0] = vec![1.0; case.chosen[0].len()];
                case.padded_positions = positions;
            }
            let loss = ReferenceCompat {
                gamma: 0.1,
                label_smoothing: smoothing,
            };
            let mean = cases
                .iter()
                .map(|c| loss.terms(&c.input()).loss)
                .sum::<f64>()
                / 2.0;
            let expected = padded_matrices(&cases, prompt, 0.1, smoothing);
            assert!((mean - expected).abs() < 1e-14, "{mean} is not {expected}");
        }
    }

    #[test]
    fn is_not_the_papers_loss() {
        let case = Case::mixed(4);
        let compat = ReferenceCompat {
            gamma: 1.0,
            label_smoothing: 0.0,
        }
        .terms(&case.input());
        let paper = super::super::WeightedDpo::cdpo(1.0).terms(&case.input());
        assert!((compat.loss - paper.loss).abs() > 1e-3);
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for label_smoothing in [0.0, 0.2] {
            check_gradient(&ReferenceCompat {
                gamma: 0.3,
                label_smoothing,
            });
        }
    }
}
