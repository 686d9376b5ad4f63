//! Tokens per second of the sampler on a real model, and the share of this machine's matrix-product peak it reaches.
//!
//! ```text
//! cargo run --release -p cdpo-sample --example throughput -- MODEL [SAMPLES=64] [NEW_TOKENS=64] [PROMPT_FILE|-] [BATCH=64]
//! ```
//!
//! MODEL is a GGUF file or a Hugging Face folder. The prompt is the GSM8K 8-shot prefix and one question, unless a file is
//! named. End tokens are ignored, so that every sample has exactly NEW_TOKENS tokens. Threads: RAYON_NUM_THREADS.

#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::Tensor;
use cdpo_data::{Framing, exemplars};
use cdpo_model::cost::Work;
use cdpo_model::ops::gemm::{PackedB, matmul_packed};
use cdpo_model::source::{ModelSource, open};
use cdpo_model::{Device, Model, ModelConfig, ModelCost, Products, WeightForm, WeightOptions};
use cdpo_sample::{LocalSampler, Request, SampleParams, SampleProgress, Sampler};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const QUESTION: &str = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many \
                        clips did Natalia sell altogether in April and May?";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let path = arguments
        .first()
        .ok_or("usage: throughput MODEL [SAMPLES] [NEW_TOKENS] [PROMPT_FILE|-] [BATCH] [stored|fast|stored-fast]")?;
    let (samples, new_tokens, batch) = (number(1, 64)?, number(2, 64)?, number(4, 64)?);

    let clock = Instant::now();
    let checkpoint = open(&ModelSource::Path(PathBuf::from(path)))?;
    let how = arguments.get(5).map_or("", String::as_str);
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
    let mut model = Model::load_as(&checkpoint.config, weights, &Device::Cpu, options)?;
    println!("loaded in {:.1} s", clock.elapsed().as_secs_f64());
    let clock = Instant::now();
    model.pack(false)?;
    println!(
        "packed in {:.1} s, {} threads",
        clock.elapsed().as_secs_f64(),
        rayon::current_num_threads()
    );

    let tokenizer = &checkpoint.tokenizer;
    let framing = Framing::gsm8k();
    let (prefix, prompt) = match arguments.get(3).filter(|file| *file != "-") {
        Some(file) => (String::new(), std::fs::read_to_string(file)?),
        None => (
            framing.few_shot(&exemplars::gsm8k_8shot()?.exemplars),
            framing.prompt(QUESTION),
        ),
    };
    let prefix_ids = tokenizer.encode(&prefix)?;
    let prompt_ids = match prefix_ids.last() {
        Some(&last) => tokenizer.encode_after(last, &prompt)?,
        None => tokenizer.encode(&prompt)?,
    };
    let request = Request {
        problem_id: "throughput".into(),
        prefix_ids,
        prompt_ids,
        samples: (0..samples as u32).collect(),
    };
    let length = request.prefix_ids.len() + request.prompt_ids.len();
    println!("prompt of {length} tokens, {samples} samples of {new_tokens} tokens, batch {batch}");

    let params = SampleParams {
        temperature: 0.8,
        top_p: 0.95,
        max_new_tokens: new_tokens,
        ..SampleParams::default()
    };
    let mut sampler = LocalSampler::new(&model, tokenizer)
        .with_eos(Vec::new())
        .with_max_batch(batch);
    let (mut first, mut last, mut text) = (None, SampleProgress::default(), String::new());
    let _ = sampler.sample(
        &[request],
        &params,
        &mut |_, index, completion| {
            if index == 0 {
                text = completion.text;
            }
            ControlFlow::Continue(())
        },
        &mut |progress| {
            first.get_or_insert(*progress);
            last = *progress;
            ControlFlow::Continue(())
        },
    )?;
    let first = first.unwrap_or_default();
    let decoding = (last.tokens - first.tokens) as f64 / (last.seconds - first.seconds);
    println!("sample 0: {text:?}");
    println!(
        "prefill: {length} tokens in {:.2} s, {:.0} tokens/s",
        first.seconds,
        length as f64 / first.seconds
    );
    println!("decoding: {decoding:.1} tokens/s");
    println!(
        "in all: {:.1} tokens/s ({} tokens in {:.2} s)",
        last.tokens_per_second(),
        last.tokens,
        last.seconds
    );

    let (best, sustained) = gemm_gflops()?;
    let work = |context, head| flops_per_token(&checkpoint.config, context, head) / 1e9;
    let prefill = work(length as f64 / 2.0, false) * length as f64 / first.seconds;
    let decode = work(length as f64 + new_tokens as f64 / 2.0, true) * decoding;
    println!(
        "GFLOP/s: prefill {prefill:.1}, decoding {decode:.1}; matrix products here {sustained:.0} (median), {best:.0} (best)"
    );
    println!(
        "share of the median: prefill {:.0} %, decoding {:.0} %",
        100.0 * prefill / sustained,
        100.0 * decode / sustained
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

/// Multiplications and additions of one token's forward pass that sees `context` tokens, with or without the head.
fn flops_per_token(config: &ModelConfig, context: f64, head: bool) -> f64 {
    let work = Work {
        tokens: 1.0,
        targets: if head { 1.0 } else { 0.0 },
        context,
    };
    ModelCost::of(config).forward_flops(&work, &[])
}

/// Best and median rate of products of 256 rows with a packed 1024 x 1024 matrix over about two seconds.
fn gemm_gflops() -> Outcome<(f64, f64)> {
    let (rows, width) = (256, 1024);
    let x = Tensor::randn(0f32, 1.0, (rows, width), &Device::Cpu)?;
    let w = PackedB::new(&Tensor::randn(0f32, 1.0, (width, width), &Device::Cpu)?)?;
    let mut rates = Vec::new();
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 2.0 {
        let clock = Instant::now();
        matmul_packed(&x, &w)?;
        rates.push(2.0 * (rows * width * width) as f64 / clock.elapsed().as_secs_f64() / 1e9);
    }
    rates.sort_by(f64::total_cmp);
    Ok((rates.last().copied().unwrap_or(0.0), rates[rates.len() / 2]))
}
