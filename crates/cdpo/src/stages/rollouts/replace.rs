//! The stage of replacements: responses that go on without the critical token, and Pass@k with and without it.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use cdpo_critical::rollout::{CriticalToken, replace};
use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::{OnBadRow, Problem, ReplacementRecord, RolloutRecord};
use cdpo_grade::Grader;
use cdpo_report::bootstrap::{CounterDraws, RESAMPLES};
use cdpo_report::replacement_curve::ReplacementCurve;
use serde_json::{Value, json};

use super::super::generate::training_params;
use super::{PASS_AT_K, Picks, REPLACEMENTS, draw, drawing};
use crate::interrupt;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use crate::run::Run;

/// What the stage is set by.
pub(super) fn settings(run: &Run) -> Value {
    json!({ "replace": run.recipe.rollout.replacing(training_params(run).seed), "drawing": drawing(run) })
}

/// The stage's work, on the critical tokens of the records at `rollouts`.
pub(super) fn work(
    run: &mut Run,
    dir: &mut StageDir,
    picks: &Picks,
    rollouts: &Path,
) -> anyhow::Result<Value> {
    let (found, _): (Vec<RolloutRecord>, _) = jsonl::read(rollouts, OnBadRow::Fail)?;
    let found: HashMap<(&str, u32), &RolloutRecord> = found
        .iter()
        .map(|r| ((r.problem_id.as_str(), r.sample), r))
        .collect();
    let path = dir.path(REPLACEMENTS);
    let (mut out, mut have): (Appender, Vec<ReplacementRecord>) = Appender::resume(&path)?;
    let mut seen: HashSet<(String, u32)> = HashSet::new();
    have.retain(|r| seen.insert((r.problem_id.clone(), r.sample)));
    let mut total = have.len() as u64;
    let mut todo: Vec<(CriticalToken, &RolloutRecord)> = Vec::new();
    let mut problems: Vec<&Problem> = Vec::new();
    for (wrong, (problem, trajectory)) in draw::wrongs(run, picks)?.into_iter().zip(picks) {
        let name = (problem.id.clone(), trajectory.sample);
        let Some(&record) = found.get(&(name.0.as_str(), name.1)) else {
            continue;
        };
        if let Some(position) = record.position.filter(|_| !seen.contains(&name)) {
            todo.push((CriticalToken { wrong, position }, record));
            problems.push(problem);
        }
    }
    total += todo.len() as u64;
    if total == 0 {
        anyhow::bail!("no response has a critical token, so there is nothing to replace");
    }
    let settings = run.recipe.rollout.replacing(training_params(run).seed);
    if !todo.is_empty() {
        let model = run.base.decoder(None)?;
        let grader = Grader::new(run.recipe.grade.clone());
        let mut branches = draw::branches(run, &model, &grader)?;
        let right = draw::judge(&grader, &problems);
        let criticals: Vec<CriticalToken> =
            todo.iter().map(|(critical, _)| critical.clone()).collect();
        let mut bar = ProgressLine::new("replacements", total - todo.len() as u64, total);
        let mut done = total - todo.len() as u64;
        let flow = replace(
            &mut branches,
            &criticals,
            &settings,
            &right,
            &mut |one| {
                let (critical, record) = &todo[one.index];
                let at = record.positions[critical.position - 1];
                let record = ReplacementRecord {
                    problem_id: record.problem_id.clone(),
                    sample: record.sample,
                    position: critical.position,
                    kind: record.kind,
                    id: critical.wrong.ids[critical.position - 1],
                    with_n: at.successes + at.failures,
                    with_right: at.successes,
                    without: one.without,
                    generated: one.generated,
                };
                out.append(&record)?;
                have.push(record);
                done += 1;
                bar.at(done, || "critical tokens".into());
                Ok(interrupt::flow())
            },
            &mut |_| interrupt::flow(),
        )?;
        drop(bar);
        if flow == ControlFlow::Break(()) {
            return Err(Interrupted.into());
        }
    }
    drop(out);
    let have = jsonl::write_sorted(&path, have)?;
    let mut draws = CounterDraws::new(training_params(run).seed);
    let curve = ReplacementCurve::of(&have, RESAMPLES, &mut || draws.draw())?;
    jsonl::write_json(dir.path(PASS_AT_K), &curve)?;
    let sum = |of: fn(&ReplacementRecord) -> u64| have.iter().map(of).sum::<u64>();
    let counts = json!({
        "responses": have.len(),
        "replacements": sum(|r| r.without.len() as u64),
        "right": sum(|r| r.without_right().into()),
        "tokens_generated": sum(|r| r.generated),
    });
    messages::say(format_args!(
        "replaced {} critical tokens: {} of {} responses without them are right",
        have.len(),
        counts["right"],
        counts["replacements"]
    ));
    Ok(counts)
}

/// Pass@k with and without the critical token, beside the paper's.
pub(crate) fn table(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let curve: ReplacementCurve = serde_json::from_str(&text)?;
    Ok(curve.markdown())
}
