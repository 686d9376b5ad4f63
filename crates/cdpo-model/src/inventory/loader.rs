//! Reading a model's parameters from their source, by place.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::{Place, TensorSpec, tensors};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::source::{EncodedMatrix, TensorSource};
use crate::weight::{Vector, Weight, WeightForm, WeightOptions};

/// Where a model's parameters are read from and where they go.
pub(crate) struct Loader<'a> {
    specs: HashMap<Place, TensorSpec>,
    source: &'a dyn TensorSource,
    device: &'a Device,
    options: WeightOptions,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        config: &ModelConfig,
        source: &'a dyn TensorSource,
        device: &'a Device,
        options: WeightOptions,
    ) -> Self {
        let specs = tensors(config).into_iter().map(|spec| (spec.place, spec));
        Self {
            specs: specs.collect(),
            source,
            device,
            options,
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
        let TensorSpec { name, shape, .. } = self.spec(place)?;
        let WeightOptions { form, products } = self.options;
        let (on_host, rounds) = (self.device.is_cpu(), products.kernel().is_some());
        if let (true, Some(matrix)) = (on_host, self.source.encoded(name, shape)?) {
            // What lies in the file as bf16 needs no copy where products are made of it.
            let stays = matrix.is_bf16() && rounds;
            if form == WeightForm::Stored || stays {
                return Weight::encoded(name, matrix, products);
            }
        }
        if let (true, true, &[rows, columns]) = (on_host, rounds, shape.as_slice()) {
            let values = self.source.read(name, shape)?;
            let matrix = EncodedMatrix::rounded(&values, (rows, columns));
            return Weight::encoded(name, matrix, products);
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
