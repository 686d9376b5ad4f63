//! What the commands do.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_data::jsonl;
use cdpo_grade::{GradeOptions, Grader};
use cdpo_model::{Adapter, Model};
use cdpo_train::Method;

use crate::args::{
    Command, DemoArgs, EvalArgs, FetchArgs, GradeArgs, MergeArgs, QuickstartArgs, RunArgs,
    TrainArgs,
};
use crate::base::Base;
use crate::lock::Lock;
use crate::outcome::Usage;
use crate::pipeline::{Pipeline, Step};
use crate::recipe::{self, Bos, ModelSection, Recipe};
use crate::talk::out;
use crate::{
    analyze, demo, experiment, judge, pretrain, report, responses, rollout, seeds, show, stages,
    talk,
};

/// The recipe of the quickstart.
const QUICKSTART: &str = include_str!("../../../recipes/quickstart.toml");

/// What `--fast` changes of it.
const FAST: &[&str] = &[
    "run.name=quickstart-fast",
    "data.train_limit=60",
    "sample.n=16",
    "eval.limit=100",
];

/// The recipe of the demonstration.
const TINY: &str = include_str!("../../../recipes/tiny.toml");

/// Carries a command out.
pub(crate) fn carry_out(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => {
            let mut sets = args.run.sets.clone();
            sets.extend(args.seeds.map(|n| format!("run.seeds={n}")));
            let recipe = recipe::read(&args.run.recipe, &sets)?;
            execute(recipe, &[(Step::Table, "table.md")], args.run.dry_run)
        }
        Command::Quickstart(args) => quickstart(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Sample(args) => upto(args, Step::Sample, stages::TRAJECTORIES),
        Command::Grade(args) => grade(args),
        Command::Select(args) => upto(args, Step::Select, stages::PAIRS),
        Command::Score(args) => upto(args, Step::Score, stages::PAIRS),
        Command::Train(args) => train(args),
        Command::Eval(args) => eval(args),
        Command::Show(args) => show::show(args),
        Command::Report(args) => {
            for page in report::of_run(args)? {
                out!("{}", page.display());
            }
            Ok(())
        }
        Command::Analyze(args) => analyze::analyze(args),
        Command::Judge(args) => judge::judge(args),
        Command::Rollout(args) => rollout::rollout(args),
        Command::Merge(args) => merge(args),
        Command::Pretrain(args) => {
            out!("{}", pretrain::run(&args.recipe, &args.sets)?.display());
            Ok(())
        }
        Command::Fetch(args) => fetch(args),
        Command::Demo(args) => demonstrate(args),
    }
}

fn upto(args: &RunArgs, last: Step, file: &str) -> anyhow::Result<()> {
    let recipe = recipe::read(&args.recipe, &args.sets)?;
    execute(recipe, &[(last, file)], args.dry_run)
}

/// Runs a recipe as far as each of `goals`, and prints the table, or where the goals' files are.
fn execute(recipe: Recipe, goals: &[(Step, &str)], dry_run: bool) -> anyhow::Result<()> {
    let Some(mut pipeline) = run(recipe, goals, dry_run)? else {
        return Ok(());
    };
    let whole = goals.iter().any(|(step, _)| *step == Step::Table);
    if whole && pipeline.seeds.len() > 1 {
        out!("{}", seeds::write(&pipeline)?.trim_end());
        return report::of_seeds(&mut pipeline);
    }
    if whole {
        // Of an earlier run with more seeds; experiments write theirs afterwards.
        seeds::remove(&pipeline)?;
    }
    for (step, file) in goals {
        if *step != Step::Table {
            out!("{}", pipeline.path(*step, file).display());
            continue;
        }
        let table = std::fs::read_to_string(pipeline.path(Step::Table, file))?;
        out!("{}", table.trim_end());
    }
    if whole {
        report::of_seeds(&mut pipeline)?;
    }
    Ok(())
}

/// Runs a recipe as far as each of `goals`; `None` after a dry run, which prints its plan.
pub(crate) fn run(
    recipe: Recipe,
    goals: &[(Step, &str)],
    dry_run: bool,
) -> anyhow::Result<Option<Pipeline>> {
    run_beside(recipe, goals, dry_run, &[])
}

/// As [`run`], taking over what one of the `siblings` has done.
pub(crate) fn run_beside(
    recipe: Recipe,
    goals: &[(Step, &str)],
    dry_run: bool,
    siblings: &[PathBuf],
) -> anyhow::Result<Option<Pipeline>> {
    threads(&recipe);
    let last: Vec<Step> = goals.iter().map(|(step, _)| *step).collect();
    let seeds = if last.iter().all(|step| step.shared()) {
        // What all seeds share is done with the first.
        vec![recipe.run.seed]
    } else {
        recipe.seeds()
    };
    if dry_run {
        let mut pipeline = Pipeline::new(recipe)?;
        for &seed in &seeds {
            pipeline.turn_to(seed);
            for line in pipeline.plan(&last)? {
                if seeds.len() > 1 {
                    out!("seed {seed}: {line}");
                } else {
                    out!("{line}");
                }
            }
        }
        return Ok(None);
    }
    let run_dir = recipe.run.dir.join(&recipe.run.name);
    let _lock = Lock::take(&run_dir)?;
    let mut pipeline = Pipeline::new(recipe)?;
    pipeline.siblings = siblings.to_vec();
    talk::say(format_args!("run     {}", run_dir.display()));
    for (i, &seed) in seeds.iter().enumerate() {
        pipeline.turn_to(seed);
        if seeds.len() > 1 {
            talk::say(format_args!(
                "seed    {seed} ({} of {})",
                i + 1,
                seeds.len()
            ));
        }
        pipeline.run(&last)?;
        let costs = stages::costs(&pipeline);
        jsonl::write_json(pipeline.home.join("timing.json"), &costs)?;
        if last.contains(&Step::Table) {
            for file in ["table.json", "table.md"] {
                let text = std::fs::read(pipeline.path(Step::Table, file))?;
                write(&pipeline.home.join(file), &text)?;
            }
        }
        talk::say(format_args!("\n{}", costs.plain()));
    }
    Ok(Some(pipeline))
}

/// Starts the threads that the recipe wants.
pub(crate) fn threads(recipe: &Recipe) {
    // A second pool is refused: an experiment's runs have the first one's.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(recipe.run.threads)
        .build_global();
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(jsonl::write_file_atomic(path, |out| {
        out.write_all(bytes)
            .map_err(|e| cdpo_data::Error::io(path, "write", e))
    })?)
}

fn grade(args: &GradeArgs) -> anyhow::Result<()> {
    if let [a, b] = args.explain.as_slice() {
        let explanation = Grader::new(args.options.options()).explain(a, b);
        out!("{}", serde_json::to_string_pretty(&explanation)?);
        return Ok(());
    }
    let path = args.file.as_deref().unwrap_or(Path::new(""));
    let options = args.options.options();
    if path.extension().is_some_and(|e| e == "toml") {
        if options != GradeOptions::default() {
            let hint = "a recipe's grading is set by --set grade.KEY=VALUE";
            return Err(Usage(hint.into()).into());
        }
        let recipe = recipe::read(path, &args.sets)?;
        return execute(recipe, &[(Step::Grade, stages::GRADED)], args.dry_run);
    }
    if !args.sets.is_empty() {
        return Err(Usage("--set changes a recipe; a file of responses takes none".into()).into());
    }
    let graded = responses::grade(path, &options)?;
    for row in &graded {
        out!("{}", serde_json::to_string(row)?);
    }
    for line in responses::counts(&graded)
        .into_iter()
        .chain(responses::disagreements(path, &graded))
    {
        talk::say(line);
    }
    Ok(())
}

fn train(args: &TrainArgs) -> anyhow::Result<()> {
    let recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
    let methods: Vec<Method> = match args.method {
        Some(method) if !recipe.methods.contains(&method) => {
            let name = method.name();
            return Err(Usage(format!(
                "{name} is not among the recipe's methods; add it with --set 'methods=[\"{name}\"]'"
            ))
            .into());
        }
        Some(method) => vec![method],
        None => recipe.methods.clone(),
    };
    let goals: Vec<(Step, &str)> = methods
        .into_iter()
        .map(|method| {
            let result = stages::result_of(&recipe, method);
            (Step::Train(method), result)
        })
        .collect();
    execute(recipe, &goals, args.run.dry_run)
}

fn eval(args: &EvalArgs) -> anyhow::Result<()> {
    let mut recipe = recipe::read(&args.run.recipe, &args.run.sets)?;
    let step = match &args.adapter {
        None => Step::Eval(None),
        Some(dir) => {
            recipe.given_adapter = Some(dir.clone());
            Step::EvalGiven
        }
    };
    let name = match &args.adapter {
        None => "base".to_owned(),
        Some(dir) => dir.display().to_string(),
    };
    if let Some(pipeline) = run(recipe, &[(step, stages::TRAJECTORIES)], args.run.dry_run)? {
        out!("{}", stages::accuracy(&pipeline, step, &name)?.trim_end());
    }
    Ok(())
}

fn merge(args: &MergeArgs) -> anyhow::Result<()> {
    let base = Base::open(&ModelSection {
        path: Some(args.model.clone()),
        bos: Bos::Auto,
        ..ModelSection::default()
    })?;
    if args.out.exists() && std::fs::read_dir(&args.out)?.next().is_some() {
        return Err(Usage(format!(
            "{} is not empty; name a new folder",
            args.out.display()
        ))
        .into());
    }
    let mut model: Model = base.load()?;
    let adapter = Adapter::load(&args.adapter, model.config(), &base.device)
        .with_context(|| format!("the adapter {} does not fit", args.adapter.display()))?;
    model.merge(&adapter)?;
    model.save(&args.out)?;
    base.checkpoint.tokenizer.save(&args.out)?;
    out!("{}", args.out.display());
    Ok(())
}

fn fetch(args: &FetchArgs) -> anyhow::Result<()> {
    let base = Base::open(&ModelSection {
        hub: Some(args.name.clone()),
        revision: Some(args.revision.clone()),
        ..ModelSection::default()
    })?;
    out!("{} {}", base.checkpoint.origin, base.checkpoint.content_id);
    Ok(())
}

fn quickstart(args: &QuickstartArgs) -> anyhow::Result<()> {
    if args.print_recipe {
        out!("{}", QUICKSTART.trim_end());
        return Ok(());
    }
    let fast = if args.fast { FAST } else { &[] };
    let mut sets: Vec<String> = fast.iter().map(|set| (*set).to_owned()).collect();
    sets.extend(args.sets.iter().cloned());
    let recipe = recipe::from_text(QUICKSTART, "quickstart", &sets)?;
    execute(recipe, &[(Step::Table, "table.md")], args.dry_run)
}

fn demonstrate(args: &DemoArgs) -> anyhow::Result<()> {
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
    execute(recipe, &[(Step::Table, "table.md")], args.dry_run)
}
