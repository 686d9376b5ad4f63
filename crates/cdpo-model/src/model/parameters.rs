//! The model's own parameters as data: full-parameter training, saving.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::Model;
use crate::arena::{Arena, Layout};
use crate::error::{Error, Result};
use crate::inventory::{self, Place, TensorSpec};
use crate::model_folder::{self, SHARD_BYTES, Sink, ValueType};
use crate::ops::host::{HostSlice, contiguous};

impl Model {
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

    /// Writes `config.json` and the weights (f32, in shards if there are more than 5 GB) into `dir`; other Hugging Face tools load the
    /// folder. A tokenizer is saved by its own call.
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
        let values = ValueType::of(dtype)?;
        let mut fill = |tensor: &TensorSpec, sink: &mut Sink<'_>| {
            let values = self.values(tensor.place)?;
            let host = contiguous(&values.to_device(&candle_core::Device::Cpu)?)?;
            sink(&HostSlice::new(&host)?)?;
            Ok(ControlFlow::Continue(()))
        };
        model_folder::write(&self.config, dir, values, SHARD_BYTES, &mut fill).map(|_| ())
    }
}

fn absent(place: Place) -> Error {
    Error::tensor(place.hf_name(), "is no part of this model")
}
