//! Floating-point operations of a pass.

use super::{AdapterCost, ModelCost, Parts};
use crate::forest::{Target, TokenForest};
use crate::model::Recompute;

/// What one or many passes compute.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Tokens that go through the blocks.
    pub tokens: f64,
    /// Of those, tokens that go through the head.
    pub targets: f64,
    /// Tokens that a token attends to, itself included: the mean.
    pub context: f64,
}

impl Work {
    /// The work of a forest with these targets.
    pub fn of(forest: &TokenForest, targets: &[Target]) -> Self {
        let seen: f64 = forest.positions().iter().map(|&p| f64::from(p) + 1.0).sum();
        Self {
            tokens: forest.rows() as f64,
            targets: targets.len() as f64,
            context: seen / forest.rows().max(1) as f64,
        }
    }
}

impl Work {
    /// The work of so many of these.
    #[must_use]
    pub fn times(self, n: f64) -> Self {
        Self {
            tokens: n * self.tokens,
            targets: n * self.targets,
            ..self
        }
    }

    /// With so many more tokens that are no targets.
    #[must_use]
    pub fn beside(self, tokens: f64) -> Self {
        Self {
            tokens: self.tokens + tokens,
            ..self
        }
    }
}

/// What a training pass changes.
#[derive(Debug, Clone, Copy)]
pub enum Trained<'a> {
    /// An adapter.
    Adapter(&'a AdapterCost),
    /// Every parameter of the model.
    All,
}

/// How a training pass runs.
#[derive(Debug, Clone, Copy)]
pub struct TrainPass<'a> {
    /// What it changes.
    pub trained: Trained<'a>,
    /// Frozen adapters under a trained one.
    pub under: &'a [AdapterCost],
    /// What it computes again.
    pub recompute: Recompute,
    /// Whether it also gives each target's divergence from the reference, which runs first.
    pub divergence: bool,
}

/// Per parameter and row: a multiplication and an addition.
const PER_PARAMETER: f64 = 2.0;

/// A pass's products in attention, each of a query row with a visible key's or value's row: scores and the sum of values.
const ATTENTION_FORWARD: f64 = 2.0;
/// The scores again, and the gradients of probabilities, queries, keys and values.
const ATTENTION_BACKWARD: f64 = 5.0;

impl AdapterCost {
    fn forward(&self, part: fn(&Parts) -> u64) -> f64 {
        PER_PARAMETER * (part(&self.a) + part(&self.b)) as f64
    }
}

impl ModelCost<'_> {
    /// One product of the given kind between a token's query heads and what it attends to, in all blocks.
    fn attention(&self, products: f64, context: f64) -> f64 {
        let wide = (self.config.heads * self.config.head_dim * self.config.layers) as f64;
        PER_PARAMETER * products * wide * context
    }

    /// One product of a row with the head.
    fn head_product(&self) -> f64 {
        PER_PARAMETER * self.head() as f64
    }

    /// The blocks' forward pass of one token.
    fn blocks_forward(&self, adapters: &[AdapterCost], context: f64) -> f64 {
        let added: f64 = adapters.iter().map(|a| a.forward(|p| p.all)).sum();
        PER_PARAMETER * self.linears.all as f64 + added + self.attention(ATTENTION_FORWARD, context)
    }

    /// Operations of a forward pass under these adapters: the blocks for every token, the head for every target.
    pub fn forward_flops(&self, work: &Work, adapters: &[AdapterCost]) -> f64 {
        work.tokens * self.blocks_forward(adapters, work.context)
            + work.targets * self.head_product()
    }

    /// Operations of a training pass, forward and backward, with what it computes again.
    pub fn train_flops(&self, work: &Work, pass: &TrainPass<'_>) -> f64 {
        self.train_flops_without(work, pass) + work.tokens * self.again(work, pass)
    }

    /// As [`ModelCost::train_flops`], without what is computed again: what any engine must compute.
    pub fn train_flops_without(&self, work: &Work, pass: &TrainPass<'_>) -> f64 {
        let reference = if pass.divergence {
            self.forward_flops(work, pass.under) + work.targets * self.head_product()
        } else {
            0.0
        };
        work.tokens
            * (self.blocks_forward(&pass.adapters(), work.context)
                + self.blocks_backward(work, pass))
            + work.targets * self.head_product() * pass.head_products()
            + reference
    }

    /// The blocks' backward pass of one token.
    fn blocks_backward(&self, work: &Work, pass: &TrainPass<'_>) -> f64 {
        let (all, first) = (self.linears.all as f64, self.linears.first as f64);
        let through = |a: &AdapterCost| a.forward(|p| p.all) - a.forward(|p| p.first);
        let under: f64 = pass.under.iter().map(through).sum();
        let weights = match pass.trained {
            // The input's gradient and the weight's.
            Trained::All => 2.0 * PER_PARAMETER * all,
            // The input's gradient; of the adapter dz, z again, dA and dB, and its part of the input's gradient.
            Trained::Adapter(own) => {
                let (a, b) = (own.a.all as f64, own.b.all as f64);
                PER_PARAMETER * (all - first + 2.0 * (a + b) + a - own.a.first as f64)
            }
        };
        weights + under + self.attention(ATTENTION_BACKWARD, work.context)
    }

    /// What is computed again for one token.
    fn again(&self, work: &Work, pass: &TrainPass<'_>) -> f64 {
        match pass.recompute {
            Recompute::Nothing => 0.0,
            Recompute::FeedForward => {
                let adapters = pass.adapters();
                let added: f64 = adapters.iter().map(|a| a.forward(|p| p.gate_up)).sum();
                PER_PARAMETER * self.linears.gate_up as f64 + added
            }
            Recompute::Blocks => self.blocks_forward(&pass.adapters(), work.context),
        }
    }
}

impl TrainPass<'_> {
    /// All adapters that the pass runs under.
    fn adapters(&self) -> Vec<AdapterCost> {
        let mut all = self.under.to_vec();
        if let Trained::Adapter(own) = self.trained {
            all.push(*own);
        }
        all
    }

    /// Products with the head for each target: logits and the gradient of the hidden state; the head's own gradient takes the
    /// logits again and a product.
    fn head_products(&self) -> f64 {
        match self.trained {
            Trained::Adapter(_) => 2.0,
            Trained::All => 4.0,
        }
    }
}
