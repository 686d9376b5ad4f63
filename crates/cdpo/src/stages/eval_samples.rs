//! The stages `sampled-base` and `sampled-METHOD`: samples of the held-out questions, for Pass@k and maj@k.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_train::Method;
use serde_json::{Value, json};

use super::eval::Answers;
use super::generate::{self, Generation, TRAJECTORIES};
use super::problems::{self, TEST};
use super::train;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Questions, Responses, Stage};

pub(crate) fn id(method: Option<Method>) -> StageId {
    match method {
        None => StageId::shared("sampled-base"),
        Some(method) => StageId::of_seed(format!("sampled-{}", method.name())),
    }
}

/// One for each row of the table, if the recipe wants samples.
pub(super) fn stages(recipe: &Recipe) -> Vec<Stage> {
    if recipe.eval.samples == 0 {
        return Vec::new();
    }
    let rows = recipe.rows().into_iter();
    rows.map(|method| stage(recipe, method)).collect()
}

fn stage(recipe: &Recipe, method: Option<Method>) -> Stage {
    let mut reads = vec![Input::new("questions", problems::id(), TEST)];
    reads.extend(method.map(|method| train::input("adapter", recipe, method)));
    let server = recipe.eval.server.as_ref();
    Stage {
        reads,
        version: generate::version(train::makes_adapter(recipe, method), server),
        model: generate::model(server),
        demand: generate::demand(
            server,
            Responses {
                of: Questions::Test,
                n: recipe.eval.samples,
                max_batch: recipe.eval.max_batch,
                adapters: method.map_or_else(Vec::new, |method| train::adapters(recipe, method)),
            },
        ),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(method), settings, move |run, dir| work(run, method, dir))
    }
}

fn settings(run: &Run) -> Value {
    let settings = json!({
        "n": run.recipe.eval.samples,
        "params": generate::training_params(run),
        "prompt": run.prompt.settings(&run.vocabulary),
    });
    generate::with_server(settings, run.recipe.eval.server.as_ref())
}

/// Samples the held-out questions as the training questions were sampled.
fn work(run: &mut Run, method: Option<Method>, dir: &mut StageDir) -> anyhow::Result<Value> {
    let answers = Answers::of(run, method)?;
    let (problems, _) = jsonl::read(run.path(&problems::id(), TEST), OnBadRow::Fail)?;
    let wanted = Generation {
        problems: &problems,
        n: run.recipe.eval.samples,
        params: generate::training_params(run),
        by: answers.answerer(run.recipe.eval.max_batch),
    };
    generate::generate(run, dir, &wanted)
}
