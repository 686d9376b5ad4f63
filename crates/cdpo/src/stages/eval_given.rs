//! The stage `eval-given`: greedy answers of an adapter that no stage made.

use anyhow::Context as _;
use cdpo_data::artifact::hash_folder;

use super::eval::{self, Answers};
use super::generate::{self, TRAJECTORIES};
use super::problems::{self, TEST};
use crate::base_model::Trained;
use crate::recipe::Recipe;
use crate::run::StageId;
use crate::stage::{Input, Questions, Responses, Stage};

pub(crate) fn id() -> StageId {
    StageId::shared("eval-given")
}

/// There is one if an adapter was named.
pub(super) fn stage(recipe: &Recipe) -> Option<Stage> {
    let adapter = recipe.given_adapter.clone()?;
    let source = adapter.clone();
    let server = recipe.eval.server.as_ref();
    Some(Stage {
        reads: vec![Input::new("questions", problems::id(), TEST)],
        sources: Box::new(move |_| Ok(vec![("adapter".to_owned(), hash_folder(&source)?)])),
        version: generate::version(true, server),
        model: generate::model(server),
        demand: generate::demand(
            server,
            Responses {
                of: Questions::Test,
                n: 1,
                max_batch: recipe.eval.max_batch,
                // Of unknown rank: little beside the base.
                adapters: Vec::new(),
            },
        ),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(), eval::settings, move |run, dir| {
            let answers = if let Some(server) = &run.recipe.eval.server {
                Answers::Servers(server.clone(), Some(adapter.clone()))
            } else {
                let given = run
                    .base
                    .adapter(&adapter)
                    .with_context(|| format!("the adapter {} does not fit", adapter.display()))?;
                Answers::Engine(Some(Trained::Adapter(given)))
            };
            eval::answer(run, &answers, dir)
        })
    })
}
