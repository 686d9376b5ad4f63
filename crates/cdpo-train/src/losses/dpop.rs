//! DPO-positive (Pal et al. 2024, arXiv 2402.13228): DPO that penalises a falling chosen log-probability.

use super::{PairInput, PairLoss, PairTerms, WeightUse, preference};

/// `loss = - log sigmoid( gamma [ r(y^p) - r(y^n) - lambda max(0, -r(y^p)) ] )` with `r(y) = sum_t (p_t - q_t)`; label
/// smoothing as in [`preference`].
///
/// The penalty acts while the chosen response is less likely than under the reference; at equality it has no slope.
/// Shapes: chosen `[T_p]`, rejected `[T_n]`. Rewards are `gamma r(y)`, without the penalty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dpop {
    /// KL coefficient, `> 0`.
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`.
    pub label_smoothing: f64,
    /// Weight of the penalty, `>= 0`; 0 is DPO.
    pub lambda: f64,
}

impl PairLoss for Dpop {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let chosen = pair.chosen.log_ratio_sum();
        let (chosen_reward, rejected_reward) = (
            self.gamma * chosen,
            self.gamma * pair.rejected.log_ratio_sum(),
        );
        let penalty = self.gamma * self.lambda * (-chosen).max(0.0);
        let at = preference(
            chosen_reward - rejected_reward - penalty,
            self.label_smoothing,
        );
        let slope = at.slope * self.gamma;
        let of_chosen = if chosen < 0.0 { 1.0 + self.lambda } else { 1.0 };
        PairTerms {
            loss: at.loss,
            chosen_gradient: vec![slope * of_chosen; pair.chosen.len()],
            rejected_gradient: vec![-slope; pair.rejected.len()],
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
    use super::super::Dpo;
    use super::super::testing::{Case, check_gradient};
    use super::*;

    /// Chosen log-ratio `-0.5`, rejected `-1`: with gamma 0.5 and lambda 4 the margin is 0.5 (0.5 - 2) = -0.75.
    #[test]
    fn a_chosen_response_below_the_reference_is_penalised() {
        let case = Case {
            chosen: [vec![-1.25, -0.75], vec![-1.0, -0.5]],
            rejected: [vec![-2.0], vec![-1.0]],
            ..Case::mixed(0)
        };
        let loss = Dpop {
            gamma: 0.5,
            label_smoothing: 0.0,
            lambda: 4.0,
        };
        let terms = loss.terms(&case.input());
        assert!((terms.loss - (1.0 + 0.75f64.exp()).ln()).abs() < 1e-15);
        assert!((terms.chosen_gradient[0] + 5.0 * terms.rejected_gradient[0]).abs() < 1e-15);
    }

    #[test]
    fn a_chosen_response_above_the_reference_leaves_dpo() {
        let case = Case {
            chosen: [vec![-1.0, -0.5], vec![-1.25, -0.75]],
            rejected: [vec![-2.0], vec![-1.0]],
            ..Case::mixed(0)
        };
        let (gamma, label_smoothing) = (0.5, 0.0);
        let dpop = Dpop {
            gamma,
            label_smoothing,
            lambda: 50.0,
        };
        let dpo = Dpo {
            gamma,
            label_smoothing,
        };
        assert_eq!(dpop.terms(&case.input()), dpo.terms(&case.input()));
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for label_smoothing in [0.0, 0.2] {
            check_gradient(&Dpop {
                gamma: 0.3,
                label_smoothing,
                lambda: 1.5,
            });
        }
    }
}
