//! A run's folder, opened to look at what it has: its recipe read again, its model's files opened, nothing written.

use std::path::{Path, PathBuf};

use crate::outcome::Usage;
use crate::recipe;
use crate::run::Run;

/// Opens the run in `dir` (`RUN/recipe.toml` is the recipe that it ran with; `sets` change it).
pub(crate) fn open(dir: &Path, sets: &[String]) -> anyhow::Result<Run> {
    let file = dir.join("recipe.toml");
    if !file.is_file() {
        return Err(Usage(format!(
            "{} is no folder of a run: it has no recipe.toml; name the folder that `cdpo run` printed",
            dir.display()
        ))
        .into());
    }
    let mut recipe = recipe::read(&file, sets)?;
    let dir = absolute(dir)?;
    if let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) {
        recipe.run.dir = parent.to_path_buf();
        recipe.run.name = name.to_string_lossy().into_owned();
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(recipe.run.threads)
        .build_global()?;
    Run::new(recipe)
}

fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    Ok(dir.canonicalize()?)
}

/// A file of records below the run, or another one that was named.
pub(crate) fn records(
    run_dir: &Path,
    named: Option<&Path>,
    usual: &[&str],
) -> anyhow::Result<PathBuf> {
    let usual: PathBuf = usual.iter().collect();
    let path = named.map_or_else(|| run_dir.join(&usual), Path::to_path_buf);
    if path.is_file() {
        return Ok(path);
    }
    Err(Usage(format!(
        "{} is not there; `cdpo rollout {}` writes it, or name another file with --rollouts",
        path.display(),
        run_dir.join("recipe.toml").display()
    ))
    .into())
}
