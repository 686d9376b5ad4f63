//! The stage `rollout-scored`, whose pairs carry weights from rollouts: what the method `cdpo-rollout` trains on.

use std::collections::HashMap;

use cdpo_critical::rollout::{LastPosition, RolloutSettings, Scores};
use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Pair, RolloutRecord, jsonl};
use serde_json::{Value, json};

use super::generate::{TRAJECTORIES, training_params};
use super::rollouts::{self, ROLLOUTS, draw, pick};
use super::select::{self, PAIRS};
use super::{problems, sample};
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Demand, Input, Model, Stage};

pub(crate) fn id() -> StageId {
    StageId::of_seed("rollout-scored")
}

pub(super) fn stage(_: &Recipe) -> Stage {
    Stage {
        reads: vec![
            Input::new("questions", problems::id(), problems::TRAIN),
            Input::new("samples", sample::id(), TRAJECTORIES),
            Input::new("pairs", select::id(), PAIRS),
        ],
        model: Model::Whole,
        demand: Demand::Rollouts,
        files: [PAIRS, ROLLOUTS].map(Into::into).to_vec(),
        ..Stage::new(
            id(),
            |run| json!({ "rollout": full(run), "drawing": rollouts::drawing(run) }),
            work,
        )
    }
}

/// Full scores of every position, whatever the recipe wants elsewhere: a weight needs a score.
fn full(run: &Run) -> RolloutSettings {
    RolloutSettings {
        scores: Scores::Full,
        last_position: LastPosition::Include,
        max_tokens: None,
        ..run.recipe.rollout.settings(training_params(run).seed)
    }
}

/// Rolls out the rejected responses of the selected pairs and weighs their tokens by 1 - score.
fn work(run: &mut Run, dir: &mut StageDir) -> anyhow::Result<Value> {
    let (pairs, _): (Vec<Pair>, _) = jsonl::read(run.path(&select::id(), PAIRS), OnBadRow::Fail)?;
    let picks = pick::rejected(run)?;
    let settings = full(run);
    let records = draw::records(run, dir, &picks, &settings)?;
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
    Ok(draw::counts(&records))
}
