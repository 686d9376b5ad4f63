//! `cdpo run`, `cdpo quickstart` and `cdpo demo`: a whole recipe, the user's or one that the program brings along.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::args::{DemoArgs, QuickstartArgs, RunSeedsArgs};
use crate::messages::out;
use crate::{demo, execute, recipe};

/// The recipe of the quickstart.
const QUICKSTART: &str = include_str!("../../embedded/quickstart.toml");

/// What `--fast` changes of it.
const FAST: &[&str] = &[
    "run.name=quickstart-fast",
    "data.train_limit=60",
    "sample.n=16",
    "eval.limit=100",
];

/// The recipe of the demonstration.
const TINY: &str = include_str!("../../embedded/tiny.toml");

/// Runs the user's recipe.
pub(super) fn run(args: &RunSeedsArgs) -> anyhow::Result<()> {
    let mut sets = args.run.sets.clone();
    sets.extend(args.seeds.map(|n| format!("run.seeds={n}")));
    let recipe = recipe::read(&args.run.recipe, &sets)?;
    execute::whole(recipe, args.run.dry_run)
}

/// Runs the recipe of the built-in model and questions.
pub(super) fn quickstart(args: &QuickstartArgs) -> anyhow::Result<()> {
    if args.print_recipe {
        out!("{}", QUICKSTART.trim_end());
        return Ok(());
    }
    let fast = if args.fast { FAST } else { &[] };
    let mut sets: Vec<String> = fast.iter().map(|set| (*set).to_owned()).collect();
    sets.extend(args.sets.iter().cloned());
    let recipe = recipe::from_text(QUICKSTART, "quickstart", &sets)?;
    execute::whole(recipe, args.dry_run)
}

/// Writes the demonstration's model and questions, and runs its recipe on them.
pub(super) fn demonstration(args: &DemoArgs) -> anyhow::Result<()> {
    let at = |name: &str| {
        let path: PathBuf = args.dir.join(name);
        toml::Value::from(path.to_string_lossy().as_ref())
    };
    let mut sets = vec![
        format!("model.path={}", at("model")),
        format!("data.train={}", at("train.jsonl")),
        format!("data.test={}", at("test.jsonl")),
        format!("run.dir={}", at("runs")),
    ];
    sets.extend(args.sets.iter().cloned());
    let recipe = recipe::from_text(TINY, "tiny", &sets)?;
    demo::write(&args.dir).with_context(|| {
        format!(
            "the demonstration cannot be written into {}",
            args.dir.display()
        )
    })?;
    execute::whole(recipe, args.dry_run)
}
