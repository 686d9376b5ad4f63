//! Pairs per second and peak memory of DPO steps on a real model: what `scripts/peer_trl_dpo.py` measures for TRL.
//!
//! ```text
//! cargo run --release -p cdpo-train --example dpo_step -- MODEL PAIRS.jsonl [BATCH=2] [STEPS=6] [nothing|feed_forward|blocks] [stored|fast|stored-fast]
//! ```
//!
//! MODEL is a GGUF file or a Hugging Face folder; PAIRS.jsonl has TRL's columns prompt, chosen and rejected. LoRA of rank 16 on all
//! seven projections. The reference is the base; its log-probabilities are computed once, before the steps, and their time is
//! given apart. The word after the steps says what the backward pass computes again; `stored` leaves the weights as the file has them. Threads: RAYON_NUM_THREADS.

#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use cdpo_data::{OnBadRow, trl};
use cdpo_model::cost::{AdapterCost, TrainPass, Trained, Work};
use cdpo_model::ops::gemm::{MatRef, PackedB, Rhs, gemm};
use cdpo_model::source::{ModelSource, open};
use cdpo_model::{
    Adapter, Device, Key, LoraConfig, Model, ModelConfig, ModelCost, Products, Recompute,
    WeightForm, WeightOptions,
};
use cdpo_train::{Job, Method, Policy, TrainEvent, TrainSet, TrainSettings, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, pairs, rest @ ..] = arguments.as_slice() else {
        return Err(
            "usage: dpo_step MODEL PAIRS.jsonl [BATCH] [STEPS] [RECOMPUTE] [stored|fast|stored-fast]".into(),
        );
    };
    let number = |at: usize, default: usize| rest.get(at).map_or(Ok(default), |text| text.parse());
    let (batch, steps) = (number(0, 2)?, number(1, 6)?);
    let recompute = match rest.get(2) {
        Some(word) => serde_json::from_value(serde_json::json!(word))?,
        None => Recompute::default(),
    };
    let checkpoint = open(&ModelSource::Path(PathBuf::from(path)))?;
    let eos = *checkpoint
        .tokenizer
        .eos()
        .first()
        .ok_or("the model names no end token")?;
    let (texts, _) = trl::read(pairs, OnBadRow::Fail, None)?;
    let tokenizer = &checkpoint.tokenizer;
    let response = |before: &[u32], text: &str| -> cdpo_model::Result<Vec<u32>> {
        let mut ids = match before.last() {
            Some(&last) => tokenizer.encode_after(last, text)?,
            None => tokenizer.encode(text)?,
        };
        ids.push(eos);
        Ok(ids)
    };
    let pairs = texts
        .into_iter()
        .take(batch * steps)
        .map(|pair| pair.encode(|text| tokenizer.encode(text), response))
        .collect::<Result<Vec<_>, _>>()?;
    let how = rest.get(3).map_or("", String::as_str);
    let options = WeightOptions {
        form: if how.contains("stored") {
            WeightForm::Stored
        } else {
            WeightForm::F32
        },
        products: if how.contains("fast") {
            Products::Fast
        } else {
            Products::Exact
        },
    };
    let weights = checkpoint.weights.as_ref();
    let model = Model::load_as(&checkpoint.config, weights, &Device::Cpu, options)?;
    let tokens: usize = pairs
        .iter()
        .map(|p| p.prompt_ids.len() + p.chosen_ids.len() + p.rejected_ids.len())
        .sum();
    let targets: usize = pairs
        .iter()
        .map(|p| p.chosen_ids.len() + p.rejected_ids.len())
        .sum();
    let count = pairs.len();
    let settings = TrainSettings {
        method: Method::DPO,
        gamma: Some(0.1),
        batch_size: Some(batch),
        accumulation: Some(1),
        max_steps: Some(steps as u64),
        recompute: Some(recompute),
        ..TrainSettings::default()
    };
    let dir = tempfile::tempdir()?;
    let job = Job {
        policy: Policy::Adapter {
            model: &model,
            adapter: Adapter::init(
                model.config(),
                &LoraConfig::default(),
                Key::new(0),
                &Device::Cpu,
            )?,
            under: &[],
        },
        model_id: &checkpoint.content_id,
        reference: &[],
        examples: &TrainSet::Pairs(pairs),
        prefix_ids: &[],
        settings: &settings,
        dir: dir.path(),
        reference_cache: None,
    };
    let (begin, mut last) = (Instant::now(), Instant::now());
    let (mut reference, mut seconds) = (0.0, Vec::new());
    run(job, &mut |event| {
        match event {
            TrainEvent::Started { .. } => {
                reference = begin.elapsed().as_secs_f64();
                last = Instant::now();
            }
            TrainEvent::Step(_) => {
                seconds.push(last.elapsed().as_secs_f64());
                last = Instant::now();
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    let ran = Ran {
        pairs: count,
        batch,
        tokens: tokens as f64 / count as f64,
        targets: targets as f64 / count as f64,
    };
    println!(
        "{path}: batch {batch}, recompute {recompute:?}, {:.0} tokens a pair, {} threads",
        ran.tokens,
        rayon::current_num_threads()
    );
    report(&ran, &checkpoint.config, &seconds, reference)
}

/// What was run.
struct Ran {
    pairs: usize,
    /// Pairs of a step.
    batch: usize,
    /// Mean tokens of a pair, prompt included.
    tokens: f64,
    /// Mean response tokens of a pair.
    targets: f64,
}

/// Prints the rates: `seconds` are those of each step, `reference` those of the reference's log-probabilities of all pairs.
fn report(
    ran: &Ran,
    config: &ModelConfig,
    seconds: &[f64],
    reference: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let batch = ran.batch as f64;
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let per_pair = reference / ran.pairs as f64;
    println!(
        "steps {seconds:.2?} s, median {median:.2}: {:.3} pairs/s",
        batch / median
    );
    println!(
        "reference {per_pair:.2} s a pair, once: {:.3} pairs/s over one epoch, reference included",
        1.0 / (per_pair + median / batch)
    );
    let flops = step_flops(config, ran.tokens, ran.targets) * batch;
    let peak = gemm_gflops()?;
    println!(
        "a step needs {:.0} GFLOP: {:.0} GFLOP/s, {:.0} % of the {peak:.0} that products reach here (median)",
        flops / 1e9,
        flops / 1e9 / median,
        flops / 1e7 / median / peak
    );
    memory();
    Ok(())
}

/// The peak of resident memory, pages of mapped files included, and what of today's is the process's own.
fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines() {
        if line.starts_with("VmHWM") || line.starts_with("RssAnon") {
            println!("{line}");
        }
    }
}

/// What a pair's step must multiply and add, without what it computes again: the blocks' weights forward and backward for every
/// token, the head forward and backward for every target. Attention and the adapters, a few percent, are not counted.
fn step_flops(config: &ModelConfig, tokens: f64, targets: f64) -> f64 {
    let work = Work {
        tokens,
        targets,
        context: 0.0,
    };
    let pass = TrainPass {
        trained: Trained::Adapter(&AdapterCost::default()),
        under: &[],
        recompute: Recompute::Nothing,
        divergence: false,
    };
    ModelCost::of(config).train_flops(&work, &pass)
}

/// Median rate of products of 512 rows with a 1536 x 576 matrix, in GFLOP/s, over about two seconds.
fn gemm_gflops() -> Result<f64, Box<dyn std::error::Error>> {
    let (rows, inner, out) = (512, 576, 1536);
    let (x, w) = (vec![0.5; rows * inner], vec![0.5; out * inner]);
    let (x, w) = (
        MatRef::new(&x, rows, inner)?,
        PackedB::transposed(&w, out, inner)?,
    );
    let mut y = vec![0.0; rows * out];
    let mut rates = Vec::new();
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 2.0 {
        let clock = Instant::now();
        gemm(&mut y, x, Rhs::Packed(&w), 1.0, 0.0)?;
        rates.push(2.0 * (rows * inner * out) as f64 / clock.elapsed().as_secs_f64() / 1e9);
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}
