//! The commands: one match over them; each file of `command/` carries one out.

mod analyze;
mod completions;
mod eval;
mod experiment;
mod fetch;
mod grade;
mod judge;
mod manual;
mod merge;
mod plan;
mod recipes;
mod report;
mod rollout;
mod show;
mod train;

use crate::args::Command;
use crate::execute;
use crate::messages::out;
use crate::pretrain;
use crate::recipe;
use crate::run::StageId;
use crate::stages::{generate, sample, score, select};

/// Carries a command out.
pub(crate) fn carry_out(command: &Command) -> anyhow::Result<()> {
    let upto = |args: &crate::args::RunArgs, stage: StageId, file: &str| {
        let recipe = recipe::read(&args.recipe, &args.sets)?;
        execute::upto(recipe, &[(stage, file)], args.dry_run)
    };
    match command {
        Command::Run(args) => recipes::run(args),
        Command::Plan(args) => plan::plan(args),
        Command::Quickstart(args) => recipes::quickstart(args),
        Command::Demo(args) => recipes::demonstration(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Sample(args) => {
            let mut recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
            recipe.shard = args.shard;
            let stage = args.shard.map_or_else(sample::id, sample::part_id);
            execute::upto(recipe, &[(stage, generate::TRAJECTORIES)], args.run.dry_run)
        }
        Command::Grade(args) => grade::grade(args),
        Command::Select(args) => upto(args, select::id(), select::PAIRS),
        Command::Score(args) => upto(args, score::id(), select::PAIRS),
        Command::Train(args) => train::train(args),
        Command::Eval(args) => eval::eval(args),
        Command::Show(args) => show::show(args),
        Command::Report(args) => report::report(args),
        Command::Analyze(args) => analyze::analyze(args),
        Command::Judge(args) => judge::judge(args),
        Command::Rollout(args) => rollout::rollout(args),
        Command::Merge(args) => merge::merge(args),
        Command::Fetch(args) => fetch::fetch(args),
        Command::Completions(args) => {
            completions::print(args);
            Ok(())
        }
        Command::Man(args) => manual::write(args),
        Command::Pretrain(args) => {
            out!("{}", pretrain::run(&args.recipe, &args.sets)?.display());
            Ok(())
        }
    }
}
