//! Preference and fine-tuning losses, one small file each.
//!
//! Goes in: per-token log-probabilities of policy and reference, token weights, checked settings.
//! Comes out: the loss, its gradient with respect to every policy log-probability, and rewards for the metrics.
//! All arithmetic is `f64`; nothing here knows of models, batches or optimizers.
//!
//! Notation, used in every file: for a response `y` of `T` tokens, `p_t = log pi_theta(y_t | x, y_<t)` and
//! `q_t = log pi_ref(y_t | x, y_<t)`; `gamma` is the KL coefficient (TRL's `beta`).
//!
//! A new preference loss is one file with an implementation of [`PairLoss`], a variant of [`crate::Method`] and a
//! line in [`crate::Method`]'s constructor; the training loop does not change.

mod dpo;
mod reference_compat;
mod sft;
mod sigmoid;
#[cfg(test)]
mod testing;
mod weighted_dpo;

pub use dpo::Dpo;
pub use reference_compat::ReferenceCompat;
pub use sft::{NllTerms, nll};
pub use sigmoid::{Preference, log_sigmoid, preference};
pub use weighted_dpo::WeightedDpo;

/// One response's per-token numbers, all of length `T`.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// `p_t`, log-probabilities under the policy `[T]`.
    pub policy: &'a [f32],
    /// `q_t`, log-probabilities under the reference `[T]`.
    pub reference: &'a [f32],
    /// `w_t`, token weights `[T]`. A loss that is not weighted ignores them.
    pub weights: &'a [f32],
}

impl Side<'_> {
    /// Number of tokens `T`.
    pub fn len(&self) -> usize {
        self.policy.len()
    }

    /// True if the response has no token.
    pub fn is_empty(&self) -> bool {
        self.policy.is_empty()
    }

    /// `p_t - q_t`.
    pub fn log_ratio(&self, t: usize) -> f64 {
        f64::from(self.policy[t]) - f64::from(self.reference[t])
    }

    /// `sum_t p_t - q_t`.
    pub fn log_ratio_sum(&self) -> f64 {
        (0..self.len()).map(|t| self.log_ratio(t)).sum()
    }

    /// `sum_t w_t (p_t - q_t)`.
    pub fn weighted_log_ratio_sum(&self) -> f64 {
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
    /// prompt with response. Only [`ReferenceCompat`] looks at it.
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
    /// Implicit reward of the chosen response as the loss weighs it, times `gamma`.
    pub chosen_reward: f64,
    /// Implicit reward of the rejected response as the loss weighs it, times `gamma`.
    pub rejected_reward: f64,
    /// `gamma * sum_t (p_t - q_t)` of the rejected response, whatever the weights.
    pub rejected_reward_unweighted: f64,
}

/// Which token weights a loss takes from the data. A side that is not taken weighs 1 everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightUse {
    /// None: an unweighted loss.
    None,
    /// The rejected response's, and they must be there.
    Rejected,
    /// Both sides' as far as the data has them; at least one side must be there.
    Either,
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
}
