//! The keys of a `config.json`: which are read, which change no number, and what is refused.
//!
//! Goes in: the file's fields. Comes out: a fault for each setting that the engine does not compute, and for each key that is neither
//! read nor known to change nothing, unless its value says nothing.

use serde_json::Value;

use super::Family;
use super::fields::Fields;
use crate::block::description::Activation;

/// Keys that are read, here or in `hf.rs` and `rope_keys.rs`.
const READ: &[&str] = &[
    "architectures",
    "attention_bias",
    "bos_token_id",
    "eos_token_id",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "layer_types",
    "max_position_embeddings",
    "mlp_bias",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "quantization_config",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "sliding_window",
    "tie_word_embeddings",
    "use_sliding_window",
    "vocab_size",
];

/// Keys that change nothing of what a model computes from given ids: names and versions, what memory and kernels are used, how weights
/// were started and dropped in someone's training, other ids, and what sampling a program may do on its own.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "attention_dropout",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token",
    "bos_token",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "max_window_layers",
    "min_length",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention",
    "use_flash_attention_2",
];

/// Whether a value says nothing: null, false, zero, or empty.
pub(crate) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// A value as messages show it, cut to a line's length.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

/// Adds a fault for each setting that is not computed.
pub(super) fn refuse_what_is_not_computed(
    fields: &mut Fields<'_>,
    family: Family,
    max_positions: usize,
) {
    let activation = match fields.get("hidden_act") {
        None => "silu".to_owned(),
        Some(value) => value.as_str().map_or(value.to_string(), str::to_owned),
    };
    fields.refuse(Activation::from_hf_name(&activation).is_none(), || {
        format!("hidden_act `{activation}` is not supported, only silu")
    });
    // Qwen2's own q, k and v always have a bias, whatever an `attention_bias` says; nothing else has one.
    let with_bias = match family {
        Family::Llama => &["attention_bias", "mlp_bias"][..],
        Family::Qwen2 => &["mlp_bias"][..],
    };
    for name in with_bias {
        let set = fields.flag(name, false);
        fields.refuse(set, || {
            format!("{name} is true: biases outside q, k and v are not supported")
        });
    }
    let sliding = fields.flag("use_sliding_window", false);
    fields.refuse(sliding, || {
        "use_sliding_window is true: sliding-window attention is not supported".into()
    });
    // Qwen2 names a window that `use_sliding_window` switches off; a llama has no such switch.
    if family == Family::Llama && fields.get("sliding_window").is_some() {
        let window = fields.size("sliding_window", None);
        fields.refuse(window < max_positions, || {
            format!("sliding_window is {window}: sliding-window attention is not supported")
        });
    }
    if let Some(kinds) = fields.get("layer_types") {
        let full = |kind: &Value| kind.as_str() == Some("full_attention");
        if !kinds.as_array().is_some_and(|kinds| kinds.iter().all(full)) {
            let fault = format!(
                "layer_types is {}: only full_attention is supported",
                shown(kinds)
            );
            fields.faults.push(fault);
        }
    }
    let rotary = fields.number("partial_rotary_factor", 1.0);
    fields.refuse(rotary != 1.0, || {
        format!("partial_rotary_factor is {rotary}: only 1 is supported")
    });
    let quantised = fields.get("quantization_config").is_some();
    fields.refuse(quantised, || {
        "quantization_config is set: quantised Hugging Face weights are not supported; use the full-precision folder \
         or a GGUF file"
            .into()
    });
    for (key, value) in fields.map {
        let known = READ.contains(&key.as_str()) || HARMLESS.contains(&key.as_str());
        if !known && !says_nothing(value) {
            fields.faults.push(format!(
                "{key} is {}, and what it changes is not known here; take the key out if it changes nothing",
                shown(value)
            ));
        }
    }
}
