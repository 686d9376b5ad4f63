//! Simple preference optimization (Meng et al. 2024, arXiv 2405.14734): no reference.

use super::{PairInput, PairLoss, PairTerms, WeightUse, preference};

/// `loss = - log sigmoid( (beta/|y^p|) sum_t p_t(y^p) - (beta/|y^n|) sum_t p_t(y^n) - margin )`; label smoothing as in
/// [`preference`].
///
/// The authors write the margin as gamma; here gamma is the KL coefficient, which this loss does not have. Shapes: chosen
/// `[T_p]`, rejected `[T_n]`. Rewards are `beta` times the mean token log-probability, as TRL's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SimPo {
    /// Scale of the mean log-probabilities, `> 0`.
    pub beta: f64,
    /// How far the chosen reward should lie above the rejected one, `>= 0` (TRL's `simpo_gamma`).
    pub margin: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`.
    pub label_smoothing: f64,
}

impl PairLoss for SimPo {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let [by_chosen, by_rejected] =
            [&pair.chosen, &pair.rejected].map(|side| self.beta / side.len().max(1) as f64);
        let chosen_reward = by_chosen * pair.chosen.policy_sum();
        let rejected_reward = by_rejected * pair.rejected.policy_sum();
        let at = preference(
            chosen_reward - rejected_reward - self.margin,
            self.label_smoothing,
        );
        PairTerms {
            loss: at.loss,
            chosen_gradient: vec![at.slope * by_chosen; pair.chosen.len()],
            rejected_gradient: vec![-at.slope * by_rejected; pair.rejected.len()],
            kl_gradient: [0.0; 2],
            chosen_reward,
            rejected_reward,
            rejected_reward_unweighted: rejected_reward,
        }
    }

    fn weights(&self) -> WeightUse {
        WeightUse::None
    }

    fn needs_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, check_gradient};
    use super::*;

    #[test]
    fn compares_mean_log_probabilities_with_a_margin_whatever_the_reference() {
        let case = Case {
            chosen: [vec![-1.0, -0.5], vec![-9.0, -9.0]],
            rejected: [vec![-2.0], vec![-9.0]],
            ..Case::mixed(0)
        };
        let terms = SimPo {
            beta: 2.0,
            margin: 1.0,
            label_smoothing: 0.0,
        }
        .terms(&case.input());
        // 2 * -0.75 = -1.5 and 2 * -2 = -4, less the margin: 1.5.
        assert_eq!((terms.chosen_reward, terms.rejected_reward), (-1.5, -4.0));
        assert!((terms.loss - (1.0 + (-1.5f64).exp()).ln()).abs() < 1e-15);
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for label_smoothing in [0.0, 0.2] {
            check_gradient(&SimPo {
                beta: 0.8,
                margin: 0.5,
                label_smoothing,
            });
        }
    }
}
