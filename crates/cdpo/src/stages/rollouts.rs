//! Rollouts of wrong responses, and replacements of their critical tokens: stages that `cdpo rollout` adds to a run.

pub(crate) mod draw;
pub(crate) mod pick;
pub(crate) mod replace;

use std::path::PathBuf;
use std::rc::Rc;

use cdpo_data::{Problem, Trajectory};
use serde_json::{Value, json};

use super::generate::training_params;
use crate::run::{Run, StageId};
use crate::stage::{Model, Stage};

/// The records of a stage of rollouts.
pub(crate) const ROLLOUTS: &str = "rollouts.jsonl";
/// The records of a stage of replacements.
pub(crate) const REPLACEMENTS: &str = "replacements.jsonl";
/// Pass@k with and without the critical token.
pub(crate) const PASS_AT_K: &str = "pass_at_k.json";

/// Wrong responses, each with its question.
pub(crate) type Picks = Vec<(Problem, Trajectory)>;

/// The folders of records of a run's own responses at the default settings, relative to the run's.
pub(crate) const OWN: [&str; 2] = ["rollouts", "rollouts-pairs"];

/// The folder of the replacements that belong to a folder of rollouts.
pub(crate) fn replacements(rollouts: &str) -> String {
    rollouts.replacen("rollouts", "replacements", 1)
}

/// The rollouts of `picks`, which were read from `inputs`.
pub(crate) fn stage(name: &str, picks: Rc<Picks>, inputs: Vec<(String, String)>) -> Stage {
    Stage {
        version: 5,
        sources: Box::new(move |_| Ok(inputs.clone())),
        model: Model::Whole,
        files: vec![ROLLOUTS.into()],
        ..Stage::new(StageId::shared(name), draw::settings, move |run, dir| {
            draw::work(run, dir, &picks)
        })
    }
}

/// The replacements of the critical tokens that the records at `rollouts` name.
pub(crate) fn replacing(
    name: &str,
    picks: Rc<Picks>,
    inputs: Vec<(String, String)>,
    rollouts: PathBuf,
) -> Stage {
    Stage {
        version: 4,
        sources: Box::new(move |_| Ok(inputs.clone())),
        model: Model::Whole,
        files: [REPLACEMENTS, PASS_AT_K].map(Into::into).to_vec(),
        ..Stage::new(StageId::shared(name), replace::settings, move |run, dir| {
            replace::work(run, dir, &picks, &rollouts)
        })
    }
}

/// What every stage of rollouts is set by.
pub(super) fn drawing(run: &Run) -> Value {
    json!({
        "params": training_params(run),
        "prompt": run.prompt.settings(&run.vocabulary),
        "grade": run.recipe.grade,
        "grader": cdpo_grade::VERSION,
        "early_stop": run.recipe.stops_early(),
    })
}
