//! What a run trains: an adapter on a frozen model, or all parameters of a model.
//!
//! Goes in: parameter values as one arena. Comes out: the model and the stack of adapters that the engine runs on. The two
//! kinds differ in nothing else: a parameter is trained because the gradient arena names it.

use cdpo_model::{Adapter, AdapterStack, Arena, Model};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Which parameters are trained. In recipes: `train.parameters = "lora"` or `"all"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// A LoRA adapter; the model's own weights stay as they are.
    #[default]
    Lora,
    /// Every weight, norm and bias of the model. Weight decay reaches the matrices only, never norms and biases.
    All,
}

/// What is trained, with its values at the start.
#[derive(Debug)]
// A run has one policy, so its size does not matter.
#[allow(clippy::large_enum_variant)]
pub enum Policy<'a> {
    /// An adapter.
    Adapter {
        /// The frozen base model.
        model: &'a Model,
        /// The adapter to train.
        adapter: Adapter,
        /// Frozen adapters under it, for instance the fine-tuned start of a preference method; usually none.
        under: &'a [&'a Adapter],
    },
    /// All parameters of a model. As it is given it is also the base of the reference, whose log-probabilities are computed before
    /// the first step.
    Model(Box<Model>),
}

impl Policy<'_> {
    /// Which parameters it trains.
    pub fn parameters(&self) -> Parameters {
        match self {
            Self::Adapter { .. } => Parameters::Lora,
            Self::Model(_) => Parameters::All,
        }
    }

    /// The trained adapter, if it is one.
    pub fn into_adapter(self) -> Option<Adapter> {
        match self {
            Self::Adapter { adapter, .. } => Some(adapter),
            Self::Model(_) => None,
        }
    }

    /// The trained model, if all its parameters were trained.
    pub fn into_model(self) -> Option<Model> {
        match self {
            Self::Adapter { .. } => None,
            Self::Model(model) => Some(*model),
        }
    }

    /// The model that the engine runs.
    pub(crate) fn model(&self) -> &Model {
        match self {
            Self::Adapter { model, .. } => model,
            Self::Model(model) => model,
        }
    }

    /// A copy of the parameters that are trained.
    pub(crate) fn params(&self) -> Result<Arena> {
        Ok(match self {
            Self::Adapter { adapter, .. } => adapter.arena().clone(),
            Self::Model(model) => model.arena()?,
        })
    }

    /// Takes new values.
    pub(crate) fn set(&mut self, params: &Arena) -> Result<()> {
        match self {
            Self::Adapter { adapter, .. } => adapter.set(params)?,
            Self::Model(model) => model.set(params)?,
        }
        Ok(())
    }

    /// The adapters that the model runs with, the trained one last: for [`stack`].
    pub(crate) fn adapters(&self) -> Vec<&Adapter> {
        match self {
            Self::Adapter { adapter, under, .. } => {
                let mut all = under.to_vec();
                all.push(adapter);
                all
            }
            Self::Model(_) => Vec::new(),
        }
    }

    /// Whether a forward pass in training drops elements.
    pub(crate) fn drops(&self) -> bool {
        match self {
            Self::Adapter { adapter, .. } => adapter.config().dropout > 0.0,
            Self::Model(_) => false,
        }
    }

    /// The frozen adapters under the trained one.
    pub(crate) fn under(&self) -> &[&Adapter] {
        match self {
            Self::Adapter { under, .. } => under,
            Self::Model(_) => &[],
        }
    }

    /// Identifies the values at the start. A whole model's is that of the base, which the run names anyway.
    pub(crate) fn start(&self) -> String {
        match self {
            Self::Adapter { adapter, .. } => adapter.content_id(),
            Self::Model(_) => "all parameters".to_owned(),
        }
    }
}

/// The engine's view of [`Policy::adapters`].
pub(crate) fn stack<'s>(adapters: &'s [&'s Adapter]) -> AdapterStack<'s> {
    match adapters.len().checked_sub(1) {
        Some(trained) => AdapterStack::training(adapters, trained),
        None => AdapterStack::base(),
    }
}
