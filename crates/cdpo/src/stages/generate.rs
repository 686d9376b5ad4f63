//! Generating responses: each is appended as it finishes, and only the missing ones are asked for.

use std::collections::HashSet;
use std::path::Path;

use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::{Problem, Trajectory};
use cdpo_sample::{LocalSampler, Request, SampleParams, ServerSettings};
use serde_json::{Value, json};

use super::drawing::Drawing;
use super::{adapter_check, parts, reuse, serving};
use crate::base_model::Trained;
use crate::run::Run;
use crate::stage::{Demand, Model, Responses};

/// The responses.
pub(crate) const TRAJECTORIES: &str = "trajectories.jsonl";

/// The version of a stage that answers with the base, a whole model of its own, or the base with an adapter: that was once merged into
/// the base's weights; now decoding adds it, which rounds otherwise.
pub(super) fn version(adapter: bool, server: Option<&ServerSettings>) -> u32 {
    if adapter && server.is_none() { 2 } else { 1 }
}

/// What a stage of responses asks of this machine: where servers draw, the check of an adapter alone.
pub(super) fn demand(server: Option<&ServerSettings>, responses: Responses) -> Demand {
    match server {
        None => Demand::Responses(responses),
        Some(_) if responses.adapters.is_empty() => Demand::Nothing,
        Some(server) => adapter_check::demand(server, responses.adapters),
    }
}

/// What a stage of responses depends on, beside what it asks: the model's content, or the servers that have it.
pub(super) fn model(server: Option<&ServerSettings>) -> Model {
    if server.is_some() {
        Model::Tokenizer
    } else {
        Model::Whole
    }
}

/// The settings of a stage of responses, with the servers' where they draw.
pub(super) fn with_server(mut settings: Value, server: Option<&ServerSettings>) -> Value {
    if let Some(server) = server {
        settings["server"] = server.key();
        settings["params"]["logps"] = true.into();
        // Theirs, not ours.
        if let Some(params) = settings["params"].as_object_mut() {
            params.remove("kv");
        }
    }
    settings
}

/// How training questions are sampled.
pub(crate) fn training_params(run: &Run) -> SampleParams {
    let sample = &run.recipe.sample;
    SampleParams {
        temperature: sample.temperature,
        top_p: sample.top_p,
        top_k: sample.top_k,
        max_new_tokens: sample.max_new_tokens,
        stop: run.prompt.stop.clone(),
        logps: false,
        seed: sample.seed.unwrap_or(run.recipe.run.seed),
        kv: sample.kv,
    }
}

/// How held-out questions are answered: greedily.
pub(super) fn evaluation_params(run: &Run) -> SampleParams {
    let most = run.recipe.eval.max_new_tokens;
    SampleParams {
        stop: run.prompt.stop.clone(),
        kv: run.recipe.sample.kv,
        ..SampleParams::greedy(most.unwrap_or(run.recipe.sample.max_new_tokens))
    }
}

/// Who answers.
pub(super) enum Answerer<'a> {
    /// The local engine: what was trained, or the base if nothing was; so many sequences decoded together.
    Engine(Option<&'a Trained>, usize),
    /// Servers, with the adapter in a folder or without one.
    Servers(&'a ServerSettings, Option<&'a Path>),
}

/// The responses that a stage wants.
pub(super) struct Generation<'a> {
    pub(super) problems: &'a [Problem],
    /// Responses to each question.
    pub(super) n: u32,
    pub(super) params: SampleParams,
    pub(super) by: Answerer<'a>,
}

/// Generates responses into the stage's trajectories; the model is loaded only if one is missing.
pub(super) fn generate(
    run: &mut Run,
    dir: &mut StageDir,
    wanted: &Generation<'_>,
) -> anyhow::Result<Value> {
    let path = dir.path(TRAJECTORIES);
    let (mut out, mut have): (Appender, Vec<Trajectory>) = Appender::resume(&path)?;
    let mut kept = reuse::kept(dir, TRAJECTORIES, wanted.problems, wanted.n, &have)?;
    let parts = parts::kept(dir, TRAJECTORIES)?;
    let own = have.iter().chain(&kept);
    let parts = reuse::still(parts, wanted.problems, wanted.n, own);
    kept.extend(parts);
    for kept in kept {
        out.append(&kept)?;
        have.push(kept);
    }
    let mut seen: HashSet<(String, u32)> = HashSet::new();
    have.retain(|t| seen.insert((t.problem_id.clone(), t.sample)));
    let (requests, tokens_read) = missing(run, wanted, &have)?;
    if !requests.is_empty() {
        draw(run, dir, wanted, &requests, &mut out, &mut have)?;
    }
    drop(out);
    let have = jsonl::write_sorted(&path, have)?;
    let served = match wanted.by {
        Answerer::Engine(..) => None,
        Answerer::Servers(..) => Some(serving::account(run, dir, &have)?),
    };
    let generated: u64 = have
        .iter()
        .map(|t| t.ids.len() as u64 + u64::from(t.terminated()))
        .sum();
    let mut counts = json!({
        "questions": wanted.problems.len(),
        "responses": have.len(),
        "terminated": have.iter().filter(|t| t.terminated()).count(),
        "tokens_read": tokens_read,
        "tokens_generated": generated,
    });
    if let Some(served) = served {
        counts["servers"] = served;
    }
    Ok(counts)
}

/// A request for each question that lacks responses, and how many tokens all prompts have.
fn missing(
    run: &Run,
    wanted: &Generation<'_>,
    have: &[Trajectory],
) -> anyhow::Result<(Vec<Request>, u64)> {
    let done: HashSet<(&str, u32)> = have
        .iter()
        .map(|t| (t.problem_id.as_str(), t.sample))
        .collect();
    let mut requests = Vec::new();
    let mut tokens_read = run.prompt.prefix_ids.len() as u64;
    for problem in wanted.problems {
        let prompt_ids = run.prompt.question_ids(&run.vocabulary, problem)?;
        tokens_read += prompt_ids.len() as u64;
        let samples: Vec<u32> = (0..wanted.n)
            .filter(|&sample| !done.contains(&(problem.id.as_str(), sample)))
            .collect();
        if !samples.is_empty() {
            requests.push(Request {
                problem_id: problem.id.clone(),
                prefix_ids: run.prompt.prefix_ids.clone(),
                prompt_ids,
                samples,
            });
        }
    }
    run.vocabulary.report("questions");
    Ok((requests, tokens_read))
}

/// Draws what is asked for, and appends each response as it ends.
fn draw(
    run: &mut Run,
    dir: &mut StageDir,
    wanted: &Generation<'_>,
    requests: &[Request],
    out: &mut Appender,
    have: &mut Vec<Trajectory>,
) -> anyhow::Result<()> {
    if let Answerer::Servers(settings, Some(folder)) = wanted.by {
        adapter_check::check(run, settings, folder, &requests[0])?;
    }
    let all = wanted.problems.len() as u64 * u64::from(wanted.n);
    let mut drawing = Drawing::new(dir, requests, &wanted.params, out, have, all);
    match wanted.by {
        Answerer::Engine(trained, max_batch) => {
            let model = run.base.decoder(trained)?;
            let mut sampler = LocalSampler::new(&model, &run.vocabulary.tokenizer)
                .with_eos(run.vocabulary.stops.clone())
                .with_max_batch(max_batch)
                .with_max_cache_tokens(run.cache_tokens());
            drawing.from(&mut sampler, &wanted.params, &|progress| {
                format!(
                    "{:.0} tokens/s, {} at once",
                    progress.tokens_per_second(),
                    progress.active
                )
            })
        }
        Answerer::Servers(settings, adapter) => serving::draw(run, settings, adapter, &mut drawing),
    }
}
