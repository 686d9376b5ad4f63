//! Preference and fine-tuning losses, one small file each.
//!
//! Goes in: per-token log-probabilities of policy and reference, token weights, checked settings.
//! Comes out: the loss, its gradient with respect to every policy log-probability, and rewards for the metrics.
//! All arithmetic is `f64`; nothing here knows of models, batches or optimizers.
//!
//! Notation, used in every file: for a response `y` of `T` tokens, `p_t = log pi_theta(y_t | x, y_<t)` and
//! `q_t = log pi_ref(y_t | x, y_<t)`; `gamma` is the KL coefficient (TRL's `beta`).
//!
//! A new preference loss is one file with an implementation of [`PairLoss`], a variant of [`crate::Loss`] and a
//! line in [`crate::Loss::on_pairs`]; the training loop does not change.

mod dpo;
mod dpop;
#[cfg(test)]
mod identities;
mod ipo;
mod reference_compat;
mod sft;
mod sigmoid;
mod simpo;
mod tdpo;
#[cfg(test)]
mod testing;
mod tis_dpo;
mod weighted_dpo;

pub(crate) use dpo::Dpo;
pub(crate) use dpop::Dpop;
pub(crate) use ipo::Ipo;
pub(crate) use reference_compat::ReferenceCompat;
pub use sft::{NllTerms, nll};
pub(crate) use sigmoid::preference;
pub(crate) use simpo::SimPo;
pub use tdpo::{Tdpo, TdpoForm};
pub use tis_dpo::{TisForm, TisSide, TisWeights};
pub(crate) use weighted_dpo::WeightedDpo;

/// One response's per-token numbers, all of length `T`.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// `p_t`, log-probabilities under the policy `[T]`.
    pub policy: &'a [f32],
    /// `q_t`, log-probabilities under the reference `[T]`.
    pub reference: &'a [f32],
    /// `w_t`, token weights `[T]`. A loss that is not weighted ignores them.
    pub weights: &'a [f32],
    /// `KL(pi_ref(.|x, y_<t) || pi_theta(.|x, y_<t))` over the whole vocabulary, in nats `[T]`. Empty unless
    /// [`PairLoss::needs_kl`].
    pub kl: &'a [f32],
}

impl Side<'_> {
    /// Number of tokens `T`.
    pub(crate) fn len(&self) -> usize {
        self.policy.len()
    }

    /// `p_t - q_t`.
    pub(crate) fn log_ratio(&self, t: usize) -> f64 {
        f64::from(self.policy[t]) - f64::from(self.reference[t])
    }

    /// `sum_t p_t - q_t`.
    pub(crate) fn log_ratio_sum(&self) -> f64 {
        (0..self.len()).map(|t| self.log_ratio(t)).sum()
    }

    /// `sum_t p_t`.
    pub(crate) fn policy_sum(&self) -> f64 {
        self.policy.iter().map(|&p| f64::from(p)).sum()
    }

    /// `K(y) = sum_t KL_t`, the sequential forward divergence.
    pub(crate) fn kl_sum(&self) -> f64 {
        self.kl.iter().map(|&k| f64::from(k)).sum()
    }

    /// `sum_t w_t (p_t - q_t)`.
    pub(crate) fn weighted_log_ratio_sum(&self) -> f64 {
        (0..self.len())
            .map(|t| f64::from(self.weights[t]) * self.log_ratio(t))
            .sum()
    }
}

/// One preference pair as a loss sees it.
#[derive(Debug, Clone, Copy)]
pub struct PairInput<'a> {
    /// The preferred response.
    pub chosen: Side<'a>,
    /// The other response.
    pub rejected: Side<'a>,
    /// Number of predicted positions that a padded micro-batch would have: one less than the tokens of its longest
    /// prompt with response. Only `ReferenceCompat` looks at it.
    pub padded_positions: usize,
}

/// What a loss makes of one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct PairTerms {
    /// The pair's loss, before the step's mean over pairs.
    pub loss: f64,
    /// `d loss / d p_t` of the chosen response `[T_chosen]`.
    pub chosen_gradient: Vec<f64>,
    /// `d loss / d p_t` of the rejected response `[T_rejected]`.
    pub rejected_gradient: Vec<f64>,
    /// `d loss / d KL_t`, the same for every token: of the chosen and of the rejected response.
    pub kl_gradient: [f64; 2],
    /// Implicit reward of the chosen response as the loss weighs it, times `gamma`.
    pub chosen_reward: f64,
    /// Implicit reward of the rejected response as the loss weighs it, times `gamma`.
    pub rejected_reward: f64,
    /// `gamma * sum_t (p_t - q_t)` of the rejected response, whatever the weights.
    pub rejected_reward_unweighted: f64,
}

/// Which token weights a loss takes from the data. A side that is not taken weighs 1 everywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WeightUse {
    /// None: an unweighted loss.
    None,
    /// The rejected response's, and they must be there.
    Rejected,
    /// Both sides' as far as the data has them; at least one side must be there.
    Either,
    /// Weights of both sides, computed from both contrastive models' log-probabilities, which must be there.
    Contrast(TisWeights),
}

/// A loss on preference pairs.
pub trait PairLoss: std::fmt::Debug + Send + Sync {
    /// Loss, gradient and rewards of one pair.
    fn terms(&self, pair: &PairInput<'_>) -> PairTerms;

    /// Which weights of the data the loss uses.
    fn weights(&self) -> WeightUse;

    /// Whether the loss reads [`Side::reference`]. Without, zeros are given and the reference is never run.
    fn needs_reference(&self) -> bool {
        true
    }

    /// Whether the loss reads [`Side::kl`], for which the reference runs again beside the policy in every step.
    fn needs_kl(&self) -> bool {
        false
    }
}
