//! LLaMA-family language models over a token forest: configuration, tokenizer, weights, forward and
//! hand-written backward, LoRA adapters and log-probability heads.
//!
//! Goes in: a model folder, hub name or GGUF file; packed token ids with their forest; targets.
//! Comes out: per-token log-probabilities (host `f32`), gradients in a flat [`arena::Arena`], and, for
//! decoding, hidden states and logits whose bits do not depend on how rows were batched.
//!
//! The crate knows nothing of sampling strategies, training loops or mathematics questions.
//!
//! ```
//! use cdpo_model::{ModelConfig, ModelCost};
//!
//! let config = ModelConfig::from_hf_json(
//!     r#"{
//!         "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
//!         "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
//!         "num_attention_heads": 32, "num_key_value_heads": 8, "rope_theta": 500000.0
//!     }"#,
//!     "config.json",
//! )?;
//! assert_eq!(ModelCost::of(&config).parameters().total(), 8_030_261_248);
//!
//! // What is not computed is refused by name.
//! let refused = ModelConfig::from_hf_json(r#"{"model_type": "mamba"}"#, "config.json");
//! assert!(refused.unwrap_err().to_string().contains("mamba"));
//! # Ok::<(), cdpo_model::Error>(())
//! ```

pub mod adapter;
pub mod arena;
mod block;
pub mod config;
pub mod cost;
pub mod error;
pub mod forest;
mod inventory;
pub mod keyed;
pub mod kv;
pub mod merge;
pub mod model;
mod model_folder;
pub mod ops;
mod peft;
mod projection;
pub mod source;
mod tensor_file;
pub mod tokenizer;
pub mod weight;

pub use adapter::{Adapter, AdapterStack, LoraConfig};
pub use arena::Arena;
pub use candle_core::{DType, Device};
pub use config::ModelConfig;
pub use cost::ModelCost;
pub use error::{Error, Result};
pub use forest::{SegmentId, Target, TokenForest};
pub use keyed::Key;
pub use kv::{KvCache, KvForm, KvPath};
pub use merge::{Merge, Rounding};
pub use model::{Contrast, Extend, Model, Pass, Recompute, TrainOptions};
pub use ops::gemm::bf16::Products;
pub use ops::head::Standing;
pub use tokenizer::Tokenizer;
pub use weight::{WeightForm, WeightOptions};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
