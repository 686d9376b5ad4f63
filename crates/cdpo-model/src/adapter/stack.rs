//! The adapters of one call: which are added to the base, and which of them is trained.

use candle_core::Tensor;

use super::{Adapter, LoraModule};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::Place;
use crate::ops::linear::{Dropout, LoraRef};
use crate::projection::Projection;
use crate::weight::Weight;

/// The adapters that are active in a call, at most one of them trainable. The empty stack is the base model.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdapterStack<'a> {
    /// Adapters, added up.
    pub adapters: &'a [&'a Adapter],
    /// Index of the adapter that receives gradients.
    pub trainable: Option<usize>,
}

impl<'a> AdapterStack<'a> {
    /// No adapter: the base model.
    pub fn base() -> Self {
        Self::default()
    }

    /// Frozen adapters.
    pub fn frozen(adapters: &'a [&'a Adapter]) -> Self {
        Self {
            adapters,
            trainable: None,
        }
    }

    /// Adapters of which `trainable` receives gradients.
    pub fn training(adapters: &'a [&'a Adapter], trainable: usize) -> Self {
        Self {
            adapters,
            trainable: Some(trainable),
        }
    }

    /// Checks that every adapter was made for a model of this many layers and `trainable` is one of them.
    pub(crate) fn check(&self, model: &ModelConfig) -> Result<()> {
        if let Some(bad) = self.adapters.iter().find(|a| a.layers() != model.layers) {
            return Err(Error::Adapter(format!(
                "the adapter has {} layers, the model {}; is it for another model?",
                bad.layers(),
                model.layers
            )));
        }
        let embeddings = self
            .adapters
            .iter()
            .filter(|a| a.replaced().embedding.is_some());
        let heads = self.adapters.iter().filter(|a| a.replaced().head.is_some());
        if embeddings.count() > 1 || heads.count() > 1 {
            return Err(Error::Adapter(
                "two adapters of one call bring an embedding or a head of their own; merge one of them into the model first".into(),
            ));
        }
        match self.trainable {
            Some(i) if self.adapters.get(i).is_some_and(|a| a.changes_ends()) => {
                Err(Error::Adapter(
                    "an adapter that changes lm_head or embed_tokens cannot be trained further; merge it into the model first"
                        .into(),
                ))
            }
            Some(i) if i >= self.adapters.len() => Err(Error::Invalid(format!(
                "adapter {i} is to be trained, but the stack holds {}",
                self.adapters.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the head or the embedding are others than the base's.
    pub(crate) fn changes_ends(&self) -> bool {
        self.adapters.iter().any(|a| a.changes_ends())
    }

    /// The embedding in place of the base's.
    pub(crate) fn embedding(&self) -> Option<&'a Tensor> {
        self.adapters
            .iter()
            .find_map(|a| a.replaced().embedding.as_ref())
    }

    /// The head in place of the base's.
    pub(crate) fn replaced_head(&self) -> Result<Option<Weight>> {
        let mut heads = self.adapters.iter().map(|a| a.replaced().head.as_ref());
        let head = heads.find_map(|head| head);
        head.map(|head| Weight::named(Place::Head.hf_name(), head.clone()))
            .transpose()
    }

    /// The pairs active at the head, none of which is trained.
    pub(crate) fn head_pairs(&self) -> Vec<LoraRef<'a>> {
        let modules = self.adapters.iter().filter_map(|a| a.head());
        modules.map(|module| module.pair(None)).collect()
    }

    /// The head `[V, H]` under these adapters as one matrix, if it is another than the base's.
    ///
    /// # Errors
    /// If the base's values are gone or the shapes do not fit.
    pub(crate) fn head(&self, base: &Weight) -> Result<Option<Weight>> {
        let replaced = self.replaced_head()?;
        let mut modules = self.adapters.iter().filter_map(|a| a.head()).peekable();
        if modules.peek().is_none() {
            return Ok(replaced);
        }
        let mut values = replaced.as_ref().unwrap_or(base).values()?;
        for module in modules {
            let rows = values.dim(0)?;
            values = (values + module.addition(0..rows)?)?;
        }
        Weight::named(Place::Head.hf_name(), values).map(Some)
    }

    /// The pairs active at a projection, and which of them is trained. `row_keys` switches the trained one's dropout on.
    pub(crate) fn at(
        &self,
        layer: usize,
        projection: Projection,
        row_keys: Option<&'a [u64]>,
    ) -> (Vec<LoraRef<'a>>, Option<(usize, &'a LoraModule)>) {
        let mut refs = Vec::with_capacity(self.adapters.len());
        let mut trained = None;
        for (i, adapter) in self.adapters.iter().enumerate() {
            let Some(module) = adapter.module(layer, projection) else {
                continue;
            };
            let mut dropout = None;
            if self.trainable == Some(i) {
                trained = Some((refs.len(), module));
                dropout = row_keys
                    .filter(|_| adapter.config.dropout > 0.0)
                    .map(|row_keys| Dropout {
                        p: adapter.config.dropout as f32,
                        row_keys,
                        module: (layer * Projection::ALL.len() + projection as usize) as u64,
                    });
            }
            refs.push(module.pair(dropout));
        }
        (refs, trained)
    }
}
