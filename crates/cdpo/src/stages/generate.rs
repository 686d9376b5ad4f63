//! Generating responses: each is appended as it finishes, and only the missing ones are asked for.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::{Problem, Trajectory};
use cdpo_sample::{Completion, LocalSampler, Request, SampleParams, Sampler as _};
use serde_json::{Value, json};

use super::reuse;
use crate::base_model::Trained;
use crate::interrupt;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use crate::run::Run;

/// The responses.
pub(crate) const TRAJECTORIES: &str = "trajectories.jsonl";

/// How often the time spent is written down, so that a killed run does not lose count of it.
const KEEP_TIME: Duration = Duration::from_secs(20);

/// The version of a stage that answers with the base, a whole model of its own, or the base with an adapter: that was once merged into
/// the base's weights; now decoding adds it, which rounds otherwise.
pub(super) fn version(adapter: bool) -> u32 {
    if adapter { 2 } else { 1 }
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

/// The responses that a stage wants.
pub(super) struct Generation<'a> {
    pub(super) problems: &'a [Problem],
    /// Responses to each question.
    pub(super) n: u32,
    /// Sequences decoded together.
    pub(super) max_batch: usize,
    pub(super) params: SampleParams,
    /// What was trained and answers now; the base if nothing was.
    pub(super) trained: Option<&'a Trained>,
}

/// Generates responses into the stage's trajectories; the model is loaded only if one is missing.
pub(super) fn generate(
    run: &mut Run,
    dir: &mut StageDir,
    wanted: &Generation<'_>,
) -> anyhow::Result<Value> {
    let path = dir.path(TRAJECTORIES);
    let (mut out, mut have): (Appender, Vec<Trajectory>) = Appender::resume(&path)?;
    for kept in reuse::kept(dir, TRAJECTORIES, wanted.problems, wanted.n, &have)? {
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
    let generated: u64 = have
        .iter()
        .map(|t| t.ids.len() as u64 + u64::from(t.terminated()))
        .sum();
    Ok(json!({
        "questions": wanted.problems.len(),
        "responses": have.len(),
        "terminated": have.iter().filter(|t| t.terminated()).count(),
        "tokens_read": tokens_read,
        "tokens_generated": generated,
    }))
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
    let before = have.len() as u64;
    let all = wanted.problems.len() as u64 * u64::from(wanted.n);
    let model = run.base.decoder(wanted.trained)?;
    let mut sampler = LocalSampler::new(&model, &run.vocabulary.tokenizer)
        .with_eos(run.vocabulary.stops.clone())
        .with_max_batch(wanted.max_batch)
        .with_max_cache_tokens(run.cache_tokens());
    let name = dir.dir().file_name().unwrap_or_default().to_owned();
    let mut bar = ProgressLine::new(&name.to_string_lossy(), before, all);
    let mut kept = Instant::now();
    let mut failure = None;
    let mut capped = 0;
    let mut keep = |request: &Request, sample: u32, completion: Completion| -> anyhow::Result<()> {
        let trajectory = completion.into_trajectory(request, sample)?;
        out.append(&trajectory)?;
        have.push(trajectory);
        Ok(())
    };
    let mut sink = |request: &Request, sample: u32, completion: Completion| match keep(
        request, sample, completion,
    ) {
        Ok(()) => interrupt::flow(),
        Err(e) => {
            failure = Some(e);
            ControlFlow::Break(())
        }
    };
    let flow = sampler.sample(requests, &wanted.params, &mut sink, &mut |progress| {
        capped = progress.capped;
        if kept.elapsed() >= KEEP_TIME {
            // Only the clock: a failure to write will show at the next sample.
            let _ = dir.keep_time();
            kept = Instant::now();
        }
        bar.at(before + progress.done as u64, || {
            format!(
                "{:.0} tokens/s, {} at once",
                progress.tokens_per_second(),
                progress.active
            )
        });
        interrupt::flow()
    })?;
    drop(bar);
    if capped > 0 {
        messages::warn(format_args!(
            "the context is too short for max_new_tokens after {capped} prompts; their responses end where it ends"
        ));
    }
    if let Some(e) = failure {
        return Err(e);
    }
    if flow.is_break() {
        return Err(Interrupted.into());
    }
    Ok(())
}
