//! Opens a model and reads all of its weights, with the time of each step.
//!
//!     cargo run --release -p cdpo-model --example load -- MODEL.gguf
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use cdpo_model::source::{ModelSource, expected_tensors, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or("usage: load MODEL")?;
    let begin = Instant::now();
    let model = open(&ModelSource::Path(path))?;
    let opened = begin.elapsed();
    // Kept, as a model keeps them: fresh pages are part of the cost.
    let mut weights = Vec::new();
    let mut elements = 0;
    for (name, shape) in expected_tensors(&model.config) {
        let values = model.weights.read(&name, &shape)?;
        elements += values.len();
        weights.push(values);
    }
    println!(
        "{}: {} layers, {elements} weights",
        model.origin, model.config.layers
    );
    println!(
        "content {} tokenizer {}",
        model.content_id,
        model.tokenizer.content_id()
    );
    println!(
        "BOS {:?}, added: {:?} ({}); EOS {:?}",
        model.tokenizer.bos(),
        model.tokenizer.adds_bos(),
        model.tokenizer.bos_note(),
        model.tokenizer.eos()
    );
    println!(
        "opened in {:.2} s, ready in {:.2} s",
        opened.as_secs_f64(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}
