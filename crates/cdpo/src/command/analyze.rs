//! `cdpo analyze RUN`: rollout records, labelled solutions and replacements in; the paper's Tables 1 and 2 and Figure 2 out.

mod labels;
mod places;

use std::collections::BTreeMap;
use std::path::Path;

use cdpo_critical::analysis::WordTypeCensus;
use cdpo_data::{CriticalKind, ReplacementRecord, RolloutRecord};
use cdpo_data::{OnBadRow, jsonl};
use cdpo_model::Tokenizer;
use cdpo_report::bootstrap::{CounterDraws, RESAMPLES};
use cdpo_report::critical_tokens::word_type_table;
use cdpo_report::{CriticalTokens, Findings, ReplacementCurve, ShareTable};

use crate::args::AnalyzeArgs;
use crate::messages::{self, out};
use crate::run::Run;
use crate::{files, run_folder};
use labels::Labels;
use places::{pieces, place_tables};

/// Prints the tables, and writes them as `analysis.md` and `analysis.json`.
pub(crate) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<()> {
    let run = run_folder::open(&args.run, &args.sets)?;
    let path = run_folder::records(
        &run.dir,
        args.rollouts.as_deref(),
        &["rollouts", "rollouts.jsonl"],
    )?;
    let (records, _): (Vec<RolloutRecord>, _) = jsonl::read(&path, OnBadRow::Fail)?;
    let labels = match &args.labels {
        Some(file) => Labels::given(file, &run)?,
        None if args.by_solutions => Labels::solutions(&run)?,
        None => Labels::None,
    };
    let replacements = replacements(&run, args)?;
    let tokenizer = &run.vocabulary.tokenizer;
    let (places, error_kinds) = place_tables(tokenizer, &records, &labels)?;
    let analysis = CriticalTokens {
        setting: setting(&run, &path, &records),
        findings: findings(&records),
        word_types: word_types(tokenizer, &records)?,
        tenths: tenths(&records)?,
        places,
        error_kinds,
        replacement: replacements,
    };
    let out = args.out.clone().unwrap_or_else(|| run.dir.join("analysis"));
    std::fs::create_dir_all(&out)?;
    jsonl::write_json(out.join("analysis.json"), &analysis)?;
    let text = analysis.markdown()?;
    files::write(&out.join("analysis.md"), text.as_bytes())?;
    out!("{}", text.trim_end());
    messages::say(format_args!("{}", out.join("analysis.json").display()));
    Ok(())
}

fn replacements(run: &Run, args: &AnalyzeArgs) -> anyhow::Result<Option<ReplacementCurve>> {
    let usual = run.dir.join("replacements").join("replacements.jsonl");
    let path = match &args.replacements {
        Some(path) => path.clone(),
        // The run's own replacements belong to its own rollouts.
        None if args.rollouts.is_none() && usual.is_file() => usual,
        None => return Ok(None),
    };
    let (records, _): (Vec<ReplacementRecord>, _) = jsonl::read(&path, OnBadRow::Fail)?;
    let mut draws = CounterDraws::new(run.recipe.run.seed);
    Ok(Some(ReplacementCurve::of(
        &records,
        RESAMPLES,
        &mut || draws.draw(),
    )?))
}

/// What every table rests on.
pub(crate) fn setting(run: &Run, path: &Path, records: &[RolloutRecord]) -> Vec<(String, String)> {
    let distinct = |values: Vec<String>| {
        let counts =
            values
                .into_iter()
                .fold(BTreeMap::new(), |mut counts: BTreeMap<String, u64>, v| {
                    *counts.entry(v).or_default() += 1;
                    counts
                });
        counts.into_keys().collect::<Vec<_>>().join(", ")
    };
    let sample = &run.recipe.sample;
    let file = path.strip_prefix(&run.dir).unwrap_or(path);
    let tokens: usize = records.iter().map(|r| r.ids.len()).sum();
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("model", run.base.origin.clone()),
        pair("rollouts", file.display().to_string()),
        pair("responses", records.len().to_string()),
        pair(
            "mean tokens",
            format!("{:.1}", tokens as f64 / records.len().max(1) as f64),
        ),
        pair(
            "rollouts a position",
            distinct(records.iter().map(|r| r.n.to_string()).collect()),
        ),
        pair(
            "temperature, top-p",
            format!("{}, {}", sample.temperature, sample.top_p),
        ),
    ]
}

fn findings(records: &[RolloutRecord]) -> Findings {
    let mut findings = Findings::default();
    for record in records {
        *match record.kind {
            CriticalKind::Both => &mut findings.both,
            CriticalKind::OnlyFirst => &mut findings.only_first,
            CriticalKind::None => &mut findings.none,
            CriticalKind::Unsettled => &mut findings.unsettled,
        } += 1;
    }
    findings
}

fn word_types(tokenizer: &Tokenizer, records: &[RolloutRecord]) -> anyhow::Result<ShareTable> {
    let mut census = WordTypeCensus::default();
    for record in records {
        if let Some(position) = record.position {
            census.add(&pieces(tokenizer, &record.ids)?, position);
        }
    }
    let mut table = word_type_table()?;
    let total = |counts: &[u64; 5]| counts.iter().sum();
    table.counted(
        "critical tokens, here",
        &census.critical,
        total(&census.critical),
    )?;
    table.counted(
        "all tokens of these responses",
        &census.all,
        total(&census.all),
    )?;
    Ok(table)
}

/// Shares of critical tokens in each tenth of their response: position t of T lies in tenth ceil(10 t / T).
fn tenths(records: &[RolloutRecord]) -> anyhow::Result<ShareTable> {
    let mut counts = [0u64; 10];
    let mut total = 0;
    for record in records {
        if let Some(position) = record.position {
            let tenth = (10 * position).div_ceil(record.ids.len().max(1));
            counts[tenth.clamp(1, 10) - 1] += 1;
            total += 1;
        }
    }
    let mut table = ShareTable::new("tenth of the response", (1..=10).map(|i| i.to_string()));
    table.counted("critical tokens, here", &counts, total)?;
    Ok(table)
}
