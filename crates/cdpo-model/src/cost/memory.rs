//! Memory of weights and passes, in bytes: a model of what the CPU engine holds, f32 throughout but for stored weights.

use super::ModelCost;
use crate::kv::{KvCache, KvForm};
use crate::model::Recompute;
use crate::ops::head;

/// Bytes of an element.
const F32: u64 = 4;

/// How a model's weights are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// As f32, row-major: for training and scoring.
    Dense,
    /// As f32, packed for decoding; the embedding is row-major, so that a tied head is a second copy.
    Packed,
    /// Rounded to bf16, for fast products; vectors as f32.
    Half,
    /// As their file of so many bytes has them; vectors as f32.
    Stored(u64),
}

impl ModelCost<'_> {
    /// Bytes of weights held in this way. Of stored ones the file's pages count, which the system can take back.
    pub fn weight_bytes(&self, held: Held) -> u64 {
        let parameters = self.parameters();
        match held {
            Held::Packed if parameters.head == 0 => self.f32_bytes() + F32 * self.head(),
            Held::Dense | Held::Packed => self.f32_bytes(),
            Held::Half => self.f32_bytes() / 2 + F32 * parameters.vectors / 2,
            Held::Stored(file) => file + F32 * parameters.vectors,
        }
    }

    /// Bytes of all weights that a step of decoding reads, of a model whose parameters take `bytes` each: the linear layers and
    /// the head.
    pub fn bytes_read(&self, bytes: f64) -> f64 {
        bytes * self.active() as f64
    }

    /// Bytes of one token's keys and values: [`KvCache::bytes_per_token`].
    pub fn kv_bytes_per_token(&self, form: KvForm) -> u64 {
        KvCache::bytes_per_token(self.config, form) as u64
    }

    /// Bytes of what a training pass keeps of one token from its forward to its backward pass, in all blocks.
    pub fn kept_bytes_per_token(&self, recompute: Recompute) -> u64 {
        let kept = match recompute {
            Recompute::Blocks => self.config.hidden_size,
            Recompute::FeedForward => self.kept_of_block(),
            Recompute::Nothing => self.kept_of_block() + 2 * self.config.intermediate_size,
        };
        F32 * (self.config.layers * kept) as u64
    }

    /// Elements of one token that a block's reverse pass reads, gate and up projection left out: input, middle, queries, keys,
    /// values, attention's output and its log-sum-exp.
    fn kept_of_block(&self) -> usize {
        let c = self.config;
        2 * c.hidden_size + 2 * (c.heads + c.kv_heads) * c.head_dim + c.heads
    }

    /// Bytes of one token in the block that is computed at the time, on the way back: gate, up, their gradients and the
    /// product's, three rows as wide as the model, and the block itself where only its input was kept.
    pub fn working_bytes_per_token(&self, recompute: Recompute) -> u64 {
        let c = self.config;
        let block = match recompute {
            Recompute::Blocks => self.kept_of_block(),
            Recompute::FeedForward | Recompute::Nothing => 0,
        };
        F32 * (5 * c.intermediate_size + 3 * c.hidden_size + block) as u64
    }

    /// Bytes of the logits that exist at one time in a pass with so many targets.
    pub fn head_bytes(&self, targets: f64) -> u64 {
        let rows = head::rows_at_once(self.config.vocab_size).min(targets.ceil().max(1.0) as usize);
        F32 * (rows * self.config.vocab_size) as u64
    }

    /// Bytes of the logits of a decoding step of so many rows.
    pub fn logits_bytes(&self, rows: usize) -> u64 {
        F32 * (rows * self.config.vocab_size) as u64
    }

    /// Bytes of one token in a forward pass of which nothing is kept: one block.
    pub fn forward_bytes_per_token(&self) -> u64 {
        let c = self.config;
        F32 * (self.kept_of_block() + 3 * c.intermediate_size + 2 * c.hidden_size) as u64
    }

    /// The shape `(out, in)` of the largest linear layer of a block: what a rate of products is measured at.
    pub fn largest_linear(&self) -> (usize, usize) {
        let shapes = self.block.iter().map(|linear| linear.shape);
        shapes
            .max_by_key(|(out, inner)| out * inner)
            .unwrap_or((1, 1))
    }
}
