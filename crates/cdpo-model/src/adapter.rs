//! LoRA adapters (Hu et al. 2021, arXiv 2106.09685): low-rank additions `scale * B A` to a frozen model's linear layers.
//!
//! Goes in: a model's shapes and [`LoraConfig`], or a PEFT folder. Comes out: for each projection of each block the pair
//! `A` `[r, in]`, `B` `[out, r]`, whose values live in one flat [`Arena`] under PEFT's names.

mod stack;
mod sum;

use std::sync::Arc;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::arena::{Arena, Layout};
use crate::block::description::BlockDescription;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::keyed::Key;
use crate::projection::Projection;

pub use stack::AdapterStack;

/// Settings of a LoRA adapter.
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
    /// Rank-stabilised scaling (Kalajdzievski 2023, arXiv 2312.03732).
    pub rslora: bool,
}

impl Default for LoraConfig {
    /// The paper's cDPO setting: rank 16, alpha 32, no dropout, all seven projections.
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            target_modules: Projection::ALL
                .iter()
                .map(|p| p.suffix().to_string())
                .collect(),
            rslora: false,
        }
    }
}

impl LoraConfig {
    /// The factor of the update.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Whether a module's full name ends with one of the target names.
    pub(crate) fn targets(&self, module: &str) -> bool {
        self.target_modules.iter().any(|t| {
            module == t
                || (module.ends_with(t.as_str()) && module[..module.len() - t.len()].ends_with('.'))
        })
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// One error that lists every fault.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        if self.rank == 0 {
            faults.push("rank must be at least 1".to_string());
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            faults.push(format!(
                "alpha must be a positive number, not {}",
                self.alpha
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            faults.push(format!("dropout must lie in [0, 1), not {}", self.dropout));
        }
        if self.target_modules.is_empty() {
            faults.push("target_modules is empty".to_string());
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Adapter(faults.join("; ")))
        }
    }
}

/// One adapted projection.
#[derive(Debug, Clone)]
pub(crate) struct LoraModule {
    pub(crate) a: Tensor,
    pub(crate) b: Tensor,
    pub(crate) a_name: String,
    pub(crate) b_name: String,
}

/// A LoRA adapter.
#[derive(Debug, Clone)]
pub struct Adapter {
    config: LoraConfig,
    device: Device,
    params: Arena,
    /// By layer and projection.
    modules: Vec<Option<LoraModule>>,
}

/// The name under which PEFT stores a projection's `A` or `B`.
pub(crate) fn peft_name(layer: usize, projection: Projection, matrix: char) -> String {
    format!(
        "base_model.model.{}.lora_{matrix}.weight",
        projection.module(layer)
    )
}

impl Adapter {
    /// A fresh adapter: `A` uniform in `+-1 / sqrt(in)` (PEFT's Kaiming start), `B` zero, so that it starts as the base model.
    ///
    /// # Errors
    /// If the settings are out of range, or a target name matches no module of the model.
    pub fn init(
        model: &ModelConfig,
        config: &LoraConfig,
        key: Key,
        device: &Device,
    ) -> Result<Self> {
        let mut params = Arena::zeros(Arc::new(layout(model, config)?));
        let layout = params.layout().clone();
        for entry in layout
            .entries()
            .iter()
            .filter(|e| e.name.contains("lora_A"))
        {
            let bound = 1.0 / (entry.shape[1] as f64).sqrt();
            let key = key.with_str(&entry.name);
            for (i, x) in params.data[entry.offset..entry.offset + entry.len()]
                .iter_mut()
                .enumerate()
            {
                *x = ((2.0 * key.with(i as u64).unit() - 1.0) * bound) as f32;
            }
        }
        Self::from_params(model, config, &params, device)
    }

    /// An adapter with given parameters, named and shaped as [`Adapter::arena`] has them.
    ///
    /// # Errors
    /// If a parameter is missing or of another shape.
    pub fn from_params(
        model: &ModelConfig,
        config: &LoraConfig,
        params: &Arena,
        device: &Device,
    ) -> Result<Self> {
        let expected = layout(model, config)?;
        check_layout(&expected, params.layout())?;
        let mut adapter = Self {
            config: config.clone(),
            device: device.clone(),
            modules: Vec::new(),
            params: Arena::zeros(params.layout().clone()),
        };
        for layer in 0..model.layers {
            for projection in Projection::ALL {
                let (a_name, b_name) = (
                    peft_name(layer, projection, 'A'),
                    peft_name(layer, projection, 'B'),
                );
                adapter.modules.push(if expected.entry(&a_name).is_some() {
                    let blank = Tensor::zeros((1, 1), candle_core::DType::F32, device)?;
                    Some(LoraModule {
                        a: blank.clone(),
                        b: blank,
                        a_name,
                        b_name,
                    })
                } else {
                    None
                });
            }
        }
        adapter.set(params)?;
        Ok(adapter)
    }

    /// The settings.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The parameters, flat, under PEFT's names.
    pub fn arena(&self) -> &Arena {
        &self.params
    }

    /// Takes parameter values from an arena of the same layout.
    ///
    /// # Errors
    /// If a parameter is missing or of another shape.
    pub fn set(&mut self, params: &Arena) -> Result<()> {
        if !Arc::ptr_eq(params.layout(), self.params.layout()) {
            check_layout(self.params.layout(), params.layout())?;
        }
        self.params = params.clone();
        for module in self.modules.iter_mut().flatten() {
            module.a = tensor(&self.params, &module.a_name, &self.device)?;
            module.b = tensor(&self.params, &module.b_name, &self.device)?;
        }
        Ok(())
    }

    /// Hash of settings and parameters, for cache keys.
    pub fn content_id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", self.config).as_bytes());
        for entry in self.params.layout().entries() {
            hasher.update(entry.name.as_bytes());
        }
        for value in &self.params.data {
            hasher.update(&value.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn module(&self, layer: usize, projection: Projection) -> Option<&LoraModule> {
        self.modules
            .get(layer * Projection::ALL.len() + projection as usize)?
            .as_ref()
    }

    pub(crate) fn layers(&self) -> usize {
        self.modules.len() / Projection::ALL.len()
    }
}

fn tensor(params: &Arena, name: &str, device: &Device) -> Result<Tensor> {
    match (params.view(name), params.layout().entry(name)) {
        (Some(values), Some(entry)) => Ok(Tensor::from_vec(
            values.to_vec(),
            entry.shape.as_slice(),
            device,
        )?),
        _ => Err(Error::Adapter(format!("parameter `{name}` is missing"))),
    }
}

/// Names and shapes of the adapter that `config` makes for a model: `A` then `B` of each target, by layer.
pub(crate) fn layout(model: &ModelConfig, config: &LoraConfig) -> Result<Layout> {
    config.validate()?;
    let known = || {
        Projection::ALL
            .iter()
            .map(|p| p.suffix())
            .collect::<Vec<_>>()
            .join(", ")
    };
    for target in &config.target_modules {
        let one = LoraConfig {
            target_modules: vec![target.clone()],
            ..config.clone()
        };
        if !(0..model.layers).any(|l| Projection::ALL.iter().any(|p| one.targets(&p.module(l)))) {
            return Err(Error::Adapter(format!(
                "target module `{target}` matches no linear layer of this model; it has {}",
                known()
            )));
        }
    }
    let block = BlockDescription::of(model);
    let mut named = Vec::new();
    for layer in 0..model.layers {
        for linear in block.linears() {
            let projection = linear.projection;
            if config.targets(&projection.module(layer)) {
                let (out, inner) = linear.shape;
                named.push((peft_name(layer, projection, 'A'), vec![config.rank, inner]));
                named.push((peft_name(layer, projection, 'B'), vec![out, config.rank]));
            }
        }
    }
    Ok(Layout::new(named))
}

fn check_layout(expected: &Layout, given: &Layout) -> Result<()> {
    for entry in expected.entries() {
        match given.entry(&entry.name) {
            None => {
                return Err(Error::Adapter(format!(
                    "parameter `{}` is missing",
                    entry.name
                )));
            }
            Some(found) if found.shape != entry.shape => {
                return Err(Error::Adapter(format!(
                    "parameter `{}` has shape {:?}, this model needs {:?}; is the adapter for another model?",
                    entry.name, found.shape, entry.shape
                )));
            }
            Some(_) => {}
        }
    }
    match given
        .entries()
        .iter()
        .find(|e| expected.entry(&e.name).is_none())
    {
        Some(extra) => Err(Error::Adapter(format!(
            "parameter `{}` has no place in this model; is the adapter for another model?",
            extra.name
        ))),
        None => Ok(()),
    }
}
