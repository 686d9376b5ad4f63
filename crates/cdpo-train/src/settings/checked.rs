//! Settings whose ranges hold and whose values are all known: what the training loop reads.

use cdpo_model::Recompute;

use super::{LossSettings, TrainSettings, loss};
use crate::method::Method;
use crate::optimizer::AdamWSettings;
use crate::policy::Parameters;
use crate::schedule::{Decay, Schedule};

/// How long the warm-up is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WarmUp {
    /// A number of steps.
    Steps(u64),
    /// A share of all steps, rounded up.
    Ratio(f64),
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// Passes over the examples.
    Epochs(f64),
    /// Optimizer steps.
    Steps(u64),
}

/// Settings whose ranges hold and whose values are all known. Made by [`TrainSettings::validate`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Checked {
    /// The method.
    pub method: Method,
    /// What is trained.
    pub parameters: Parameters,
    /// What its loss needs.
    pub loss: LossSettings,
    /// Factor of the chosen responses' NLL beside a preference loss.
    pub sft_term: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// What follows the warm-up.
    pub decay: Decay,
    /// The warm-up.
    pub warmup: WarmUp,
    /// How long to train.
    pub length: Length,
    /// Examples computed at once.
    pub batch_size: usize,
    /// Micro-batches in a step.
    pub accumulation: usize,
    /// The optimizer's constants.
    pub adamw: AdamWSettings,
    /// Limit of the gradient's norm, 0 for none.
    pub max_grad_norm: f64,
    /// Longest prompt kept.
    pub max_prompt_tokens: usize,
    /// Longest prompt with response kept.
    pub max_tokens: usize,
    /// Seed of shuffling and dropout.
    pub seed: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Newest checkpoints kept.
    pub keep_checkpoints: usize,
    /// What the backward pass computes again.
    pub recompute: Recompute,
}

impl Checked {
    /// The same settings in a user's form, every value that applies written out: for a resolved recipe.
    pub fn resolved(&self) -> TrainSettings {
        TrainSettings {
            parameters: Some(self.parameters),
            learning_rate: Some(self.learning_rate),
            schedule: Some(self.decay),
            warmup_steps: if let WarmUp::Steps(n) = self.warmup {
                Some(n)
            } else {
                None
            },
            warmup_ratio: if let WarmUp::Ratio(r) = self.warmup {
                Some(r)
            } else {
                None
            },
            epochs: if let Length::Epochs(n) = self.length {
                Some(n)
            } else {
                None
            },
            max_steps: if let Length::Steps(n) = self.length {
                Some(n)
            } else {
                None
            },
            batch_size: Some(self.batch_size),
            accumulation: Some(self.accumulation),
            weight_decay: Some(self.adamw.weight_decay),
            beta1: Some(self.adamw.beta1),
            beta2: Some(self.adamw.beta2),
            epsilon: Some(self.adamw.epsilon),
            max_grad_norm: Some(self.max_grad_norm),
            max_prompt_tokens: (self.max_tokens > self.max_prompt_tokens)
                .then_some(self.max_prompt_tokens),
            max_tokens: Some(self.max_tokens),
            seed: Some(self.seed),
            checkpoint_every: Some(self.checkpoint_every),
            keep_checkpoints: Some(self.keep_checkpoints),
            recompute: Some(self.recompute),
            ..loss::resolve(&self.loss, self.sft_term, self.method)
        }
    }

    /// Optimizer steps of a run on `examples` examples.
    pub fn total_steps(&self, examples: usize) -> u64 {
        match self.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => {
                (epochs * examples.div_ceil(self.examples_per_step()) as f64).ceil() as u64
            }
        }
    }

    /// Examples that an optimizer step takes.
    pub(crate) fn examples_per_step(&self) -> usize {
        self.batch_size * self.accumulation
    }

    /// The learning rates of a run of `total_steps`.
    pub fn schedule(&self, total_steps: u64) -> Schedule {
        let warmup_steps = match self.warmup {
            WarmUp::Steps(steps) => steps,
            WarmUp::Ratio(ratio) => {
                ((ratio * total_steps as f64).ceil() as u64).min(total_steps.saturating_sub(1))
            }
        };
        Schedule {
            peak: self.learning_rate,
            decay: self.decay,
            warmup_steps,
            total_steps,
        }
    }
}
