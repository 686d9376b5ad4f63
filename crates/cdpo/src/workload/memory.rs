//! Peak memory of a stage: what the weights take, and what is held beside them.

use cdpo_model::cost::Held;

use super::Known;

/// Bytes of memory by what takes them, at the peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    /// Weights, as they are held while the stage works.
    pub(crate) weights: u64,
    /// Weights and their files' pages while they are read.
    pub(crate) loading: u64,
    /// Keys and values.
    pub(crate) cache: u64,
    /// Activations and logits.
    pub(crate) activations: u64,
    /// Trained parameters with their gradients and moments.
    pub(crate) optimizer: u64,
    /// Responses and pairs, which a stage holds whole.
    pub(crate) records: u64,
}

impl Memory {
    /// The peak of all of it, besides what the program itself takes.
    pub(crate) fn peak(&self) -> u64 {
        let working = self.weights + self.cache + self.activations + self.optimizer;
        working.max(self.loading) + self.records
    }
}

/// What the program itself takes (27 MB before a model is loaded), and what its allocator keeps of what was freed: as the quickstart's stages
/// were seen to take it (docs/plan.md).
const PROGRAM: u64 = 55_000_000;
/// Bytes that a tokenizer takes for each token of its vocabulary.
const TOKENIZER: u64 = 500;
/// Bytes of a token of a response: its id, and about four bytes of text.
const TOKEN: f64 = 8.0;
/// Bytes of a record besides its tokens.
const RECORD: f64 = 300.0;

impl Known<'_> {
    /// Bytes that are resident at a stage's peak: what it holds, the program and the tokenizer.
    pub(crate) fn resident(&self, memory: &Memory) -> u64 {
        self.program() + memory.peak()
    }

    /// Bytes of the program and the tokenizer.
    pub(crate) fn program(&self) -> u64 {
        PROGRAM + TOKENIZER * self.config.vocab_size as u64
    }

    /// Bytes while weights are read: the file's pages and what is made of them.
    pub(super) fn loading(&self) -> u64 {
        match self.held(Held::Dense) {
            held @ Held::Stored(_) => self.cost().weight_bytes(held),
            held => self.cost().weight_bytes(held) + self.stored.unwrap_or(0),
        }
    }

    /// Bytes of a forward pass over so many tokens.
    pub(super) fn forward_bytes(&self, tokens: f64, targets: f64) -> u64 {
        let cost = self.cost();
        (tokens * cost.forward_bytes_per_token() as f64) as u64 + cost.head_bytes(targets)
    }
}

/// Bytes of so many records with so many tokens.
pub(super) fn records(records: f64, tokens: f64) -> u64 {
    (RECORD * records + TOKEN * tokens) as u64
}
