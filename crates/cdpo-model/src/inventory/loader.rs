//! Reading a model's parameters from their source, by place.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::{Place, TensorSpec, tensors};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::source::TensorSource;
use crate::weight::{Vector, Weight, WeightForm};

/// Where a model's parameters are read from and where they go.
pub(crate) struct Loader<'a> {
    specs: HashMap<Place, TensorSpec>,
    source: &'a dyn TensorSource,
    device: &'a Device,
    form: WeightForm,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        config: &ModelConfig,
        source: &'a dyn TensorSource,
        device: &'a Device,
        form: WeightForm,
    ) -> Self {
        let specs = tensors(config).into_iter().map(|spec| (spec.place, spec));
        Self {
            specs: specs.collect(),
            source,
            device,
            form,
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
        if self.form == WeightForm::Stored && self.device.is_cpu() {
            let TensorSpec { name, shape, .. } = self.spec(place)?;
            if let Some(matrix) = self.source.encoded(name, shape)? {
                return Weight::encoded(name, matrix);
            }
        }
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
        let TensorSpec { name, shape, .. } = self.spec(place)?;
        let values = self.source.read(name, shape)?;
        let values = Tensor::from_vec(values, shape.as_slice(), self.device)?;
        Ok((name.clone(), values))
    }

    fn spec(&self, place: Place) -> Result<&TensorSpec> {
        self.specs.get(&place).ok_or_else(|| {
            Error::tensor(
                place.hf_name(),
                "is no part of a model of this configuration",
            )
        })
    }
}
