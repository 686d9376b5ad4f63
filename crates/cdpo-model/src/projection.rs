//! The linear layers and the norms of a block, with their names in a checkpoint and in a GGUF file.

/// The linear layers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Projection {
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
    pub(crate) const ALL: [Self; 7] = [
        Self::Q,
        Self::K,
        Self::V,
        Self::O,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// Last part of the module's name.
    pub(crate) fn suffix(self) -> &'static str {
        let name = self.hf_name();
        name.rsplit_once('.').map_or(name, |(_, suffix)| suffix)
    }

    /// Hugging Face name of the module within its block.
    pub(crate) fn hf_name(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// GGUF's name of the module within its block.
    pub(crate) fn gguf_name(self) -> &'static str {
        match self {
            Self::Q => "attn_q",
            Self::K => "attn_k",
            Self::V => "attn_v",
            Self::O => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        }
    }

    /// Hugging Face name of the module, without `.weight`.
    pub(crate) fn module(self, layer: usize) -> String {
        format!("model.layers.{layer}.{}", self.hf_name())
    }
}

/// The norms of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Norm {
    /// Of the block's input, before attention.
    Input,
    /// Of the residual stream after attention, before the feed-forward layer.
    PostAttention,
}

impl Norm {
    /// All, in the order in which a block uses them.
    pub(crate) const ALL: [Self; 2] = [Self::Input, Self::PostAttention];

    /// Hugging Face name of the module within its block.
    pub(crate) fn hf_name(self) -> &'static str {
        match self {
            Self::Input => "input_layernorm",
            Self::PostAttention => "post_attention_layernorm",
        }
    }

    /// GGUF's name of the module within its block.
    pub(crate) fn gguf_name(self) -> &'static str {
        match self {
            Self::Input => "attn_norm",
            Self::PostAttention => "ffn_norm",
        }
    }
}
