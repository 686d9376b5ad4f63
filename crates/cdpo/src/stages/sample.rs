//! The stage `samples`: the training questions' responses.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use serde_json::{Value, json};

use super::generate::{self, Answerer, Generation, TRAJECTORIES};
use super::problems;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Stage};

pub(crate) fn id() -> StageId {
    StageId::shared("samples")
}

pub(super) fn stage(recipe: &Recipe) -> Stage {
    let server = recipe.sample.server.as_ref();
    Stage {
        reads: vec![Input::new("questions", problems::id(), problems::TRAIN)],
        model: generate::model(server),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(), settings, work)
    }
}

fn settings(run: &Run) -> Value {
    let settings = json!({
        "n": run.recipe.sample.n,
        "params": generate::training_params(run),
        "prompt": run.prompt.settings(&run.vocabulary),
    });
    generate::with_server(settings, run.recipe.sample.server.as_ref())
}

fn work(run: &mut Run, dir: &mut StageDir) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), problems::TRAIN), OnBadRow::Fail)?;
    let server = run.recipe.sample.server.clone();
    let wanted = Generation {
        problems: &problems,
        n: run.recipe.sample.n,
        params: generate::training_params(run),
        by: match &server {
            Some(server) => Answerer::Servers(server, None),
            None => Answerer::Engine(None, run.recipe.sample.max_batch),
        },
    };
    generate::generate(run, dir, &wanted)
}
