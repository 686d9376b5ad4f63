//! The report page: a run's folder goes in; `report.html` and `report.json` come out. Nothing is computed anew; the model is opened
//! for its tokenizer alone.

use std::path::PathBuf;

use anyhow::Context as _;
use cdpo_critical::analysis::WordTypeCensus;
use cdpo_data::jsonl;
use cdpo_report::ShareTable;
use cdpo_report::critical_tokens::word_type_table;
use cdpo_report::page::{Fact, ReportData, RunFiles, html};
use cdpo_train::{METRICS, Method};

use crate::args::ReportArgs;
use crate::pipeline::{Pipeline, Step};
use crate::recipe::{self, FramingName};
use crate::{command, rollout, stages, talk};

/// The page.
pub(crate) const PAGE: &str = "report.html";
/// What the page shows, for `cdpo show` and other programs.
pub(crate) const DATA: &str = "report.json";

/// Writes the report of the seed at hand into its folder and returns the page's path.
pub(crate) fn write(p: &Pipeline) -> anyhow::Result<PathBuf> {
    let data = read(p)?;
    jsonl::write_json(p.home.join(DATA), &data)?;
    let page = p.home.join(PAGE);
    command::write(&page, html(&data)?.as_bytes())?;
    Ok(page)
}

/// Writes the report of every seed of a finished run and says where they are.
pub(crate) fn of_seeds(p: &mut Pipeline) -> anyhow::Result<()> {
    for seed in p.seeds.clone() {
        p.turn_to(seed);
        let page = write(p)?;
        talk::say(format_args!("report  {}", page.display()));
    }
    Ok(())
}

/// Writes the report of a run's folder anew: after rollouts, an analysis, or with another version of the page.
pub(crate) fn of_run(args: &ReportArgs) -> anyhow::Result<Vec<PathBuf>> {
    let path = args.run.join("recipe.toml");
    let mut recipe = recipe::read(&path, &args.sets)
        .with_context(|| format!("{} is no run's folder", args.run.display()))?;
    let run = std::path::absolute(&args.run)?;
    recipe.run.name = run
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    recipe.run.dir = run.parent().unwrap_or(&run).to_path_buf();
    let seeds = recipe.seeds();
    let mut pipeline = Pipeline::new(recipe)?;
    let mut pages = Vec::new();
    for seed in seeds {
        pipeline.turn_to(seed);
        if pipeline.home.is_dir() {
            pages.push(write(&pipeline)?);
        }
    }
    Ok(pages)
}

fn read(p: &Pipeline) -> anyhow::Result<ReportData> {
    let mut metrics: Vec<(String, PathBuf)> = [Step::Positive, Step::Negative]
        .map(|step| (step.name(), p.path(step, METRICS)))
        .to_vec();
    let methods = p.recipe.methods.iter().copied();
    metrics.extend(methods.map(|method| {
        (
            method.name().to_owned(),
            p.path(Step::Train(method), METRICS),
        )
    }));
    let files = RunFiles {
        problems: Some(p.path(Step::Problems, stages::TRAIN)),
        graded: Some(p.path(Step::Grade, stages::GRADED)),
        pairs: Some(p.path(Step::Score, stages::PAIRS)),
        table: Some(p.path(Step::Table, "table.json")),
        seeds: Some(p.run_dir.join("seeds.json")),
        metrics,
        sampled: Some(p.path(Step::Table, "curves.json")),
        rollouts: rollout::OWN
            .map(|folder| p.run_dir.join(folder).join(rollout::ROLLOUTS))
            .into_iter()
            .chain([p.path(Step::RolloutScore, rollout::ROLLOUTS)])
            .collect(),
        critical_tokens: Some(p.run_dir.join("analysis").join("analysis.json")),
        judgement: Some(p.run_dir.join("judge").join("judge.json")),
    };
    let tokenizer = &p.base.checkpoint.tokenizer;
    let mut bytes = |id| tokenizer.token_bytes(id).unwrap_or_default();
    let title = p.recipe.run.name.clone();
    let mut data = ReportData::read(&title, facts(p), stages::costs(p), &files, &mut bytes)?;
    data.word_types = word_types(&data)?;
    Ok(data)
}

/// Word types of the top critical tokens, of all tokens of the same responses, and of the paper's critical tokens.
fn word_types(data: &ReportData) -> anyhow::Result<Option<ShareTable>> {
    let mut census = WordTypeCensus::default();
    for view in &data.trajectories {
        let tokens = &view.tokens[..view.content()];
        let pieces: Vec<&str> = tokens
            .iter()
            .map(|&text| data.texts[text as usize].as_str())
            .collect();
        census.add(&pieces, view.critical + 1);
    }
    let [critical, all] = [&census.critical, &census.all].map(|counts| counts.iter().sum::<u64>());
    if critical == 0 {
        return Ok(None);
    }
    let mut table = word_type_table()?;
    table.counted("top critical tokens, this run", &census.critical, critical)?;
    table.counted("all tokens of the same", &census.all, all)?;
    Ok(Some(table))
}

/// What was run on what.
fn facts(p: &Pipeline) -> Vec<Fact> {
    let recipe = &p.recipe;
    let name = |path: &std::path::Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let config = &p.base.checkpoint.config;
    let model = match (&recipe.model.path, &recipe.model.hub) {
        (Some(path), _) => name(path),
        (None, Some(hub)) => hub.clone(),
        (None, None) => p.base.checkpoint.origin.clone(),
    };
    let mut facts = vec![
        Fact::new("model", model),
        Fact::new(
            "its shape",
            format!("{} layers, hidden {}", config.layers, config.hidden_size),
        ),
    ];
    let limited = |limit: Option<usize>, path: &std::path::Path| match limit {
        Some(limit) => format!("the first {limit} of {}", name(path)),
        None => name(path),
    };
    if let Some(pairs) = &recipe.data.pairs {
        facts.push(Fact::new("pairs given in", name(pairs)));
    } else {
        let sample = &recipe.sample;
        facts.extend([
            Fact::new(
                "training questions",
                limited(recipe.data.train_limit, &recipe.data.train),
            ),
            Fact::new("samples a question", sample.n.to_string()),
            Fact::new(
                "drawn at",
                format!("temperature {}, top-p {}", sample.temperature, sample.top_p),
            ),
        ]);
    }
    facts.extend([
        Fact::new(
            "held-out questions",
            match recipe.eval.skip {
                0 => limited(recipe.eval.limit, &recipe.data.test),
                skip => format!(
                    "{}, without its first {skip}",
                    limited(recipe.eval.limit, &recipe.data.test)
                ),
            },
        ),
        Fact::new(
            "prompt",
            match recipe.prompt.framing {
                FramingName::Gsm8k => "GSM8K framing",
                FramingName::Math => "MATH framing",
                FramingName::Custom => "custom framing",
            },
        ),
        Fact::new("ce_beta", recipe.ce.ce_beta.to_string()),
        Fact::new("seed", recipe.run.seed.to_string()),
    ]);
    let mut learning: Vec<String> = Vec::new();
    for method in &recipe.methods {
        let settings = &recipe.train.methods[method.name()];
        if let Some(rate) = settings.learning_rate {
            learning.push(format!("{} {rate:e}", Method::name(*method)));
        }
    }
    if !learning.is_empty() {
        facts.push(Fact::new("learning rates", learning.join(", ")));
    }
    facts
}
