//! `cdpo rollout`: the critical tokens of a run's wrong responses, or of given ones, as stages in the run's folder.

mod draw;
mod pick;
mod replace;
mod weights;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cdpo_critical::rollout::{LastPosition, Scores, Sharing};
use cdpo_data::artifact::{Manifest, StageDir, StageKey, StageState};
use cdpo_data::{Problem, RolloutKeys, Trajectory};
use serde_json::{Value, json};

use crate::args::RolloutArgs;
use crate::command;
use crate::lock::Lock;
use crate::outcome::Usage;
use crate::pipeline::{Pipeline, Step};
use crate::recipe::{self, Of, Recipe};
use crate::stages::{self, Finished};
use crate::talk;
use crate::talk::out;

pub(crate) use weights::{settings as weight_settings, weigh};

/// The records of a stage of rollouts.
pub(crate) const ROLLOUTS: &str = "rollouts.jsonl";
/// The records of a stage of replacements.
pub(crate) const REPLACEMENTS: &str = "replacements.jsonl";
/// Pass@k with and without the critical token.
pub(crate) const PASS_AT_K: &str = "pass_at_k.json";

/// Wrong responses, each with its question.
pub(crate) type Picks = Vec<(Problem, Trajectory)>;

/// Finds critical tokens, and replaces them if asked to; prints where the records are.
pub(crate) fn rollout(args: &RolloutArgs) -> anyhow::Result<()> {
    let recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
    // The flags are of this command alone: the run's folder keeps the recipe without them.
    let with_flags = recipe::read(&args.run.recipe, &args.sets())?;
    let name = stage_name(&with_flags, args);
    let section = with_flags.rollout;
    let run_dir = recipe.run.dir.join(&recipe.run.name);
    let given = args.trajectories.as_deref();
    if given.is_none() && recipe.data.pairs.is_some() {
        return Err(Usage(
            "the recipe's pairs are given (data.pairs), so there are no samples to roll out; name a file with --trajectories".into(),
        )
        .into());
    }
    let mut pipeline = if given.is_some() {
        // Given responses need no stage of the run.
        command::threads(&recipe);
        let pipeline = Pipeline::new(recipe)?;
        if !args.run.dry_run {
            let _lock = Lock::take(&run_dir)?;
            pipeline.keep_recipe()?;
        }
        pipeline
    } else {
        let goals = [match section.of {
            Of::Samples => (Step::Grade, stages::GRADED),
            Of::Pairs => (Step::Select, stages::PAIRS),
        }];
        let Some(mut pipeline) = command::run(recipe, &goals, args.run.dry_run)? else {
            return Ok(());
        };
        // The records belong to the first seed, whose folder is the run's.
        pipeline.turn_to(pipeline.seeds[0]);
        pipeline.plan(&[goals[0].0])?;
        pipeline
    };
    pipeline.recipe.rollout = section;
    let (picks, mut inputs) = match given {
        Some(path) => pick::given(&pipeline, path)?,
        None => match pipeline.recipe.rollout.of {
            Of::Samples => pick::wrong(&pipeline)?,
            Of::Pairs => pick::of_pairs(&pipeline)?,
        },
    };
    if args.run.dry_run {
        out!("{name:<12} {} responses", picks.len());
        return Ok(());
    }
    let _lock = Lock::take(&run_dir)?;
    inputs.insert("model".into(), pipeline.base.checkpoint.content_id.clone());
    inputs.insert(
        "tokenizer".into(),
        pipeline.base.checkpoint.tokenizer.content_id(),
    );
    let settings = draw::settings(&pipeline);
    let stage = StageKey {
        name: name.clone(),
        version: 4,
        inputs: inputs.clone(),
        settings,
    };
    let manifest = carry(&mut pipeline, &stage, |p, dir| draw::run(p, dir, &picks))?;
    draw::say(&manifest.counts);
    let path = run_dir.join(&name).join(ROLLOUTS);
    out!("{}", path.display());
    if args.replace {
        let hash = manifest.outputs.get(ROLLOUTS).cloned().unwrap_or_default();
        inputs.insert("rollouts".into(), hash);
        let name = replacements(&name);
        let stage = StageKey {
            name: name.clone(),
            version: 3,
            inputs,
            settings: replace::settings(&pipeline),
        };
        carry(&mut pipeline, &stage, |p, dir| {
            replace::run(p, dir, &picks, &path)
        })?;
        let dir = run_dir.join(&name);
        out!("{}", dir.join(REPLACEMENTS).display());
        out!("{}", replace::table(&dir.join(PASS_AT_K))?.trim_end());
    }
    Ok(())
}

/// The folders of records of a run's own responses at the default settings, relative to the run's.
pub(crate) const OWN: [&str; 2] = ["rollouts", "rollouts-pairs"];

/// The folder of the replacements that belong to a folder of rollouts.
pub(crate) fn replacements(rollouts: &str) -> String {
    rollouts.replacen("rollouts", "replacements", 1)
}

/// The stage's folder: variants that one compares with each other lie side by side.
fn stage_name(recipe: &Recipe, args: &RolloutArgs) -> String {
    let section = &recipe.rollout;
    let mut name = "rollouts".to_owned();
    if args.trajectories.is_some() {
        name += "-given";
    } else if section.of == Of::Pairs {
        name += "-pairs";
    }
    let whole = !recipe.stops_early();
    match (section.scores, section.sharing) {
        (Scores::Full, Sharing::None) if whole => name += "-exhaustive",
        (Scores::Full, Sharing::None) => name += "-full-unshared",
        (Scores::Full, Sharing::Path) => name += "-full-path",
        (Scores::Full, Sharing::Tree) => name += "-full",
        (Scores::Needed, Sharing::None) => name += "-unshared",
        (Scores::Needed, Sharing::Path) => name += "-path",
        (Scores::Needed, Sharing::Tree) => {}
    }
    let defined = section.scores == Scores::Full && section.sharing == Sharing::None;
    if recipe.grade.extraction.settles() && whole && !defined {
        name += "-to-the-end";
    }
    if section.keys == RolloutKeys::Independent {
        name += "-independent";
    }
    if section.last_position == LastPosition::Exclude {
        name += "-without-last";
    }
    name
}

/// Does a stage's work in its folder unless it is done.
fn carry(
    p: &mut Pipeline,
    stage: &StageKey,
    work: impl FnOnce(&mut Pipeline, &mut StageDir) -> anyhow::Result<Finished>,
) -> anyhow::Result<Manifest> {
    let run_dir: PathBuf = p.run_dir.clone();
    let name = &stage.name;
    let mut dir = match StageDir::open(&run_dir, stage)? {
        StageState::Done(manifest) => {
            talk::say(format_args!("{name}: done before"));
            return Ok(manifest);
        }
        StageState::Resume(dir) => {
            talk::say(format_args!("{name}: going on"));
            dir
        }
        StageState::Fresh(dir, reason) => {
            talk::say(format_args!("{name}: {reason}"));
            dir
        }
    };
    let finished = work(p, &mut dir).inspect_err(|_| {
        // The time spent counts although the stage did not end; the first error is the one to tell.
        let _ = dir.keep_time();
    })?;
    let outputs: Vec<&str> = finished.outputs.iter().map(String::as_str).collect();
    let manifest = dir.finish(&outputs, finished.counts)?;
    talk::say(format_args!(
        "{name}: finished in {}",
        talk::clock(manifest.clock.seconds)
    ));
    Ok(manifest)
}

/// What every stage of rollouts is set by.
fn drawing(p: &Pipeline) -> Value {
    json!({
        "params": stages::training_params(p),
        "prompt": p.prompt.settings(&p.base),
        "grade": p.recipe.grade,
        "grader": cdpo_grade::VERSION,
        "early_stop": p.recipe.stops_early(),
    })
}

/// The hash of a file that is no stage's output.
fn hash(path: &Path) -> anyhow::Result<String> {
    Ok(cdpo_data::artifact::hash_file(path)?)
}

/// The inputs that a run's own responses come from.
fn own_inputs(p: &Pipeline) -> BTreeMap<String, String> {
    [
        ("questions", Step::Problems, stages::TRAIN),
        ("samples", Step::Sample, stages::TRAJECTORIES),
        ("graded", Step::Grade, stages::GRADED),
    ]
    .into_iter()
    .filter_map(|(name, step, file)| Some((name.to_owned(), p.output(step, file)?)))
    .collect()
}
