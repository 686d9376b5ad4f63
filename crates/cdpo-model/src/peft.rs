//! PEFT's adapter files, `adapter_config.json` and `adapter_model.safetensors`, written and read key for key.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde_json::json;

use crate::adapter::{Adapter, LoraConfig, layout};
use crate::arena::Arena;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::tensor_file;

/// File names as PEFT has them.
const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";

/// The part of `adapter_config.json` that decides what an adapter computes.
#[derive(Debug, Deserialize)]
struct PeftConfig {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: serde_json::Value,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    rank_pattern: Option<HashMap<String, usize>>,
    #[serde(default)]
    alpha_pattern: Option<HashMap<String, f64>>,
    #[serde(default)]
    layers_to_transform: Option<serde_json::Value>,
}

impl PeftConfig {
    fn into_lora(self, path: &Path) -> Result<LoraConfig> {
        let unsupported = [
            (self.peft_type != "LORA", "a peft_type other than LORA"),
            (self.use_dora, "use_dora"),
            (self.fan_in_fan_out, "fan_in_fan_out"),
            (self.bias.is_some_and(|b| b != "none"), "trained biases"),
            (
                self.modules_to_save.is_some_and(|m| !m.is_empty()),
                "modules_to_save",
            ),
            (
                self.rank_pattern.is_some_and(|m| !m.is_empty()),
                "rank_pattern",
            ),
            (
                self.alpha_pattern.is_some_and(|m| !m.is_empty()),
                "alpha_pattern",
            ),
            (
                self.layers_to_transform.is_some_and(|l| !l.is_null()),
                "layers_to_transform",
            ),
        ];
        let found: Vec<&str> = unsupported
            .iter()
            .filter(|(bad, _)| *bad)
            .map(|(_, what)| *what)
            .collect();
        if !found.is_empty() {
            return Err(Error::file(
                path,
                format!(
                    "not supported: {}; plain LoRA adapters are",
                    found.join(", ")
                ),
            ));
        }
        let target_modules = match self.target_modules {
            serde_json::Value::Array(names) => names
                .iter()
                .filter_map(|n| n.as_str().map(String::from))
                .collect(),
            serde_json::Value::String(all) if all == "all-linear" => {
                LoraConfig::default().target_modules
            }
            other => {
                return Err(Error::file(
                    path,
                    format!("target_modules is {other}; expected a list of module names"),
                ));
            }
        };
        let mut config = LoraConfig {
            rank: self.r,
            alpha: self.lora_alpha,
            dropout: self.lora_dropout,
            target_modules,
            rslora: self.use_rslora,
        };
        config.target_modules.sort();
        Ok(config)
    }
}

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
                entry.name.as_str(),
                Tensor::from_slice(values, entry.shape.as_slice(), &Device::Cpu)?,
            );
        }
        tensor_file::write(&tensors, &dir.join(TENSORS))?;
        let config = self.config();
        let text = json!({
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
        let path = dir.join(CONFIG);
        fs::write(&path, format!("{text:#}\n")).map_err(|e| Error::io(&path, e))
    }

    /// Reads a PEFT adapter folder for a model.
    ///
    /// # Errors
    /// If a file is missing or damaged, uses a PEFT feature that is not supported, or does not fit the model.
    pub fn load(dir: &Path, model: &ModelConfig, device: &Device) -> Result<Self> {
        let path = dir.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let peft: PeftConfig =
            serde_json::from_str(&text).map_err(|e| Error::file(&path, e.to_string()))?;
        let config = peft.into_lora(&path)?;
        let expected = layout(model, &config)?;
        let path = dir.join(TENSORS);
        let bytes = fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| Error::file(&path, format!("not a whole safetensors file: {e}")))?;
        if let Some(extra) = tensors.keys().find(|name| expected.entry(name).is_none()) {
            return Err(Error::file(
                &path,
                format!("`{extra}` has no place in this model; is the adapter for another?"),
            ));
        }
        let mut params = Arena::zeros(Arc::new(expected));
        for entry in params.layout().clone().entries() {
            let Some(tensor) = tensors.get(&entry.name) else {
                return Err(Error::file(&path, format!("`{}` is missing", entry.name)));
            };
            if tensor.dims() != entry.shape {
                return Err(Error::file(
                    &path,
                    format!(
                        "`{}` has shape {:?}, this model needs {:?}; is the adapter for another model?",
                        entry.name,
                        tensor.dims(),
                        entry.shape
                    ),
                ));
            }
            let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
            if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
                return Err(Error::file(
                    &path,
                    format!("`{}` holds {} at element {bad}", entry.name, values[bad]),
                ));
            }
            if let Some(view) = params.view_mut(&entry.name) {
                view.copy_from_slice(&values);
            }
        }
        Self::from_params(model, &config, &params, device)
    }
}
