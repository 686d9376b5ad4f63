//! Running a recipe, for every command that does: threads, lock, seeds, and what is written when the stages are done.

use std::path::PathBuf;

use cdpo_data::jsonl;

use crate::lock::Lock;
use crate::messages::{self, out};
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stages::table;
use crate::{costs, files, pipeline, report, seeds};

/// Runs a recipe as far as the table of methods, prints the table and writes the report.
pub(crate) fn whole(recipe: Recipe, dry_run: bool) -> anyhow::Result<()> {
    let Some(mut run) = as_far_as(recipe, &[table::id()], dry_run)? else {
        return Ok(());
    };
    if run.seeds.len() > 1 {
        out!("{}", seeds::write(&run)?.trim_end());
    } else {
        // Of an earlier run with more seeds; experiments write theirs afterwards.
        seeds::remove(&run)?;
        let table = std::fs::read_to_string(run.path(&table::id(), table::TABLE))?;
        out!("{}", table.trim_end());
    }
    report::of_seeds(&mut run)
}

/// Runs a recipe as far as each of `goals`, a stage and a file of it, and prints where those files are.
pub(crate) fn upto(recipe: Recipe, goals: &[(StageId, &str)], dry_run: bool) -> anyhow::Result<()> {
    let stages: Vec<StageId> = goals.iter().map(|(stage, _)| stage.clone()).collect();
    if let Some(run) = as_far_as(recipe, &stages, dry_run)? {
        for (stage, file) in goals {
            out!("{}", run.path(stage, file).display());
        }
    }
    Ok(())
}

/// Runs a recipe as far as each of `goals`; `None` after a dry run, which prints its plan.
pub(crate) fn as_far_as(
    recipe: Recipe,
    goals: &[StageId],
    dry_run: bool,
) -> anyhow::Result<Option<Run>> {
    beside(recipe, goals, dry_run, &[])
}

/// As [`as_far_as`], taking over what one of the `siblings` has done.
pub(crate) fn beside(
    recipe: Recipe,
    goals: &[StageId],
    dry_run: bool,
    siblings: &[PathBuf],
) -> anyhow::Result<Option<Run>> {
    threads(&recipe);
    let seeds = if goals.iter().all(|id| id.shared) {
        // What all seeds share is done with the first.
        vec![recipe.run.seed]
    } else {
        recipe.seeds()
    };
    if dry_run {
        plan(recipe, &seeds, goals)?;
        return Ok(None);
    }
    let run_dir = recipe.run.dir.join(&recipe.run.name);
    let _lock = Lock::take(&run_dir)?;
    let mut run = Run::new(recipe)?;
    run.siblings = siblings.to_vec();
    messages::say(format_args!("run     {}", run_dir.display()));
    for (i, &seed) in seeds.iter().enumerate() {
        run.turn_to(seed);
        if seeds.len() > 1 {
            messages::say(format_args!(
                "seed    {seed} ({} of {})",
                i + 1,
                seeds.len()
            ));
        }
        pipeline::carry_out(&mut run, goals)?;
        let costs = costs::costs(&run);
        jsonl::write_json(run.home.join("timing.json"), &costs)?;
        if goals.contains(&table::id()) {
            for file in [table::DATA, table::TABLE] {
                let text = std::fs::read(run.path(&table::id(), file))?;
                files::write(&run.home.join(file), &text)?;
            }
        }
        messages::say(format_args!("\n{}", costs.plain()));
    }
    Ok(Some(run))
}

/// Prints what would be done for each seed.
fn plan(recipe: Recipe, seeds: &[u64], goals: &[StageId]) -> anyhow::Result<()> {
    let mut run = Run::new(recipe)?;
    for &seed in seeds {
        run.turn_to(seed);
        for line in pipeline::plan(&mut run, goals)? {
            if seeds.len() > 1 {
                out!("seed {seed}: {line}");
            } else {
                out!("{line}");
            }
        }
    }
    Ok(())
}

/// Starts the threads that the recipe wants.
pub(crate) fn threads(recipe: &Recipe) {
    // A second pool is refused: an experiment's runs have the first one's.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(recipe.run.threads)
        .build_global();
}
