//! What the commands do.
#![allow(clippy::print_stdout)]

use cdpo_data::jsonl;

use crate::args::{DemoArgs, RunArgs};
use crate::lock::Lock;
use crate::pipeline::{Pipeline, Step};
use crate::recipe::{self, Recipe};
use crate::{demo, stages, talk};

/// The recipe of the demonstration.
const TINY: &str = include_str!("../../../recipes/tiny.toml");

/// `cdpo run`.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    execute(recipe::read(&args.recipe, &args.sets)?, args.dry_run)
}

/// `cdpo demo`.
pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let at = |name: &str| toml::Value::from(args.dir.join(name).to_string_lossy().as_ref());
    let mut sets = vec![
        format!("model.path={}", at("model")),
        format!("data.train={}", at("train.jsonl")),
        format!("data.test={}", at("test.jsonl")),
        format!("run.dir={}", at("runs")),
    ];
    sets.extend(args.sets.iter().cloned());
    let recipe = recipe::from_text(TINY, "tiny", &sets)?;
    demo::write(&args.dir)?;
    execute(recipe, args.dry_run)
}

fn execute(recipe: Recipe, dry_run: bool) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(recipe.run.threads)
        .build_global()?;
    let run_dir = recipe.run.dir.join(&recipe.run.name);
    if dry_run {
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
