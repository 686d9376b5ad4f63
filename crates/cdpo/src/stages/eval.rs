//! Answering the held-out questions greedily, with an adapter merged into a fresh copy of the model.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_train::Method;

use super::{Finished, TEST, TRAJECTORIES, finetune, generate};
use crate::pipeline::{Pipeline, Step};

pub(super) fn run(
    p: &mut Pipeline,
    method: Option<Method>,
    dir: &StageDir,
) -> anyhow::Result<Finished> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let adapter = method
        .map(|method| finetune::adapter(p, Step::Train(method)))
        .transpose()?;
    let params = generate::evaluation_params(p);
    let batch = p.recipe.eval.max_batch;
    let counts = generate::generate(p, dir, &problems, 1, batch, &params, |base| {
        base.decoder(adapter.as_ref())
    })?;
    Ok(Finished::new(&[TRAJECTORIES], counts))
}
