//! The linear layers of a block: which there are, their names in a checkpoint, their shapes.

use crate::config::ModelConfig;

/// The linear layers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Projection {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention output.
    O,
    /// Gate of the feed-forward layer.
    Gate,
    /// Up projection.
    Up,
    /// Down projection.
    Down,
}

impl Projection {
    /// All, in the order in which a block uses them.
    pub const ALL: [Self; 7] = [
        Self::Q,
        Self::K,
        Self::V,
        Self::O,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// Last part of the module's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// Hugging Face name of the module, without `.weight`.
    pub fn module(self, layer: usize) -> String {
        let part = if matches!(self, Self::Q | Self::K | Self::V | Self::O) {
            "self_attn"
        } else {
            "mlp"
        };
        format!("model.layers.{layer}.{part}.{}", self.suffix())
    }

    /// `(out, in)`.
    pub fn shape(self, config: &ModelConfig) -> (usize, usize) {
        let (query, kv) = (
            config.heads * config.head_dim,
            config.kv_heads * config.head_dim,
        );
        match self {
            Self::Q => (query, config.hidden_size),
            Self::K | Self::V => (kv, config.hidden_size),
            Self::O => (config.hidden_size, query),
            Self::Gate | Self::Up => (config.intermediate_size, config.hidden_size),
            Self::Down => (config.hidden_size, config.intermediate_size),
        }
    }
}
