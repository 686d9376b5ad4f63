//! On SmolLM2-135M, if CDPO_TEST_MODELS names the folder that holds its GGUF file: samples of a real model, at the real
//! sizes of its matrices, have the same bits in any batch and on any number of threads.

#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use cdpo_data::Framing;
use cdpo_model::source::{ModelSource, open};
use cdpo_model::{Device, Model};
use cdpo_sample::{Completion, LocalSampler, Request, SampleParams, Sampler};

const FILE: &str = "smollm2-135m-instruct-q4_1.gguf";

#[test]
fn samples_of_a_real_model_have_the_same_bits_in_any_batch() {
    let path = std::env::var_os("CDPO_TEST_MODELS").map(|folder| PathBuf::from(folder).join(FILE));
    let Some(path) = path.filter(|path| path.exists()) else {
        eprintln!("skipped: CDPO_TEST_MODELS names no folder with {FILE}");
        return;
    };
    let checkpoint = open(&ModelSource::Path(path)).unwrap();
    let mut model = Model::load(
        &checkpoint.config,
        checkpoint.weights.as_ref(),
        &Device::Cpu,
    )
    .unwrap();
    model.pack(false).unwrap();
    let tokenizer = &checkpoint.tokenizer;
    let framing = Framing::gsm8k();
    let requests: Vec<Request> = [
        "How many legs have 3 spiders and 2 cows?",
        "What is 17 + 26?",
    ]
    .iter()
    .map(|question| Request {
        problem_id: (*question).to_owned(),
        prefix_ids: tokenizer
            .encode("Question: What is 2 + 2?\nAnswer: 2 + 2 = 4.\n\n")
            .unwrap(),
        prompt_ids: tokenizer.encode(&framing.prompt(question)).unwrap(),
        samples: (0..6).collect(),
    })
    .collect();
    let params = SampleParams {
        temperature: 0.8,
        top_p: 0.95,
        max_new_tokens: 12,
        stop: framing.stop.clone(),
        logps: true,
        seed: 1,
        ..SampleParams::default()
    };
    let sample = |max_batch: usize, threads: usize| {
        let mut samples: BTreeMap<(String, u32), Completion> = BTreeMap::new();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let ended = pool.install(|| {
            LocalSampler::new(&model, tokenizer)
                .with_max_batch(max_batch)
                .sample(
                    &requests,
                    &params,
                    &mut |request, sample, completion| {
                        samples.insert((request.problem_id.clone(), sample), completion);
                        ControlFlow::Continue(())
                    },
                    &mut |_| ControlFlow::Continue(()),
                )
        });
        assert!(ended.unwrap().is_continue());
        samples
    };
    let want = sample(1, 1);
    assert_eq!(want.len(), 12);
    for (max_batch, threads) in [(2, 2), (6, 1), (7, 2), (64, 2)] {
        assert_eq!(
            sample(max_batch, threads),
            want,
            "batch {max_batch}, {threads} threads"
        );
    }
}
