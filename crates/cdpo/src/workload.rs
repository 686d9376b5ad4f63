//! What a stage makes the engine do: tokens, operations, passes over the weights, memory.
//!
//! Goes in: a stage's demand or training, and what is known of the run (`Known`: the model, its weights' form, how many questions
//! and pairs, how long). Comes out: a [`Workload`]. Plans show it before a run, and a run's stages say the memory that it expects
//! beside what was seen. All formulas of a model are `cdpo_model::cost`'s.

mod memory;
mod responses;
mod training;

use cdpo_model::cost::{AdapterCost, Held, Work};
use cdpo_model::{LoraConfig, ModelConfig, ModelCost, WeightForm};

use crate::recipe::Recipe;
use crate::stage::{Compared, Demand, Stage};

pub(crate) use memory::Memory;

/// Mean lengths in tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lengths {
    /// What stands before every question in sampling and evaluation: BOS and exemplars.
    pub(crate) prefix: f64,
    /// A question as it stands after that.
    pub(crate) question: f64,
    /// A question without exemplars, from the sequence's first token on: what training and scoring read unless `train.few_shot` is set.
    pub(crate) alone: f64,
    /// A response with its end.
    pub(crate) response: f64,
}

/// How many of everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amounts {
    pub(crate) train_questions: f64,
    pub(crate) test_questions: f64,
    pub(crate) positives: f64,
    pub(crate) negatives: f64,
    pub(crate) pairs: f64,
}

/// What is known of a run, or taken for granted, before a stage begins.
pub(crate) struct Known<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) config: &'a ModelConfig,
    /// How frozen weights are held.
    pub(crate) form: WeightForm,
    /// Whether weights that would be held as f32 are rounded to bf16, or stay as a bf16 file has them: for fast products on this machine.
    pub(crate) rounds: bool,
    /// Bytes of the weight files; of a model without any they are taken to be bf16.
    pub(crate) stored: Option<u64>,
    pub(crate) lengths: Lengths,
    pub(crate) amounts: Amounts,
}

/// What a part of a stage's work does, which decides how near it comes to the machine's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Many tokens forward at once: prompts, reference, scores.
    Forward,
    /// A token of each sequence at a time.
    Decoding,
    /// Forward and backward.
    Training,
}

/// A part of a stage's work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    /// Floating-point operations.
    pub(crate) flops: f64,
    /// How often the weights are read from beginning to end.
    pub(crate) passes: f64,
    /// Bytes that are read and written besides the weights: keys and values, an optimizer's arrays.
    pub(crate) bytes: f64,
}

/// What a stage makes the engine do.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Workload {
    /// Tokens read, as a run's costs count them.
    pub(crate) read: Option<f64>,
    /// Tokens generated.
    pub(crate) generated: Option<f64>,
    pub(crate) parts: Vec<Part>,
    pub(crate) memory: Option<Memory>,
}

/// How many times fewer tokens shared rollouts draw than all rollouts by themselves (docs/rollouts.md: 81 times with full scores on the
/// word problems; 17 to 35 times on GSM8K).
const SHARED_ROLLOUTS: f64 = 20.0;

/// The work of a stage. `reference` says whether the reference's log-probabilities are still to be computed.
///
/// # Errors
/// A LoRA that does not fit the model.
pub(crate) fn of(stage: &Stage, known: &Known<'_>, reference: bool) -> anyhow::Result<Workload> {
    if let Some(training) = &stage.training {
        return known.training(training, reference);
    }
    match &stage.demand {
        Demand::Nothing => Ok(Workload::default()),
        Demand::Responses(wanted) => {
            let adapters = known.adapters(&wanted.adapters)?;
            Ok(known.responses(wanted, &adapters))
        }
        Demand::Scores => known.scores(),
        Demand::Rollouts => Ok(known.rollouts()),
        Demand::Compared(compared) => known.compared(compared),
    }
}

impl<'a> Known<'a> {
    fn cost(&self) -> ModelCost<'a> {
        ModelCost::of(self.config)
    }

    fn adapters(&self, loras: &[LoraConfig]) -> anyhow::Result<Vec<AdapterCost>> {
        let costs = loras.iter().map(|lora| AdapterCost::of(self.config, lora));
        Ok(costs.collect::<Result<_, _>>()?)
    }

    /// How frozen weights are held where they are held as f32 in the way `f32`.
    fn held(&self, f32: Held) -> Held {
        match self.form {
            _ if self.stays() => Held::Stored(self.stored_bytes()),
            WeightForm::F32 if self.rounds => Held::Half,
            _ => f32,
        }
    }

    /// Whether matrices are multiplied from their file's pages: stored ones, and bf16 ones by fast products. A file as large as one of
    /// bf16 is taken for one.
    fn stays(&self) -> bool {
        let bf16 = self.bf16_bytes() as f64;
        let is_bf16 = (self.stored_bytes() as f64 / bf16 - 1.0).abs() < 0.02;
        self.form == WeightForm::Stored || (self.rounds && is_bf16)
    }

    /// Bytes of the weight files.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored.unwrap_or_else(|| self.bf16_bytes())
    }

    fn bf16_bytes(&self) -> u64 {
        let encodings = self.cost().bytes_by_encoding();
        let bf16 = encodings.iter().find(|(name, _)| *name == "BF16");
        bf16.map_or(0, |(_, bytes)| *bytes)
    }

    /// Tokens of a pair's forest, and those that are targets.
    fn pair(&self) -> Work {
        let (prompt, prefix) = (self.training_prompt(), self.training_prefix());
        let response = self.lengths.response;
        // Prompt rows see half of the prompt, response rows all of it and half of the response.
        let seen =
            prompt * (prefix + prompt / 2.0) + 2.0 * response * (prefix + prompt + response / 2.0);
        let tokens = prompt + 2.0 * response;
        Work {
            tokens,
            targets: 2.0 * response,
            context: seen / tokens.max(1.0),
        }
    }

    /// Exemplars before every prompt of a training.
    fn training_prefix(&self) -> f64 {
        if self.recipe.train.few_shot {
            self.lengths.prefix
        } else {
            0.0
        }
    }

    /// A prompt of training and scoring, after those exemplars.
    fn training_prompt(&self) -> f64 {
        if self.recipe.train.few_shot {
            self.lengths.question
        } else {
            self.lengths.alone
        }
    }

    /// Contrastive scores: each pair under both models, and the rejected responses' scores by one more product with the head.
    fn scores(&self) -> anyhow::Result<Workload> {
        let cost = self.cost();
        let adapters = self.adapters(std::slice::from_ref(&self.recipe.ce.lora))?;
        let (pair, prefix) = (self.pair(), self.training_prefix());
        let pairs = self.amounts.pairs;
        let read = pairs * (pair.tokens + prefix);
        let work = Work {
            tokens: read,
            targets: pairs * pair.targets * 1.25,
            context: pair.context,
        };
        let at_once = self.recipe.ce.max_tokens as f64;
        let calls = (read / at_once).ceil();
        Ok(Workload {
            read: Some(2.0 * read),
            generated: None,
            parts: vec![Part {
                kind: Kind::Forward,
                flops: 2.0 * cost.forward_flops(&work, &adapters),
                passes: 2.0 * calls,
                bytes: 0.0,
            }],
            memory: Some(Memory {
                weights: cost.weight_bytes(self.held(Held::Dense)),
                loading: self.loading(),
                activations: self.forward_bytes(at_once.min(read), at_once.min(read)),
                records: memory::records(2.0 * pairs, 8.0 * pairs * pair.targets),
                ..Memory::default()
            }),
        })
    }

    /// Samples of servers under the model: prompts and responses, one sequence at a time.
    fn compared(&self, compared: &Compared) -> anyhow::Result<Workload> {
        let cost = self.cost();
        let Lengths {
            prefix,
            question,
            response,
            ..
        } = self.lengths;
        let response = compared
            .most
            .map_or(response, |most| response.min(most as f64));
        let sequence = prefix + question + response;
        let samples = f64::from(compared.samples);
        let work = Work {
            tokens: samples * sequence,
            targets: samples * response,
            context: sequence / 2.0,
        };
        let (mut flops, mut adapters_bytes) = (0.0, 0);
        for loras in &compared.by {
            let adapters = self.adapters(loras)?;
            flops += cost.forward_flops(&work, &adapters);
            adapters_bytes += adapters.iter().map(|a| 4 * a.parameters()).sum::<u64>();
        }
        let times = compared.by.len() as f64;
        Ok(Workload {
            read: Some(times * work.tokens),
            generated: None,
            parts: vec![Part {
                kind: Kind::Forward,
                flops,
                passes: times * samples,
                bytes: 0.0,
            }],
            memory: Some(Memory {
                weights: cost.weight_bytes(self.held(Held::Dense)) + adapters_bytes,
                loading: self.loading(),
                activations: self.forward_bytes(sequence, response),
                ..Memory::default()
            }),
        })
    }

    /// Rollouts of every position of the pairs' rejected responses, with full scores.
    fn rollouts(&self) -> Workload {
        let rollout = &self.recipe.rollout;
        let response = self.lengths.response;
        let whole = f64::from(rollout.n) * response * response / 2.0;
        let generated = self.amounts.pairs * whole / SHARED_ROLLOUTS;
        let drawn = responses::Drawn {
            questions: self.amounts.pairs,
            each: generated / self.amounts.pairs.max(1.0) / response,
            max_batch: rollout.max_batch,
        };
        self.drawn(&drawn, &[])
    }
}
