//! Generating responses: each is appended as it finishes, and only the missing ones are asked for.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::{OnBadRow, Problem, Trajectory};
use cdpo_model::{KvCache, Model};
use cdpo_sample::{LocalSampler, Request, SampleParams, Sampler as _};
use serde_json::{Value, json};

use super::{Finished, TRAIN, TRAJECTORIES, reuse};
use crate::outcome::Interrupted;
use crate::pipeline::{Pipeline, Step};
use crate::talk::{self, Progress};
use crate::{base, interrupt};

/// How often the time spent is written down, so that a killed run does not lose count of it.
const KEEP_TIME: Duration = Duration::from_secs(20);

/// How training questions are sampled.
pub(crate) fn training_params(p: &Pipeline) -> SampleParams {
    let sample = &p.recipe.sample;
    SampleParams {
        temperature: sample.temperature,
        top_p: sample.top_p,
        top_k: sample.top_k,
        max_new_tokens: sample.max_new_tokens,
        stop: p.prompt.framing.stop.clone(),
        logps: false,
        seed: sample.seed.unwrap_or(p.recipe.run.seed),
    }
}

/// How held-out questions are answered: greedily.
pub(super) fn evaluation_params(p: &Pipeline) -> SampleParams {
    let most = p.recipe.eval.max_new_tokens;
    SampleParams {
        stop: p.prompt.framing.stop.clone(),
        ..SampleParams::greedy(most.unwrap_or(p.recipe.sample.max_new_tokens))
    }
}

pub(super) fn sample(p: &mut Pipeline, dir: &mut StageDir) -> anyhow::Result<Finished> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TRAIN), OnBadRow::Fail)?;
    let params = training_params(p);
    let (n, batch) = (p.recipe.sample.n, p.recipe.sample.max_batch);
    let counts = generate(p, dir, &problems, n, batch, &params, |base| {
        base.decoder(None)
    })?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}

/// Generates `n` responses to each question into the stage's trajectories; `load` is called only if one is missing.
pub(super) fn generate(
    p: &mut Pipeline,
    dir: &mut StageDir,
    problems: &[Problem],
    n: u32,
    max_batch: usize,
    params: &SampleParams,
    load: impl FnOnce(&mut base::Base) -> anyhow::Result<Model>,
) -> anyhow::Result<Value> {
    let path = dir.path(TRAJECTORIES);
    let (mut out, mut have): (Appender, Vec<Trajectory>) = Appender::resume(&path)?;
    for kept in reuse::kept(dir, problems, n, &have)? {
        out.append(&kept)?;
        have.push(kept);
    }
    let mut seen: HashSet<(String, u32)> = HashSet::new();
    have.retain(|t| seen.insert((t.problem_id.clone(), t.sample)));
    let done: HashSet<(&str, u32)> = have
        .iter()
        .map(|t| (t.problem_id.as_str(), t.sample))
        .collect();
    let mut requests = Vec::new();
    let mut tokens_read = p.prompt.prefix_ids.len() as u64;
    for problem in problems {
        let prompt_ids = p.prompt.question_ids(&p.base, problem)?;
        tokens_read += prompt_ids.len() as u64;
        let samples: Vec<u32> = (0..n)
            .filter(|&sample| !done.contains(&(problem.id.as_str(), sample)))
            .collect();
        if !samples.is_empty() {
            requests.push(Request {
                problem_id: problem.id.clone(),
                prefix_ids: p.prompt.prefix_ids.clone(),
                prompt_ids,
                samples,
            });
        }
    }
    if !requests.is_empty() {
        let before = have.len() as u64;
        let all = problems.len() as u64 * u64::from(n);
        let model = load(&mut p.base)?;
        let cache =
            (p.recipe.sample.cache_mib << 20) / KvCache::bytes_per_token(model.config()).max(1);
        let mut sampler = LocalSampler::new(&model, &p.base.checkpoint.tokenizer)
            .with_eos(p.base.stops.clone())
            .with_max_batch(max_batch)
            .with_max_cache_tokens(cache);
        let name = dir.dir().file_name().unwrap_or_default().to_owned();
        let name = name.to_string_lossy();
        let mut bar = Progress::new(&name, before, all);
        let mut kept = Instant::now();
        let mut failure = None;
        let mut capped = 0;
        let mut sink = |request: &Request, sample: u32, completion: cdpo_sample::Completion| {
            let trajectory = Trajectory {
                problem_id: request.problem_id.clone(),
                sample,
                text: completion.text,
                ids: completion.ids.unwrap_or_default(),
                finish: completion.finish,
                token_logps: completion.token_logps,
            };
            match out.append(&trajectory) {
                Ok(()) => {
                    have.push(trajectory);
                    interrupt::flow()
                }
                Err(e) => {
                    failure = Some(e);
                    ControlFlow::Break(())
                }
            }
        };
        let flow = sampler.sample(&requests, params, &mut sink, &mut |progress| {
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
            talk::warn(format_args!(
                "the context is too short for max_new_tokens after {capped} prompts; their responses end where it ends"
            ));
        }
        if let Some(e) = failure {
            return Err(e.into());
        }
        if flow.is_break() {
            return Err(Interrupted.into());
        }
    }
    drop(out);
    let have = jsonl::write_sorted(&path, have)?;
    let generated: u64 = have
        .iter()
        .map(|t| t.ids.len() as u64 + u64::from(t.terminated()))
        .sum();
    Ok(json!({
        "questions": problems.len(),
        "responses": have.len(),
        "terminated": have.iter().filter(|t| t.terminated()).count(),
        "tokens_read": tokens_read,
        "tokens_generated": generated,
    }))
}
