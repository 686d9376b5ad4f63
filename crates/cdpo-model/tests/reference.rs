//! The engine held to values from torch, transformers and PEFT (`scripts/make_fixtures.py`, computed in f64).
//!
//! The fixtures are two-layer random models of each family. The engine works in f32, so per-token numbers of a few nats
//! agree to about 1e-6 relative; tolerances are ten times that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use cdpo_model::arena::{Arena, Layout};
use cdpo_model::source::SafetensorsFolder;
use cdpo_model::{
    Adapter, AdapterStack, Model, ModelConfig, Recompute, Target, TokenForest, TrainOptions,
};
use serde_json::Value;

struct Fixture {
    dir: PathBuf,
    json: Value,
    tensors: std::collections::HashMap<String, candle_core::Tensor>,
    model: Model,
}

fn fixture(name: &str) -> Fixture {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config = ModelConfig::from_hf_json(&text, name).unwrap();
    let model = Model::load(
        &config,
        &SafetensorsFolder::open(&dir).unwrap(),
        &Device::Cpu,
    )
    .unwrap();
    let json = serde_json::from_str(&std::fs::read_to_string(dir.join("reference.json")).unwrap())
        .unwrap();
    let tensors =
        candle_core::safetensors::load(dir.join("reference.safetensors"), &Device::Cpu).unwrap();
    Fixture {
        dir,
        json,
        tensors,
        model,
    }
}

const ADAPTED: [&str; 3] = ["llama", "llama-tied", "qwen2"];

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as u32)
        .collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

/// One preference pair of the fixture in a forest of its own or as part of a packed one.
struct PairTargets {
    chosen: Vec<Target>,
    rejected: Vec<Target>,
}

fn push_pair(forest: &mut TokenForest, pair: &Value, shared: bool) -> PairTargets {
    let prompt = forest.push(&ids(&pair["prompt"]), None, 1);
    let other = if shared {
        prompt
    } else {
        forest.push(&ids(&pair["prompt"]), None, 1)
    };
    let chosen = forest.push(&ids(&pair["chosen"]), Some(prompt), 1);
    let rejected = forest.push(&ids(&pair["rejected"]), Some(other), 1);
    PairTargets {
        chosen: forest.targets(chosen),
        rejected: forest.targets(rejected),
    }
}

fn adapter(f: &Fixture, name: &str) -> Adapter {
    Adapter::load(&f.dir.join(name), f.model.config(), &Device::Cpu).unwrap()
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |m, v| m.max(v.abs()))
}

#[track_caller]
fn close(got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    let scale = largest(expected.iter().copied()).max(1e-3);
    let worst = largest(got.iter().zip(expected).map(|(g, e)| f64::from(*g) - e));
    assert!(
        worst <= tolerance * scale,
        "largest difference {worst:e} at scale {scale:e}"
    );
}

#[test]
fn logits_of_every_family_equal_transformers() {
    for (name, prefix) in [
        ("llama", ""),
        ("llama-tied", ""),
        ("qwen2", ""),
        ("llama-linear", ""),
    ]
    .into_iter()
    .chain(ADAPTED.map(|n| (n, "lora.")))
    {
        let f = fixture(name);
        let lora = (!prefix.is_empty()).then(|| adapter(&f, "lora"));
        let adapters: Vec<&Adapter> = lora.iter().collect();
        let stack = AdapterStack::frozen(&adapters);
        for (i, sequence) in f.json["sequences"].as_array().unwrap().iter().enumerate() {
            let mut forest = TokenForest::new();
            forest.push(&ids(sequence), None, 0);
            let got: Vec<f32> = f
                .model
                .forest_logits(&forest, &stack)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f32> = f.tensors[&format!("{prefix}logits.{i}")]
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            close(&got, &expected, 1e-5);
        }
    }
}

#[test]
fn token_logps_of_shared_prompts_packed_together_equal_peft() {
    for name in ADAPTED {
        let f = fixture(name);
        for which in ["base", "lora", "lora-mlp-rs"] {
            let lora = (which != "base").then(|| adapter(&f, which));
            let adapters: Vec<&Adapter> = lora.iter().collect();
            let mut forest = TokenForest::new();
            let mut targets = Vec::new();
            let mut expected = Vec::new();
            for (pair, reference) in f.json["pairs"]
                .as_array()
                .unwrap()
                .iter()
                .zip(f.json["token_logps"][which].as_array().unwrap())
            {
                let pair = push_pair(&mut forest, pair, true);
                targets.extend(pair.chosen.into_iter().chain(pair.rejected));
                expected.extend(
                    floats(&reference["chosen"])
                        .into_iter()
                        .chain(floats(&reference["rejected"])),
                );
            }
            let got = f
                .model
                .score(&forest, &AdapterStack::frozen(&adapters), &targets)
                .unwrap();
            close(&got, &expected, 1e-5);
        }
    }
}

#[test]
fn contrast_scores_equal_the_softmax_of_both_models_full_logits() {
    for name in ADAPTED {
        let f = fixture(name);
        let (positive, negative) = (adapter(&f, "lora"), adapter(&f, "lora-mlp-rs"));
        let (positive, negative) = ([&positive], [&negative]);
        for case in f.json["contrast_scores"].as_array().unwrap() {
            let beta = case["ce_beta"].as_f64().unwrap();
            for (pair, scores) in f.json["pairs"]
                .as_array()
                .unwrap()
                .iter()
                .zip(case["rejected"].as_array().unwrap())
            {
                let mut forest = TokenForest::new();
                let targets = push_pair(&mut forest, pair, true).rejected;
                let got = f
                    .model
                    .contrast_scores(
                        &forest,
                        &AdapterStack::frozen(&positive),
                        &AdapterStack::frozen(&negative),
                        &targets,
                        beta,
                    )
                    .unwrap();
                let expected: Vec<f64> = floats(scores).iter().map(|s| s.ln()).collect();
                close(&got.log_scores, &expected, 1e-5);
            }
        }
    }
}

/// Loss and gradient of the response-only NLL over all chosen responses.
fn sft_gradient(
    f: &Fixture,
    stack: &AdapterStack<'_>,
    layout: Arc<Layout>,
    options: &TrainOptions,
    packed: bool,
) -> (f64, Arena) {
    let pairs = f.json["pairs"].as_array().unwrap();
    let total: usize = pairs.iter().map(|p| ids(&p["chosen"]).len()).sum();
    let mut grads = Arena::zeros(layout);
    let mut loss = 0.0;
    let groups: Vec<Vec<&Value>> = if packed {
        vec![pairs.iter().collect()]
    } else {
        pairs.iter().map(|p| vec![p]).collect()
    };
    for group in groups {
        let mut forest = TokenForest::new();
        let mut targets = Vec::new();
        for pair in group {
            let prompt = forest.push(&ids(&pair["prompt"]), None, 5);
            let chosen = forest.push(&ids(&pair["chosen"]), Some(prompt), 5);
            targets.extend(forest.targets(chosen));
        }
        let pass = f
            .model
            .train_forward(&forest, stack, &targets, options)
            .unwrap();
        loss -= pass.logps.iter().map(|l| f64::from(*l)).sum::<f64>() / total as f64;
        let dlogps = vec![-1.0 / total as f32; targets.len()];
        f.model
            .train_backward(pass, stack, &dlogps, &mut grads)
            .unwrap();
    }
    (loss, grads)
}

#[test]
fn every_lora_gradient_equals_pefts() {
    for name in ADAPTED {
        let f = fixture(name);
        let lora = adapter(&f, "lora");
        let adapters = [&lora];
        let stack = AdapterStack::training(&adapters, 0);
        let layout = lora.arena().layout().clone();
        let (loss, grads) =
            sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), true);
        let expected = f.json["sft"]["loss"].as_f64().unwrap();
        assert!(
            (loss - expected).abs() < 1e-5 * expected,
            "{name}: loss {loss} against {expected}"
        );
        assert_eq!(layout.entries().len(), 28);
        for entry in layout.entries() {
            let expected: Vec<f32> = f.tensors[&format!("sft.grad.{}", entry.name)]
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            close(grads.view(&entry.name).unwrap(), &expected, 2e-5);
        }
    }
}

#[test]
fn every_parameters_own_gradient_equals_torchs() {
    for name in ADAPTED {
        let f = fixture(name);
        let layout = f.model.arena().unwrap().layout().clone();
        let (_, grads) = sft_gradient(
            &f,
            &AdapterStack::base(),
            layout.clone(),
            &TrainOptions::default(),
            true,
        );
        let reference = f.json["full_sft_grads"].as_object().unwrap();
        assert_eq!(reference.len(), layout.entries().len());
        for (parameter, summary) in reference {
            let got = grads.view(parameter).unwrap();
            let norm = got
                .iter()
                .map(|g| f64::from(*g).powi(2))
                .sum::<f64>()
                .sqrt();
            let probe: f64 = got
                .iter()
                .enumerate()
                .map(|(i, g)| f64::from(*g) * (i as f64).cos())
                .sum();
            let expected = summary["norm"].as_f64().unwrap();
            assert!(
                (norm - expected).abs() < 2e-5 * expected,
                "{name} {parameter}: norm {norm} against {expected}"
            );
            let off = (probe - summary["probe"].as_f64().unwrap()).abs();
            assert!(
                off < 2e-5 * expected,
                "{name} {parameter}: probe off by {off}"
            );
            for (g, e) in got.iter().zip(floats(&summary["head"])) {
                assert!(
                    (f64::from(*g) - e).abs() < 2e-5 * expected,
                    "{name} {parameter}: {g} against {e}"
                );
            }
        }
    }
}

fn largest_difference(a: &Arena, b: &Arena) -> f64 {
    let scale = largest(a.data.iter().map(|v| f64::from(*v)));
    largest(a.data.iter().zip(&b.data).map(|(a, b)| f64::from(a - b))) / scale
}

#[test]
fn packing_changes_no_gradient_beyond_rounding() {
    let f = fixture("qwen2");
    let lora = adapter(&f, "lora");
    let adapters = [&lora];
    let stack = AdapterStack::training(&adapters, 0);
    let layout = lora.arena().layout();
    let (packed_loss, packed) =
        sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), true);
    let (loss, single) = sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), false);
    assert!((packed_loss - loss).abs() < 1e-6 * loss);
    assert!(largest_difference(&packed, &single) < 1e-5);
}

#[test]
fn recomputation_gives_the_same_bits_with_dropout_on() {
    let f = fixture("llama");
    let mut config = adapter(&f, "lora").config().clone();
    config.dropout = 0.3;
    let lora = Adapter::from_params(
        f.model.config(),
        &config,
        adapter(&f, "lora").arena(),
        &Device::Cpu,
    )
    .unwrap();
    let adapters = [&lora];
    let stack = AdapterStack::training(&adapters, 0);
    let layout = lora.arena().layout();
    let dropout = Some(cdpo_model::Key::new(3).with(1));
    let (kept_loss, kept) = sft_gradient(
        &f,
        &stack,
        layout.clone(),
        &TrainOptions {
            dropout,
            recompute: Recompute::Nothing,
        },
        true,
    );
    for recompute in [Recompute::FeedForward, Recompute::Blocks] {
        let options = TrainOptions { dropout, recompute };
        let (loss, again) = sft_gradient(&f, &stack, layout.clone(), &options, true);
        assert_eq!(kept_loss.to_bits(), loss.to_bits());
        assert_eq!(kept.data, again.data);
    }
    let (plain, _) = sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), true);
    assert_ne!(
        plain.to_bits(),
        kept_loss.to_bits(),
        "dropout changed nothing"
    );
}

#[test]
fn one_thread_gives_the_bits_of_two() {
    let f = fixture("llama-tied");
    let lora = adapter(&f, "lora");
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let adapters = [&lora];
            let stack = AdapterStack::training(&adapters, 0);
            sft_gradient(
                &f,
                &stack,
                lora.arena().layout().clone(),
                &TrainOptions::default(),
                true,
            )
        })
    };
    let ((loss1, grads1), (loss2, grads2)) = (run(1), run(2));
    assert_eq!(loss1.to_bits(), loss2.to_bits());
    assert_eq!(grads1.data, grads2.data);
}

#[test]
fn a_shared_prompt_equals_a_repeated_prompt_in_loss_and_every_gradient() {
    let f = fixture("llama");
    let lora = adapter(&f, "lora");
    let adapters = [&lora];
    let stack = AdapterStack::training(&adapters, 0);
    let run = |shared: bool| {
        let mut forest = TokenForest::new();
        let (mut targets, mut dlogps) = (Vec::new(), Vec::new());
        for pair in f.json["pairs"].as_array().unwrap() {
            let pair = push_pair(&mut forest, pair, shared);
            dlogps.extend(
                pair.chosen
                    .iter()
                    .map(|_| -0.5f32)
                    .chain(pair.rejected.iter().map(|_| 0.25)),
            );
            targets.extend(pair.chosen.into_iter().chain(pair.rejected));
        }
        let pass = f
            .model
            .train_forward(&forest, &stack, &targets, &TrainOptions::default())
            .unwrap();
        let logps = pass.logps.clone();
        let mut grads = Arena::zeros(lora.arena().layout().clone());
        f.model
            .train_backward(pass, &stack, &dlogps, &mut grads)
            .unwrap();
        (logps, grads)
    };
    let ((shared, shared_grads), (repeated, repeated_grads)) = (run(true), run(false));
    assert_eq!(
        shared, repeated,
        "a row's forward does not depend on the other rows"
    );
    assert!(largest_difference(&shared_grads, &repeated_grads) < 1e-5);
}

#[test]
fn a_merged_adapter_equals_the_unmerged_one() {
    for name in ["lora", "lora-mlp-rs"] {
        let mut f = fixture("qwen2");
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
        f.model.merge(&lora).unwrap();
        let merged: Vec<f32> = f
            .model
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
