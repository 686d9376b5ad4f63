//! The stage `samples`: the training questions' responses.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use serde_json::{Value, json};

use super::generate::{self, Generation, TRAJECTORIES};
use super::problems;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Demand, Input, Model, Questions, Responses, Stage};

pub(crate) fn id() -> StageId {
    StageId::shared("samples")
}

pub(super) fn stage(recipe: &Recipe) -> Stage {
    Stage {
        reads: vec![Input::new("questions", problems::id(), problems::TRAIN)],
        model: Model::Whole,
        demand: Demand::Responses(Responses {
            of: Questions::Train,
            n: recipe.sample.n,
            max_batch: recipe.sample.max_batch,
            adapters: Vec::new(),
        }),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(), settings, work)
    }
}

fn settings(run: &Run) -> Value {
    json!({
        "n": run.recipe.sample.n,
        "params": generate::training_params(run),
        "prompt": run.prompt.settings(&run.vocabulary),
    })
}

fn work(run: &mut Run, dir: &mut StageDir) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), problems::TRAIN), OnBadRow::Fail)?;
    let wanted = Generation {
        problems: &problems,
        n: run.recipe.sample.n,
        max_batch: run.recipe.sample.max_batch,
        params: generate::training_params(run),
        trained: None,
    };
    generate::generate(run, dir, &wanted)
}
