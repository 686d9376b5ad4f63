//! Adapters that peft wrote with every feature that is read, against peft's log-probabilities; and those that are refused.

use serde_json::json;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters")
}

fn reference() -> Value {
    let text = std::fs::read_to_string(folder().join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn model(base: &str) -> Model {
    let dir = folder().join(base);
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config = ModelConfig::from_hf_json(&text, base).unwrap();
    let weights = SafetensorsFolder::open(&dir).unwrap();
    Model::load(&config, &weights, &Device::Cpu).unwrap()
}

fn logps(model: &Model, adapters: &[&Adapter], sequence: &[u32]) -> Vec<f32> {
    let mut forest = TokenForest::new();
    let segment = forest.push(sequence, None, 0);
    let targets = forest.targets(segment);
    let stack = AdapterStack::frozen(adapters);
    model.score(&forest, &stack, &targets).unwrap()
}

fn each(mut check: impl FnMut(&str, &Value, &Model, &Adapter, &[u32])) {
    let reference = reference();
    let sequence = ids(&reference["ids"]);
    for (name, values) in reference["adapters"].as_object().unwrap() {
        let model = model(values["base"].as_str().unwrap());
        let adapter = Adapter::load(&folder().join(name), model.config(), &Device::Cpu).unwrap();
        check(name, values, &model, &adapter, &sequence);
    }
}

/// Both sides are f32 and sum in different orders: relative to log-probabilities of about ten, 1e-5 is a few roundings of a logit. The
/// adapters are nats away from their bases.
const NEAR: f64 = 1e-5;

#[test]
fn every_kind_of_adapter_computes_what_peft_computes() {
    let mut count = 0;
    each(|name, values, model, adapter, sequence| {
        near(
            name,
            &logps(model, &[adapter], sequence),
            &floats(&values["unmerged"]),
            NEAR,
        );
        count += 1;
    });
    assert_eq!(count, 12);
}

#[test]
fn every_kind_of_adapter_merges_to_what_peft_merges_it_to() {
    each(|name, values, _, adapter, sequence| {
        let merged = merged(&folder().join(values["base"].as_str().unwrap()), adapter);
        // With a tied head peft adds the head's part to the embedding as well, and warns of it: the model then is another. Here head
        // and embedding part.
        let key = if name == "tied-head" {
            "unmerged"
        } else {
            "merged"
        };
        near(
            name,
            &logps(&merged, &[], sequence),
            &floats(&values[key]),
            NEAR,
        );
    });
}

#[test]
fn a_merged_model_is_saved_with_its_head_and_embedding_apart() {
    // Nothing merged: the head that the configuration does not speak of is saved, and so is that it is not tied.
    let own = model("tied-with-head");
    let dir = tempfile::tempdir().unwrap();
    own.save(dir.path()).unwrap();
    let text = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
    let config = ModelConfig::from_hf_json(&text, "saved").unwrap();
    assert!(!config.tie_embeddings);
    let weights = SafetensorsFolder::open(dir.path()).unwrap();
    let back = Model::load(&config, &weights, &Device::Cpu).unwrap();
    assert_eq!(logps(&back, &[], &[1, 9, 8]), logps(&own, &[], &[1, 9, 8]));
    each(|name, values, _, adapter, sequence| {
        let merged = merged(&folder().join(values["base"].as_str().unwrap()), adapter);
        let dir = tempfile::tempdir().unwrap();
        merged.save(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
        let config = ModelConfig::from_hf_json(&text, name).unwrap();
        let weights = SafetensorsFolder::open(dir.path()).unwrap();
        let back = Model::load(&config, &weights, &Device::Cpu).unwrap();
        assert_eq!(
            logps(&back, &[], sequence),
            logps(&merged, &[], sequence),
            "{name}"
        );
    });
}

#[test]
fn every_kind_of_adapter_is_saved_and_read_back_bit_for_bit() {
    each(|name, _, model, adapter, sequence| {
        let dir = tempfile::tempdir().unwrap();
        adapter.save(dir.path(), "base").unwrap();
        let back = Adapter::load(dir.path(), model.config(), &Device::Cpu).unwrap();
        assert_eq!(
            logps(model, &[&back], sequence),
            logps(model, &[adapter], sequence)
        );
        assert_eq!(back.content_id(), adapter.content_id(), "{name}");
    });
}

#[test]
fn adapters_that_change_the_head_train_nothing_and_are_compared_with_nothing() {
    let model = model("base");
    let head = Adapter::load(&folder().join("head"), model.config(), &Device::Cpu).unwrap();
    let mut forest = TokenForest::new();
    let segment = forest.push(&[1, 9, 8], None, 0);
    let targets = forest.targets(segment);
    let adapters = [&head];
    let training = AdapterStack::training(&adapters, 0);
    let error = model
        .train_forward(&forest, &training, &targets, &TrainOptions::default())
        .unwrap_err();
    assert!(error.to_string().contains("lm_head"), "{error}");
    let frozen = AdapterStack::frozen(&adapters);
    let error = model
        .contrast_scores(&forest, &frozen, &AdapterStack::base(), &targets, 1, 1.0)
        .unwrap_err();
    assert!(error.to_string().contains("lm_head"), "{error}");
    let error = Adapter::sum(model.config(), &[&head, &head], &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("merge"), "{error}");
}

/// An adapter's training pass over another one that changes the head: the head's part is in the log-probabilities.
#[test]
fn a_plain_adapter_is_trained_on_top_of_a_frozen_head() {
    let reference = reference();
    let base = model("base");
    let load =
        |name: &str| Adapter::load(&folder().join(name), base.config(), &Device::Cpu).unwrap();
    let head = load("head");
    let fresh = Adapter::init(
        base.config(),
        &cdpo_model::LoraConfig::default(),
        cdpo_model::Key::new(1),
        &Device::Cpu,
    )
    .unwrap();
    let mut forest = TokenForest::new();
    let segment = forest.push(&ids(&reference["ids"]), None, 0);
    let targets = forest.targets(segment);
    let step = |model: &Model, stack: &AdapterStack<'_>| {
        let options = TrainOptions::default();
        let pass = model
            .train_forward(&forest, stack, &targets, &options)
            .unwrap();
        let logps = pass.logps.clone();
        let dlogps: Vec<f32> = (0..logps.len()).map(|i| 0.1 * i as f32 - 0.3).collect();
        let mut grads = Arena::zeros(fresh.arena().layout().clone());
        model
            .train_backward(pass, stack, &dlogps, &mut grads)
            .unwrap();
        (logps, grads.data)
    };
    let (logps, grads) = step(&base, &AdapterStack::training(&[&head, &fresh], 1));
    close(
        &logps,
        &floats(&reference["adapters"]["head"]["unmerged"]),
        NEAR,
    );
    // The gradient is that of the model into which the head was merged.
    let merged = merged(&folder().join("base"), &head);
    let (_, expected) = step(&merged, &AdapterStack::training(&[&fresh], 0));
    let expected: Vec<f64> = expected.iter().map(|&g| g.into()).collect();
    assert!(expected.iter().any(|g| *g != 0.0));
    close(&grads, &expected, 2e-5);
    // It is another than the base's.
    let (_, plain) = step(&base, &AdapterStack::training(&[&fresh], 0));
    let apart = largest(plain.iter().zip(&expected).map(|(a, b)| f64::from(*a) - b));
    assert!(apart > 1e-3 * largest(expected.iter().copied()), "{apart}");
}

/// transformers 5 ties nothing where both tensors are there and differ, and ties where they are equal.
#[test]
fn a_head_beside_a_tied_embedding_is_used_if_it_is_another() {
    let reference = reference();
    let sequence = ids(&reference["ids"]);
    for (base, tied) in [("base", false), ("tied", true), ("tied-with-head", false)] {
        let model = model(base);
        assert_eq!(model.config().tie_embeddings, tied, "{base}");
        let expected = floats(&reference["bases"][base]);
        near(base, &logps(&model, &[], &sequence), &expected, NEAR);
    }
    // The same file with the embedding's own values as its head is the tied model, and is saved as one.
    let dir = tempfile::tempdir().unwrap();
    let file = folder().join("tied/model.safetensors");
    let mut tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    tensors.insert(
        "lm_head.weight".into(),
        tensors["model.embed_tokens.weight"].clone(),
    );
    candle_core::safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
    let tied = model("tied");
    let weights = SafetensorsFolder::open(dir.path()).unwrap();
    let equal = Model::load(tied.config(), &weights, &Device::Cpu).unwrap();
    assert!(equal.config().tie_embeddings);
    assert_eq!(logps(&equal, &[], &sequence), logps(&tied, &[], &sequence));
}

/// A folder of an adapter with one key of its configuration changed.
fn changed(name: &str, changes: &Value) -> cdpo_model::Result<Adapter> {
    let dir = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(folder().join(name).join(file), dir.path().join(file)).unwrap();
    }
    let path = dir.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    Adapter::load(dir.path(), model("base").config(), &Device::Cpu)
}

#[test]
fn what_peft_writes_and_is_not_computed_is_refused_by_name() {
    let base = model("base");
    for (name, words) in [
        ("pissa", "init_lora_weights is \"pissa\""),
        ("olora", "init_lora_weights is \"olora\""),
        ("dora", "use_dora is true"),
        ("lora-bias", "lora_bias is true"),
        ("alora", "alora_invocation_tokens is [5,6]"),
        ("tokens", "trainable_token_indices is [3]"),
        ("bias", "bias is \"all\""),
        ("replication", "layer_replication is [[0,2],[1,3]]"),
        ("embedding", "target_modules matches `model.embed_tokens`"),
        ("norms", "modules_to_save has `input_layernorm`"),
    ] {
        let error = Adapter::load(&folder().join(name), base.config(), &Device::Cpu).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("adapter_config.json") && said.contains(words),
            "{name}: {said}"
        );
    }
}

#[test]
fn keys_that_change_numbers_are_refused_and_the_others_are_not() {
    for (changes, words) in [
        (
            json!({"init_lora_weights": "pissa_niter_4"}),
            "pissa_niter_4",
        ),
        (json!({"init_lora_weights": "corda"}), "corda"),
        (json!({"init_lora_weights": "loftq"}), "loftq"),
        (json!({"init_lora_weights": "lora_ga"}), "lora_ga"),
        (json!({"init_lora_weights": "anything"}), "anything"),
        (json!({"fan_in_fan_out": true}), "fan_in_fan_out is true"),
        (json!({"use_qalora": true}), "use_qalora is true"),
        (
            json!({"target_parameters": ["x"]}),
            "target_parameters is [\"x\"]",
        ),
        (json!({"megatron_config": {"a": 1}}), "megatron_config"),
        (json!({"monteclora_config": {"a": 1}}), "monteclora_config"),
        (json!({"use_bdlora": {"nblocks": 2}}), "use_bdlora"),
        (json!({"arrow_config": {"top_k": 2}}), "arrow_config"),
        (json!({"kasa_config": {"beta": 2}}), "kasa_config"),
        (json!({"velora_config": {"scale": 2}}), "velora_config"),
        (
            json!({"ensure_weight_tying": true}),
            "ensure_weight_tying is true",
        ),
        (json!({"some_new_key": 3}), "some_new_key is 3"),
        (json!({"peft_type": "LOHA"}), "peft_type is LOHA"),
        (json!({"task_type": "SEQ_CLS"}), "task_type is SEQ_CLS"),
        (
            json!({"use_rslora": 1}),
            "use_rslora is 1, expected true or false",
        ),
        (json!({"target_modules": null}), "target_modules is missing"),
        (json!({"target_modules": [3]}), "target_modules is [3]"),
        (json!({"target_modules": "[a[b]]q_proj"}), "within"),
        (
            json!({"target_modules": ["self_attn"]}),
            "model.layers.0.self_attn",
        ),
        (
            json!({"target_modules": ["qkv"]}),
            "matches no linear layer",
        ),
        (
            json!({"rank_pattern": {"q_proj": 0}}),
            "rank_pattern gives the rank 0",
        ),
        (
            json!({"rank_pattern": {"(": 2}}),
            "without closing parenthesis",
        ),
        (json!({"alpha_pattern": {"q_proj": -1}}), "alpha_pattern"),
        (json!({"r": 0}), "r is 0, expected a whole number"),
        (json!({"r": 2.5}), "r is 2.5, expected a whole number"),
        (json!({"r": 1e15}), "r is 1000000000000000"),
        (json!({"r": 1e6}), "shape"),
        (json!({"layers_to_transform": ["a"]}), "layers_to_transform"),
    ] {
        let said = changed("mica", &changes).unwrap_err().to_string();
        assert!(said.contains(words), "{changes}: {said}");
    }
    for changes in [
        json!({"revision": "main", "peft_version": "9", "auto_mapping": {"a": 1}, "inference_mode": false}),
        json!({"some_new_key": null, "another": false, "a_third": [], "a_fourth": {}, "a_fifth": 0, "a_sixth": ""}),
        json!({"megatron_core": "elsewhere", "qalora_group_size": 32, "lora_dropout": 0.1}),
        json!({"init_lora_weights": false}),
        json!({"init_lora_weights": "eva", "eva_config": {"rho": 1.0}}),
        json!({"target_modules": ["q_proj", "c_attn"]}),
    ] {
        assert!(changed("mica", &changes).is_ok(), "{changes}");
    }
}

#[test]
fn every_kind_of_adapter_decodes_with_the_bits_of_the_forest() {
    each(|name, values, base, adapter, sequence| {
        let mut decoder = model(values["base"].as_str().unwrap());
        decoder.attach(adapter.clone()).unwrap();
        let expected = stored::whole(base, sequence, &AdapterStack::frozen(&[adapter]));
        let decoded = stored::decoded(&decoder, sequence);
        assert_eq!(stored::bits(&decoded), stored::bits(&expected), "{name}");
        decoder.pack(false).unwrap();
        assert!(decoder.is_packed());
        let decoded = stored::decoded(&decoder, sequence);
        assert_eq!(
            stored::bits(&decoded),
            stored::bits(&expected),
            "{name}, packed"
        );
    });
}

/// peft's own list of keys is that of a file that it wrote.
#[test]
fn the_documentation_says_of_every_key_what_is_done_with_it() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(manifest.join("../../docs/models.md")).unwrap();
    let file = folder().join("mica/adapter_config.json");
    let keys: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for key in keys.as_object().unwrap().keys() {
        assert!(
            page.contains(&format!("`{key}`")),
            "{key} is not in docs/models.md"
        );
    }
}
