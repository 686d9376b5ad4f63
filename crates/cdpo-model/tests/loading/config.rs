//! `config.json` in both of its spellings, and the settings that must be refused.

use cdpo_model::ModelConfig;
use cdpo_model::config::{Family, RopeScaling};
use serde_json::{Value, json};

use crate::{assert_says, fixture, message};

fn read(name: &str, file: &str) -> (ModelConfig, Value) {
    let path = fixture(name).join(file);
    let text = std::fs::read_to_string(&path).expect("the fixture is there");
    let config = ModelConfig::from_hf_json(&text, &path.display().to_string()).expect("parses");
    (config, serde_json::from_str(&text).expect("JSON"))
}

/// The smallest configuration that parses, with `changes` laid over it (null removes a field).
fn with(changes: &Value) -> cdpo_model::Result<ModelConfig> {
    let mut value = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128,
    });
    for (key, change) in changes.as_object().expect("an object") {
        if change.is_null() {
            value.as_object_mut().expect("an object").remove(key);
        } else {
            value[key] = change.clone();
        }
    }
    ModelConfig::from_hf_json(&value.to_string(), "config.json")
}

#[test]
fn both_spellings_of_a_configuration_are_one() {
    for name in ["llama", "llama-tied", "llama-linear", "qwen2"] {
        let (new, value) = read(name, "config.json");
        let (old, _) = read(name, "config.v4.json");
        assert_eq!(new, old, "{name}");
        assert_eq!(
            new.hidden_size as u64,
            value["hidden_size"].as_u64().expect("a size"),
            "{name}"
        );
        assert_eq!(
            new.rms_norm_eps,
            value["rms_norm_eps"].as_f64().expect("a number"),
            "{name}"
        );
        assert_eq!(
            new.rope_theta,
            value["rope_parameters"]["rope_theta"]
                .as_f64()
                .expect("a number"),
            "{name}"
        );
        assert_eq!(
            new.tie_embeddings,
            value["tie_word_embeddings"].as_bool().expect("a bool"),
            "{name}"
        );
    }
}

#[test]
fn families_scalings_and_token_ids_are_read() {
    let (llama, _) = read("llama", "config.json");
    assert_eq!(llama.family, Family::Llama);
    assert_eq!(llama.eos, [2, 5]);
    assert_eq!(llama.bos, Some(1));
    assert!(!llama.qkv_bias);
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position: 64,
    };
    assert_eq!(llama.rope_scaling, expected);
    let (linear, _) = read("llama-linear", "config.v4.json");
    assert_eq!(linear.rope_scaling, RopeScaling::Linear { factor: 4.0 });
    let (qwen, _) = read("qwen2", "config.json");
    assert_eq!(
        (qwen.family, qwen.qkv_bias, qwen.head_dim),
        (Family::Qwen2, true, 16)
    );
    assert_eq!(qwen.eos, [2]);
}

#[test]
fn absent_fields_take_the_familys_defaults() {
    let config = with(&json!({})).expect("parses");
    assert_eq!((config.kv_heads, config.head_dim), (4, 8));
    assert_eq!((config.rms_norm_eps, config.rope_theta), (1e-6, 10_000.0));
    assert_eq!(
        (config.bos, config.eos.len(), config.tie_embeddings),
        (None, 0, false)
    );
    let config = with(&json!({"architectures": null, "model_type": "qwen2", "head_dim": 16, "num_key_value_heads": 4}))
        .expect("parses");
    assert_eq!(
        (config.family, config.head_dim, config.qkv_bias),
        (Family::Qwen2, 16, true)
    );
}

#[test]
fn a_generation_config_adds_its_eos_ids_after_the_models() {
    let mut config = with(&json!({"eos_token_id": 7})).expect("parses");
    config
        .add_generation_config(r#"{"eos_token_id": [9, 7, 8]}"#, "generation_config.json")
        .expect("parses");
    assert_eq!(config.eos, [7, 9, 8]);
    config
        .add_generation_config("{}", "generation_config.json")
        .expect("no list is fine");
    let said =
        message(config.add_generation_config(r#"{"eos_token_id": "x"}"#, "generation_config.json"));
    assert_says(
        &said,
        &[
            "generation_config.json",
            "eos_token_id",
            "list of token ids",
        ],
    );
}

#[test]
fn an_unknown_architecture_is_an_error_that_lists_the_known_ones() {
    let said = message(with(&json!({"architectures": ["GemmaForCausalLM"]})));
    assert_says(
        &said,
        &[
            "config.json",
            "GemmaForCausalLM",
            "LlamaForCausalLM",
            "Qwen2ForCausalLM",
        ],
    );
    let said = message(with(
        &json!({"architectures": ["Qwen2ForSequenceClassification"], "model_type": "qwen2"}),
    ));
    assert_says(&said, &["Qwen2ForSequenceClassification"]);
    assert_says(
        &message(with(&json!({"architectures": null}))),
        &["architectures", "model_type"],
    );
}

#[test]
fn all_faults_are_reported_together() {
    let said = message(with(
        &json!({"vocab_size": null, "num_hidden_layers": 0, "rms_norm_eps": "small"}),
    ));
    assert_says(
        &said,
        &[
            "vocab_size is missing",
            "num_hidden_layers is 0",
            "rms_norm_eps is \"small\"",
        ],
    );
    assert_says(
        &message(ModelConfig::from_hf_json("{", "there/config.json")),
        &["there/config.json", "not valid JSON"],
    );
    assert_says(
        &message(ModelConfig::from_hf_json("[]", "config.json")),
        &["JSON object"],
    );
}

#[test]
fn settings_the_engine_does_not_compute_are_refused() {
    for (change, part) in [
        (json!({"hidden_act": "gelu"}), "hidden_act `gelu`"),
        (json!({"attention_bias": true}), "attention_bias"),
        (json!({"mlp_bias": true}), "mlp_bias"),
        (json!({"use_sliding_window": true}), "sliding"),
        (
            json!({"partial_rotary_factor": 0.5}),
            "partial_rotary_factor",
        ),
        (
            json!({"quantization_config": {"quant_method": "gptq"}}),
            "quantised",
        ),
        (
            json!({"rope_scaling": {"rope_type": "longrope", "factor": 4.0}}),
            "`longrope` is not supported",
        ),
        (
            json!({"rope_parameters": {}, "rope_scaling": {"type": "mrope", "mrope_section": [1]}}),
            "`mrope` is not supported",
        ),
        (
            json!({"rope_scaling": {"rope_type": "yarn"}}),
            "factor is missing",
        ),
        (
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 3}}),
            "beta_fast 1",
        ),
        (
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 2, "long_factor": [1]}}),
            "long_factor is [1], which type `yarn` does not have",
        ),
        (
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 2, "truncate": null}}),
            "truncate is null",
        ),
        (
            json!({"rope_scaling": {"rope_type": "default", "factor": 2}}),
            "factor is 2, which type `default` does not have",
        ),
        (
            json!({"rope_scaling": {"type": "dynamic", "factor": 2, "original_max_position_embeddings": 64}}),
            "original context 64",
        ),
        (
            json!({"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_theta": 5e5}}),
            "rope_scaling hides rope_parameters",
        ),
        (json!({"rope_scaling": {"type": 3}}), "type `3`"),
        (json!({"rope_scaling": "linear"}), "expected an object"),
        (json!({"sliding_window": 64}), "sliding_window is 64"),
        (
            json!({"layer_types": ["full_attention", "sliding_attention"]}),
            "layer_types",
        ),
        (json!({"hidden_act": 3}), "hidden_act `3`"),
        (json!({"model_type": "qwen2"}), "must agree"),
        (json!({"model_type": "mistral"}), "must agree"),
        (
            json!({"architectures": ["Qwen2ForCausalLM"], "mlp_bias": true}),
            "mlp_bias",
        ),
        (
            json!({"residual_multiplier": 0.22}),
            "residual_multiplier is 0.22",
        ),
        (json!({"logit_scale": 0.5}), "logit_scale is 0.5"),
        (json!({"auto_map": {"AutoModel": "modeling.X"}}), "auto_map"),
        (json!({"qk_layernorm": true}), "qk_layernorm is true"),
        (
            json!({"rope_scaling": {"rope_type": "linear"}}),
            "factor is missing",
        ),
        (json!({"rope_scaling": {"factor": 2.0}}), "none given"),
        (
            json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}),
            "none given",
        ),
        (
            json!({"num_key_value_heads": 3}),
            "not a multiple of num_key_value_heads",
        ),
        (json!({"head_dim": 7}), "odd"),
        (
            json!({"num_attention_heads": 5}),
            "not a multiple of num_attention_heads",
        ),
        (json!({"eos_token_id": 100}), "outside the vocabulary"),
        (json!({"rope_theta": 0}), "rope_theta"),
    ] {
        assert_says(&message(with(&change)), &["config.json", part]);
    }
}

/// Keys of published configurations of both families.
#[test]
fn keys_that_change_nothing_are_passed_over() {
    with(&json!({
        "_name_or_path": "x", "attention_dropout": 0.0, "initializer_range": 0.02, "pad_token_id": 3, "pretraining_tp": 1,
        "torch_dtype": "bfloat16", "dtype": "float32", "transformers_version": "4.42.3", "use_cache": true, "rope_interleaved": false,
        "is_llama_config": true, "transformers.js_config": {"kv_cache_dtype": {}}, "sliding_window": 128, "id2label": {"0": "A"},
        "unsloth_fixed": true, "temperature": 0.6, "top_p": 0.9, "max_length": 4096, "do_sample": true, "some_new_key": null,
        "another": false, "a_third": {}, "a_fourth": 0, "layer_types": ["full_attention", "full_attention"],
        "attention_bias": false, "mlp_bias": false, "partial_rotary_factor": 1.0,
    }))
    .expect("parses");
    with(&json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "num_key_value_heads": 2, "max_window_layers": 21,
        "sliding_window": 64, "use_sliding_window": false, "use_mrope": false, "attention_bias": true,
    }))
    .expect("parses");
}

/// transformers' Qwen2Config has a number of its own for an absent key, and takes a null as all heads.
#[test]
fn qwen2_without_a_number_of_key_heads_has_32() {
    let qwen = json!({"architectures": ["Qwen2ForCausalLM"], "num_attention_heads": 32, "hidden_size": 64, "head_dim": 2});
    assert_eq!(with(&qwen).expect("parses").kv_heads, 32);
    assert_says(
        &message(with(&json!({"architectures": ["Qwen2ForCausalLM"]}))),
        &["num_key_value_heads 32"],
    );
}

#[test]
fn a_written_configuration_reads_back_the_same() {
    for name in ["llama", "llama-tied", "llama-linear", "qwen2"] {
        let (config, _) = read(name, "config.json");
        let text = config
            .to_hf_json()
            .expect("has a Hugging Face form")
            .to_string();
        assert_eq!(
            ModelConfig::from_hf_json(&text, "written").expect("parses"),
            config,
            "{name}"
        );
    }
    let (mut config, _) = read("llama", "config.json");
    config.rope_scaling = RopeScaling::Divisors(vec![1.5; 8]);
    assert_says(&message(config.to_hf_json()), &["divisors"]);
}

#[test]
fn frequencies_follow_their_formulas() {
    let mut config = with(&json!({"head_dim": 8, "rope_theta": 10000.0})).expect("parses");
    let plain = config.rope_inv_freq();
    for (found, expected) in plain.iter().zip([1.0, 0.1, 0.01, 0.001]) {
        assert!((found / expected - 1.0).abs() < 1e-14, "{found}");
    }
    config.rope_scaling = RopeScaling::Linear { factor: 4.0 };
    assert_eq!(
        config.rope_inv_freq(),
        plain.iter().map(|f| f / 4.0).collect::<Vec<_>>()
    );
    config.rope_scaling = RopeScaling::Divisors(vec![1.0, 2.0, 4.0, 8.0]);
    assert_eq!(config.rope_inv_freq()[3], plain[3] / 8.0);
}

#[test]
fn llama_3_scaling_keeps_short_waves_divides_long_ones_and_blends_between() {
    let mut config =
        with(&json!({"head_dim": 64, "hidden_size": 256, "rope_theta": 500000.0})).expect("parses");
    let plain = config.rope_inv_freq();
    config.rope_scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position: 8192,
    };
    let mut blended = 0;
    for (p, s) in plain.iter().zip(config.rope_inv_freq()) {
        let wave = std::f64::consts::TAU / p;
        if wave < 2048.0 {
            assert_eq!(s, *p);
        } else if wave > 8192.0 {
            assert_eq!(s, p / 8.0);
        } else {
            // The definition, written out: t goes from 0 at the longest to 1 at the shortest blended wave.
            let t = (8192.0 / wave - 1.0) / 3.0;
            assert!((s / (p * ((1.0 - t) / 8.0 + t)) - 1.0).abs() < 1e-12);
            assert!(s < *p && s > p / 8.0);
            blended += 1;
        }
    }
    assert!(blended > 0);
}
