//! `cdpo eval`: the accuracy of the base model, or of an adapter that no stage made.

use crate::args::EvalArgs;
use crate::messages::out;
use crate::stages::{eval, eval_given};
use crate::{execute, recipe};

/// Carries the command out.
pub(super) fn eval(args: &EvalArgs) -> anyhow::Result<()> {
    let mut recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
    let (stage, name) = match &args.adapter {
        None => (eval::id(None), "base".to_owned()),
        Some(dir) => {
            recipe.given_adapter = Some(dir.clone());
            (eval_given::id(), dir.display().to_string())
        }
    };
    let goals = [stage];
    if let Some(run) = execute::as_far_as(recipe, &goals, args.run.dry_run)? {
        out!("{}", eval::accuracy(&run, &goals[0], &name)?.trim_end());
    }
    Ok(())
}
