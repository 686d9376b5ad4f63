//! Merging, saving, refusing adapters.

use super::*;

#[test]
fn a_merged_adapter_equals_the_unmerged_one() {
    for name in ["lora", "lora-mlp-rs"] {
        let f = fixture("qwen2");
        let lora = adapter(&f, name);
        assert!((lora.config().scale() - 1.0).abs() > 0.5);
        let mut forest = TokenForest::new();
        forest.push(&ids(&f.json["sequences"][0]), None, 0);
        let adapters = [&lora];
        let unmerged: Vec<f32> = f
            .model
            .forest_logits(&forest, &AdapterStack::frozen(&adapters))
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let merged: Vec<f32> = merged(&f.dir, &lora)
            .forest_logits(&forest, &AdapterStack::base())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let unmerged: Vec<f64> = unmerged.into_iter().map(f64::from).collect();
        close(&merged, &unmerged, 1e-5);
    }
}

#[test]
fn a_fresh_adapter_is_the_base_model() {
    let f = fixture("llama");
    let fresh = Adapter::init(
        f.model.config(),
        &cdpo_model::LoraConfig::default(),
        cdpo_model::Key::new(1),
        &Device::Cpu,
    )
    .unwrap();
    let mut forest = TokenForest::new();
    let segment = forest.push(&ids(&f.json["sequences"][0]), None, 0);
    let targets = forest.targets(segment);
    let base = f
        .model
        .score(&forest, &AdapterStack::base(), &targets)
        .unwrap();
    let adapted = f
        .model
        .score(&forest, &AdapterStack::frozen(&[&fresh]), &targets)
        .unwrap();
    assert_eq!(base, adapted);
}

#[test]
fn an_adapter_for_another_model_is_refused_by_name() {
    let f = fixture("llama");
    let mut other = f.model.config().clone();
    other.layers = 1;
    let error = Adapter::load(&f.dir.join("lora"), &other, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("layers.1") && error.contains("another"),
        "{error}"
    );
    other = f.model.config().clone();
    other.hidden_size *= 2;
    let error = Adapter::load(&f.dir.join("lora"), &other, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("shape"), "{error}");
    let nothing = cdpo_model::LoraConfig {
        target_modules: vec!["qproj".into()],
        ..Default::default()
    };
    let error = Adapter::init(
        f.model.config(),
        &nothing,
        cdpo_model::Key::new(0),
        &Device::Cpu,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("qproj") && error.contains("q_proj"),
        "{error}"
    );
}

#[test]
fn a_saved_adapter_is_read_back_bit_for_bit() {
    let f = fixture("llama");
    let lora = adapter(&f, "lora-mlp-rs");
    let dir = tempfile::tempdir().unwrap();
    lora.save(dir.path(), "base").unwrap();
    let back = Adapter::load(dir.path(), f.model.config(), &Device::Cpu).unwrap();
    assert_eq!(lora.arena().data, back.arena().data);
    assert_eq!(lora.config(), back.config());
    assert_eq!(lora.content_id(), back.content_id());
}
