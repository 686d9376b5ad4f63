//! Training: the reference's log-probabilities once, then steps of micro-batches forward and backward.

use cdpo_model::cost::{AdapterCost, Held, TrainPass, Trained, Work};
use cdpo_model::{ModelCost, Recompute};
use cdpo_train::{Checked, Length, Parameters};

use super::memory;
use super::{Kind, Known, Memory, Part, Workload};
use crate::stage::{TrainedOn, Training};

/// Trained parameters, gradients and both moments.
const ARRAYS: u64 = 4;
/// An adapter's own values and its copy in the arena.
const ADAPTER_COPIES: u64 = 2;
/// What AdamW reads and writes of a parameter: value, gradient and moments read, value and moments written, 4 bytes each.
const OPTIMIZER_BYTES: f64 = 28.0;
/// How much longer the longest micro-batch of a run is than the mean one (docs/plan.md: steps on GSM8K pairs, two and eight at a time).
const LONGEST: f64 = 1.25;

impl Known<'_> {
    pub(super) fn training(
        &self,
        training: &Training,
        reference: bool,
    ) -> anyhow::Result<Workload> {
        let checked = training.settings.validate()?;
        let loss = checked.method.loss().on_pairs(&checked.loss);
        let (example, examples) = self.examples(training.on);
        let own = AdapterCost::of(self.config, &training.lora)?;
        let under = self.adapters(training.under.as_slice())?;
        let all = checked.parameters == Parameters::All;
        let pass = TrainPass {
            trained: if all {
                Trained::All
            } else {
                Trained::Adapter(&own)
            },
            under: &under,
            recompute: checked.recompute,
            divergence: loss.as_ref().is_some_and(|loss| loss.needs_kl()),
        };
        let cost = self.cost();
        let trained = if all {
            cost.parameters().total()
        } else {
            own.parameters()
        };
        let per_step = (checked.batch_size * checked.accumulation) as f64;
        let (steps, seen) = match checked.length {
            Length::Steps(steps) => (steps as f64, steps as f64 * per_step),
            Length::Epochs(epochs) => (
                checked.total_steps(examples as usize) as f64,
                epochs * examples,
            ),
        };
        let micro_batches = (seen / checked.batch_size as f64).ceil();
        let work = example
            .times(seen)
            .beside(micro_batches * self.training_prefix());
        let mut parts = vec![Part {
            kind: Kind::Training,
            flops: cost.train_flops(&work, &pass),
            passes: micro_batches * passes(&cost, &pass),
            bytes: steps * trained as f64 * OPTIMIZER_BYTES,
        }];
        if reference && loss.is_some_and(|loss| loss.needs_reference()) {
            let work = example
                .times(examples)
                .beside(examples * self.training_prefix());
            parts.insert(
                0,
                Part {
                    kind: Kind::Forward,
                    flops: cost.forward_flops(&work, &under),
                    passes: examples,
                    bytes: 0.0,
                },
            );
        }
        Ok(Workload {
            read: Some(work.tokens),
            generated: None,
            parts,
            memory: Some(self.training_memory(&checked, &pass, &example, trained)),
        })
    }

    /// An example's work and how many there are.
    fn examples(&self, on: TrainedOn) -> (Work, f64) {
        let pair = self.pair();
        let (prompt, response) = (self.training_prompt(), self.lengths.response);
        let single = Work {
            tokens: prompt + response,
            targets: response,
            context: self.training_prefix() + f64::midpoint(prompt, response),
        };
        match on {
            TrainedOn::Positives => (single, self.amounts.positives),
            TrainedOn::Negatives => (single, self.amounts.negatives),
            TrainedOn::Pairs => (pair, self.amounts.pairs),
        }
    }

    fn training_memory(
        &self,
        settings: &Checked,
        pass: &TrainPass<'_>,
        example: &Work,
        trained: u64,
    ) -> Memory {
        let cost = self.cost();
        let prefix = self.training_prefix();
        let longest = (LONGEST * example.tokens).min((2 * settings.max_tokens) as f64);
        let batch = settings.batch_size as f64;
        let tokens = prefix + batch * longest;
        let per_token = cost.kept_bytes_per_token(pass.recompute)
            + cost.working_bytes_per_token(pass.recompute);
        let targets = batch * LONGEST * example.targets;
        let heads = if pass.divergence { 2 } else { 1 };
        let all = matches!(pass.trained, Trained::All);
        Memory {
            weights: if all {
                cost.weight_bytes(Held::Dense)
            } else {
                cost.weight_bytes(self.held(Held::Dense))
            },
            loading: self.loading(),
            activations: (tokens * per_token as f64) as u64 + heads * cost.head_bytes(targets),
            optimizer: 4 * trained * if all { ARRAYS } else { ARRAYS + ADAPTER_COPIES },
            records: memory::records(self.amounts.pairs, self.amounts.pairs * example.tokens),
            ..Memory::default()
        }
    }
}

/// How often a micro-batch reads the weights: forward, backward, and what is computed again.
fn passes(cost: &ModelCost<'_>, pass: &TrainPass<'_>) -> f64 {
    let again = match pass.recompute {
        Recompute::Nothing => 0.0,
        Recompute::FeedForward => cost.gate_up_share(),
        Recompute::Blocks => 1.0,
    };
    2.0 + again + if pass.divergence { 1.0 } else { 0.0 }
}
