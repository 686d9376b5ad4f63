//! Token-level DPO (Zeng et al. 2024, arXiv 2404.11999), called TokenDPO by Lin et al.
//!
//! With `r(y) = sum_t (p_t - q_t)` and the sequential forward divergence
//! `K(y) = sum_t KL( pi_ref(.|x, y_<t) || pi_theta(.|x, y_<t) )`:
//!
//! `TDPO1 = - log sigmoid( gamma [ r(y^p) - r(y^n) - (K(y^n) - K(y^p)) ] )`
//!
//! `TDPO2 = - log sigmoid( gamma [ r(y^p) - r(y^n) - alpha (K(y^n) - stop_gradient K(y^p)) ] )`
//!
//! `gamma` (the authors' beta) multiplies the divergences too, as in the authors' code
//! (`Vance0124/Token-level-Direct-Preference-Optimization`). Rewards are theirs as well: `gamma (r(y) + K(y))`.

use super::{PairInput, PairLoss, PairTerms, WeightUse, preference};

/// Which of the two losses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TdpoForm {
    /// Both divergences as they are.
    One,
    /// Divergences times `alpha`, the chosen one without gradient.
    Two {
        /// `>= 0`; 0 is DPO.
        alpha: f64,
    },
}

/// TDPO1 or TDPO2 of one pair. Shapes: log-probabilities and divergences `[T_p]` and `[T_n]`. Label smoothing, which the
/// authors do not have, as in `preference`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tdpo {
    /// KL coefficient, `> 0`.
    pub gamma: f64,
    /// Probability that a label is flipped, in `[0, 0.5)`.
    pub label_smoothing: f64,
    /// Which form.
    pub form: TdpoForm,
}

impl PairLoss for Tdpo {
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms {
        let (chosen, rejected) = (pair.chosen.log_ratio_sum(), pair.rejected.log_ratio_sum());
        let (chosen_kl, rejected_kl) = (pair.chosen.kl_sum(), pair.rejected.kl_sum());
        let (alpha, through_chosen) = match self.form {
            TdpoForm::One => (1.0, 1.0),
            TdpoForm::Two { alpha } => (alpha, 0.0),
        };
        let margin = chosen - rejected - alpha * (rejected_kl - chosen_kl);
        let at = preference(self.gamma * margin, self.label_smoothing);
        let slope = at.slope * self.gamma;
        PairTerms {
            loss: at.loss,
            chosen_gradient: vec![slope; pair.chosen.len()],
            rejected_gradient: vec![-slope; pair.rejected.len()],
            kl_gradient: [slope * alpha * through_chosen, -slope * alpha],
            chosen_reward: self.gamma * (chosen + chosen_kl),
            rejected_reward: self.gamma * (rejected + rejected_kl),
            rejected_reward_unweighted: self.gamma * rejected,
        }
    }

    fn weights(&self) -> WeightUse {
        WeightUse::None
    }

    fn needs_kl(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, check_gradient};
    use super::*;

    fn loss(form: TdpoForm) -> Tdpo {
        Tdpo {
            gamma: 0.5,
            label_smoothing: 0.0,
            form,
        }
    }

    /// Log-ratios 0.5 and -1, divergences 0.75 and 0.25.
    fn case() -> Case {
        Case {
            chosen: [vec![-1.0, -0.5], vec![-1.25, -0.75]],
            rejected: [vec![-2.0], vec![-1.0]],
            kl: [vec![0.25, 0.5], vec![0.25]],
            ..Case::mixed(0)
        }
    }

    #[test]
    fn both_forms_by_hand() {
        let near = |got: f64, margin: f64| (got - (1.0 + (-margin).exp()).ln()).abs() < 1e-15;
        let (one, two) = (
            loss(TdpoForm::One).terms(&case().input()),
            loss(TdpoForm::Two { alpha: 0.5 }).terms(&case().input()),
        );
        assert!(near(one.loss, 0.5 * (1.5 - (0.25 - 0.75))), "{}", one.loss);
        assert!(
            near(two.loss, 0.5 * (1.5 - 0.5 * (0.25 - 0.75))),
            "{}",
            two.loss
        );
        assert_eq!((one.chosen_reward, one.rejected_reward), (0.625, -0.375));
    }

    #[test]
    fn the_chosen_divergence_has_a_slope_in_the_first_form_only() {
        let one = loss(TdpoForm::One).terms(&case().input());
        assert_eq!(
            one.kl_gradient,
            [one.chosen_gradient[0], one.rejected_gradient[0]]
        );
        let two = loss(TdpoForm::Two { alpha: 0.25 }).terms(&case().input());
        assert_eq!(two.kl_gradient, [0.0, 0.25 * two.rejected_gradient[0]]);
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        for form in [TdpoForm::One, TdpoForm::Two { alpha: 0.5 }] {
            check_gradient(&loss(form));
        }
    }
}
