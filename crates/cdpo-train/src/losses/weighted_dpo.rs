//! DPO with a weight on every token; with the paper's weights it is cDPO.

use super::{PairInput, PairLoss, PairTerms, WeightUse, preference};

/// `loss = - log sigmoid( gamma [ sum_t w^p_t (p_t - q_t)(y^p) - sum_t w^n_t (p_t - q_t)(y^n) ] )`.
///
/// **cDPO** (Lin et al. 2025, arXiv 2411.19943, section 4) is `w^p = 1`, `w^n_t = 1 - s_t`, where `s_t` is the
/// contrastive score of the rejected token: the sum runs inside one sigmoid per pair, and a critical token (low `s_t`)
/// keeps its whole weight. With all weights 1 it is [`super::Dpo`], bit for bit.
///
/// Shapes: log-probabilities and weights `[T_p]` and `[T_n]`. Label smoothing as in [`preference`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WeightedDpo {
    /// KL coefficient, `> 0` (the paper's gamma).
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`. The paper has none.
    pub label_smoothing: f64,
    /// Where the weights come from: [`WeightUse::Rejected`] for cDPO.
    pub weights: WeightUse,
}

impl WeightedDpo {
    /// The paper's loss: weights on the rejected side only.
    #[cfg(test)]
    pub(crate) fn cdpo(gamma: f64) -> Self {
        Self {
            gamma,
            label_smoothing: 0.0,
            weights: WeightUse::Rejected,
        }
    }
}

impl PairLoss for WeightedDpo {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let chosen_reward = self.gamma * pair.chosen.weighted_log_ratio_sum();
        let rejected_reward = self.gamma * pair.rejected.weighted_log_ratio_sum();
        let at = preference(chosen_reward - rejected_reward, self.label_smoothing);
        let gradient = |sign: f64, weights: &[f32]| {
            weights
                .iter()
                .map(|&w| sign * at.slope * self.gamma * f64::from(w))
                .collect()
        };
        PairTerms {
            loss: at.loss,
            chosen_gradient: gradient(1.0, pair.chosen.weights),
            rejected_gradient: gradient(-1.0, pair.rejected.weights),
            kl_gradient: [0.0; 2],
            chosen_reward,
            rejected_reward,
            rejected_reward_unweighted: self.gamma * pair.rejected.log_ratio_sum(),
        }
    }

    fn weights(&self) -> WeightUse {
        self.weights
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dpo;
    use super::super::testing::{Case, check_gradient};
    use super::*;

    #[test]
    fn cdpo_with_unit_weights_is_dpo() {
        let mut case = Case::mixed(3);
        case.weights = [
            vec![1.0; case.chosen[0].len()],
            vec![1.0; case.rejected[0].len()],
        ];
        for label_smoothing in [0.0, 0.1] {
            let weighted = WeightedDpo {
                gamma: 0.7,
                label_smoothing,
                weights: WeightUse::Rejected,
            };
            assert_eq!(
                weighted.terms(&case.input()),
                Dpo {
                    gamma: 0.7,
                    label_smoothing
                }
                .terms(&case.input())
            );
        }
    }

    /// The paper's equation written out for one pair of three chosen and two rejected tokens, in plain scalars.
    #[test]
    fn cdpo_is_the_papers_equation() {
        let (p, q) = ([-0.7f32, -1.1, -0.2], [-0.9f32, -1.0, -0.6]);
        let (u, v) = ([-2.3f32, -0.4], [-1.5f32, -0.3]);
        let s = [0.03125f32, 0.75];
        let gamma = 0.1;
        let f = f64::from;
        let phi = gamma * ((f(p[0]) - f(q[0])) + (f(p[1]) - f(q[1])) + (f(p[2]) - f(q[2])));
        let phi_s =
            gamma * ((1.0 - f(s[0])) * (f(u[0]) - f(v[0])) + (1.0 - f(s[1])) * (f(u[1]) - f(v[1])));
        let expected = -(1.0 / (1.0 + (-(phi - phi_s)).exp())).ln();

        let case = Case {
            chosen: [p.to_vec(), q.to_vec()],
            rejected: [u.to_vec(), v.to_vec()],
            weights: [vec![1.0; 3], s.iter().map(|s| 1.0 - s).collect()],
            ..Case::mixed(0)
        };
        let terms = WeightedDpo::cdpo(gamma).terms(&case.input());
        assert!(
            (terms.loss - expected).abs() < 1e-15,
            "{} is not {expected}",
            terms.loss
        );
        assert!((terms.chosen_reward - phi).abs() < 1e-15);
        assert!((terms.rejected_reward - phi_s).abs() < 1e-15);
    }

    #[test]
    fn a_token_of_weight_zero_gets_no_gradient_and_no_say() {
        let mut case = Case::mixed(5);
        case.weights[1][2] = 0.0;
        let before = WeightedDpo::cdpo(1.0).terms(&case.input());
        assert_eq!(before.rejected_gradient[2], 0.0);
        case.rejected[0][2] -= 4.0;
        assert_eq!(
            WeightedDpo::cdpo(1.0).terms(&case.input()).loss,
            before.loss
        );
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for label_smoothing in [0.0, 0.2] {
            check_gradient(&WeightedDpo {
                gamma: 0.3,
                label_smoothing,
                weights: WeightUse::Either,
            });
        }
    }
}
