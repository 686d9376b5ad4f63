//! The stage whose pairs carry weights from rollouts: what the method `cdpo-rollout` trains on.

use std::collections::HashMap;

use cdpo_critical::rollout::{LastPosition, RolloutSettings, Scores};
use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Pair, RolloutRecord, jsonl};
use serde_json::{Value, json};

use super::{ROLLOUTS, draw, drawing, pick};
use crate::pipeline::{Pipeline, Step};
use crate::stages::{self, Finished, PAIRS};

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
    let picks = pick::rejected(p)?;
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
            anyhow::anyhow!("sample {} of question {} has no rollouts", name.1, name.0)
        })?;
        weighed.push(cdpo_critical::rollout::weigh(pair, record)?);
    }
    jsonl::write_atomic(dir.path(PAIRS), &weighed)?;
    Ok(Finished::new(&[PAIRS, ROLLOUTS], draw::counts(&records)))
}
