//! `cdpo rollout`: the critical tokens of a run's wrong responses, or of given ones, as stages in the run's folder.

use std::rc::Rc;

use cdpo_critical::rollout::{LastPosition, Scores, Sharing};
use cdpo_data::RolloutKeys;
use cdpo_data::artifact::Manifest;

use crate::args::RolloutArgs;
use crate::lock::Lock;
use crate::messages::out;
use crate::outcome::Usage;
use crate::recipe::{self, Of, Recipe};
use crate::run::Run;
use crate::stage::Stage;
use crate::stages::rollouts::{self, PASS_AT_K, REPLACEMENTS, ROLLOUTS, draw, pick, replace};
use crate::stages::{grade, select};
use crate::{execute, pipeline};

/// Finds critical tokens, and replaces them if asked to; prints where the records are.
pub(super) fn rollout(args: &RolloutArgs) -> anyhow::Result<()> {
    let recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
    // The flags are of this command alone: the run's folder keeps the recipe without them.
    let with_flags = recipe::read(&args.run.recipe, &args.sets())?;
    let name = stage_name(&with_flags, args);
    let Some(mut run) = responses_of(recipe, with_flags.rollout.of, args)? else {
        return Ok(());
    };
    run.recipe.rollout = with_flags.rollout;
    let (picks, inputs) = match &args.trajectories {
        Some(path) => pick::given(&run, path)?,
        None => match run.recipe.rollout.of {
            Of::Samples => pick::wrong(&run)?,
            Of::Pairs => pick::of_pairs(&run)?,
        },
    };
    if args.run.dry_run {
        out!("{name:<12} {} responses", picks.len());
        return Ok(());
    }
    let _lock = Lock::take(&run.dir)?;
    let picks = Rc::new(picks);
    let stage = rollouts::stage(&name, Rc::clone(&picks), inputs.clone());
    let manifest = carry_out(&mut run, &stage)?;
    draw::say(&manifest.counts);
    let path = run.path(&stage.id, ROLLOUTS);
    out!("{}", path.display());
    if args.replace {
        let mut inputs = inputs;
        let hash = manifest.outputs.get(ROLLOUTS).cloned().unwrap_or_default();
        inputs.push(("rollouts".into(), hash));
        let stage = rollouts::replacing(&rollouts::replacements(&name), picks, inputs, path);
        carry_out(&mut run, &stage)?;
        out!("{}", run.path(&stage.id, REPLACEMENTS).display());
        let table = replace::table(&run.path(&stage.id, PASS_AT_K))?;
        out!("{}", table.trim_end());
    }
    Ok(())
}

fn carry_out(run: &mut Run, stage: &Stage) -> anyhow::Result<Manifest> {
    pipeline::do_stage(run, stage, &stage.id.name)
}

/// The run, as far as it needs to be for its responses to be rolled out; `None` after a dry run of stages that are not done.
fn responses_of(recipe: Recipe, of: Of, args: &RolloutArgs) -> anyhow::Result<Option<Run>> {
    if args.trajectories.is_some() {
        // Given responses need no stage of the run.
        execute::threads(&recipe);
        let run = Run::new(recipe)?;
        if !args.run.dry_run {
            let _lock = Lock::take(&run.dir)?;
            run.keep_recipe()?;
        }
        return Ok(Some(run));
    }
    if recipe.sample.server.is_some() {
        return Err(Usage(
            "sample.server: rollouts branch off the very samples at single tokens, so the local engine alone draws both; leave \
             sample.server out, or name a file of responses with --trajectories"
                .into(),
        )
        .into());
    }
    if recipe.data.pairs.is_some() {
        return Err(Usage(
            "the recipe's pairs are given (data.pairs), so there are no samples to roll out; name a file with --trajectories".into(),
        )
        .into());
    }
    let goals = [match of {
        Of::Samples => grade::id(),
        Of::Pairs => select::id(),
    }];
    let Some(mut run) = execute::as_far_as(recipe, &goals, args.run.dry_run)? else {
        return Ok(None);
    };
    // The records belong to the first seed, whose folder is the run's.
    run.turn_to(run.seeds[0]);
    pipeline::plan(&mut run, &goals)?;
    Ok(Some(run))
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
