//! The stages `eval-base` and `eval-METHOD`: greedy answers to the held-out questions.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use cdpo_report::{ConventionTable, Evaluation, MethodTable};
use cdpo_train::Method;
use serde_json::{Value, json};

use super::generate::{self, Generation, TRAJECTORIES};
use super::grading::{grade_all, outcomes};
use super::problems::{self, TEST};
use super::{conventions, train};
use crate::base_model::Trained;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Demand, Input, Model, Questions, Responses, Stage};

/// The evaluation of a method, or of the base, which no seed changes.
pub(crate) fn id(method: Option<Method>) -> StageId {
    match method {
        None => StageId::shared("eval-base"),
        Some(method) => StageId::of_seed(format!("eval-{}", method.name())),
    }
}

/// The evaluations of a recipe.
pub(super) fn stages(recipe: &Recipe) -> Vec<Stage> {
    let rows = recipe.rows().into_iter();
    rows.map(|method| stage(recipe, method)).collect()
}

fn stage(recipe: &Recipe, method: Option<Method>) -> Stage {
    let mut reads = vec![Input::new("questions", problems::id(), TEST)];
    reads.extend(method.map(|method| train::input("adapter", recipe, method)));
    Stage {
        reads,
        version: generate::version(train::makes_adapter(recipe, method)),
        model: Model::Whole,
        demand: Demand::Responses(Responses {
            of: Questions::Test,
            n: 1,
            max_batch: recipe.eval.max_batch,
            adapters: method.map_or_else(Vec::new, |method| train::adapters(recipe, method)),
        }),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(method), settings, move |run, dir| {
            let trained = method.map(|method| train::trained(run, method));
            answer(run, trained.transpose()?.as_ref(), dir)
        })
    }
}

pub(super) fn settings(run: &Run) -> Value {
    json!({
        "params": generate::evaluation_params(run),
        "prompt": run.prompt.settings(&run.vocabulary),
    })
}

/// Answers the held-out questions greedily, with the base or what a training made of it.
pub(super) fn answer(
    run: &mut Run,
    trained: Option<&Trained>,
    dir: &mut StageDir,
) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), TEST), OnBadRow::Fail)?;
    let wanted = Generation {
        problems: &problems,
        n: 1,
        max_batch: run.recipe.eval.max_batch,
        params: generate::evaluation_params(run),
        trained,
    };
    let counts = generate::generate(run, dir, &wanted)?;
    // Said, not kept: another grader grades the same responses anew.
    let (answers, _) = jsonl::read(dir.path(TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(run.recipe.grade.clone());
    outcomes("answers", &grade_all(&grader, &problems, &answers)?);
    Ok(counts)
}

/// A table of one row: a finished evaluation's accuracy, by the recipe's grading.
pub(crate) fn accuracy(run: &Run, id: &StageId, name: &str) -> anyhow::Result<String> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), TEST), OnBadRow::Fail)?;
    let (answers, _) = jsonl::read(run.path(id, TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(run.recipe.grade.clone());
    let graded = grade_all(&grader, &problems, &answers)?;
    let table = MethodTable::build(&[Evaluation::from_graded(name, &graded)?], &[])?;
    let mut beside = ConventionTable::default();
    conventions::add(&mut beside, &run.recipe, name, &problems, &answers)?;
    Ok(table.markdown() + &conventions::appended(&beside))
}
