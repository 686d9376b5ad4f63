//! The model's own parameters as data: merging an adapter, full-parameter training, saving.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::{EMBEDDING, HEAD, Model};
use crate::adapter::{Adapter, AdapterStack};
use crate::arena::{Arena, Layout};
use crate::error::{Error, Result};
use crate::ops::host::{HostSlice, contiguous};
use crate::projection::Projection;
use crate::tensor_file;
use crate::weight::Weight;

impl Model {
    /// Adds an adapter into the weights: `W += scale * B A`. Packed forms are dropped.
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
                let weight = &mut block.weights[p as usize];
                let delta = (module.b.matmul(&module.a)? * adapter.config().scale())?;
                let merged = (weight.dense()? + delta)?;
                weight.set(merged)?;
            }
        }
        Ok(())
    }

    /// All parameters by Hugging Face name: matrices and vectors, tied tensors once.
    fn named(&self) -> Result<Vec<(&str, &Tensor)>> {
        let mut named = vec![(EMBEDDING, &self.embedding)];
        for block in &self.blocks {
            named.push((block.norm1.name.as_str(), &block.norm1.values));
            for weight in &block.weights {
                named.push((weight.name(), weight.dense()?));
            }
            named.extend(block.biases.iter().map(|b| (b.name.as_str(), &b.values)));
            named.push((block.norm2.name.as_str(), &block.norm2.values));
        }
        named.push((self.norm.name.as_str(), &self.norm.values));
        if !self.config.tie_embeddings {
            named.push((HEAD, self.head.dense()?));
        }
        Ok(named)
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
                .map(|(name, t)| ((*name).to_string(), t.dims().to_vec())),
        );
        let mut arena = Arena::zeros(Arc::new(layout));
        for (name, values) in named {
            let host = contiguous(&values.to_device(&candle_core::Device::Cpu)?)?;
            let host = HostSlice::new(&host)?;
            if let Some(view) = arena.view_mut(name) {
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
        let device = self.device.clone();
        let read = |name: &str| -> Result<Option<Tensor>> {
            match (params.view(name), params.layout().entry(name)) {
                (Some(values), Some(entry)) => Ok(Some(Tensor::from_vec(
                    values.to_vec(),
                    entry.shape.as_slice(),
                    &device,
                )?)),
                _ => Ok(None),
            }
        };
        if let Some(embedding) = read(EMBEDDING)? {
            if self.config.tie_embeddings {
                self.head.set(embedding.clone())?;
            }
            self.embedding = embedding;
        }
        let set = |weight: &mut Weight| -> Result<()> {
            if let Some(values) = read(weight.name())? {
                weight.set(values)?;
            }
            Ok(())
        };
        for block in &mut self.blocks {
            block.weights.iter_mut().try_for_each(set)?;
            let vectors = block
                .biases
                .iter_mut()
                .chain([&mut block.norm1, &mut block.norm2]);
            for vector in vectors {
                if let Some(values) = read(&vector.name)? {
                    vector.values = values;
                }
            }
        }
        if let Some(values) = read(&self.norm.name)? {
            self.norm.values = values;
        }
        if !self.config.tie_embeddings {
            set(&mut self.head)?;
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
    /// As [`Model::save`].
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
        let tensors: HashMap<&str, Tensor> = self
            .named()?
            .into_iter()
            .map(|(n, t)| Ok((n, t.to_dtype(dtype)?)))
            .collect::<Result<_>>()?;
        tensor_file::write(&tensors, &dir.join("model.safetensors"))?;
        let path = dir.join("config.json");
        std::fs::write(&path, config + "\n").map_err(|e| Error::io(&path, e))
    }
}
