//! The report page: a run's folder goes in; `report.html` and `report.json` come out. Nothing is computed anew; the model is opened
//! for its tokenizer alone.

use std::path::PathBuf;

use cdpo_critical::analysis::WordTypeCensus;
use cdpo_data::jsonl;
use cdpo_report::ShareTable;
use cdpo_report::critical_tokens::word_type_table;
use cdpo_report::page::{Fact, ReportData, RunFiles, html};
use cdpo_train::{METRICS, Method};

use crate::recipe::{FramingName, Template};
use crate::run::Run;
use crate::stages::{
    contrastive, grade, problems, rollout_score, rollouts, score, select, table, train,
};
use crate::{costs, files, messages};

/// The page.
pub(crate) const PAGE: &str = "report.html";
/// What the page shows, for `cdpo show` and other programs.
pub(crate) const DATA: &str = "report.json";

/// Writes the report of the seed at hand into its folder and returns the page's path.
pub(crate) fn write(run: &Run) -> anyhow::Result<PathBuf> {
    let data = read(run)?;
    jsonl::write_json(run.home.join(DATA), &data)?;
    let page = run.home.join(PAGE);
    files::write(&page, html(&data)?.as_bytes())?;
    Ok(page)
}

/// Writes the report of every seed of a finished run and says where they are.
pub(crate) fn of_seeds(run: &mut Run) -> anyhow::Result<()> {
    for seed in run.seeds.clone() {
        run.turn_to(seed);
        let page = write(run)?;
        messages::say(format_args!("report  {}", page.display()));
    }
    Ok(())
}

fn read(run: &Run) -> anyhow::Result<ReportData> {
    let mut metrics: Vec<(String, PathBuf)> =
        [contrastive::positive_id(), contrastive::negative_id()]
            .map(|id| (id.name.clone(), run.path(&id, METRICS)))
            .to_vec();
    let methods = run.recipe.methods.iter().copied();
    metrics.extend(methods.map(|method| {
        (
            method.name().to_owned(),
            run.path(&train::id(method), METRICS),
        )
    }));
    let read = RunFiles {
        problems: Some(run.path(&problems::id(), problems::TRAIN)),
        graded: Some(run.path(&grade::id(), grade::GRADED)),
        pairs: Some(run.path(&score::id(), select::PAIRS)),
        table: Some(run.path(&table::id(), table::DATA)),
        seeds: Some(run.dir.join("seeds.json")),
        metrics,
        sampled: Some(run.path(&table::id(), table::CURVES)),
        rollouts: rollouts::OWN
            .map(|folder| run.dir.join(folder).join(rollouts::ROLLOUTS))
            .into_iter()
            .chain([run.path(&rollout_score::id(), rollouts::ROLLOUTS)])
            .collect(),
        critical_tokens: Some(run.dir.join("analysis").join("analysis.json")),
        judgement: Some(run.dir.join("judge").join("judge.json")),
    };
    let tokenizer = &run.vocabulary.tokenizer;
    let mut bytes = |id| tokenizer.token_bytes(id).unwrap_or_default();
    let title = run.recipe.run.name.clone();
    let mut data = ReportData::read(&title, facts(run), costs::costs(run), &read, &mut bytes)?;
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
fn facts(run: &Run) -> Vec<Fact> {
    let recipe = &run.recipe;
    let name = |path: &std::path::Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let config = &run.base.config;
    let model = match (&recipe.model.path, &recipe.model.hub) {
        (Some(path), _) => name(path),
        (None, Some(hub)) => hub.clone(),
        (None, None) => run.base.origin.clone(),
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
            match (&recipe.prompt.template, recipe.prompt.framing) {
                (Template::Chat, _) => "the model's chat template",
                (Template::File(_), _) => "a chat template of a file",
                (Template::None, FramingName::Gsm8k) => "GSM8K framing",
                (Template::None, FramingName::Math) => "MATH framing",
                (Template::None, FramingName::Custom) => "custom framing",
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
