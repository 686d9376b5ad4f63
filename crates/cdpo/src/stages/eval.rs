//! Answering the held-out questions greedily, with an adapter merged into a fresh copy of the model.

use anyhow::Context as _;
use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use cdpo_model::Adapter;
use cdpo_report::{ConventionTable, Evaluation, MethodTable};
use cdpo_train::Method;
use serde_json::Value;

use super::{Finished, TEST, TRAJECTORIES, conventions, finetune, generate, select};
use crate::base::Trained;
use crate::pipeline::{Pipeline, Step};

/// Evaluates the base, or a method's adapter.
pub(super) fn run(
    p: &mut Pipeline,
    method: Option<Method>,
    dir: &mut StageDir,
) -> anyhow::Result<Finished> {
    let trained = method
        .map(|method| finetune::trained(p, method))
        .transpose()?;
    let counts = answer(p, trained.as_ref(), dir)?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}

/// Samples the held-out questions as the training questions were sampled.
pub(super) fn samples(
    p: &mut Pipeline,
    method: Option<Method>,
    dir: &mut StageDir,
) -> anyhow::Result<Finished> {
    let trained = method
        .map(|method| finetune::trained(p, method))
        .transpose()?;
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let params = generate::training_params(p);
    let (n, batch) = (p.recipe.eval.samples, p.recipe.eval.max_batch);
    let counts = generate::generate(p, dir, &problems, n, batch, &params, |base| {
        base.decoder(trained.as_ref())
    })?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}

/// Evaluates an adapter that no stage made.
pub(super) fn given(p: &mut Pipeline, dir: &mut StageDir) -> anyhow::Result<Finished> {
    let path = p.recipe.given_adapter.clone().unwrap_or_default();
    let adapter = Adapter::load(&path, &p.base.checkpoint.config, &p.base.device)
        .with_context(|| format!("the adapter {} does not fit", path.display()))?;
    let counts = answer(p, Some(&Trained::Adapter(adapter)), dir)?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}

fn answer(
    p: &mut Pipeline,
    trained: Option<&Trained>,
    dir: &mut StageDir,
) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let params = generate::evaluation_params(p);
    let batch = p.recipe.eval.max_batch;
    let counts = generate::generate(p, dir, &problems, 1, batch, &params, |base| {
        base.decoder(trained)
    })?;
    // Said, not kept: another grader grades the same responses anew.
    let (answers, _) = jsonl::read(dir.path(TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(p.recipe.grade.clone());
    select::outcomes("answers", &select::grade_all(&grader, &problems, &answers)?);
    Ok(counts)
}

/// A table of one row: a finished evaluation's accuracy, by the recipe's grading.
pub(crate) fn accuracy(p: &Pipeline, step: Step, name: &str) -> anyhow::Result<String> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let (answers, _) = jsonl::read(p.path(step, TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(p.recipe.grade.clone());
    let graded = select::grade_all(&grader, &problems, &answers)?;
    let table = MethodTable::build(&[Evaluation::from_graded(name, &graded)?], &[])?;
    let mut beside = ConventionTable::default();
    conventions::add(&mut beside, &p.recipe, name, &problems, &answers)?;
    Ok(table.markdown() + &conventions::appended(&beside))
}
