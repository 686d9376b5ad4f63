//! Training settings as typed by a user, checked and completed with the paper's values.
//!
//! [`TrainSettings`] is what a recipe holds: every field may be left out. [`TrainSettings::validate`] reports all faults
//! together, or gives [`Checked`] settings in which every value is known.

use cdpo_model::Recompute;
use serde::{Deserialize, Serialize};

use crate::error::Faults;
use crate::losses::TisForm;
use crate::method::{Loss, Method};
use crate::optimizer::AdamWSettings;
use crate::policy::Parameters;
use crate::schedule::Decay;

mod checked;
mod loss;

pub use checked::{Checked, Length, WarmUp};
pub use loss::{LossSettings, loss_settings, loss_settings_of};

/// Settings of one training run. A field left out takes the paper's value (Lin et al. 2025, appendix), which may depend
/// on the method; values below are given as `sft` / preference methods.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// The method; `cdpo` if left out.
    pub method: Method,
    /// What is trained: `lora` (an adapter) or `all` (every parameter of the model): `lora`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// KL coefficient, `> 0` (TRL's `beta`): none / 1.0. (The released code has 0.1.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// Probability that a preference label is flipped, in `[0, 0.5)`: none / 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// Factor `>= 0` of the chosen responses' mean token NLL that is added to a preference loss (TRL's `rpo_alpha`):
    /// none / 0, and 1 for `rpo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sft_term: Option<f64>,
    /// `tdpo2`: weight `>= 0` of the sequential divergences: 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tdpo_alpha: Option<f64>,
    /// `ipo`: regularization, `> 0` (TRL's `beta`): 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipo_tau: Option<f64>,
    /// `ipo`: whether a response's log-ratio is divided by its tokens, as TRL does: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipo_per_token: Option<bool>,
    /// `simpo`: scale `> 0` of the mean log-probabilities: 2.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simpo_beta: Option<f64>,
    /// `simpo`: margin `>= 0` (TRL's `simpo_gamma`): 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simpo_margin: Option<f64>,
    /// `dpop`: weight `>= 0` of the penalty: 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_lambda: Option<f64>,
    /// `tis-dpo`: how a difference of log-probabilities becomes a weight: linear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_form: Option<TisForm>,
    /// `tis-dpo`: least difference, in nats: -1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_low: Option<f64>,
    /// `tis-dpo`: greatest difference, in nats: 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_high: Option<f64>,
    /// `tis-dpo`, linear: weight at the least difference, `>= 0`: 0.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_floor: Option<f64>,
    /// `tis-dpo`, linear: weight at the greatest difference: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_ceiling: Option<f64>,
    /// `tis-dpo`, exponential: factor `>= 0` in the exponent: 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tis_mu: Option<f64>,
    /// Peak learning rate, `> 0`: 3e-4 / 4e-5 for the paper's losses and 2e-5 for the other ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// What follows the warm-up: cosine / linear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Decay>,
    /// Steps of linear warm-up. Give this or `warmup_ratio`: 100 / none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Share of all steps, in `[0, 1)`, that is warm-up, rounded up, but never the last step: none / 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_ratio: Option<f64>,
    /// Passes over the examples, `> 0`: 1 / 3. A part of a pass ends within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Optimizer steps, `>= 1`, instead of `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Examples computed at once, `>= 1`: 6 / 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Micro-batches of `batch_size` in an optimizer step, `>= 1`: 1 / 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<usize>,
    /// Decoupled weight decay, `>= 0`: 0 / 0.01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// AdamW's first decay, in `[0, 1)`: 0.9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// AdamW's second decay, in `[0, 1)`: 0.999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// AdamW's epsilon, `> 0`: 1e-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Limit of the gradient's norm; 0 for none: 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// Longest prompt kept, in tokens: 511. (The paper keeps prompts of less than 512 tokens.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_prompt_tokens: Option<usize>,
    /// Longest prompt with response kept, in tokens: 1023. (The paper: less than 1024.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Seed of shuffling and dropout: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Steps between checkpoints, `>= 1`; there is always one at the end: 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Newest checkpoints kept, `>= 1`: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_checkpoints: Option<usize>,
    /// What the backward pass computes again, memory against time, the same numbers: `feed_forward`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute: Option<Recompute>,
}

impl TrainSettings {
    /// Settings of a method with the paper's values.
    pub fn of(method: Method) -> Self {
        Self {
            method,
            ..Self::default()
        }
    }

    /// Checks ranges and combinations, and completes what was left out.
    ///
    /// # Errors
    /// All faults together.
    pub fn validate(&self) -> Result<Checked, Faults> {
        let mut faults = Vec::new();
        let pairs = self.method.takes_pairs();
        let papers = matches!(
            self.method.loss(),
            Loss::Cdpo | Loss::CdpoRollout | Loss::WeightedDpo | Loss::CdpoReferenceCompat
        );
        loss::check(self, &mut faults);
        self.check_numbers(&mut faults);
        self.check_counts(&mut faults);
        let warmup = self.warmup(pairs);
        self.check_schedule(warmup, &mut faults);
        let max_prompt_tokens = self.max_prompt_tokens.unwrap_or(511);
        let max_tokens = self.max_tokens.unwrap_or(1023);
        if max_tokens < 2 {
            faults.push(format!("max_tokens must be at least 2, not {max_tokens}"));
        } else if self.max_prompt_tokens.is_some() && max_tokens <= max_prompt_tokens {
            faults.push(format!(
                "max_tokens ({max_tokens}) must be greater than max_prompt_tokens ({max_prompt_tokens}), since it counts prompt and response together"
            ));
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }

        let by_kind = |sft: f64, preference: f64| if pairs { preference } else { sft };
        Ok(Checked {
            method: self.method,
            parameters: self.parameters.unwrap_or_default(),
            loss: loss::complete(self),
            sft_term: loss::sft_term(self),
            learning_rate: self
                .learning_rate
                .unwrap_or(by_kind(3e-4, if papers { 4e-5 } else { 2e-5 })),
            decay: self
                .schedule
                .unwrap_or(if pairs { Decay::Linear } else { Decay::Cosine }),
            warmup,
            length: match self.max_steps {
                Some(steps) => Length::Steps(steps),
                None => Length::Epochs(self.epochs.unwrap_or(by_kind(1.0, 3.0))),
            },
            batch_size: self.batch_size.unwrap_or(if pairs { 2 } else { 6 }),
            accumulation: self.accumulation.unwrap_or(if pairs { 4 } else { 1 }),
            adamw: AdamWSettings {
                beta1: self.beta1.unwrap_or(0.9),
                beta2: self.beta2.unwrap_or(0.999),
                epsilon: self.epsilon.unwrap_or(1e-8),
                weight_decay: self.weight_decay.unwrap_or(by_kind(0.0, 0.01)),
            },
            max_grad_norm: self.max_grad_norm.unwrap_or(1.0),
            max_prompt_tokens,
            max_tokens,
            seed: self.seed.unwrap_or(0),
            checkpoint_every: self.checkpoint_every.unwrap_or(50),
            keep_checkpoints: self.keep_checkpoints.unwrap_or(2),
            recompute: self.recompute.unwrap_or_default(),
        })
    }

    fn check_numbers(&self, faults: &mut Vec<String>) {
        let mut number = |name: &str, value: Option<f64>, ok: fn(f64) -> bool, range: &str| {
            if let Some(x) = value.filter(|&x| !ok(x) || !x.is_finite()) {
                faults.push(format!("{name} must {range}, not {x}"));
            }
        };
        let positive = |x: f64| x > 0.0;
        let not_negative = |x: f64| x >= 0.0;
        let share = |x: f64| (0.0..1.0).contains(&x);
        number(
            "learning_rate",
            self.learning_rate,
            positive,
            "be greater than 0",
        );
        number("warmup_ratio", self.warmup_ratio, share, "lie in [0, 1)");
        number("epochs", self.epochs, positive, "be greater than 0");
        number(
            "weight_decay",
            self.weight_decay,
            not_negative,
            "be at least 0",
        );
        number("beta1", self.beta1, share, "lie in [0, 1)");
        number("beta2", self.beta2, share, "lie in [0, 1)");
        number("epsilon", self.epsilon, positive, "be greater than 0");
        number(
            "max_grad_norm",
            self.max_grad_norm,
            not_negative,
            "be at least 0 (0: no limit)",
        );
    }

    fn check_counts(&self, faults: &mut Vec<String>) {
        let counts = [
            ("max_steps", self.max_steps),
            ("checkpoint_every", self.checkpoint_every),
            ("batch_size", self.batch_size.map(|n| n as u64)),
            ("accumulation", self.accumulation.map(|n| n as u64)),
            ("keep_checkpoints", self.keep_checkpoints.map(|n| n as u64)),
            (
                "max_prompt_tokens",
                self.max_prompt_tokens.map(|n| n as u64),
            ),
        ];
        for (name, _) in counts.into_iter().filter(|&(_, value)| value == Some(0)) {
            faults.push(format!("{name} must be at least 1, not 0"));
        }
    }

    /// The warm-up as given, or by default: a tenth of the steps for preference methods, 100 steps for fine-tuning.
    fn warmup(&self, pairs: bool) -> WarmUp {
        match (self.warmup_steps, self.warmup_ratio) {
            (Some(steps), _) => WarmUp::Steps(steps),
            (None, Some(ratio)) => WarmUp::Ratio(ratio),
            (None, None) if pairs => WarmUp::Ratio(0.1),
            (None, None) => WarmUp::Steps(100),
        }
    }

    fn check_schedule(&self, warmup: WarmUp, faults: &mut Vec<String>) {
        if self.warmup_steps.is_some() && self.warmup_ratio.is_some() {
            faults.push("warmup_steps and warmup_ratio are both given; keep one".to_owned());
        }
        if let (WarmUp::Steps(warmup), Some(all)) = (warmup, self.max_steps)
            && warmup >= all
        {
            let by_default = if self.warmup_steps.is_none() {
                " by default"
            } else {
                ""
            };
            faults.push(format!(
                "warmup_steps ({warmup}{by_default}) must be less than max_steps ({all}); warmup_ratio = 0.1 fits any length"
            ));
        }
        if self.epochs.is_some() && self.max_steps.is_some() {
            faults.push("epochs and max_steps are both given; keep one".to_owned());
        }
    }
}
