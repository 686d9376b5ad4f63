//! `cdpo report`: the page of a run's folder anew, after rollouts, an analysis, or with another version of the page.

use anyhow::Context as _;

use crate::args::ReportArgs;
use crate::messages::out;
use crate::run::Run;
use crate::{recipe, report};

/// Carries the command out.
pub(super) fn report(args: &ReportArgs) -> anyhow::Result<()> {
    let path = args.run.join("recipe.toml");
    let mut recipe = recipe::read(&path, &args.sets)
        .with_context(|| format!("{} is no run's folder", args.run.display()))?;
    let folder = std::path::absolute(&args.run)?;
    recipe.run.name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    recipe.run.dir = folder.parent().unwrap_or(&folder).to_path_buf();
    let seeds = recipe.seeds();
    let mut run = Run::new(recipe)?;
    let mut pages = Vec::new();
    for seed in seeds {
        run.turn_to(seed);
        if run.home.is_dir() {
            pages.push(report::write(&run)?);
        }
    }
    for page in pages {
        out!("{}", page.display());
    }
    Ok(())
}
