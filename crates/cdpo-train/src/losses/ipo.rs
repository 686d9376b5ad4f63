//! Identity preference optimization (Azar et al. 2023, arXiv 2310.12036).

use super::{PairInput, PairLoss, PairTerms, Side, WeightUse};

/// `loss = ( D - 1 / (2 tau) )^2`, where `D = r(y^p) - r(y^n)` and `r(y) = (1/|y|) sum_t (p_t - q_t)`: Eq. 17 of the paper
/// with log-ratios per token, as TRL computes it (its authors say that the paper's results do so too). With
/// `per_token = false`, `r` is the plain sum, which is the equation as printed; its margin then grows with length.
///
/// Shapes: chosen `[T_p]`, rejected `[T_n]`. The rewards reported are `tau * sum_t (p_t - q_t)`, as TRL's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ipo {
    /// Strength of the regularization, `> 0` (TRL's `beta`): the loss pulls `D` to `1 / (2 tau)`.
    pub tau: f64,
    /// Whether a response's log-ratio is divided by its number of tokens.
    pub per_token: bool,
}

impl PairLoss for Ipo {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let scale = |side: &Side<'_>| {
            if self.per_token {
                1.0 / side.len().max(1) as f64
            } else {
                1.0
            }
        };
        let (chosen, rejected) = (pair.chosen.log_ratio_sum(), pair.rejected.log_ratio_sum());
        let (by_chosen, by_rejected) = (scale(&pair.chosen), scale(&pair.rejected));
        let short = chosen * by_chosen - rejected * by_rejected - 0.5 / self.tau;
        PairTerms {
            loss: short * short,
            chosen_gradient: vec![2.0 * short * by_chosen; pair.chosen.len()],
            rejected_gradient: vec![-2.0 * short * by_rejected; pair.rejected.len()],
            kl_gradient: [0.0; 2],
            chosen_reward: self.tau * chosen,
            rejected_reward: self.tau * rejected,
            rejected_reward_unweighted: self.tau * rejected,
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
    fn is_the_squared_distance_of_the_margin_to_its_target() {
        let case = Case {
            chosen: [vec![-1.0, -0.5], vec![-1.25, -0.75]],
            rejected: [vec![-2.0], vec![-1.0]],
            ..Case::mixed(0)
        };
        // Sums 0.5 and -1, per token 0.25 and -1; the target for tau = 0.25 is 2.
        let loss = |per_token| {
            let tau = 0.25;
            Ipo { tau, per_token }.terms(&case.input())
        };
        assert_eq!(loss(true).loss, (1.25f64 - 2.0).powi(2));
        assert_eq!(loss(false).loss, (1.5f64 - 2.0).powi(2));
        assert_eq!(loss(true).chosen_reward, 0.125);
        assert_eq!(loss(true).rejected_reward, -0.25);
    }

    #[test]
    fn has_no_slope_at_its_target() {
        let case = Case {
            chosen: [vec![-1.0, -0.5], vec![-1.25, -0.75]],
            rejected: [vec![-2.0], vec![-1.0]],
            ..Case::mixed(0)
        };
        let terms = Ipo {
            tau: 0.4,
            per_token: true,
        }
        .terms(&case.input());
        assert!(terms.chosen_gradient[0].abs() < 1e-15 && terms.loss < 1e-30);
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for per_token in [true, false] {
            let tau = 0.3;
            check_gradient(&Ipo { tau, per_token });
        }
    }
}
