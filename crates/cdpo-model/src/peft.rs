//! PEFT's adapter files, `adapter_config.json` and `adapter_model.safetensors`, written and read key for key.
//!
//! Goes in: a folder and a model. Comes out: an [`Adapter`] that computes what PEFT computes with the folder, or an error that names
//! the key or tensor that is not supported.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};

use crate::adapter::sites::{self, Site};
use crate::adapter::{Adapter, LoraConfig, Replaced};
use crate::arena::Arena;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::Place;
use crate::projection::Projection;
use crate::tensor_file;

mod pattern;
mod settings;
mod targets;

use settings::Settings;

/// File names as PEFT has them.
const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

impl Adapter {
    /// Writes PEFT's files into `dir`, to be loaded with `PeftModel.from_pretrained`. `base_model` names the base.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn save(&self, dir: &Path, base_model: &str) -> Result<()> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let mut tensors = HashMap::new();
        for entry in self.arena().layout().entries() {
            let values = self.arena().view(&entry.name).unwrap_or_default();
            tensors.insert(
                entry.name.clone(),
                Tensor::from_slice(values, entry.shape.as_slice(), &Device::Cpu)?,
            );
        }
        for (place, values) in self.replaced().named() {
            let below = if self.adapts(place) {
                ".base_layer"
            } else {
                ""
            };
            let name = format!("{PREFIX}{}{below}.weight", place.module());
            tensors.insert(name, values.to_device(&Device::Cpu)?);
        }
        tensor_file::write(&tensors, &dir.join(TENSORS))?;
        let config = self.config();
        let mut text = json!({
            "alpha_pattern": {},
            "auto_mapping": null,
            "base_model_name_or_path": base_model,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": null,
            "layers_to_transform": null,
            "lora_alpha": config.alpha,
            "lora_dropout": config.dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": config.rank,
            "rank_pattern": {},
            "revision": null,
            "target_modules": config.target_modules,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": config.rslora,
        });
        if !self.is_plain() {
            self.name_every_site(&mut text);
        }
        let path = dir.join(CONFIG);
        fs::write(&path, format!("{text:#}\n")).map_err(|e| Error::io(&path, e))
    }

    fn adapts(&self, place: Place) -> bool {
        self.sites().iter().any(|site| site.place == place)
    }

    /// Writes ranks, scales and what is saved whole by module, where a rank and a list of last parts do not say it.
    fn name_every_site(&self, text: &mut Value) {
        let (mut ranks, mut alphas) = (Map::new(), Map::new());
        for site in self.sites() {
            let pattern = site.place.module().replace('.', r"\.");
            if site.rank != self.config().rank {
                ranks.insert(pattern.clone(), site.rank.into());
            }
            if site.alpha != self.config().alpha {
                alphas.insert(pattern, site.alpha.into());
            }
        }
        let modules: Vec<String> = self.sites().iter().map(|s| s.place.module()).collect();
        text["target_modules"] = json!(modules);
        text["rank_pattern"] = Value::Object(ranks);
        text["alpha_pattern"] = Value::Object(alphas);
        let whole = self.replaced().named().map(|(place, _)| place);
        let saved: Vec<String> = whole
            .filter(|place| !self.adapts(*place))
            .map(Place::module)
            .collect();
        if !saved.is_empty() {
            text["modules_to_save"] = json!(saved);
        }
    }

    /// Reads a PEFT adapter folder for a model.
    ///
    /// Read are LoRA adapters on linear layers of blocks and on `lm_head`, with ranks and scales by module, and whole matrices for
    /// `lm_head` and `embed_tokens`. The keys of `adapter_config.json` are listed in the documentation, each with what is done with it.
    ///
    /// # Errors
    /// If a file is missing or damaged, uses a PEFT feature that is not supported, or does not fit the model.
    pub fn load(dir: &Path, model: &ModelConfig, device: &Device) -> Result<Self> {
        let path = dir.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let settings = Settings::read(&text, &path)?;
        let sites = sites_of(&settings, model, &path)?;
        let saved = saved_places(&settings, &path)?;
        let mut lora = settings.lora;
        lora.target_modules = target_names(&sites);
        lora.validate()
            .map_err(|e| Error::file(&path, e.to_string()))?;
        let path = dir.join(TENSORS);
        let bytes = fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound if dir.join("adapter_model.bin").exists() => Error::file(
                &path,
                "missing; `adapter_model.bin` is pickled: load the adapter with PEFT and save it with `safe_serialization=True`",
            ),
            _ => Error::io(&path, e),
        })?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| Error::file(&path, format!("not a whole safetensors file: {e}")))?;
        let mut file = AdapterFile {
            path: &path,
            tensors,
        };
        let replaced = file.replaced(model, &sites, &saved, device)?;
        let layout = sites::layout(&sites);
        for entry in layout.entries() {
            file.check(&entry.name, &entry.shape)?;
        }
        file.nothing_else(|name| layout.entry(name).is_some())?;
        let mut params = Arena::zeros(Arc::new(layout));
        for entry in params.layout().clone().entries() {
            let values = file.values(&entry.name)?;
            if let Some(view) = params.view_mut(&entry.name) {
                view.copy_from_slice(&values);
            }
        }
        Self::placed(model, &lora, sites, &params, replaced, device)
    }
}

/// The adapted layers with their ranks and scales.
fn sites_of(settings: &Settings, model: &ModelConfig, path: &Path) -> Result<Vec<Site>> {
    let fault = |reason: String| Error::file(path, reason);
    let places = settings.targets.places(model).map_err(fault)?;
    if places.is_empty() && settings.saved.is_empty() {
        let known: Vec<&str> = Projection::ALL.iter().map(|p| p.suffix()).collect();
        return Err(Error::file(
            path,
            format!(
                "target_modules matches no linear layer of this model; it has {}, lm_head",
                known.join(", ")
            ),
        ));
    }
    let site = |(place, shape): (Place, _)| {
        let (rank, alpha) = settings.at(&place.module()).map_err(fault)?;
        Ok(Site {
            place,
            shape,
            rank,
            alpha,
        })
    };
    places.into_iter().map(site).collect()
}

/// The matrices that `modules_to_save` names.
fn saved_places(settings: &Settings, path: &Path) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for name in &settings.saved {
        let whole = [Place::Embedding, Place::Head];
        let found = whole.into_iter().find(|place| {
            let module = place.module();
            module == *name || module.ends_with(&format!(".{name}"))
        });
        match found {
            Some(place) => places.push(place),
            None => {
                return Err(Error::file(
                    path,
                    format!(
                        "modules_to_save has `{name}`; only lm_head and embed_tokens are supported"
                    ),
                ));
            }
        }
    }
    Ok(places)
}

/// The last parts of the names of all sites, sorted, each once: what a plain adapter's `target_modules` are.
fn target_names(sites: &[Site]) -> Vec<String> {
    let mut names: Vec<String> = sites
        .iter()
        .map(|site| match site.place {
            Place::Weight(_, projection) => projection.suffix().to_owned(),
            other => other.module(),
        })
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        // Nothing but whole matrices; the settings of the low-rank part then say nothing.
        names = LoraConfig::default().target_modules;
    }
    names
}

/// The tensors of an adapter's file.
struct AdapterFile<'a> {
    path: &'a Path,
    tensors: HashMap<String, Tensor>,
}

impl AdapterFile<'_> {
    fn fault(&self, reason: String) -> Error {
        Error::file(self.path, reason)
    }

    fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        match self.tensors.get(name) {
            None => Err(self.fault(format!("`{name}` is missing"))),
            Some(tensor) if tensor.dims() != shape => Err(self.fault(format!(
                "`{name}` has shape {:?}, this model needs {shape:?}; is the adapter for another model?",
                tensor.dims()
            ))),
            Some(_) => Ok(()),
        }
    }

    /// The values of a tensor, which is taken out.
    fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(self.fault(format!("`{name}` is missing")));
        };
        if !matches!(
            tensor.dtype(),
            DType::F32 | DType::F16 | DType::BF16 | DType::F64
        ) {
            return Err(self.fault(format!(
                "`{name}` is of type {:?}; only F32, F16, BF16 and F64 are supported",
                tensor.dtype()
            )));
        }
        let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        match values.iter().position(|v| !v.is_finite()) {
            Some(bad) => {
                Err(self.fault(format!("`{name}` holds {} at element {bad}", values[bad])))
            }
            None => Ok(values),
        }
    }

    /// The embedding and the head that the file holds whole. PEFT writes them where `modules_to_save` names them, and also (the base's
    /// own) where the head is a target: it then loads them as well.
    fn replaced(
        &mut self,
        model: &ModelConfig,
        sites: &[Site],
        saved: &[Place],
        device: &Device,
    ) -> Result<Replaced> {
        let targeted = |place| sites.iter().any(|site| site.place == place);
        let mut found = BTreeMap::new();
        for (at, place) in [Place::Embedding, Place::Head].into_iter().enumerate() {
            let plain = format!("{PREFIX}{}", place.hf_name());
            let under_lora = format!("{PREFIX}{}.base_layer.weight", place.module());
            let name = if targeted(place) && self.tensors.contains_key(&under_lora) {
                under_lora
            } else {
                plain
            };
            if !saved.contains(&place) && !self.tensors.contains_key(&name) {
                continue;
            }
            let shape = [model.vocab_size, model.hidden_size];
            self.check(&name, &shape)?;
            let values = self.values(&name)?;
            found.insert(at, Tensor::from_vec(values, &shape, device)?);
        }
        Ok(Replaced {
            embedding: found.remove(&0),
            head: found.remove(&1),
        })
    }

    /// Refuses tensors without a place.
    fn nothing_else(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        let mut names: Vec<&String> = self.tensors.keys().filter(|name| !known(name)).collect();
        names.sort();
        match names.first() {
            Some(extra) => Err(self.fault(format!(
                "`{extra}` has no place in this model; is the adapter for another, or is it of a kind that is not supported?"
            ))),
            None => Ok(()),
        }
    }
}
