//! `cdpo judge RUN`: rollout records and contrastive models in; where contrastive estimation and its rivals rank the true critical
//! token, out.

mod numbers;
mod scoring;

use std::path::{Path, PathBuf};

use cdpo_critical::analysis::{Signal, TokenNumbers};
use cdpo_data::rollout_record::RolloutRecord;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_report::bootstrap::RESAMPLES;
use cdpo_report::ranking::{Ranking, rank};
use cdpo_report::{JudgeTable, Judgement};

use super::analyze::setting;
use crate::args::JudgeArgs;
use crate::messages::{self, out};
use crate::outcome::Usage;
use crate::run::Run;
use crate::stages::contrastive;
use crate::stages::finetune::ADAPTER;
use crate::{files, run_folder};
use scoring::scored;

/// Prints the table, and writes it as `judge.md` and `judge.json`.
pub(crate) fn judge(args: &JudgeArgs) -> anyhow::Result<()> {
    let mut run = run_folder::open(&args.run, &args.sets)?;
    let path = run_folder::records(
        &run.dir,
        args.rollouts.as_deref(),
        &["rollouts", "rollouts.jsonl"],
    )?;
    let (mut records, _): (Vec<RolloutRecord>, _) = jsonl::read(&path, OnBadRow::Fail)?;
    let read = records.len();
    records.retain(|record| record.position.is_some());
    if records.is_empty() {
        return Err(Usage(format!(
            "none of the {read} responses in {} has a critical token, so there is nothing to rank",
            path.display()
        ))
        .into());
    }
    let out = args.out.clone().unwrap_or_else(|| run.dir.join("judge"));
    std::fs::create_dir_all(out.join("numbers"))?;
    let signals = rankings(&mut run, args, &records, &out)?;
    let mut setting = setting(&run, &path, &records);
    setting.push((
        "responses without a critical token, left out".into(),
        (read - records.len()).to_string(),
    ));
    setting.push((
        "intervals".into(),
        format!("95 %, bootstrap over responses, {RESAMPLES} draws"),
    ));
    let judgement = Judgement {
        setting,
        table: JudgeTable::build(&signals, RESAMPLES, run.recipe.run.seed)?,
    };
    jsonl::write_json(out.join("judge.json"), &judgement)?;
    let text = judgement.markdown();
    files::write(&out.join("judge.md"), text.as_bytes())?;
    out!("{}", text.trim_end());
    messages::say(format_args!("{}", out.join("judge.json").display()));
    Ok(())
}

/// Where each signal ranks each response's critical token: contrastive estimation's first, with the models of every folder that
/// has some.
fn rankings(
    run: &mut Run,
    args: &JudgeArgs,
    records: &[RolloutRecord],
    out: &Path,
) -> anyhow::Result<Vec<(String, Vec<Ranking>)>> {
    let ce_betas = match args.ce_beta.as_slice() {
        [] => vec![run.recipe.ce.ce_beta],
        given => given.to_vec(),
    };
    // A run of other questions need not have models of its own.
    let own = run.path(&contrastive::positive_id(), ADAPTER).is_dir() || args.models.is_empty();
    let mut folders: Vec<PathBuf> = own.then(|| run.dir.clone()).into_iter().collect();
    folders.extend(args.models.iter().cloned());
    let mut signals: Vec<(String, Vec<Ranking>)> = Vec::new();
    for (i, folder) in folders.iter().enumerate() {
        let mut found = records.iter().map(base_numbers).collect::<Vec<_>>();
        for &ce_beta in &ce_betas {
            let scored = scored(run, folder, records, ce_beta, out)?;
            for (numbers, scored) in found.iter_mut().zip(scored) {
                numbers.scores.push((ce_beta, scored.scores));
                numbers.positive_logps = scored.positive_logps;
                numbers.negative_logps = scored.negative_logps;
            }
        }
        for signal in Signal::all(&ce_betas) {
            if i > 0 && !signal.contrastive() {
                continue;
            }
            let mut name = signal.name().into_owned();
            if folders.len() > 1 && signal.contrastive() {
                let folder = folder.file_name().unwrap_or_default().to_string_lossy();
                name = format!("{name} ({folder})");
            }
            let rankings = records.iter().zip(&found).map(|(record, numbers)| {
                let values = signal.values(numbers).unwrap_or_default();
                rank(&values, record.position.unwrap_or(1) - 1)
            });
            signals.push((name, rankings.collect::<cdpo_report::Result<_>>()?));
        }
    }
    signals.sort_by_key(|(name, _)| !name.starts_with("1 - s"));
    Ok(signals)
}

/// What the rollouts' model says of a response; the contrastive models' part is empty.
fn base_numbers(record: &RolloutRecord) -> TokenNumbers {
    TokenNumbers {
        scores: Vec::new(),
        positive_logps: Vec::new(),
        negative_logps: Vec::new(),
        base_logps: record.token_logps.clone(),
        base_entropies: record.entropies.clone(),
    }
}
