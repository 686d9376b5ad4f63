//! Merging an adapter into its base, tensor by tensor.
//!
//! Goes in: a base's weights, an adapter, a folder. Comes out: a model folder with `W + scale * B A`, and what rounding to the type of its
//! values has cost. Some rows are in memory at a time; the base stays in its mapped file.

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::adapter::{Adapter, AdapterStack};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::inventory::{self, Loader, Place, TensorSpec};
use crate::model::own_head;
use crate::model_folder::{self, Sink, ValueType};
use crate::ops::host::{HostSlice, contiguous};
use crate::source::TensorSource;
use crate::weight::WeightForm;

pub use crate::model_folder::SHARD_BYTES;

/// Values merged at once.
const PART: usize = 1 << 20;

/// Values summed as one piece, in parallel with the others.
const PIECE: usize = 1 << 14;

/// What is merged, and how it is written.
pub struct Merge<'a> {
    /// The base's configuration.
    pub config: &'a ModelConfig,
    /// The base's weights.
    pub weights: &'a dyn TensorSource,
    /// An adapter on it, on the CPU.
    pub adapter: &'a Adapter,
    /// How values are stored: bf16, f16 or f32.
    pub dtype: DType,
    /// Bytes of weights in one file, at most; a larger tensor has a file of its own. Usually [`SHARD_BYTES`].
    pub shard_bytes: u64,
}

/// How far merging has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The tensor at hand.
    pub tensor: &'a str,
    /// Values written.
    pub done: u64,
    /// Values in all.
    pub total: u64,
}

/// What rounding to the stored type has changed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rounding {
    /// The largest relative error of a written value against the merged one.
    pub largest: f64,
    /// The mean relative error of all values but zeros.
    pub mean: f64,
    /// The norm of the low-rank updates.
    pub update: f64,
    /// The norm of what was written less the base, where there is an update.
    pub kept: f64,
    /// The norm of what was written less base and update, where there is an update.
    pub error: f64,
}

/// Takes some rows of the base, and what an adapter adds to them.
type TakePart<'a> = dyn FnMut(&Tensor, Option<&Tensor>) -> Result<ControlFlow<()>> + 'a;

impl Merge<'_> {
    /// Writes `config.json` and the weights into `dir`, after the matrices that the adapter brings have taken their places. Where the head
    /// was the embedding and one of them changes, each goes its own way, and `config.json` says so. A tokenizer is saved by its own call.
    ///
    /// `None` if the observer ended it; `dir` then holds a part of the files.
    ///
    /// # Errors
    /// If the adapter does not fit the model, the base's weights cannot be read, a file cannot be written, or a merged value is beyond its
    /// type.
    pub fn write(
        &self,
        dir: &Path,
        observer: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Rounding>> {
        AdapterStack::frozen(&[self.adapter]).check(self.config)?;
        let values = ValueType::of(self.dtype)?;
        let base = self.resolved()?;
        let mut config = base.clone();
        config.tie_embeddings &= !self.adapter.changes_ends();
        let loader = Loader::new(&base, self.weights, &Device::Cpu, WeightForm::Stored.into());
        let all = inventory::tensors(&config);
        let total = all.iter().map(TensorSpec::elements).sum();
        let mut done = 0;
        let mut sums = Sums::default();
        let mut fill = |tensor: &TensorSpec, sink: &mut Sink<'_>| {
            let mut flow = ControlFlow::Continue(());
            self.tensor(&loader, tensor, &mut |base, update| {
                let merged = match update {
                    None => base.clone(),
                    Some(update) => (base + update)?,
                };
                let (base, merged) = (host(base)?, host(&merged)?);
                let (base, merged) = (HostSlice::new(&base)?, HostSlice::new(&merged)?);
                match update {
                    None => sums.add(values, &merged, None),
                    Some(update) => {
                        let update = host(update)?;
                        sums.add(values, &merged, Some((&base, &HostSlice::new(&update)?)));
                    }
                }
                sink(&merged)?;
                done += merged.len() as u64;
                let tensor = &tensor.name;
                flow = observer(Progress {
                    tensor,
                    done,
                    total,
                });
                Ok(flow)
            })?;
            self.weights.release();
            Ok(flow)
        };
        let flow = model_folder::write(&config, dir, values, self.shard_bytes, &mut fill)?;
        Ok(flow.is_continue().then(|| sums.rounding()))
    }

    /// The base's configuration, with what its files say of the head.
    fn resolved(&self) -> Result<ModelConfig> {
        let (device, options) = (&Device::Cpu, WeightForm::Stored.into());
        let embedding = Loader::new(self.config, self.weights, device, options);
        let embedding = embedding.weight(Place::Embedding)?;
        let own = own_head(self.config, self.weights, device, options, &embedding)?;
        let mut config = self.config.clone();
        config.tie_embeddings &= own.is_none();
        Ok(config)
    }

    /// Hands out a tensor of the base, or what the adapter has in its place, some rows at a time, each with the update of these rows.
    fn tensor(
        &self,
        loader: &Loader<'_>,
        tensor: &TensorSpec,
        part: &mut TakePart<'_>,
    ) -> Result<()> {
        let &[rows, width] = tensor.shape.as_slice() else {
            // It comes whole: there is nothing left to end.
            let _ = part(&loader.vector(tensor.place)?.values, None)?;
            return Ok(());
        };
        let replaced = self.adapter.replaced();
        let (own, module) = match tensor.place {
            Place::Embedding => (replaced.embedding.as_ref(), None),
            Place::Head => (replaced.head.as_ref(), self.adapter.head()),
            Place::Weight(layer, p) => (None, self.adapter.module(layer, p)),
            _ => (None, None),
        };
        let base = match own {
            Some(_) => None,
            // A head that was the embedding.
            None if !loader.has(tensor.place) => Some(loader.weight(Place::Embedding)?),
            None => Some(loader.weight(tensor.place)?),
        };
        let step = (PART / width.max(1)).max(1);
        for first in (0..rows).step_by(step) {
            let some = first..rows.min(first + step);
            let base = match (&base, own) {
                (Some(base), _) => {
                    let ids: Vec<u32> = some.clone().map(|row| row as u32).collect();
                    base.rows(&ids)?
                }
                (None, Some(own)) => own.narrow(0, first, some.len())?,
                (None, None) => continue,
            };
            let update = module.map(|module| module.addition(some)).transpose()?;
            if part(&base, update.as_ref())?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn host(values: &Tensor) -> Result<Tensor> {
    contiguous(&values.to_device(&Device::Cpu)?)
}

/// Sums over values, in `f64`.
#[derive(Debug, Default)]
struct Sums {
    count: u64,
    relative: f64,
    largest: f64,
    update: f64,
    kept: f64,
    error: f64,
}

impl Sums {
    /// Adds merged values, with base and update where there is one.
    fn add(&mut self, values: ValueType, merged: &[f32], parts: Option<(&[f32], &[f32])>) {
        let pieces: Vec<Self> = merged
            .par_chunks(PIECE)
            .enumerate()
            .map(|(i, merged)| {
                let within = i * PIECE..i * PIECE + merged.len();
                let parts = parts.map(|(base, update)| (&base[within.clone()], &update[within]));
                let mut sums = Self::default();
                sums.add_piece(values, merged, parts);
                sums
            })
            .collect();
        // In their order, so that the sums do not depend on the threads.
        for piece in pieces {
            self.count += piece.count;
            self.relative += piece.relative;
            self.largest = self.largest.max(piece.largest);
            self.update += piece.update;
            self.kept += piece.kept;
            self.error += piece.error;
        }
    }

    fn add_piece(&mut self, values: ValueType, merged: &[f32], parts: Option<(&[f32], &[f32])>) {
        for &value in merged.iter().filter(|&&value| value != 0.0) {
            let exact = f64::from(value);
            let relative = ((f64::from(values.round(value)) - exact) / exact).abs();
            self.count += 1;
            self.relative += relative;
            self.largest = self.largest.max(relative);
        }
        let Some((base, update)) = parts else {
            return;
        };
        for ((&value, &base), &update) in merged.iter().zip(base).zip(update) {
            let (base, update) = (f64::from(base), f64::from(update));
            let kept = f64::from(values.round(value)) - base;
            self.update += update * update;
            self.kept += kept * kept;
            self.error += (kept - update) * (kept - update);
        }
    }

    fn rounding(&self) -> Rounding {
        Rounding {
            largest: self.largest,
            mean: self.relative / self.count.max(1) as f64,
            update: self.update.sqrt(),
            kept: self.kept.sqrt(),
            error: self.error.sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_loses_of_values_and_updates_is_summed() {
        let of = |values, base: &[f32], update: &[f32]| {
            let merged: Vec<f32> = base.iter().zip(update).map(|(b, u)| b + u).collect();
            let mut sums = Sums::default();
            sums.add(values, &merged, Some((base, update)));
            sums.rounding()
        };
        // Beside 1 bf16 has steps of 2^-7: an update of 2^-10 is lost, one of 3/4 of a step becomes a whole one.
        let lost = of(ValueType::Bf16, &[1.0, 0.0], &[0.0009765625, 0.0]);
        assert_eq!((lost.kept, lost.error), (0.0, lost.update));
        assert_eq!(lost.largest, 0.0009765625 / 1.0009765625);
        assert_eq!(lost.mean, lost.largest, "a zero has no relative error");
        let grown = of(ValueType::Bf16, &[1.0], &[0.75 / 128.0]);
        assert_eq!((grown.kept, grown.error), (1.0 / 128.0, 0.25 / 128.0));
        let whole = of(ValueType::F32, &[1.0], &[0.75 / 128.0]);
        assert_eq!((whole.kept, whole.error), (whole.update, 0.0));
        assert_eq!((whole.largest, whole.mean), (0.0, 0.0));
    }
}
