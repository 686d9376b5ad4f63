//! Answering the held-out questions greedily, with an adapter merged into a fresh copy of the model.

use anyhow::Context as _;
use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use cdpo_model::Adapter;
use cdpo_report::{Evaluation, MethodTable};
use cdpo_train::Method;
use serde_json::Value;

use super::{Finished, TEST, TRAJECTORIES, finetune, generate, select};
use crate::pipeline::{Pipeline, Step};

/// Evaluates the base, or a method's adapter.
pub(super) fn run(
    p: &mut Pipeline,
    method: Option<Method>,
    dir: &mut StageDir,
) -> anyhow::Result<Finished> {
    let adapter = method
        .map(|method| finetune::adapter(p, Step::Train(method)))
        .transpose()?;
    let counts = answer(p, adapter.as_ref(), dir)?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}

/// Evaluates an adapter that no stage made.
pub(super) fn given(p: &mut Pipeline, dir: &mut StageDir) -> anyhow::Result<Finished> {
    let path = p.recipe.given_adapter.clone().unwrap_or_default();
    let adapter = Adapter::load(&path, &p.base.checkpoint.config, &p.base.device)
        .with_context(|| format!("the adapter {} does not fit", path.display()))?;
    let counts = answer(p, Some(&adapter), dir)?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}

fn answer(
    p: &mut Pipeline,
    adapter: Option<&Adapter>,
    dir: &mut StageDir,
) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let params = generate::evaluation_params(p);
    let batch = p.recipe.eval.max_batch;
    generate::generate(p, dir, &problems, 1, batch, &params, |base| {
        base.decoder(adapter)
    })
}

/// A table of one row: a finished evaluation's accuracy, by the recipe's grading.
pub(crate) fn accuracy(p: &Pipeline, step: Step, name: &str) -> anyhow::Result<String> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let (answers, _) = jsonl::read(p.path(step, TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(p.recipe.grade.clone());
    let graded = select::grade_all(&grader, &problems, &answers)?;
    let table = MethodTable::build(&[Evaluation::from_graded(name, &graded)?], &[])?;
    Ok(table.markdown())
}
