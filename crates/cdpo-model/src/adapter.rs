//! LoRA adapters (Hu et al. 2021): low-rank additions `scale * B A` to a frozen model's linear layers.

use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::arena::Arena;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::keyed::Key;

/// Settings of a LoRA adapter; names and defaults as in PEFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank `r` of the update (`>= 1`).
    pub rank: usize,
    /// The update is scaled by `alpha / rank`, or `alpha / sqrt(rank)` with rank-stabilised LoRA.
    pub alpha: f64,
    /// Probability with which an input element of the low-rank branch is dropped in training, in `[0, 1)`.
    pub dropout: f64,
    /// Names of the linear layers to adapt, matched against the end of the module name (`"q_proj"`).
    pub target_modules: Vec<String>,
    /// Rank-stabilised scaling (Kalajdzievski 2023).
    pub rslora: bool,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            target_modules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].map(String::from).into(),
            rslora: false,
        }
    }
}

/// A LoRA adapter.
#[derive(Debug)]
pub struct Adapter {
    config: LoraConfig,
    _t: Vec<Tensor>,
}

/// The adapters that are active in a call, at most one of them trainable. The empty stack is the base model.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdapterStack<'a> {
    /// Adapters, added up.
    pub adapters: &'a [&'a Adapter],
    /// Index of the adapter that receives gradients.
    pub trainable: Option<usize>,
}

impl AdapterStack<'_> {
    /// No adapter: the base model.
    pub fn base() -> Self {
        Self::default()
    }
}

impl<'a> AdapterStack<'a> {
    /// Frozen adapters.
    pub fn frozen(adapters: &'a [&'a Adapter]) -> Self {
        Self { adapters, trainable: None }
    }
    /// Adapters of which `trainable` receives gradients.
    pub fn training(adapters: &'a [&'a Adapter], trainable: usize) -> Self {
        Self { adapters, trainable: Some(trainable) }
    }
}

impl Adapter {
    /// A fresh adapter: `A` Kaiming-uniform as in PEFT, `B` zero, so that it starts as the base model.
    ///
    /// # Errors
    /// If the settings are out of range or no module matches.
    pub fn init(_model: &ModelConfig, config: &LoraConfig, _key: Key, _device: &Device) -> Result<Self> {
        Ok(Self { config: config.clone(), _t: vec![] })
    }
    /// The settings.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }
    /// A copy of all parameters.
    pub fn arena(&self) -> Arena {
        Arena::zeros(std::sync::Arc::default())
    }
    /// Takes parameter values from an arena of the same layout.
    ///
    /// # Errors
    /// If a parameter is missing or of another shape.
    pub fn set(&mut self, _arena: &Arena) -> Result<()> {
        Ok(())
    }
    /// Writes PEFT's `adapter_config.json` and `adapter_model.safetensors` into `dir`.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn save(&self, _dir: &Path, _base_model: &str) -> Result<()> {
        Err(Error::Invalid("not built yet".into()))
    }
    /// Reads a PEFT adapter folder.
    ///
    /// # Errors
    /// If a file is missing or damaged, or does not fit the model.
    pub fn load(_dir: &Path, _model: &ModelConfig, _device: &Device) -> Result<Self> {
        Err(Error::Invalid("not built yet".into()))
    }
    /// Hash of settings and parameters, for cache keys.
    pub fn content_id(&self) -> String {
        String::new()
    }
}
