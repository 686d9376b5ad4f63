//! An experiment: recipes x methods x seeds x data sets in one file; one table in the shape of the paper's Table 3 comes out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cdpo_report::experiment::ExperimentTable;
use cdpo_train::Method;
use serde::Deserialize;

use crate::args::ExperimentArgs;
use crate::messages::out;
use crate::outcome::Usage;
use crate::recipe::{self, Recipe};
use crate::stages::table;
use crate::{execute, files, messages, paths, report, seeds};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    /// Names the folder; the file's own name if left out.
    name: Option<String>,
    /// Folder of all experiments.
    #[serde(default = "runs")]
    dir: PathBuf,
    /// Seeds of each run.
    #[serde(default = "one")]
    seeds: u32,
    /// Methods of each run; each recipe's own if left out.
    methods: Option<Vec<Method>>,
    /// The runs.
    run: Vec<Column>,
}

/// A column of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    /// The data set's name in the table.
    dataset: String,
    /// The model's name in the table.
    model: String,
    /// The recipe, from the experiment file's folder.
    recipe: PathBuf,
    /// Changes of the recipe: dotted key and value.
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
}

fn runs() -> PathBuf {
    "runs".into()
}

fn one() -> u32 {
    1
}

/// Carries an experiment out.
pub(crate) fn run(args: &ExperimentArgs) -> anyhow::Result<()> {
    let path = &args.experiment;
    let text = std::fs::read_to_string(path).map_err(|e| {
        Usage(format!(
            "the experiment {} cannot be read: {e}; `recipes/table3-wordmath.toml` is one",
            path.display()
        ))
    })?;
    let fault = |text: String| Usage(format!("the experiment {}: {text}", path.display()));
    let mut experiment: Experiment = toml::from_str(&text).map_err(|e| fault(e.to_string()))?;
    let recipes_of = experiment.run.iter_mut().map(|column| &mut column.recipe);
    for named in recipes_of.chain([&mut experiment.dir]) {
        if let Some(text) = named.to_str() {
            *named = paths::given(text).map_err(&fault)?;
        }
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let dir = experiment
        .dir
        .join(experiment.name.as_deref().unwrap_or(&stem));
    let recipes = recipes(&experiment, path, &dir, &args.sets)?;
    let folders: Vec<PathBuf> = recipes
        .iter()
        .map(|recipe| recipe.run.dir.join(&recipe.run.name))
        .collect();
    let mut cells = Vec::new();
    let mut baselines = Vec::new();
    for (run, recipe) in experiment.run.iter().zip(recipes) {
        let label = format!("{} on {}", run.model, run.dataset);
        if args.dry_run {
            out!("{label}:");
        } else {
            messages::say(format_args!("\n== {label}"));
        }
        let done = execute::beside(recipe, &[table::id()], args.dry_run, &folders)?;
        let Some(mut done) = done else {
            continue;
        };
        seeds::write(&done)?;
        report::of_seeds(&mut done)?;
        cells.extend(seeds::cells(&done, &run.dataset, &run.model)?);
        for baseline in done.recipe.baselines() {
            if !baselines.contains(&baseline) {
                baselines.push(baseline);
            }
        }
    }
    if args.dry_run {
        return Ok(());
    }
    let table = ExperimentTable::build(&cells, &baselines)?;
    let markdown = table.markdown();
    for (file, text) in [
        ("experiment.md", markdown.clone()),
        ("experiment.csv", table.csv()),
        ("experiment.json", table.json()?),
    ] {
        files::write(&dir.join(file), text.as_bytes())?;
    }
    out!("{}", markdown.trim_end());
    messages::say(format_args!(
        "written {}",
        dir.join("experiment.md").display()
    ));
    Ok(())
}

/// Every run's recipe, all of them read before the first one begins.
fn recipes(
    experiment: &Experiment,
    path: &Path,
    dir: &Path,
    sets: &[String],
) -> anyhow::Result<Vec<Recipe>> {
    if experiment.run.is_empty() {
        return Err(Usage(format!("{}: there is no [[run]]", path.display())).into());
    }
    let beside = path.parent().unwrap_or(Path::new(""));
    let mut recipes: Vec<Recipe> = Vec::new();
    for run in &experiment.run {
        let plain = |text: &str| -> String {
            let keep = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            text.chars()
                .map(|c| if keep(c) { c } else { '-' })
                .collect()
        };
        let text = |value: &str| toml::Value::from(value);
        let mut all = vec![
            format!("run.dir={}", text(&dir.to_string_lossy())),
            format!(
                "run.name={}",
                text(&format!("{}-{}", plain(&run.dataset), plain(&run.model)))
            ),
            format!("run.seeds={}", experiment.seeds),
        ];
        if let Some(methods) = &experiment.methods {
            let names: Vec<&str> = methods.iter().map(|m| m.name()).collect();
            all.push(format!("methods={names:?}"));
        }
        all.extend(run.set.iter().map(|(key, value)| format!("{key}={value}")));
        all.extend(sets.iter().cloned());
        let recipe = recipe::read(&beside.join(&run.recipe), &all)?;
        if recipes
            .iter()
            .any(|other| other.run.name == recipe.run.name)
        {
            return Err(Usage(format!(
                "{}: two runs are of {} on {}",
                path.display(),
                run.model,
                run.dataset
            ))
            .into());
        }
        recipes.push(recipe);
    }
    Ok(recipes)
}
