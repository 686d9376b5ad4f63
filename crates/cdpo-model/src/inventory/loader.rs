//! Reading a model's parameters from their source, by place.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::{Place, TensorSpec, tensors};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::source::TensorSource;
use crate::weight::{Vector, Weight};

/// Where a model's parameters are read from and where they go.
pub(crate) struct Loader<'a> {
    specs: HashMap<Place, TensorSpec>,
    source: &'a dyn TensorSource,
    device: &'a Device,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        config: &ModelConfig,
        source: &'a dyn TensorSource,
        device: &'a Device,
    ) -> Self {
        let specs = tensors(config).into_iter().map(|spec| (spec.place, spec));
        Self {
            specs: specs.collect(),
            source,
            device,
        }
    }

    /// Whether the model has a tensor there.
    pub(crate) fn has(&self, place: Place) -> bool {
        self.specs.contains_key(&place)
    }

    /// The matrix at `place`.
    ///
    /// # Errors
    /// If the model has none there, and those of [`TensorSource::read`].
    pub(crate) fn weight(&self, place: Place) -> Result<Weight> {
        let (name, values) = self.read(place)?;
        Weight::named(name, values)
    }

    /// The vector at `place`.
    ///
    /// # Errors
    /// As [`Loader::weight`].
    pub(crate) fn vector(&self, place: Place) -> Result<Vector> {
        let (name, values) = self.read(place)?;
        Ok(Vector { name, values })
    }

    fn read(&self, place: Place) -> Result<(String, Tensor)> {
        let Some(TensorSpec { name, shape, .. }) = self.specs.get(&place) else {
            return Err(Error::tensor(
                place.hf_name(),
                "is no part of a model of this configuration",
            ));
        };
        let values = self.source.read(name, shape)?;
        let values = Tensor::from_vec(values, shape.as_slice(), self.device)?;
        Ok((name.clone(), values))
    }
}
