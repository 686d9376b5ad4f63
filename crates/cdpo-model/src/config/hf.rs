//! `config.json` and `generation_config.json` of a Hugging Face folder, read and written.
//!
//! Goes in: the files' text. Comes out: a checked [`ModelConfig`] and back. Absent fields take the defaults of the
//! `transformers` configuration class of the family.

use serde_json::{Value, json};

use super::fields::{Fields, Object};
use super::{Family, ModelConfig, RopeScaling, keys, rope_keys};
use crate::block::description::BlockDescription;
use crate::error::{Error, Result};

fn object(text: &str, origin: &str) -> Result<Object> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::Config(format!("{origin}: expected a JSON object"))),
        Err(e) => Err(Error::Config(format!("{origin}: not valid JSON: {e}"))),
    }
}

fn family(map: &Object, origin: &str) -> Result<Family> {
    let class = map
        .get("architectures")
        .and_then(Value::as_array)
        .and_then(|a| a.first())
        .and_then(Value::as_str);
    let model_type = map.get("model_type").and_then(Value::as_str);
    match class.or(model_type) {
        Some(name) => {
            let family = Family::from_name(name, origin)?;
            match model_type {
                Some(other) if other != family.model_type() => Err(Error::Config(format!(
                    "{origin}: `architectures` says {name} and `model_type` says {other}; they must agree"
                ))),
                _ => Ok(family),
            }
        }
        None => Err(Error::Config(format!(
            "{origin}: neither `architectures` nor `model_type` is given"
        ))),
    }
}

pub(super) fn parse(text: &str, origin: &str) -> Result<ModelConfig> {
    let map = object(text, origin)?;
    let family = family(&map, origin)?;
    let mut fields = Fields {
        map: &map,
        faults: Vec::new(),
    };

    let hidden_size = fields.size("hidden_size", None);
    let heads = fields.size("num_attention_heads", None);
    if !map.contains_key("head_dim") && heads != 0 && !hidden_size.is_multiple_of(heads) {
        fields.faults.push(format!(
            "hidden_size {hidden_size} is not a multiple of num_attention_heads {heads}"
        ));
    }
    let (default_positions, default_bias) = match family {
        Family::Llama => (2048, false),
        Family::Qwen2 => (32768, true),
    };
    let max_positions = fields.size("max_position_embeddings", Some(default_positions));
    let (rope_theta, rope_scaling) = rope_keys::read(&mut fields, max_positions);
    // A null and an absent key differ here: transformers' qwen2 has a number for the latter.
    let default_kv_heads = match family {
        Family::Qwen2 if !map.contains_key("num_key_value_heads") => 32,
        _ => heads,
    };
    let config = ModelConfig {
        family,
        vocab_size: fields.size("vocab_size", None),
        hidden_size,
        intermediate_size: fields.size("intermediate_size", None),
        layers: fields.size("num_hidden_layers", None),
        heads,
        kv_heads: fields.size("num_key_value_heads", Some(default_kv_heads)),
        head_dim: fields.size(
            "head_dim",
            Some(hidden_size.checked_div(heads).unwrap_or(0)),
        ),
        rms_norm_eps: fields.number("rms_norm_eps", 1e-6),
        rope_theta,
        rope_scaling,
        tie_embeddings: fields.flag("tie_word_embeddings", false),
        qkv_bias: default_bias,
        max_positions,
        bos: fields.ids("bos_token_id").first().copied(),
        eos: fields.ids("eos_token_id"),
    };

    keys::refuse_what_is_not_computed(&mut fields, family, max_positions);
    if !fields.faults.is_empty() {
        return Err(Error::Config(format!(
            "{origin}: {}",
            fields.faults.join("; ")
        )));
    }
    config.validate(origin)?;
    Ok(config)
}

/// BOS and the end-of-sequence ids of a `generation_config.json`.
pub(super) fn generation_ids(text: &str, origin: &str) -> Result<(Option<u32>, Vec<u32>)> {
    let map = object(text, origin)?;
    let mut fields = Fields {
        map: &map,
        faults: Vec::new(),
    };
    let bos = fields.ids("bos_token_id").first().copied();
    let eos = fields.ids("eos_token_id");
    if fields.faults.is_empty() {
        Ok((bos, eos))
    } else {
        Err(Error::Config(format!(
            "{origin}: {}",
            fields.faults.join("; ")
        )))
    }
}

pub(super) fn write(config: &ModelConfig) -> Result<Value> {
    let scaling = match &config.rope_scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Dynamic { factor } => json!({"rope_type": "dynamic", "factor": factor}),
        RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            original_max_position,
            attention_factor,
            truncate,
        } => json!({
            "rope_type": "yarn",
            "factor": factor,
            "beta_fast": beta_fast,
            "beta_slow": beta_slow,
            "original_max_position_embeddings": original_max_position,
            "attention_factor": attention_factor,
            "truncate": truncate,
        }),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position,
        } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_position,
        }),
        RopeScaling::Divisors(_) => {
            return Err(Error::Config(
                "this model's rope scaling is a list of divisors with no Hugging Face name, so no config.json can be \
                 written for it; start from the Hugging Face folder of the model instead"
                    .into(),
            ));
        }
    };
    let eos = match config.eos.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        many => json!(many),
    };
    let mut value = json!({
        "architectures": [config.family.architecture()],
        "model_type": config.family.model_type(),
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": BlockDescription::of(config).activation.hf_name(),
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling,
        "tie_word_embeddings": config.tie_embeddings,
        "max_position_embeddings": config.max_positions,
        "bos_token_id": config.bos,
        "eos_token_id": eos,
        "torch_dtype": "float32",
    });
    let (own, foreign) = match config.family {
        Family::Llama => (config.qkv_bias, "a llama model with a q/k/v bias"),
        Family::Qwen2 => (!config.qkv_bias, "a qwen2 model without a q/k/v bias"),
    };
    if own {
        return Err(Error::Config(format!(
            "{foreign} cannot be written as a config.json"
        )));
    }
    if config.family == Family::Llama {
        value["attention_bias"] = json!(false);
        value["mlp_bias"] = json!(false);
    }
    Ok(value)
}
