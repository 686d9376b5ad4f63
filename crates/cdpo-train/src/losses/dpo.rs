//! Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290).

use super::{PairInput, PairLoss, PairTerms, WeightUse, preference};

/// `loss = - log sigmoid( gamma [ sum_t (p_t - q_t)(y^p) - sum_t (p_t - q_t)(y^n) ] )`, one sigmoid per pair, sums over
/// all response tokens; label smoothing as in [`preference`].
///
/// Shapes: chosen `[T_p]`, rejected `[T_n]`, of any lengths. The gradient is `slope * gamma` on every chosen token and
/// its opposite on every rejected one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dpo {
    /// KL coefficient, `> 0` (TRL's `beta`).
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`.
    pub label_smoothing: f64,
}

impl PairLoss for Dpo {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let chosen_reward = self.gamma * pair.chosen.log_ratio_sum();
        let rejected_reward = self.gamma * pair.rejected.log_ratio_sum();
        let at = preference(chosen_reward - rejected_reward, self.label_smoothing);
        PairTerms {
            loss: at.loss,
            chosen_gradient: vec![at.slope * self.gamma; pair.chosen.len()],
            rejected_gradient: vec![-at.slope * self.gamma; pair.rejected.len()],
            kl_gradient: [0.0; 2],
            chosen_reward,
            rejected_reward,
            rejected_reward_unweighted: rejected_reward,
        }
    }

    fn weights(&self) -> WeightUse {
        WeightUse::None
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, check_gradient};
    use super::*;

    #[test]
    fn equals_the_logistic_loss_of_the_reward_margin() {
        let case = Case {
            chosen: [vec![-1.0, -0.5], vec![-1.25, -0.75]],
            rejected: [vec![-2.0], vec![-1.0]],
            weights: [vec![1.0; 2], vec![1.0]],
            ..Case::mixed(0)
        };
        let terms = Dpo {
            gamma: 0.5,
            label_smoothing: 0.0,
        }
        .terms(&case.input());
        // rewards: 0.5 * (0.25 + 0.25) = 0.25 and 0.5 * -1 = -0.5; margin 0.75.
        assert_eq!((terms.chosen_reward, terms.rejected_reward), (0.25, -0.5));
        assert!((terms.loss - (1.0 + (-0.75f64).exp()).ln()).abs() < 1e-15);
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for label_smoothing in [0.0, 0.2] {
            check_gradient(&Dpo {
                gamma: 0.3,
                label_smoothing,
            });
        }
    }
}
