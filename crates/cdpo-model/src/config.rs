//! The one model configuration behind every supported family.
//!
//! Goes in: the text of a Hugging Face `config.json` (here), or GGUF metadata (`source::gguf`).
//! Comes out: a checked [`ModelConfig`]; anything the engine cannot compute is an error, never a guess.

use crate::error::{Error, Result};

pub(crate) mod fields;
mod hf;
pub(crate) mod keys;
mod rope;
mod rope_keys;

pub use rope::RopeScaling;

/// The supported architectures. They differ only in the bias of the q, k and v projections and in file conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// `LlamaForCausalLM`: Llama 2 and 3, DeepSeek-LLM and -Math, SmolLM2.
    Llama,
    /// `Qwen2ForCausalLM`: Qwen 2 and 2.5.
    Qwen2,
}

impl Family {
    /// Every supported family, for error messages and look-ups.
    pub(crate) const ALL: [Self; 2] = [Self::Llama, Self::Qwen2];

    /// Hugging Face's `model_type`, which is also GGUF's `general.architecture`.
    pub(crate) fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }

    /// The class name in a `config.json`'s `architectures`.
    pub(crate) fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
        }
    }

    /// The family called `name`, by `model_type` or by class name.
    ///
    /// # Errors
    /// An unknown name; the message lists the known ones and begins with `origin`, the file it came from.
    pub(crate) fn from_name(name: &str, origin: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|f| f.model_type() == name || f.architecture() == name)
            .ok_or_else(|| {
                let known: Vec<String> = Self::ALL
                    .iter()
                    .map(|f| format!("{} ({})", f.model_type(), f.architecture()))
                    .collect();
                Error::Config(format!(
                    "{origin}: unknown architecture `{name}`; known are {}",
                    known.join(", ")
                ))
            })
    }
}

/// Shapes and constants of one causal language model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Architecture.
    pub family: Family,
    /// Rows of the embedding and of the head, V. May exceed the tokenizer's vocabulary (padding rows).
    pub vocab_size: usize,
    /// Width of the residual stream, H.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even. `heads * head_dim` need not equal `hidden_size`.
    pub head_dim: usize,
    /// The epsilon inside every RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Change of the rotary frequencies for long contexts.
    pub rope_scaling: RopeScaling,
    /// The head is the embedding matrix; there is no `lm_head.weight`.
    pub tie_embeddings: bool,
    /// The q, k and v projections have a bias.
    pub qkv_bias: bool,
    /// Longest sequence the model was made for, in tokens.
    pub max_positions: usize,
    /// Beginning-of-sequence id, if the files name one. Whether it is prepended is the caller's choice.
    pub bos: Option<u32>,
    /// Ids that end a response, the one to train with first; may be empty.
    pub eos: Vec<u32>,
}

/// Bounds that keep products of two sizes and lists of tensors small when a file is damaged.
const MAX_SIZE: usize = 1 << 30;
const MAX_LAYERS: usize = 1 << 12;

impl ModelConfig {
    /// Reads the text of a Hugging Face `config.json`; `origin` is the file's name for messages.
    ///
    /// Both spellings of the rotary settings are read: `rope_theta` + `rope_scaling`, and the newer `rope_parameters`; `rope_scaling` wins,
    /// as in `transformers`. `head_dim` defaults to `hidden_size / heads`, `num_key_value_heads` to `num_attention_heads` (32 for qwen2,
    /// if the key is absent).
    ///
    /// # Errors
    /// Text that is not JSON, a missing or non-positive field (all missing ones are named together), an unknown
    /// architecture (the message lists the known ones), and settings that would change the computation in a way the
    /// engine does not do: other activations, biases outside q/k/v, sliding windows, partial rotary, other rope
    /// scalings, quantised Hugging Face weights, and any key that is not known to change nothing.
    pub fn from_hf_json(text: &str, origin: &str) -> Result<Self> {
        hf::parse(text, origin)
    }

    /// Appends the end-of-sequence ids of a `generation_config.json` that are not listed yet.
    ///
    /// # Errors
    /// Text that is not JSON, or an `eos_token_id` that is neither an id nor a list of ids.
    pub fn add_generation_config(&mut self, text: &str, origin: &str) -> Result<()> {
        for id in hf::generation_ids(text, origin)?.1 {
            if !self.eos.contains(&id) {
                self.eos.push(id);
            }
        }
        Ok(())
    }

    /// BOS and the end-of-sequence ids that a `generation_config.json` names.
    pub(crate) fn generation_ids(text: &str, origin: &str) -> Result<(Option<u32>, Vec<u32>)> {
        hf::generation_ids(text, origin)
    }

    /// The configuration as a Hugging Face `config.json` that `transformers` and [`Self::from_hf_json`] both read.
    ///
    /// # Errors
    /// A rope scaling that a `config.json` cannot express ([`RopeScaling::Divisors`]).
    pub fn to_hf_json(&self) -> Result<serde_json::Value> {
        hf::write(self)
    }

    /// The rotary frequencies in radians per position, `[head_dim / 2]`, with the scaling applied.
    pub fn rope_inv_freq(&self) -> Vec<f64> {
        let plain = rope::plain_inv_freq(self.rope_theta, self.head_dim);
        self.rope_scaling.apply(&plain, self.rope_theta)
    }

    /// What the rotary embedding's cosines and sines are multiplied with: 1, but for [`RopeScaling::Yarn`].
    pub fn rope_attention_factor(&self) -> f64 {
        self.rope_scaling.attention_factor()
    }

    /// Checks the conditions every forward pass relies on.
    ///
    /// # Errors
    /// Names each broken condition, all together, after `origin`.
    pub fn validate(&self, origin: &str) -> Result<()> {
        let mut faults = Vec::new();
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_positions),
        ];
        for (name, value) in sizes {
            if value == 0 {
                faults.push(format!("{name} is 0"));
            } else if value > MAX_SIZE || (name == "num_hidden_layers" && value > MAX_LAYERS) {
                faults.push(format!("{name} is {value}, which no model has"));
            }
        }
        if self.kv_heads != 0 && !self.heads.is_multiple_of(self.kv_heads) {
            faults.push(format!(
                "num_attention_heads {} is not a multiple of num_key_value_heads {}",
                self.heads, self.kv_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            faults.push(format!(
                "head_dim {} is odd, rotary embedding needs an even one",
                self.head_dim
            ));
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0) {
            faults.push(format!(
                "rms_norm_eps {} is not a non-negative number",
                self.rms_norm_eps
            ));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            faults.push(format!(
                "rope_theta {} is not a positive number",
                self.rope_theta
            ));
        }
        if matches!(self.rope_scaling, RopeScaling::Yarn { .. }) && self.rope_theta <= 1.0 {
            faults.push(format!(
                "rope_theta {} is too small for yarn",
                self.rope_theta
            ));
        }
        faults.extend(self.rope_scaling.faults(self.head_dim / 2));
        let ids = self
            .bos
            .iter()
            .map(|id| ("bos_token_id", id))
            .chain(self.eos.iter().map(|id| ("eos_token_id", id)));
        for (name, &id) in ids {
            if id as usize >= self.vocab_size {
                faults.push(format!(
                    "{name} {id} is outside the vocabulary of {}",
                    self.vocab_size
                ));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Config(format!("{origin}: {}", faults.join("; "))))
        }
    }
}
