//! Small random models.

use cdpo_model::source::TensorSource;
use cdpo_model::{Device, Key, Model, ModelConfig};

use crate::tokenizer::EOS;

pub(crate) const VOCABULARY: usize = 300;

/// Normal-like weights keyed by tensor name and element.
pub(crate) struct Random(pub(crate) f64);

impl TensorSource for Random {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> cdpo_model::Result<Vec<f32>> {
        let key = Key::new(5).with_str(name);
        let value = |i: u64| {
            (0..3)
                .map(|part| key.with(i).with(part).unit() - 0.5)
                .sum::<f64>()
        };
        let n = shape.iter().product::<usize>() as u64;
        let (scale, shift) = match name {
            "model.embed_tokens.weight" => (1.0, 0.0),
            "lm_head.weight" => (self.0, 0.0),
            name if name.ends_with("norm.weight") => (0.2, 1.0),
            _ => (0.3, 0.0),
        };
        Ok((0..n).map(|i| (scale * value(i) + shift) as f32).collect())
    }
}

/// A packed model of two layers: 4 query and 2 key heads of width 16, hidden 64; `max_positions` 256.
pub(crate) fn model(family: &str) -> Model {
    model_ending(family, &[EOS])
}

/// As [`model`], with these ids to end responses.
pub(crate) fn model_ending(family: &str, eos: &[u32]) -> Model {
    let architecture = if family == "qwen2" {
        "Qwen2ForCausalLM"
    } else {
        "LlamaForCausalLM"
    };
    let config = format!(
        r#"{{"architectures": ["{architecture}"], "model_type": "{family}", "vocab_size": {VOCABULARY}, "hidden_size": 64,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "hidden_act": "silu", "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "bos_token_id": 256, "eos_token_id": {eos:?}}}"#
    );
    let config = ModelConfig::from_hf_json(&config, "test").unwrap();
    let mut model = Model::load(&config, &Random(1.0), &Device::Cpu).unwrap();
    model.pack(true).unwrap();
    model
}

pub(crate) fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(run)
}

pub(crate) fn ids(key: Key, n: usize) -> Vec<u32> {
    (0..n as u64)
        .map(|i| key.with(i).below(256) as u32)
        .collect()
}
