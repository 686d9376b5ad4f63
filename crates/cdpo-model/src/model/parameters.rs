//! The model's own parameters as data: merging an adapter, full-parameter training, saving.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::Model;
use crate::adapter::{Adapter, AdapterStack};
use crate::arena::{Arena, Layout};
use crate::error::{Error, Result};
use crate::inventory::{self, Place};
use crate::ops::host::{HostSlice, contiguous};
use crate::projection::Projection;
use crate::tensor_file;
use crate::weight::Weight;

impl Model {
    /// Adds an adapter into the weights: `W += scale * B A`, after the matrices that it brings have taken their places. Packed forms
    /// are dropped. Where the head was the embedding and one of them changes, each goes its own way: [`ModelConfig::tie_embeddings`]
    /// is false from then on.
    ///
    /// [`ModelConfig::tie_embeddings`]: crate::ModelConfig::tie_embeddings
    ///
    /// # Errors
    /// If the adapter does not fit the model, or the weights were packed without their dense form.
    pub fn merge(&mut self, adapter: &Adapter) -> Result<()> {
        let adapters = [adapter];
        AdapterStack::frozen(&adapters).check(&self.config)?;
        for block in &mut self.blocks {
            for p in Projection::ALL {
                let Some(module) = adapter.module(block.layer, p) else {
                    continue;
                };
                let weight = &mut block.linear_mut(p).weight;
                let merged = (weight.values()? + module.addition()?)?;
                weight.set(merged)?;
            }
        }
        if !adapter.changes_ends() {
            return Ok(());
        }
        let head = match AdapterStack::frozen(&adapters).head(&self.head)? {
            Some(head) => head.values()?,
            None => self.head.values()?,
        };
        self.head = Weight::named(Place::Head.hf_name(), head)?;
        self.config.tie_embeddings = false;
        if let Some(embedding) = &adapter.replaced().embedding {
            self.embedding.set(embedding.clone())?;
        }
        Ok(())
    }

    /// All parameters by Hugging Face name: matrices and vectors, tied tensors once.
    fn named(&self) -> Result<Vec<(String, Tensor)>> {
        let all = inventory::parameters(&self.config).into_iter();
        all.map(|tensor| Ok((tensor.name, self.values(tensor.place)?)))
            .collect()
    }

    /// The values of the parameter at a place of the inventory.
    fn values(&self, place: Place) -> Result<Tensor> {
        match place {
            Place::Embedding => self.embedding.values(),
            Place::Norm(layer, norm) => Ok(self.blocks[layer].norm(norm).values.clone()),
            Place::Weight(layer, p) => self.blocks[layer].linear(p).weight.values(),
            Place::Bias(layer, p) => match &self.blocks[layer].linear(p).bias {
                Some(bias) => Ok(bias.values.clone()),
                None => Err(absent(place)),
            },
            Place::FinalNorm => Ok(self.norm.values.clone()),
            Place::Head => self.head.values(),
        }
    }

    /// Replaces the values of the parameter at a place of the inventory.
    fn set_values(&mut self, place: Place, values: Tensor) -> Result<()> {
        let vector = match place {
            Place::Embedding => {
                if self.config.tie_embeddings {
                    self.head.set(values.clone())?;
                }
                return self.embedding.set(values);
            }
            Place::Weight(layer, p) => return self.blocks[layer].linear_mut(p).weight.set(values),
            Place::Head => return self.head.set(values),
            Place::Norm(layer, norm) => self.blocks[layer].norm_mut(norm),
            Place::FinalNorm => &mut self.norm,
            Place::Bias(layer, p) => match &mut self.blocks[layer].linear_mut(p).bias {
                Some(bias) => bias,
                None => return Err(absent(place)),
            },
        };
        vector.values = values;
        Ok(())
    }

    /// A copy of all parameters, for full-parameter training.
    ///
    /// # Errors
    /// If a weight was packed without its dense form.
    pub fn arena(&self) -> Result<Arena> {
        let named = self.named()?;
        let layout = Layout::new(
            named
                .iter()
                .map(|(name, t)| (name.clone(), t.dims().to_vec())),
        );
        let mut arena = Arena::zeros(Arc::new(layout));
        for (name, values) in named {
            let host = contiguous(&values.to_device(&candle_core::Device::Cpu)?)?;
            let host = HostSlice::new(&host)?;
            if let Some(view) = arena.view_mut(&name) {
                view.copy_from_slice(&host);
            }
        }
        Ok(arena)
    }

    /// Takes parameter values by name; names that the arena does not hold keep theirs.
    ///
    /// # Errors
    /// If a shape differs.
    pub fn set(&mut self, params: &Arena) -> Result<()> {
        for tensor in inventory::parameters(&self.config) {
            let name = &tensor.name;
            if let (Some(values), Some(entry)) = (params.view(name), params.layout().entry(name)) {
                let shape = entry.shape.as_slice();
                let values = Tensor::from_vec(values.to_vec(), shape, &self.device)?;
                self.set_values(tensor.place, values)?;
            }
        }
        Ok(())
    }

    /// Adds the embedding's gradient: each row's `dx` to its token's row.
    pub(super) fn embedding_grad(&self, dx: &Tensor, ids: &[u32], into: &mut [f32]) -> Result<()> {
        let width = self.config.hidden_size;
        let dx = contiguous(&dx.to_device(&candle_core::Device::Cpu)?)?;
        for (row, &id) in HostSlice::new(&dx)?.chunks_exact(width).zip(ids) {
            for (sum, d) in into[id as usize * width..][..width].iter_mut().zip(row) {
                *sum += d;
            }
        }
        Ok(())
    }

    /// Writes `config.json` and `model.safetensors` (f32) into `dir`; other Hugging Face tools load the folder. A tokenizer
    /// is saved by its own call.
    ///
    /// # Errors
    /// If a file cannot be written or a weight was packed without its dense form.
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.save_as(dir, DType::F32)
    }

    /// As [`Model::save`], with every value rounded to `dtype` (bf16, f16 or f32).
    ///
    /// # Errors
    /// As [`Model::save`]; a value that f16 cannot hold.
    pub fn save_as(&self, dir: &Path, dtype: DType) -> Result<()> {
        let mut config = self.config.to_hf_json()?;
        config["torch_dtype"] = match dtype {
            DType::BF16 => "bfloat16",
            DType::F16 => "float16",
            DType::F32 => "float32",
            other => {
                return Err(Error::Invalid(format!(
                    "a model is saved in bf16, f16 or f32, not {other:?}"
                )));
            }
        }
        .into();
        let config = serde_json::to_string_pretty(&config)
            .map_err(|e| Error::Config(format!("cannot be written: {e}")))?;
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let named = self.named()?;
        let tensors: HashMap<&str, Tensor> = named
            .iter()
            .map(|(name, values)| {
                if dtype == DType::F16 {
                    check_range(name, values)?;
                }
                Ok((name.as_str(), values.to_dtype(dtype)?))
            })
            .collect::<Result<_>>()?;
        tensor_file::write(&tensors, &dir.join("model.safetensors"))?;
        let path = dir.join("config.json");
        std::fs::write(&path, config + "\n").map_err(|e| Error::io(&path, e))
    }
}

/// Refuses values that f16 would make infinite.
fn check_range(name: &str, values: &Tensor) -> Result<()> {
    let largest = values.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    // Halfway between the largest f16 and what would come next.
    if largest < 65520.0 {
        return Ok(());
    }
    Err(Error::tensor(
        name,
        format!("has the value {largest}, which f16 cannot hold; save in bf16 or f32"),
    ))
}

fn absent(place: Place) -> Error {
    Error::tensor(place.hf_name(), "is no part of this model")
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Result, Tensor};

    use super::check_range;

    #[test]
    fn what_f16_would_make_infinite_is_refused_by_name() -> Result<()> {
        let of = |value: f32| Tensor::new(&[[0.5, value]], &Device::Cpu);
        for value in [65519.0, -65519.0] {
            let values = of(value)?;
            assert!(check_range("w", &values).is_ok());
            let rounded = values.to_dtype(DType::F16)?.to_dtype(DType::F32)?;
            assert!(
                rounded
                    .to_vec2::<f32>()?
                    .concat()
                    .iter()
                    .all(|x| x.is_finite())
            );
        }
        for value in [65520.0, -65520.0] {
            let told =
                check_range("w", &of(value)?).map_or_else(|e| e.to_string(), |()| String::new());
            assert!(told.contains("`w`") && told.contains("bf16"), "{told}");
        }
        Ok(())
    }
}
