//! Branches: responses that leave a given one at any of its tokens and go on by themselves.
//!
//! A given response is the *trunk*: it is computed once, which also gives the logits at each of its positions. A [`Branch`] keeps
//! some of its tokens, may have a token of its own behind them, and carries any number of [`Rollout`]s, each a stream of random
//! numbers. Rollouts of a branch are one sequence for as long as they draw the same tokens; where they differ the sequence forks.
//! All sequences of all trunks grow together, a token a step; what has ended leaves its place at once.
//!
//! A rollout is a function of the ids before it and of its key, never of the batch, of the other rollouts, of the cache's size or
//! of the threads: a token's logits have the same bits from the trunk, from a branch and from decoding, and the draw at a position
//! of the response is keyed by that position wherever the branch began.

mod engine;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use cdpo_data::Finish;
use cdpo_model::{Key, Model, Tokenizer};

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::local::{Local, LocalSampler};
use crate::params::SampleParams;
use engine::Engine;

/// A response given as ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trunk {
    /// What it is called in errors.
    pub name: String,
    /// Few-shot exemplars and, where the model wants one, the start token; computed once for all trunks that share it.
    pub prefix_ids: Vec<u32>,
    /// The question in its framing.
    pub prompt_ids: Vec<u32>,
    /// The response's content ids.
    pub response_ids: Vec<u32>,
}

/// An open trunk of a [`Branches`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrunkId(usize);

/// One stream of random numbers: the token at response position `p` (from 0) is drawn with `key.with(p)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollout {
    /// The caller's name for it.
    pub tag: u64,
    /// Its key.
    pub key: Key,
}

/// Rollouts that leave a trunk at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The trunk.
    pub trunk: TrunkId,
    /// How many of its response tokens are kept.
    pub keep: usize,
    /// The tokens behind them that an [`Aside`] had drawn; they do not count again.
    pub drawn: Vec<u32>,
    /// The token behind those, if it is known already.
    pub first: Option<u32>,
    /// Tokens of the whole response at which a rollout that has not ended is set aside; `usize::MAX` for never.
    pub pause: usize,
    /// At least one.
    pub rollouts: Vec<Rollout>,
}

/// Rollouts that have ended, all with the same response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The trunk that they left.
    pub trunk: TrunkId,
    /// Their names.
    pub tags: Vec<u64>,
    /// The whole response's text: the tokens kept and those drawn, without an end token or a stop string.
    pub text: Arc<str>,
    /// Why it ended; `None` if it did not, but its text was settled ([`Branches::with_settled`]).
    pub finish: Option<Finish>,
    /// Tokens of the whole response, an end token or the tokens of a stop string included.
    pub tokens: usize,
}

/// Rollouts that were set aside before their end; a [`Branch`] that keeps the same tokens goes on with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The trunk that they left.
    pub trunk: TrunkId,
    /// Their names.
    pub tags: Vec<u64>,
    /// What they drew behind the tokens kept, the branch's own beginning included.
    pub drawn: Vec<u32>,
}

/// Tokens that were spent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Tokens drawn on branches, end tokens included; what several rollouts drew as one counts once.
    pub generated: u64,
    /// Tokens of prompts and trunks, each shared prefix once.
    pub prefilled: u64,
    /// Tokens computed anew because their sequence had left the cache, for want of room or because it was set aside.
    pub recomputed: u64,
}

/// How many bytes of a text that may still grow decide what is made of it, if they are there: whatever is added, and cut there or
/// anywhere behind, it comes to the same.
pub type Settled<'a> = Box<dyn Fn(&str) -> Option<usize> + 'a>;

/// Grows branches on a [`Model`], which must be packed.
pub struct Branches<'a> {
    engine: Engine<'a, Local<'a>>,
}

impl std::fmt::Debug for Branches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Branches")
            .field("spent", &self.engine.spent())
            .finish_non_exhaustive()
    }
}

impl<'a> Branches<'a> {
    /// Branches on a sampler's model, with its end tokens, batch and cache.
    ///
    /// # Errors
    /// [`Error::NotPacked`]; settings out of range.
    pub fn new(sampler: &LocalSampler<'a>, params: SampleParams) -> Result<Self> {
        let (model, tokenizer): (&'a Model, &'a Tokenizer) = sampler.parts();
        if !model.is_packed() {
            return Err(Error::NotPacked);
        }
        let decoder = Local {
            model,
            tokenizer,
            cache: sampler.new_cache(params.kv),
        };
        let eos = sampler.eos().to_vec();
        Ok(Self {
            engine: Engine::new(decoder, params, eos, sampler.max_batch())?,
        })
    }

    /// Ends a rollout as soon as its text is settled.
    #[must_use]
    pub fn with_settled(mut self, settled: Settled<'a>) -> Self {
        self.engine.settled = Some(settled);
        self
    }

    /// Whether rollouts may end before they would by themselves, being settled.
    pub fn settles(&self) -> bool {
        self.engine.settled.is_some()
    }

    /// How tokens are drawn.
    pub fn params(&self) -> &SampleParams {
        self.engine.params()
    }

    /// How many ids, from the first on, may be drawn: those after them pad the model's vocabulary and stand for no text.
    pub fn tokens(&self) -> usize {
        self.engine.tokens()
    }

    /// Most tokens of a response to this prompt: `max_new_tokens`, or what the context leaves.
    pub fn budget(&self, trunk: &Trunk) -> usize {
        self.engine.budget(trunk)
    }

    /// Whether another trunk fits beside those that are open, with room for a branch to grow to the end.
    pub fn fits(&mut self, trunk: &Trunk) -> bool {
        self.engine.fits(trunk)
    }

    /// Computes a trunk and hands the logits that each response token was drawn from, and those behind the last one, to `at`:
    /// `at(p, logits)` for `p` in `0..=T`. Gives what `at` made of them, in order.
    ///
    /// # Errors
    /// If the trunk has no prompt, is longer than the budget, contains an end token or a whole stop string, or does not fit the
    /// cache.
    pub fn open<R: Send>(
        &mut self,
        trunk: &Trunk,
        at: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<(TrunkId, Vec<R>)> {
        self.engine.open(trunk, at)
    }

    /// Gives an open trunk's cache back; branches on it that have not ended are dropped.
    pub fn close(&mut self, trunk: TrunkId) {
        self.engine.close(trunk);
    }

    /// Adds a branch; it grows in the steps that follow. A branch that ends at once is handed out by the next [`Branches::ended`].
    ///
    /// # Errors
    /// If `keep` passes the trunk's end, the branch begins with more tokens than a response may have or than it is to pause at, what
    /// it had drawn ends the response, or there is no rollout.
    ///
    /// # Panics
    /// If the trunk is closed.
    pub fn submit(&mut self, branch: Branch) -> Result<()> {
        self.engine.submit(branch)
    }

    /// One step of the model over as many sequences as the batch takes; does nothing if there is none.
    ///
    /// # Errors
    /// Failures of the model; logits that are not finite.
    pub fn step(&mut self) -> Result<()> {
        self.engine.step()
    }

    /// What has ended since the last call.
    pub fn ended(&mut self) -> Vec<Ended> {
        self.engine.ended()
    }

    /// What was set aside since the last call.
    pub fn set_aside(&mut self) -> Vec<Aside> {
        self.engine.set_aside()
    }

    /// Sequences under way or waiting.
    pub fn sequences(&self) -> usize {
        self.engine.sequences()
    }

    /// Sequences that a step decodes at most.
    pub fn max_batch(&self) -> usize {
        self.engine.max_batch()
    }

    /// Tokens spent on all trunks.
    pub fn spent(&self) -> Spent {
        self.engine.spent()
    }

    /// Tokens drawn on the branches of an open trunk.
    pub fn generated(&self, trunk: TrunkId) -> u64 {
        self.engine.generated(trunk)
    }

    /// Tokens of an open trunk that were computed to begin with, its prefix apart.
    pub fn prefilled(&self, trunk: TrunkId) -> u64 {
        self.engine.prefilled(trunk)
    }

    /// Bytes of a token, as stop strings are matched against.
    ///
    /// # Errors
    /// If the id is unknown to the tokenizer.
    pub fn piece(&self, id: u32) -> Result<Vec<u8>> {
        self.engine.decoder().piece(id)
    }
}
