//! The stage whose pairs carry weights from rollouts: what the method `cdpo-rollout` trains on.

use std::collections::HashMap;

use cdpo_critical::rollout::{LastPosition, RolloutSettings, Scores};
use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Pair, Problem, RolloutRecord, Trajectory, jsonl};
use serde_json::{Value, json};

use super::{Picks, ROLLOUTS, draw, drawing};
use crate::pipeline::{Pipeline, Step};
use crate::stages::{self, Finished, PAIRS, TRAIN, TRAJECTORIES};

/// Full scores of every position, whatever the recipe wants elsewhere: a weight needs a score.
fn full(p: &Pipeline) -> RolloutSettings {
    RolloutSettings {
        scores: Scores::Full,
        last_position: LastPosition::Include,
        max_tokens: None,
        ..p.recipe.rollout.settings(stages::training_params(p).seed)
    }
}

/// What the stage is set by.
pub(crate) fn settings(p: &Pipeline) -> Value {
    json!({ "rollout": full(p), "drawing": drawing(p) })
}

/// Rolls out the rejected responses of the selected pairs and weighs their tokens by 1 - score.
pub(crate) fn weigh(p: &mut Pipeline, dir: &mut StageDir) -> anyhow::Result<Finished> {
    let (pairs, _): (Vec<Pair>, _) = jsonl::read(p.path(Step::Select, PAIRS), OnBadRow::Fail)?;
    let (problems, _): (Vec<Problem>, _) =
        jsonl::read(p.path(Step::Problems, TRAIN), OnBadRow::Fail)?;
    let (samples, _): (Vec<Trajectory>, _) =
        jsonl::read(p.path(Step::Sample, TRAJECTORIES), OnBadRow::Fail)?;
    let problems: HashMap<&str, &Problem> = problems.iter().map(|p| (p.id.as_str(), p)).collect();
    let samples: HashMap<(&str, u32), &Trajectory> = samples
        .iter()
        .map(|t| ((t.problem_id.as_str(), t.sample), t))
        .collect();
    let picks: Picks = pairs
        .iter()
        .filter_map(|pair| {
            let id = pair.problem_id.as_str();
            let trajectory = samples.get(&(id, pair.rejected_sample))?;
            Some(((*problems.get(id)?).clone(), (*trajectory).clone()))
        })
        .collect();
    let settings = full(p);
    let records = draw::records(p, dir, &picks, &settings)?;
    let by_name: HashMap<(&str, u32), &RolloutRecord> = records
        .iter()
        .map(|r| ((r.problem_id.as_str(), r.sample), r))
        .collect();
    let mut weighed = Vec::with_capacity(pairs.len());
    for pair in &pairs {
        let name = (pair.problem_id.as_str(), pair.rejected_sample);
        let record = by_name.get(&name).ok_or_else(|| {
            anyhow::anyhow!(
                "sample {} of question {} is not among the samples",
                name.1,
                name.0
            )
        })?;
        weighed.push(cdpo_critical::rollout::weigh(pair, record)?);
    }
    jsonl::write_atomic(dir.path(PAIRS), &weighed)?;
    Ok(Finished::new(&[PAIRS, ROLLOUTS], draw::counts(&records)))
}
