//! What the commands do.
#![allow(clippy::print_stdout)]

use cdpo_data::jsonl;

use crate::args::RunArgs;
use crate::lock::Lock;
use crate::pipeline::{Pipeline, Step};
use crate::{recipe, stages, talk};

/// Runs a recipe as far as `last`.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let recipe = recipe::read(&args.recipe, &args.sets)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(recipe.run.threads)
        .build_global()?;
    let run_dir = recipe.run.dir.join(&recipe.run.name);
    if args.dry_run {
        for line in Pipeline::new(recipe)?.plan(Step::Table)? {
            println!("{line}");
        }
        return Ok(());
    }
    let _lock = Lock::take(&run_dir)?;
    let mut pipeline = Pipeline::new(recipe)?;
    talk::say(format_args!("run     {}", run_dir.display()));
    pipeline.run(Step::Table)?;
    let costs = stages::costs(&pipeline);
    for file in ["table.md", "table.json"] {
        std::fs::copy(pipeline.path(Step::Table, file), run_dir.join(file))?;
    }
    jsonl::write_json(run_dir.join("timing.json"), &costs)?;
    talk::say(format_args!("\n{}", costs.plain()));
    println!(
        "{}",
        std::fs::read_to_string(run_dir.join("table.md"))?.trim_end()
    );
    Ok(())
}
