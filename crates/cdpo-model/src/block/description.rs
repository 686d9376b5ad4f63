//! What a block is made of, for each family: norms, linear layers with shapes and biases, activation, rotary embedding.
//!
//! Goes in: a [`ModelConfig`]. Comes out: a [`BlockDescription`]. The inventory of a model's tensors, and with it loading,
//! saving and GGUF's names, is generated from it: a new family is a new description.

use crate::config::{Family, ModelConfig};
use crate::projection::{Norm, Projection};

/// One block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BlockDescription {
    /// Norms and linear layers in the order of a checkpoint's files.
    pub(crate) parts: Vec<Part>,
    /// Between the gate and up projections and the down projection.
    pub(crate) activation: Activation,
    /// Rotary embedding of queries and keys.
    pub(crate) rope: Rope,
}

/// A part with parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A norm's gain, of so many elements.
    Norm(Norm, usize),
    /// A linear layer.
    Linear(Linear),
}

/// A linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Linear {
    /// Which one.
    pub(crate) projection: Projection,
    /// `(out, in)`.
    pub(crate) shape: (usize, usize),
    /// Whether it has a bias `[out]`.
    pub(crate) bias: bool,
    /// Heads in its output, if rotary embedding turns them.
    pub(crate) rotated_heads: Option<usize>,
}

/// What is done to the gate before it is multiplied with the up projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
}

impl Activation {
    /// The one that a `config.json` calls `name`.
    pub(crate) fn from_hf_name(name: &str) -> Option<Self> {
        matches!(name, "silu" | "swish").then_some(Self::Silu)
    }

    /// Its name in a `config.json`.
    pub(crate) fn hf_name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
        }
    }
}

/// Rotary embedding: element `i` of a head turns with element `i + half`, in Hugging Face's order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rope {
    /// GGUF files keep a rotated head's rows so that neighbours turn together.
    pub(crate) gguf_turns_neighbours: bool,
}

impl BlockDescription {
    /// The block of a configuration's family, in its sizes.
    pub(crate) fn of(config: &ModelConfig) -> Self {
        match config.family {
            Family::Llama => Self::gated(config, true),
            Family::Qwen2 => Self::gated(config, false),
        }
    }

    /// A pre-norm block with grouped queries and a gated feed-forward layer.
    fn gated(config: &ModelConfig, gguf_turns_neighbours: bool) -> Self {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (heads, kv_heads) = (config.heads, config.kv_heads);
        let (query, kv) = (heads * config.head_dim, kv_heads * config.head_dim);
        let linear = |projection, shape| Linear {
            projection,
            shape,
            bias: false,
            rotated_heads: None,
        };
        let qkv = |projection, out, rotated_heads| {
            Part::Linear(Linear {
                bias: config.qkv_bias,
                rotated_heads,
                ..linear(projection, (out, hidden))
            })
        };
        Self {
            parts: vec![
                Part::Norm(Norm::Input, hidden),
                qkv(Projection::Q, query, Some(heads)),
                qkv(Projection::K, kv, Some(kv_heads)),
                qkv(Projection::V, kv, None),
                Part::Linear(linear(Projection::O, (hidden, query))),
                Part::Norm(Norm::PostAttention, hidden),
                Part::Linear(linear(Projection::Gate, (inner, hidden))),
                Part::Linear(linear(Projection::Up, (inner, hidden))),
                Part::Linear(linear(Projection::Down, (hidden, inner))),
            ],
            activation: Activation::Silu,
            rope: Rope {
                gguf_turns_neighbours,
            },
        }
    }

    /// The linear layers in the order of a checkpoint's files.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.parts.iter().filter_map(|part| match part {
            Part::Linear(linear) => Some(linear),
            Part::Norm(..) => None,
        })
    }
}
