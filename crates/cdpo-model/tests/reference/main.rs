//! Two-layer models of each family against values dumped by torch, transformers and PEFT.

mod adapters;
mod gradients;
mod merge;
mod outputs;
mod peft;
mod rope;
mod stored;

use candle_core::Device;
use cdpo_model::arena::{Arena, Layout};
use cdpo_model::merge::{Progress, SHARD_BYTES};
use cdpo_model::source::SafetensorsFolder;
use cdpo_model::{
    Adapter, AdapterStack, DType, Merge, Model, ModelConfig, Recompute, Rounding, Target,
    TokenForest, TrainOptions,
};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// Opens a folder's configuration and weights.
fn opened(dir: &Path) -> (ModelConfig, SafetensorsFolder) {
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config = ModelConfig::from_hf_json(&text, &dir.display().to_string()).unwrap();
    (config, SafetensorsFolder::open(dir).unwrap())
}

/// Merges an adapter into a folder's model, and opens what was written.
fn merged_as(base: &Path, adapter: &Adapter, dtype: DType) -> (Model, Rounding) {
    let (config, weights) = opened(base);
    let merge = Merge {
        config: &config,
        weights: &weights,
        adapter,
        dtype,
        shard_bytes: SHARD_BYTES,
    };
    let out = tempfile::tempdir().unwrap();
    let going_on = &mut |_: Progress<'_>| ControlFlow::Continue(());
    let rounding = merge.write(out.path(), going_on).unwrap().unwrap();
    let (config, weights) = opened(out.path());
    let model = Model::load(&config, &weights, &Device::Cpu).unwrap();
    (model, rounding)
}

/// As [`merged_as`], in f32.
fn merged(base: &Path, adapter: &Adapter) -> Model {
    merged_as(base, adapter, DType::F32).0
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |m, v| {
        // The maximum would pass over it.
        assert!(v.is_finite(), "{v} is among the values");
        m.max(v.abs())
    })
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

/// As [`close`], for one case of many.
fn near(name: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let scale = largest(expected.iter().copied());
    let worst = largest(got.iter().zip(expected).map(|(g, e)| f64::from(*g) - e));
    assert!(
        worst <= tolerance * scale,
        "{name}: largest difference {worst:e} at scale {scale:e}"
    );
}
