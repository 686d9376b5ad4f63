//! `cdpo train`: a recipe as far as the adapters of its methods, or of one.

use cdpo_train::Method;

use crate::args::TrainArgs;
use crate::outcome::Usage;
use crate::run::StageId;
use crate::stages::train;
use crate::{execute, recipe};

/// Carries the command out.
pub(super) fn train(args: &TrainArgs) -> anyhow::Result<()> {
    let recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
    let methods: Vec<Method> = match args.method {
        Some(method) if !recipe.methods.contains(&method) => {
            let name = method.name();
            return Err(Usage(format!(
                "{name} is not among the recipe's methods; add it with --set 'methods=[\"{name}\"]'"
            ))
            .into());
        }
        Some(method) => vec![method],
        None => recipe.methods.clone(),
    };
    let goals: Vec<(StageId, &str)> = methods
        .into_iter()
        .map(|method| (train::id(method), train::result(&recipe, method)))
        .collect();
    execute::upto(recipe, &goals, args.run.dry_run)
}
