//! What a model costs: the one place of the formulas for parameters, bytes and floating-point operations.
//!
//! Goes in: a [`ModelConfig`], and what is done with the model. Comes out: parameters by place and their bytes (here), operations
//! of a forward or a training pass (`flops.rs`), memory of a pass (`memory.rs`). No weights are needed. A floating-point operation
//! (FLOP) is one multiplication or one addition.

mod flops;
mod memory;
#[cfg(test)]
mod tests;

pub use flops::{TrainPass, Trained, Work};
pub use memory::Held;

use crate::adapter::{LoraConfig, sites};
use crate::block::description::{BlockDescription, Linear};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::inventory::{Place, tensors};
use crate::projection::Projection;
use crate::source::encoding::Encoding;

/// The costs of models of one configuration.
#[derive(Debug, Clone)]
pub struct ModelCost<'c> {
    config: &'c ModelConfig,
    /// Elements of all matrices of the blocks, and of the parts that count apart.
    linears: Parts,
    block: Vec<Linear>,
}

/// Parameters by place, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters {
    /// The embedding `[V, H]`, which is the head too where they are tied.
    pub embedding: u64,
    /// The matrices of the blocks' linear layers.
    pub linears: u64,
    /// Gains of norms, and biases.
    pub vectors: u64,
    /// A head `[V, H]` of its own; 0 if it is the embedding.
    pub head: u64,
}

impl Parameters {
    /// All.
    pub fn total(&self) -> u64 {
        self.embedding + self.linears + self.vectors + self.head
    }
}

/// A number for all blocks, and what of it falls to the parts that a training pass treats apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Parts {
    all: u64,
    /// The gate and up projections: computed again on request.
    gate_up: u64,
    /// The first block's queries, keys and values, whose input needs no gradient unless the embedding is trained.
    first: u64,
}

impl Parts {
    fn add(&mut self, layer: usize, projection: Projection, n: u64) {
        self.all += n;
        if matches!(projection, Projection::Gate | Projection::Up) {
            self.gate_up += n;
        }
        if layer == 0 && matches!(projection, Projection::Q | Projection::K | Projection::V) {
            self.first += n;
        }
    }
}

/// A LoRA adapter on a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdapterCost {
    /// Elements of the `A` `[r, in]`.
    a: Parts,
    /// Elements of the `B` `[out, r]`.
    b: Parts,
}

impl AdapterCost {
    /// The adapter that `lora` makes on a model of this configuration.
    ///
    /// # Errors
    /// Settings out of range, or a target that matches no linear layer.
    pub fn of(config: &ModelConfig, lora: &LoraConfig) -> Result<Self> {
        let mut cost = Self::default();
        for site in sites::of_config(config, lora)? {
            if let Place::Weight(layer, projection) = site.place {
                let (out, inner) = site.shape;
                cost.a.add(layer, projection, (site.rank * inner) as u64);
                cost.b.add(layer, projection, (site.rank * out) as u64);
            }
        }
        Ok(cost)
    }

    /// Its parameters.
    pub fn parameters(&self) -> u64 {
        self.a.all + self.b.all
    }
}

impl<'c> ModelCost<'c> {
    /// The costs of a model of this configuration.
    pub fn of(config: &'c ModelConfig) -> Self {
        let block: Vec<Linear> = BlockDescription::of(config).linears().copied().collect();
        let mut linears = Parts::default();
        for layer in 0..config.layers {
            for linear in &block {
                let (out, inner) = linear.shape;
                linears.add(layer, linear.projection, (out * inner) as u64);
            }
        }
        Self {
            config,
            linears,
            block,
        }
    }

    /// Parameters by place.
    pub fn parameters(&self) -> Parameters {
        let mut sum = Parameters::default();
        for tensor in tensors(self.config) {
            let elements = tensor.shape.iter().map(|&n| n as u64).product::<u64>();
            *match tensor.place {
                Place::Embedding => &mut sum.embedding,
                Place::Weight(..) => &mut sum.linears,
                Place::Norm(..) | Place::Bias(..) | Place::FinalNorm => &mut sum.vectors,
                Place::Head => &mut sum.head,
            } += elements;
        }
        sum
    }

    /// Parameters of the head, tied or not.
    fn head(&self) -> u64 {
        (self.config.vocab_size * self.config.hidden_size) as u64
    }

    /// Parameters that one token's pass through the model multiplies with: the linear layers and the head.
    pub fn active(&self) -> u64 {
        self.linears.all + self.head()
    }

    /// The share of gate and up projections in all weights that a token's pass reads.
    pub fn gate_up_share(&self) -> f64 {
        self.linears.gate_up as f64 / self.active() as f64
    }

    /// Bytes of all parameters as f32.
    pub fn f32_bytes(&self) -> u64 {
        4 * self.parameters().total()
    }

    /// Bytes of the model in each encoding that its rows are whole blocks of, by the encoding's name: matrices in it, vectors as f32.
    pub fn bytes_by_encoding(&self) -> Vec<(&'static str, u64)> {
        let all = tensors(self.config);
        let bytes = |encoding: Encoding| -> Option<u64> {
            let mut sum = 0;
            for tensor in &all {
                let elements = tensor.shape.iter().product::<usize>() as u64;
                sum += match *tensor.shape.as_slice() {
                    [rows, width] => (rows * encoding.bytes(width)?) as u64,
                    _ => 4 * elements,
                };
            }
            Some(sum)
        };
        let encodings = Encoding::ALL.iter();
        encodings
            .filter_map(|&(_, encoding, name)| Some((name, bytes(encoding)?)))
            .collect()
    }
}
