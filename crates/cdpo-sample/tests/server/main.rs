//! The sampler on servers, against a stub that answers as each kind does and misbehaves as told.
#![allow(missing_docs, clippy::unwrap_used)]

mod answers;
mod faults;
mod many;
mod stub;
#[path = "../tokenizer/mod.rs"]
mod tokenizer;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cdpo_sample::server::{ServerSampler, ServerSettings};
use cdpo_sample::{Completion, Error, Request, SampleParams, Sampler as _};
use serde_json::json;

use stub::Stub;

/// Completions by question and sample.
pub(crate) type Samples = BTreeMap<(String, u32), Completion>;

pub(crate) fn settings(kind: &str, stubs: &[&Stub]) -> ServerSettings {
    let urls: Vec<&str> = stubs.iter().map(|stub| stub.url.as_str()).collect();
    serde_json::from_value(json!({
        "kind": kind, "urls": urls, "model": "base", "in_flight": 4, "give_up": 5.0, "timeout": 5.0,
    }))
    .unwrap()
}

pub(crate) fn params() -> SampleParams {
    SampleParams {
        max_new_tokens: 40,
        stop: vec!["\n\n".into()],
        logps: true,
        seed: 3,
        ..SampleParams::default()
    }
}

/// Some questions, each with some samples, with one few-shot prefix.
pub(crate) fn requests(questions: usize, samples: u32) -> Vec<Request> {
    let request = |i: usize| Request {
        problem_id: format!("q/{i}"),
        prefix_ids: vec![256, 65, 66],
        prompt_ids: format!("question {i}").bytes().map(u32::from).collect(),
        samples: (0..samples).collect(),
    };
    (0..questions).map(request).collect()
}

/// Everything that is asked for; a sample that comes twice is a fault.
pub(crate) fn draw(
    sampler: &mut ServerSampler<'_>,
    requests: &[Request],
) -> Result<Samples, Error> {
    let mut samples = Samples::new();
    let flow = sampler.sample(
        requests,
        &params(),
        &mut |request, sample, completion| {
            let key = (request.problem_id.clone(), sample);
            assert!(samples.insert(key, completion).is_none(), "given twice");
            ControlFlow::Continue(())
        },
        &mut |_| ControlFlow::Continue(()),
    )?;
    assert!(flow.is_continue());
    let wanted: usize = requests.iter().map(|request| request.samples.len()).sum();
    assert_eq!(samples.len(), wanted);
    Ok(samples)
}

/// Draws from `stubs` as a kind.
pub(crate) fn sample(kind: &str, stubs: &[&Stub], requests: &[Request]) -> Result<Samples, Error> {
    let tokenizer = tokenizer::tokenizer();
    let mut sampler =
        ServerSampler::new(settings(kind, stubs), &tokenizer, 256)?.with_eos(vec![tokenizer::EOS]);
    draw(&mut sampler, requests)
}
