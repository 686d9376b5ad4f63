//! The stage `samples`: the training questions' responses.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Problem, jsonl};
use serde_json::{Value, json};

use super::generate::{self, Answerer, Generation, TRAJECTORIES};
use super::{parts, problems};
use crate::recipe::{Recipe, Shard};
use crate::run::{Run, StageId};
use crate::stage::{Input, Questions, Responses, Stage};

pub(crate) fn id() -> StageId {
    StageId::shared("samples")
}

/// A part of the samples.
pub(crate) fn part_id(shard: Shard) -> StageId {
    StageId::shared(format!("samples.{}-of-{}", shard.number, shard.of))
}

/// The stage of a part, if one is wanted.
pub(super) fn part(recipe: &Recipe) -> Option<Stage> {
    let shard = recipe.shard?;
    let with_part = move |run: &Run| {
        let mut settings = settings(run);
        settings["shard"] = json!([shard.number, shard.of]);
        settings
    };
    let whole = stage(recipe);
    Some(Stage {
        reads: whole.reads,
        model: whole.model,
        demand: whole.demand,
        files: whole.files,
        ..Stage::new(part_id(shard), with_part, move |run, dir| {
            work(run, dir, Some(shard))
        })
    })
}

pub(super) fn stage(recipe: &Recipe) -> Stage {
    let server = recipe.sample.server.as_ref();
    Stage {
        reads: vec![Input::new("questions", problems::id(), problems::TRAIN)],
        model: generate::model(server),
        demand: generate::demand(
            server,
            Responses {
                of: Questions::Train,
                n: recipe.sample.n,
                max_batch: recipe.sample.max_batch,
                adapters: Vec::new(),
            },
        ),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(), settings, |run, dir| work(run, dir, None))
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

fn work(run: &mut Run, dir: &mut StageDir, shard: Option<Shard>) -> anyhow::Result<Value> {
    let (mut problems, _): (Vec<Problem>, _) =
        jsonl::read(run.path(&problems::id(), problems::TRAIN), OnBadRow::Fail)?;
    if let Some(shard) = shard {
        problems.retain(|problem| parts::is_of(shard, &problem.id));
    }
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
