//! Rotary settings of every type that is read, against transformers: frequencies, attention factors, log-probabilities.

use super::*;

fn cases(mut check: impl FnMut(&str, &Value, &ModelConfig, &[u32])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = std::fs::read_to_string(dir.join("rope/reference.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let base = std::fs::read_to_string(dir.join("adapters/base/config.json")).unwrap();
    let sequence = ids(&reference["ids"]);
    for case in reference["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut config: Value = serde_json::from_str(&base).unwrap();
        for (key, value) in case["changes"].as_object().unwrap() {
            config[key] = value.clone();
        }
        let config = ModelConfig::from_hf_json(&config.to_string(), name).unwrap();
        check(name, case, &config, &sequence);
    }
}

/// Torch computes frequencies in f32, here they are f64: a part in ten million each for the power, its inverse and the blend.
#[test]
fn frequencies_and_attention_factors_equal_transformers() {
    let mut count = 0;
    cases(|name, case, config, _| {
        let expected = floats(&case["inv_freq"]);
        let got = config.rope_inv_freq();
        assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().zip(&expected) {
            assert!((g / e - 1.0).abs() < 1e-6, "{name}: {g} against {e}");
        }
        let factor = case["attention_factor"].as_f64().unwrap();
        let off = config.rope_attention_factor() / factor - 1.0;
        assert!(off.abs() < 1e-12, "{name}: attention factor off by {off}");
        count += 1;
    });
    assert_eq!(count, 16);
}

#[test]
fn log_probabilities_of_every_rotary_type_equal_transformers() {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters/base");
    let mut seen: Vec<Vec<f64>> = Vec::new();
    cases(|name, case, config, sequence| {
        if case["model"] != true {
            return;
        }
        let source = SafetensorsFolder::open(&weights).unwrap();
        let model = Model::load(config, &source, &Device::Cpu).unwrap();
        let mut forest = TokenForest::new();
        let segment = forest.push(sequence, None, 0);
        let targets = forest.targets(segment);
        let got = model
            .score(&forest, &AdapterStack::base(), &targets)
            .unwrap();
        let expected = floats(&case["logps"]);
        near(name, &got, &expected, 2e-5);
        let apart = |other: &Vec<f64>| {
            let pairs = other.iter().zip(&expected);
            largest(pairs.map(|(a, b)| a - b)) > 0.01
        };
        if seen.iter().all(apart) {
            seen.push(expected);
        }
    });
    // What the settings change shows: those cases that do not say the same compute another thing each.
    assert_eq!(seen.len(), 8);
}

#[test]
fn rotary_settings_are_written_as_they_were_read() {
    cases(|name, _, config, _| {
        let text = config.to_hf_json().unwrap().to_string();
        assert_eq!(&ModelConfig::from_hf_json(&text, name).unwrap(), config);
    });
}

#[test]
fn a_sequence_beyond_the_context_of_a_dynamic_rope_is_refused() {
    cases(|name, _, config, _| {
        if name != "dynamic" {
            return;
        }
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters/base");
        let source = SafetensorsFolder::open(&dir).unwrap();
        let model = Model::load(config, &source, &Device::Cpu).unwrap();
        let mut forest = TokenForest::new();
        let segment = forest.push(&vec![7; config.max_positions + 1], None, 0);
        let targets = forest.targets(segment);
        let error = model
            .score(&forest, &AdapterStack::base(), &targets)
            .unwrap_err();
        assert!(error.to_string().contains("dynamic"), "{error}");
    });
}
