//! The model: embedding, blocks, final norm and head over a token forest.

use candle_core::{Device, Tensor};

use crate::adapter::{Adapter, AdapterStack};
use crate::arena::Arena;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::forest::{Target, TokenForest};
use crate::keyed::Key;
use crate::kv::{KvCache, KvPath};
use crate::source::TensorSource;

/// A LLaMA-family model on one device.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    device: Device,
}

/// How a training pass runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// Key of (seed, step): switches the adapters' dropout on.
    pub dropout: Option<Key>,
    /// Keep only each block's input and run the block again in the backward pass: less memory, about a third more time.
    pub recompute: bool,
}

/// A forward pass with what its backward needs.
#[derive(Debug)]
pub struct Pass {
    /// Log-probability of each target, in nats, in the targets' order.
    pub logps: Vec<f32>,
}

/// Eq. 1 per target: contrast scores of a positive against a negative model.
#[derive(Debug, Clone)]
pub struct Contrast {
    /// `log s_t`.
    pub log_scores: Vec<f32>,
    /// `log P_p(y_t | ..)`.
    pub positive_logps: Vec<f32>,
    /// `log P_n(y_t | ..)`.
    pub negative_logps: Vec<f32>,
}

/// Tokens to append to one path.
#[derive(Debug)]
pub struct Extend<'a> {
    /// The path that grows.
    pub path: &'a mut KvPath,
    /// At least one token.
    pub ids: &'a [u32],
}

fn todo<T>() -> Result<T> {
    Err(Error::Invalid("not built yet".into()))
}

impl Model {
    /// Reads all weights.
    ///
    /// # Errors
    /// If a tensor is missing or has the wrong shape.
    pub fn load(config: &ModelConfig, _source: &dyn TensorSource, device: &Device) -> Result<Self> {
        Ok(Self { config: config.clone(), device: device.clone() })
    }
    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }
    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// Packs every weight once for decoding (see [`crate::weight::Weight::pack`]).
    ///
    /// # Errors
    /// If a weight cannot be read.
    pub fn pack(&mut self, _keep_dense: bool) -> Result<()> {
        Ok(())
    }
    /// Adds an adapter into the weights: `W += scale B A`.
    ///
    /// # Errors
    /// If the adapter does not fit.
    pub fn merge(&mut self, _adapter: &Adapter) -> Result<()> {
        todo()
    }
    /// Log-probability of each target.
    ///
    /// # Errors
    /// If a value is not finite.
    pub fn score(&self, _forest: &TokenForest, _stack: &AdapterStack<'_>, _targets: &[Target]) -> Result<Vec<f32>> {
        todo()
    }
    /// Eq. 1 for each target.
    ///
    /// # Errors
    /// If a value is not finite.
    pub fn contrast_scores(
        &self,
        _forest: &TokenForest,
        _positive: &AdapterStack<'_>,
        _negative: &AdapterStack<'_>,
        _targets: &[Target],
        _ce_beta: f64,
    ) -> Result<Contrast> {
        todo()
    }
    /// Forward pass that keeps what [`Model::train_backward`] needs.
    ///
    /// # Errors
    /// If a value is not finite.
    pub fn train_forward(
        &self,
        _forest: &TokenForest,
        _stack: &AdapterStack<'_>,
        _targets: &[Target],
        _options: &TrainOptions,
    ) -> Result<Pass> {
        todo()
    }
    /// Adds the gradient of a loss, given its derivative by each log-probability, into `grads`.
    ///
    /// # Errors
    /// If `dlogps` does not match the targets or a trainable parameter has no place in `grads`.
    pub fn train_backward(&self, _pass: Pass, _stack: &AdapterStack<'_>, _dlogps: &[f32], _grads: &mut Arena) -> Result<()> {
        todo()
    }
    /// Appends tokens to paths; returns the final hidden state of each step's last token, `[steps, hidden]`.
    ///
    /// # Errors
    /// If the cache is full or a path would pass the model's context.
    pub fn extend(&self, _cache: &mut KvCache, _steps: &mut [Extend<'_>]) -> Result<Tensor> {
        todo()
    }
    /// Logits `[rows, vocab]` of final hidden states, row by row independent of the batch.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn logits(&self, _hidden: &Tensor) -> Result<Tensor> {
        todo()
    }
}
