//! The stage of rollouts: a record for each wrong response, appended as it is done; a round that has ended is never drawn again.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use cdpo_critical::rollout::{
    Finding, RolledOut, RolloutEvent, RolloutSettings, WrongResponse, roll_out,
};
use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::rollout_record::{PositionScore, RolloutRound};
use cdpo_data::{CriticalKind, Problem, RolloutRecord};
use cdpo_grade::{Grader, Outcome};
use cdpo_model::Model;
use cdpo_report::interval::wilson_95;
use cdpo_sample::{Branches, LocalSampler};
use serde_json::{Value, json};

use super::super::generate::training_params;
use super::{Picks, ROLLOUTS, drawing};
use crate::interrupt;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use crate::run::Run;

/// The rounds of the responses that are not done; gone when the stage is.
const ROUNDS: &str = "rounds.jsonl";

/// How often the time spent is written down.
const KEEP_TIME: Duration = Duration::from_secs(20);

/// What the stage is set by.
pub(super) fn settings(run: &Run) -> Value {
    let section = &run.recipe.rollout;
    json!({
        "rollout": section.settings(training_params(run).seed),
        "limit": section.limit,
        "per_question": section.per_question,
        "longest": section.longest,
        "drawing": drawing(run),
    })
}

/// A pick as the engine takes it.
pub(super) fn wrongs(run: &Run, picks: &Picks) -> anyhow::Result<Vec<WrongResponse>> {
    let wrongs = picks
        .iter()
        .map(|(problem, trajectory)| {
            Ok(WrongResponse {
                problem_id: problem.id.clone(),
                sample: trajectory.sample,
                prefix_ids: run.prompt.prefix_ids.clone(),
                prompt_ids: run.prompt.question_ids(&run.vocabulary, problem)?,
                ids: trajectory.ids.clone(),
                finish: trajectory.finish,
            })
        })
        .collect();
    run.vocabulary.report("rollouts");
    wrongs
}

/// What rollouts branch on: the model, and the grader where it settles them.
pub(super) fn branches<'a>(
    run: &'a Run,
    model: &'a Model,
    grader: &'a Grader,
) -> anyhow::Result<Branches<'a>> {
    let sampler = LocalSampler::new(model, &run.vocabulary.tokenizer)
        .with_eos(run.vocabulary.stops.clone())
        .with_max_batch(run.recipe.rollout.max_batch)
        .with_max_cache_tokens(run.cache_tokens());
    let mut branches = Branches::new(&sampler, training_params(run))?;
    if run.recipe.stops_early() {
        branches = branches.with_settled(Box::new(|text| grader.settled_at(text)));
    }
    Ok(branches)
}

/// Whether a response to a question is right.
pub(super) fn judge<'a>(
    grader: &'a Grader,
    problems: &'a [&Problem],
) -> impl Fn(usize, &str) -> bool {
    move |index, text| {
        let gold = &problems[index].answer;
        grader.grade(text, gold).outcome == Outcome::Correct
    }
}

/// The stage's work.
pub(super) fn work(run: &mut Run, dir: &mut StageDir, picks: &Picks) -> anyhow::Result<Value> {
    let settings = run.recipe.rollout.settings(training_params(run).seed);
    let records = records(run, dir, picks, &settings)?;
    Ok(counts(&records))
}

/// The records of all picks, in order; those that the stage's folder has are not drawn again.
pub(in super::super) fn records(
    run: &mut Run,
    dir: &mut StageDir,
    picks: &Picks,
    settings: &RolloutSettings,
) -> anyhow::Result<Vec<RolloutRecord>> {
    let path = dir.path(ROLLOUTS);
    let (mut out, mut have): (Appender, Vec<RolloutRecord>) = Appender::resume(&path)?;
    let mut seen: HashSet<(String, u32)> = HashSet::new();
    have.retain(|r| seen.insert((r.problem_id.clone(), r.sample)));
    let (mut kept_rounds, rounds): (Appender, Vec<RolloutRound>) =
        Appender::resume(dir.path(ROUNDS))?;
    let missing: Picks = picks
        .iter()
        .filter(|(problem, t)| !seen.contains(&(problem.id.clone(), t.sample)))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let before = have.len() as u64;
        let model = run.base.decoder(None)?;
        let wrongs = wrongs(run, &missing)?;
        let grader = Grader::new(run.recipe.grade.clone());
        let mut branches = branches(run, &model, &grader)?;
        let problems: Vec<&Problem> = missing.iter().map(|(problem, _)| problem).collect();
        let right = judge(&grader, &problems);
        let name = dir.dir().file_name().unwrap_or_default().to_owned();
        let mut bar = ProgressLine::new(&name.to_string_lossy(), before, picks.len() as u64);
        let (started, mut kept) = (Instant::now(), Instant::now());
        let mut sink = |event: RolloutEvent<'_>| -> cdpo_critical::Result<ControlFlow<()>> {
            match event {
                RolloutEvent::Step(progress) => {
                    if kept.elapsed() >= KEEP_TIME {
                        // Only the clock: a failure to write will show at the next record.
                        let _ = dir.keep_time();
                        kept = Instant::now();
                    }
                    bar.at(before + progress.done as u64, || {
                        let rate = progress.generated as f64 / started.elapsed().as_secs_f64();
                        let share = if progress.generated_done > 0 {
                            let share =
                                progress.exhaustive_done as f64 / progress.generated_done as f64;
                            format!(", 1/{share:.0} of exhaustive")
                        } else {
                            String::new()
                        };
                        format!(
                            "{} tokens, {rate:.0}/s{share}, {} at once",
                            progress.generated, progress.sequences
                        )
                    });
                }
                RolloutEvent::Round(round) => kept_rounds.append(&round)?,
                RolloutEvent::Done(one) => {
                    let record = record(&wrongs[one.index], settings, *one);
                    out.append(&record)?;
                    have.push(record);
                }
            }
            Ok(interrupt::flow())
        };
        let flow = roll_out(&mut branches, &wrongs, settings, &rounds, &right, &mut sink)?;
        drop(bar);
        if flow.is_break() {
            return Err(Interrupted.into());
        }
    }
    drop((out, kept_rounds));
    let have = jsonl::write_sorted(&path, have)?;
    std::fs::remove_file(dir.path(ROUNDS))?;
    Ok(have)
}

fn record(wrong: &WrongResponse, settings: &RolloutSettings, told: RolledOut) -> RolloutRecord {
    let (kind, position) = match told.finding {
        Some(Finding::Both { position }) => (CriticalKind::Both, Some(position)),
        Some(Finding::OnlyFirst { position }) => (CriticalKind::OnlyFirst, Some(position)),
        Some(Finding::None) => (CriticalKind::None, None),
        None => (CriticalKind::Unsettled, None),
    };
    let n = settings.n;
    let bound = |right: u32| wilson_95(right.into(), n.into());
    let positions = told.counts.iter().map(|&(successes, failures)| {
        // Never out of range: there are at most n of them.
        let low = bound(successes).map_or(0.0, |i| i.low);
        let high = bound(n - failures).map_or(1.0, |i| i.high);
        PositionScore {
            successes,
            failures,
            partial: successes + failures < n,
            low,
            high,
        }
    });
    RolloutRecord {
        problem_id: wrong.problem_id.clone(),
        sample: wrong.sample,
        prompt_ids: wrong.prompt_ids.clone(),
        ids: wrong.ids.clone(),
        finish: wrong.finish,
        n,
        keys: settings.keys,
        kind,
        position,
        positions: positions.collect(),
        token_logps: told.token_logps,
        entropies: told.entropies,
        cost: told.cost,
    }
}

/// How many of everything, for the manifest.
pub(in super::super) fn counts(records: &[RolloutRecord]) -> Value {
    let mut kinds: HashMap<&str, u64> = ["both", "only_first", "none", "unsettled"]
        .map(|kind| (kind, 0))
        .into();
    for record in records {
        *kinds.entry(record.kind.name()).or_default() += 1;
    }
    let sum = |of: fn(&RolloutRecord) -> u64| records.iter().map(of).sum::<u64>();
    let generated = sum(|r| r.cost.generated);
    let mut ratios: Vec<f64> = records
        .iter()
        .filter(|r| r.cost.generated > 0)
        .map(|r| r.cost.exhaustive as f64 / r.cost.generated as f64)
        .collect();
    ratios.sort_by(f64::total_cmp);
    json!({
        "responses": records.len(),
        "kinds": kinds,
        "positions": sum(|r| r.positions.len() as u64),
        "rollouts": sum(|r| r.cost.rollouts),
        "tokens_read": sum(|r| r.cost.prefilled),
        "tokens_generated": generated,
        "tokens_exhaustive": sum(|r| r.cost.exhaustive),
        "exhaustive_counted": records.iter().all(|r| r.cost.exhaustive_counted),
        "median_ratio": median(&ratios),
    })
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Says what came of it.
pub(crate) fn say(counts: &Value) {
    let count = |name: &str| counts[name].as_u64().unwrap_or(0);
    let kind = |name: &str| counts["kinds"][name].as_u64().unwrap_or(0);
    let estimated = if counts["exhaustive_counted"] == json!(true) {
        "counted"
    } else {
        "estimated"
    };
    messages::say(format_args!(
        "critical tokens of {} responses: {} meet both conditions, {} only the first, {} have none, {} are not settled",
        count("responses"),
        kind("both"),
        kind("only_first"),
        kind("none"),
        kind("unsettled")
    ));
    messages::say(format_args!(
        "{} tokens drawn; each rollout of each position by itself takes {} ({estimated}), the median response {:.1} times as many",
        count("tokens_generated"),
        count("tokens_exhaustive"),
        counts["median_ratio"].as_f64().unwrap_or(f64::NAN)
    ));
}
