//! The model configuration from a GGUF file's metadata and the shapes of its tensors.

use super::{ROPE_FREQS, Stored};
use crate::config::{Family, ModelConfig, RopeScaling};
use crate::error::{Error, Result};
use crate::inventory::Place;
use crate::projection::Projection;

pub(super) fn read(file: &Stored) -> Result<ModelConfig> {
    let meta = &file.metadata;
    let origin = file.path.display().to_string();
    let name = meta
        .text("general.architecture")?
        .ok_or_else(|| meta.missing("general.architecture"))?;
    let family = Family::from_name(name, &origin)?;
    let key = |suffix: &str| format!("{}.{suffix}", family.model_type());
    let unsupported = |reason: String| Error::file(&file.path, reason);

    if meta.size(&key("expert_count"))?.is_some_and(|n| n > 0) {
        return Err(unsupported(
            "a mixture-of-experts model, which is not supported".into(),
        ));
    }
    for projection in [
        Projection::O,
        Projection::Up,
        Projection::Gate,
        Projection::Down,
    ] {
        let stored = Place::Bias(0, projection).gguf_name();
        if file.shape(&stored).is_some() {
            return Err(unsupported(format!(
                "has `{stored}`: biases outside q, k and v are not supported"
            )));
        }
    }

    let hidden_size = meta.required_size(&key("embedding_length"))?;
    let heads = meta.required_size(&key("attention.head_count"))?;
    let default_head_dim = hidden_size.checked_div(heads).unwrap_or(0);
    let head_dim = meta
        .size(&key("attention.key_length"))?
        .unwrap_or(default_head_dim);
    let rotated = meta.size(&key("rope.dimension_count"))?.unwrap_or(head_dim);
    if rotated != head_dim {
        return Err(unsupported(format!(
            "rotates {rotated} of {head_dim} head elements; only a whole head is supported"
        )));
    }
    if meta
        .size(&key("attention.value_length"))?
        .is_some_and(|n| n != head_dim)
    {
        return Err(unsupported(
            "keys and values of different widths are not supported".into(),
        ));
    }
    let embedding = Place::Embedding.gguf_name();
    let vocab_size = file
        .shape(&embedding)
        .and_then(|shape| shape.first().copied())
        .ok_or_else(|| {
            Error::tensor(
                Place::Embedding.hf_name(),
                format!("missing from {origin} (`{embedding}`)"),
            )
        })?;
    let rope_theta = meta.number(&key("rope.freq_base"))?.unwrap_or(10_000.0);
    let config = ModelConfig {
        family,
        vocab_size,
        hidden_size,
        intermediate_size: meta.required_size(&key("feed_forward_length"))?,
        layers: meta.required_size(&key("block_count"))?,
        heads,
        kv_heads: meta.size(&key("attention.head_count_kv"))?.unwrap_or(heads),
        head_dim,
        rms_norm_eps: meta
            .number(&key("attention.layer_norm_rms_epsilon"))?
            .ok_or_else(|| meta.missing(&key("attention.layer_norm_rms_epsilon")))?,
        rope_theta,
        rope_scaling: rope_scaling(file, &key, head_dim, rope_theta)?,
        tie_embeddings: file.shape(&Place::Head.gguf_name()).is_none(),
        qkv_bias: file
            .shape(&Place::Bias(0, Projection::Q).gguf_name())
            .is_some(),
        max_positions: meta.required_size(&key("context_length"))?,
        bos: meta.id("tokenizer.ggml.bos_token_id")?,
        eos: eos(file)?,
    };
    config.validate(&origin)?;
    Ok(config)
}

fn rope_scaling(
    file: &Stored,
    key: &impl Fn(&str) -> String,
    head_dim: usize,
    theta: f64,
) -> Result<RopeScaling> {
    let meta = &file.metadata;
    let kind = meta.text(&key("rope.scaling.type"))?;
    let factor = match meta.number(&key("rope.scaling.factor"))? {
        Some(factor) => Some(factor),
        None => meta.number(&key("rope.scale_linear"))?,
    };
    let attention = meta.number(&key("rope.scaling.attn_factor"))?;
    if let Some(other) = attention.filter(|factor| *factor != 1.0) {
        return Err(Error::file(
            &file.path,
            format!(
                "{} is {other}; only 1 is supported",
                key("rope.scaling.attn_factor")
            ),
        ));
    }
    if file.shape(ROPE_FREQS).is_some() {
        if kind.is_some_and(|kind| kind != "none") || factor.is_some_and(|factor| factor != 1.0) {
            return Err(Error::file(
                &file.path,
                format!(
                    "has both `{ROPE_FREQS}` and a rope scaling in its metadata; only one is supported"
                ),
            ));
        }
        let divisors = file
            .find(ROPE_FREQS, ROPE_FREQS, &[head_dim / 2], None)?
            .read(ROPE_FREQS)?;
        return Ok(RopeScaling::from_divisors(divisors, theta));
    }
    match (kind, factor) {
        (Some("none"), _) | (None, None) | (None | Some("linear"), Some(1.0)) => {
            Ok(RopeScaling::None)
        }
        (None | Some("linear"), Some(factor)) => Ok(RopeScaling::Linear { factor }),
        (Some("linear"), None) => Err(meta.missing(&key("rope.scaling.factor"))),
        (Some(other), _) => Err(Error::file(
            &file.path,
            format!(
                "rope scaling `{other}` is not supported; known are none, linear and Llama 3's divisors"
            ),
        )),
    }
}

/// The declared end-of-sequence id first, then end-of-turn and end-of-message.
fn eos(file: &Stored) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for key in ["eos", "eot", "eom"] {
        if let Some(id) = file
            .metadata
            .id(&format!("tokenizer.ggml.{key}_token_id"))?
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    Ok(ids)
}
