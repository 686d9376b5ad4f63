//! The loop on the fixture models: models and pairs of the fixtures, small settings, a run that is stopped.

mod identities;
mod refusals;
mod resume;
mod torch;

use crate::batch::Objective;
use crate::checkpoint::State;
use crate::example::prepare;
use crate::job::{Job, TrainEvent, TrainReport};
use crate::optimizer::AdamW;
use crate::run::run;
use crate::step::Trainer;
use crate::{
    Decay, Loss, METRICS, Method, Parameters, Policy, Result, TrainSet, TrainSettings, reference,
};
use cdpo_data::{Pair, SftExample};
use cdpo_model::source::SafetensorsFolder;
use cdpo_model::{Adapter, Arena, Device, Key, LoraConfig, Model, ModelConfig, Recompute};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../cdpo-model/tests/fixtures")
        .join(name)
}

fn model(name: &str) -> Model {
    let dir = folder(name);
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config = ModelConfig::from_hf_json(&text, name).unwrap();
    let source = SafetensorsFolder::open(&dir).unwrap();
    Model::load(&config, &source, &Device::Cpu).unwrap()
}

fn values(name: &str) -> Value {
    let text = std::fs::read_to_string(folder(name).join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn pairs(values: &Value) -> Vec<Pair> {
    let pair = |(i, p): (usize, &Value)| {
        let scores: Vec<f64> = serde_json::from_value(p["scores"].clone()).unwrap();
        Pair {
            problem_id: format!("q/{i}"),
            rejected_sample: 1,
            prompt_ids: ids(&p["prompt"]),
            chosen_ids: ids(&p["chosen"]),
            rejected_ids: ids(&p["rejected"]),
            chosen_terminated: true,
            rejected_weights: Some(scores.iter().map(|s| (1.0 - s) as f32).collect()),
            ..Pair::default()
        }
    };
    values["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(pair)
        .collect()
}

fn examples(pairs: &[Pair]) -> Vec<SftExample> {
    let example = |p: &Pair| SftExample {
        problem_id: p.problem_id.clone(),
        sample: p.chosen_sample,
        prompt: String::new(),
        response: String::new(),
        prompt_ids: p.prompt_ids.clone(),
        response_ids: p.chosen_ids.clone(),
        terminated: true,
    };
    pairs.iter().map(example).collect()
}

fn set(method: Method, values: &Value) -> TrainSet {
    let pairs = pairs(values);
    if method.takes_pairs() {
        TrainSet::Pairs(pairs)
    } else {
        TrainSet::Sft(examples(&pairs))
    }
}

fn small(method: Method) -> TrainSettings {
    TrainSettings {
        learning_rate: Some(3e-3),
        batch_size: Some(1),
        accumulation: Some(2),
        max_steps: Some(7),
        warmup_ratio: Some(0.2),
        checkpoint_every: Some(2),
        seed: Some(5),
        ..TrainSettings::of(method)
    }
}

fn fresh(model: &Model, dropout: f64) -> Adapter {
    let config = LoraConfig {
        rank: 4,
        alpha: 8.0,
        dropout,
        ..LoraConfig::default()
    };
    Adapter::init(model.config(), &config, Key::new(1), &Device::Cpu).unwrap()
}

fn on_top(model: &Model, adapter: Adapter) -> Policy<'_> {
    Policy::Adapter {
        model,
        adapter,
        under: &[],
    }
}

/// Trains a fresh adapter, stopped by the observer after `stop_after` steps.
fn train<'a>(
    model: &'a Model,
    set: &TrainSet,
    settings: &TrainSettings,
    dir: &Path,
    stop_after: u64,
    dropout: f64,
) -> Result<TrainReport<'a>> {
    let policy = on_top(model, fresh(model, dropout));
    train_policy(policy, set, settings, dir, stop_after)
}

fn train_policy<'a>(
    policy: Policy<'a>,
    set: &TrainSet,
    settings: &TrainSettings,
    dir: &Path,
    stop_after: u64,
) -> Result<TrainReport<'a>> {
    let job = Job {
        policy,
        model_id: "fixture",
        reference: &[],
        examples: set,
        prefix_ids: &[],
        settings,
        dir,
        reference_cache: None,
    };
    run(job, &mut |event| match event {
        TrainEvent::Step(m) if m.step == stop_after => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

const NEVER: u64 = u64::MAX;
