//! LoRA adapters (Hu et al. 2021, arXiv 2106.09685): low-rank additions `scale * B A` to a frozen model's linear layers.
//!
//! Goes in: a model's shapes and [`LoraConfig`], or a PEFT folder. Comes out: for each projection of each block the pair
//! `A` `[r, in]`, `B` `[out, r]`, whose values live in one flat [`Arena`] under PEFT's names. An adapter that was read from files may
//! also change the head, and bring an embedding or a head of its own.

pub(crate) mod sites;
mod stack;
mod sum;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::arena::{Arena, Layout};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::Place;
use crate::keyed::Key;
use crate::ops::host::{HostSlice, contiguous};
use crate::ops::linear::{Dropout, LoraRef};
use crate::projection::Projection;
use sites::{Site, peft_name};

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

/// One adapted linear layer.
#[derive(Debug, Clone)]
pub(crate) struct LoraModule {
    pub(crate) a: Tensor,
    pub(crate) b: Tensor,
    pub(crate) a_name: String,
    pub(crate) b_name: String,
    /// The factor of its update.
    pub(crate) scale: f64,
}

impl LoraModule {
    /// The pair as a layer takes it.
    pub(crate) fn pair<'a>(&'a self, dropout: Option<Dropout<'a>>) -> LoraRef<'a> {
        LoraRef {
            a: &self.a,
            b: &self.b,
            scale: self.scale as f32,
            dropout,
        }
    }

    /// Rows of `scale * B A`, `[rows, in]`.
    pub(crate) fn addition(&self, rows: Range<usize>) -> Result<Tensor> {
        let b = self.b.narrow(0, rows.start, rows.len())?;
        Ok((b.matmul(&self.a)? * self.scale)?)
    }
}

/// Matrices `[V, H]` that an adapter brings in place of the base's (PEFT's `modules_to_save`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Replaced {
    pub(crate) embedding: Option<Tensor>,
    pub(crate) head: Option<Tensor>,
}

impl Replaced {
    pub(crate) fn is_empty(&self) -> bool {
        self.embedding.is_none() && self.head.is_none()
    }

    /// Hash of names and values.
    fn content_id(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        for (place, values) in self.named() {
            hasher.update(place.hf_name().as_bytes());
            let host = contiguous(&values.to_device(&Device::Cpu)?)?;
            for part in HostSlice::new(&host)?.chunks(1 << 14) {
                let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Names and values, for files and hashes.
    pub(crate) fn named(&self) -> impl Iterator<Item = (Place, &Tensor)> {
        let embedding = self.embedding.iter().map(|t| (Place::Embedding, t));
        embedding.chain(self.head.iter().map(|t| (Place::Head, t)))
    }
}

/// A LoRA adapter.
#[derive(Debug, Clone)]
pub struct Adapter {
    config: LoraConfig,
    device: Device,
    params: Arena,
    /// What is adapted, in the arena's order.
    sites: Vec<Site>,
    /// Blocks of the model.
    layers: usize,
    /// By layer and projection, then the head's.
    modules: Vec<Option<LoraModule>>,
    replaced: Replaced,
    /// [`Replaced::content_id`].
    replaced_id: String,
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
        let sites = sites::of_config(model, config)?;
        Self::placed(model, config, sites, params, Replaced::default(), device)
    }

    /// An adapter at `sites`, whose ranks and scales need not be those of `config`.
    ///
    /// # Errors
    /// As [`Adapter::from_params`].
    pub(crate) fn placed(
        model: &ModelConfig,
        config: &LoraConfig,
        sites: Vec<Site>,
        params: &Arena,
        replaced: Replaced,
        device: &Device,
    ) -> Result<Self> {
        check_layout(&sites::layout(&sites), params.layout())?;
        let mut modules: Vec<Option<LoraModule>> = Vec::new();
        modules.resize_with(model.layers * Projection::ALL.len() + 1, || None);
        for site in &sites {
            let blank = Tensor::zeros((1, 1), candle_core::DType::F32, device)?;
            modules[index(model.layers, site.place)] = Some(LoraModule {
                a: blank.clone(),
                b: blank,
                a_name: peft_name(site.place, 'A'),
                b_name: peft_name(site.place, 'B'),
                scale: site.scale(config.rslora),
            });
        }
        let mut adapter = Self {
            config: config.clone(),
            device: device.clone(),
            params: Arena::zeros(params.layout().clone()),
            sites,
            layers: model.layers,
            modules,
            replaced_id: replaced.content_id()?,
            replaced,
        };
        adapter.set(params)?;
        Ok(adapter)
    }

    /// The settings. Where the adapter was read from files that give single modules another rank or alpha, those of the others.
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
        if !self.is_plain() {
            hasher.update(format!("{:?}", self.sites).as_bytes());
            hasher.update(self.replaced_id.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Whether settings and parameters say all: one rank and scale, the targets' linear layers in every block, nothing replaced.
    pub(crate) fn is_plain(&self) -> bool {
        let config = &self.config;
        let same = |s: &Site| s.rank == config.rank && s.alpha == config.alpha;
        let mut layers = 0..self.layers;
        let whole = |layer: usize| {
            let mut all = Projection::ALL.into_iter();
            all.all(|p| config.targets(&p.module(layer)) == self.module(layer, p).is_some())
        };
        !self.changes_ends() && self.sites.iter().all(same) && layers.all(whole)
    }

    /// Whether the head or the embedding are others under this adapter.
    pub(crate) fn changes_ends(&self) -> bool {
        self.head().is_some() || !self.replaced.is_empty()
    }

    /// What is adapted, in the arena's order.
    pub(crate) fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// Matrices in place of the base's.
    pub(crate) fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    pub(crate) fn module(&self, layer: usize, projection: Projection) -> Option<&LoraModule> {
        let place = Place::Weight(layer, projection);
        self.modules[index(self.layers, place)].as_ref()
    }

    /// What is added to the head.
    pub(crate) fn head(&self) -> Option<&LoraModule> {
        self.modules[index(self.layers, Place::Head)].as_ref()
    }

    pub(crate) fn layers(&self) -> usize {
        self.layers
    }
}

/// Where the module of a place stands among an adapter's; a place that has none stands with the head.
fn index(layers: usize, place: Place) -> usize {
    match place {
        Place::Weight(layer, projection) => layer * Projection::ALL.len() + projection as usize,
        _ => layers * Projection::ALL.len(),
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
    Ok(sites::layout(&sites::of_config(model, config)?))
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
