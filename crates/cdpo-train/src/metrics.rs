//! One optimizer step's numbers, under TRL's names.

use serde::{Deserialize, Serialize};

use crate::losses::{PairInput, PairTerms, nll};
use crate::normalisers::Normalisers;

/// Means over the pairs of one optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairMetrics {
    /// Implicit reward of the chosen responses: gamma times the (weighted, if the loss weighs it) sum of log-ratios.
    #[serde(rename = "rewards/chosen")]
    pub reward_chosen: f64,
    /// Implicit reward of the rejected responses, weighted as the loss weighs it.
    #[serde(rename = "rewards/rejected")]
    pub reward_rejected: f64,
    /// The same with all weights 1: what DPO would see.
    #[serde(rename = "rewards/rejected_unweighted")]
    pub reward_rejected_unweighted: f64,
    /// `rewards/chosen - rewards/rejected`.
    #[serde(rename = "rewards/margins")]
    pub reward_margin: f64,
    /// Share of pairs whose chosen reward is the greater one.
    #[serde(rename = "rewards/accuracies")]
    pub reward_accuracy: f64,
    /// Sum of the chosen responses' token log-probabilities, mean over pairs, in nats.
    #[serde(rename = "logps/chosen")]
    pub logps_chosen: f64,
    /// The same of the rejected responses.
    #[serde(rename = "logps/rejected")]
    pub logps_rejected: f64,
    /// Mean token NLL of the chosen responses, in nats.
    pub nll_loss: f64,
    /// Sequential forward divergence `K(y)` of the chosen responses, mean over pairs, in nats: TDPO only.
    #[serde(rename = "kl/chosen", default, skip_serializing_if = "Option::is_none")]
    pub kl_chosen: Option<f64>,
    /// The same of the rejected responses.
    #[serde(
        rename = "kl/rejected",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub kl_rejected: Option<f64>,
}

/// One optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// The step, counted from 1.
    pub step: u64,
    /// Passes over the examples done after this step.
    pub epoch: f64,
    /// The step's loss, before its update.
    pub loss: f64,
    /// Preference methods only.
    #[serde(flatten)]
    pub pairs: Option<PairMetrics>,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate of this step's update.
    pub learning_rate: f64,
    /// Tokens computed so far, prompts included.
    pub tokens: u64,
}

impl StepMetrics {
    /// Every number but the step under its name, for plots.
    pub(crate) fn scalars(&self) -> Vec<(&'static str, f64)> {
        let mut scalars = vec![("loss", self.loss)];
        if let Some(p) = &self.pairs {
            scalars.extend([
                ("rewards/chosen", p.reward_chosen),
                ("rewards/rejected", p.reward_rejected),
                ("rewards/rejected_unweighted", p.reward_rejected_unweighted),
                ("rewards/margins", p.reward_margin),
                ("rewards/accuracies", p.reward_accuracy),
                ("logps/chosen", p.logps_chosen),
                ("logps/rejected", p.logps_rejected),
                ("nll_loss", p.nll_loss),
            ]);
            let kls = [("kl/chosen", p.kl_chosen), ("kl/rejected", p.kl_rejected)];
            scalars.extend(kls.into_iter().filter_map(|(name, kl)| Some((name, kl?))));
        }
        scalars.extend([
            ("grad_norm", self.grad_norm),
            ("learning_rate", self.learning_rate),
            ("epoch", self.epoch),
            ("tokens", self.tokens as f64),
        ]);
        scalars
    }
}

/// What adds up over a step's micro-batches.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) loss: f64,
    pairs: Option<PairMetrics>,
}

impl Sums {
    pub(crate) fn add_pair(&mut self, input: &PairInput<'_>, terms: &PairTerms, n: Normalisers) {
        let share = 1.0 / n.examples as f64;
        let p = self.pairs.get_or_insert(PairMetrics {
            reward_chosen: 0.0,
            reward_rejected: 0.0,
            reward_rejected_unweighted: 0.0,
            reward_margin: 0.0,
            reward_accuracy: 0.0,
            logps_chosen: 0.0,
            logps_rejected: 0.0,
            nll_loss: 0.0,
            kl_chosen: None,
            kl_rejected: None,
        });
        p.reward_chosen += share * terms.chosen_reward;
        p.reward_rejected += share * terms.rejected_reward;
        p.reward_rejected_unweighted += share * terms.rejected_reward_unweighted;
        p.reward_margin += share * (terms.chosen_reward - terms.rejected_reward);
        p.reward_accuracy += if terms.chosen_reward > terms.rejected_reward {
            share
        } else {
            0.0
        };
        p.logps_chosen += share * input.chosen.policy_sum();
        p.logps_rejected += share * input.rejected.policy_sum();
        for (mean, side) in [
            (&mut p.kl_chosen, &input.chosen),
            (&mut p.kl_rejected, &input.rejected),
        ] {
            if !side.kl.is_empty() {
                *mean = Some(mean.unwrap_or(0.0) + share * side.kl_sum());
            }
        }
        p.nll_loss += nll(input.chosen.policy, 1.0, n.tokens).loss;
    }

    pub(crate) fn into_pairs(self) -> Option<PairMetrics> {
        self.pairs
    }
}
