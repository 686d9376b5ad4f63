//! Trains an adapter for a few steps on a GGUF file or folder and writes what `scripts/check_peft_roundtrip.py` compares:
//! the adapter in PEFT's form, and our logits.
//!
//! ```text
//! cargo run --release -p cdpo-model --example peft_roundtrip -- MODEL OUT_DIR
//! ```

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use cdpo_model::arena::Arena;
use cdpo_model::source::{ModelSource, open};
use cdpo_model::{Adapter, AdapterStack, Key, LoraConfig, Model, TokenForest, TrainOptions};

const TEXTS: [&str; 2] = [
    "Question: Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes. How much did she earn?\nAnswer: \
     Weng earns 12/60 = $0.2 per minute. Working 50 minutes, she earned 0.2 x 50 = $10. The answer is 10.",
    "Natalia sold 48/2 = 24 clips in May and 48 + 24 = 72 clips altogether in April and May.",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, out] = arguments.as_slice() else {
        return Err("usage: peft_roundtrip MODEL OUT_DIR".into());
    };
    let out = PathBuf::from(out);
    let checkpoint = open(&ModelSource::Path(path.into()))?;
    let model = Model::load(
        &checkpoint.config,
        checkpoint.weights.as_ref(),
        &Device::Cpu,
    )?;
    let config = LoraConfig {
        rank: 8,
        alpha: 32.0,
        ..LoraConfig::default()
    };
    let mut adapter = Adapter::init(model.config(), &config, Key::new(1), &Device::Cpu)?;

    let mut forest = TokenForest::new();
    let mut targets = Vec::new();
    for (i, text) in TEXTS.iter().enumerate() {
        let segment = forest.push(&checkpoint.tokenizer.encode(text)?, None, i as u64);
        targets.extend(forest.targets(segment));
    }
    for step in 0..5 {
        let mut grads = Arena::zeros(adapter.arena().layout().clone());
        let mut params = adapter.arena().clone();
        let adapters = [&adapter];
        let stack = AdapterStack::training(&adapters, 0);
        let pass = model.train_forward(&forest, &stack, &targets, &TrainOptions::default())?;
        let loss = -pass.logps.iter().sum::<f32>() / targets.len() as f32;
        println!("step {step}: loss {loss}");
        model.train_backward(
            pass,
            &stack,
            &vec![-1.0 / targets.len() as f32; targets.len()],
            &mut grads,
        )?;
        for (p, g) in params.data.iter_mut().zip(&grads.data) {
            *p -= 0.02 * g;
        }
        adapter.set(&params)?;
    }
    adapter.save(&out.join("adapter"), &checkpoint.origin)?;
    let mut dump = HashMap::new();
    for (i, text) in TEXTS.iter().enumerate() {
        let ids = checkpoint.tokenizer.encode(text)?;
        let mut forest = TokenForest::new();
        forest.push(&ids, None, 0);
        dump.insert(
            format!("logits.{i}"),
            model.forest_logits(&forest, &AdapterStack::frozen(&[&adapter]))?,
        );
        let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
        dump.insert(
            format!("ids.{i}"),
            Tensor::from_slice(&ids, ids.len(), &Device::Cpu)?,
        );
    }
    candle_core::safetensors::save(&dump, out.join("logits.safetensors"))?;
    println!("{}", out.display());
    Ok(())
}
