//! `cdpo judge RUN`: rollout records and contrastive models in; where contrastive estimation and its rivals rank the true critical
//! token, out.

mod numbers;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cdpo_critical::analysis::{Signal, TokenNumbers};
use cdpo_critical::{ContrastModels, ContrastSettings, score_pairs};
use cdpo_data::artifact::{MANIFEST, Manifest};
use cdpo_data::jsonl::Appender;
use cdpo_data::rollout_record::RolloutRecord;
use cdpo_data::{OnBadRow, Pair, artifact, jsonl};
use cdpo_model::{Adapter, AdapterStack};
use cdpo_report::bootstrap::RESAMPLES;
use cdpo_report::ranking::{Ranking, rank};
use cdpo_report::{JudgeTable, Judgement};
use serde_json::json;

use crate::analyze::setting;
use crate::args::JudgeArgs;
use crate::outcome::{Interrupted, Usage};
use crate::pipeline::{Pipeline, Step};
use crate::stages::ADAPTER;
use crate::talk::out;
use crate::talk::{self, Progress};
use crate::{interrupt, run_folder};
use numbers::Numbers;

/// Prints the table, and writes it as `judge.md` and `judge.json`.
pub(crate) fn judge(args: &JudgeArgs) -> anyhow::Result<()> {
    let mut p = run_folder::open(&args.run, &args.sets)?;
    let path = run_folder::records(
        &p.run_dir,
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
    let ce_betas = match args.ce_beta.as_slice() {
        [] => vec![p.recipe.ce.ce_beta],
        given => given.to_vec(),
    };
    let out = args.out.clone().unwrap_or_else(|| p.run_dir.join("judge"));
    std::fs::create_dir_all(out.join("numbers"))?;
    // A run of other questions need not have models of its own.
    let own = p.path(Step::Positive, ADAPTER).is_dir() || args.models.is_empty();
    let mut runs: Vec<PathBuf> = own.then(|| p.run_dir.clone()).into_iter().collect();
    runs.extend(args.models.iter().cloned());
    let mut signals: Vec<(String, Vec<Ranking>)> = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let mut found = records.iter().map(base_numbers).collect::<Vec<_>>();
        for &ce_beta in &ce_betas {
            let scored = scored(&mut p, run, &records, ce_beta, &out)?;
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
            if runs.len() > 1 && signal.contrastive() {
                let run = run.file_name().unwrap_or_default().to_string_lossy();
                name = format!("{name} ({run})");
            }
            let rankings = records.iter().zip(&found).map(|(record, numbers)| {
                let values = signal.values(numbers).unwrap_or_default();
                rank(&values, record.position.unwrap_or(1) - 1)
            });
            signals.push((name, rankings.collect::<cdpo_report::Result<_>>()?));
        }
    }
    signals.sort_by_key(|(name, _)| !name.starts_with("1 - s"));
    let mut setting = setting(&p, &path, &records);
    setting.push((
        "responses without a critical token, left out".into(),
        (read - records.len()).to_string(),
    ));
    setting.push((
        "intervals".into(),
        format!("95 %, bootstrap over responses, {RESAMPLES} draws"),
    ));
    let told = Judgement {
        setting,
        table: JudgeTable::build(&signals, RESAMPLES, p.recipe.run.seed)?,
    };
    jsonl::write_json(out.join("judge.json"), &told)?;
    let text = told.markdown();
    crate::command::write(&out.join("judge.md"), text.as_bytes())?;
    out!("{}", text.trim_end());
    talk::say(format_args!("{}", out.join("judge.json").display()));
    Ok(())
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

/// Scores every response with the contrastive models of `run`, or takes what was scored before.
fn scored(
    p: &mut Pipeline,
    run: &Path,
    records: &[RolloutRecord],
    ce_beta: f64,
    out: &Path,
) -> anyhow::Result<Vec<Numbers>> {
    let folder = |step: Step| run.join(step.name()).join(ADAPTER);
    let (positive, negative) = (folder(Step::Positive), folder(Step::Negative));
    for folder in [&positive, &negative] {
        if !folder.is_dir() {
            return Err(Usage(format!(
                "{} is not there; `cdpo score {}` trains the contrastive models",
                folder.display(),
                run.join("recipe.toml").display()
            ))
            .into());
        }
        // The stage's own word of what it was trained on; a folder of adapters without one is taken as it is.
        let manifest = folder.with_file_name(MANIFEST);
        if let Ok(manifest) = Manifest::read(&manifest)? {
            let base = manifest.inputs.get("model");
            if base.is_some_and(|base| *base != p.base.checkpoint.content_id) {
                return Err(Usage(format!(
                    "{} was trained on another base model than the rollouts were drawn from; name a run of the same model",
                    folder.display()
                ))
                .into());
            }
        }
    }
    let few_shot = p.recipe.train.few_shot;
    let pairs: Vec<Pair> = records
        .iter()
        .map(|record| pair(p, record, few_shot))
        .collect();
    let key = artifact::hash_json(&json!({
        "model": p.base.checkpoint.content_id,
        "positive": artifact::hash_folder(&positive)?,
        "negative": artifact::hash_folder(&negative)?,
        "ce_beta": ce_beta,
    }));
    let path: PathBuf = out.join("numbers").join(format!("{}.jsonl", &key[..16]));
    let (mut file, mut known): (Appender, Vec<Numbers>) = Appender::resume(&path)?;
    let missing: Vec<Pair> = pairs
        .iter()
        .filter(|pair| !known.iter().any(|numbers| numbers.fits(pair)))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let load = |folder: &Path| Adapter::load(folder, &p.base.checkpoint.config, &p.base.device);
        let (positive, negative) = (load(&positive)?, load(&negative)?);
        let (positive, negative) = ([&positive], [&negative]);
        let models = ContrastModels {
            model: p.base.dense()?,
            positive: AdapterStack::frozen(&positive),
            negative: AdapterStack::frozen(&negative),
        };
        // One response a call: its numbers do not depend on which others are missing.
        let settings = ContrastSettings {
            ce_beta,
            max_tokens: 1,
        };
        let mut bar = Progress::new(&format!("ce_beta {ce_beta}"), 0, missing.len() as u64);
        let mut failure = None;
        let mut done = 0;
        score_pairs(&models, &missing, &[], &settings, &mut |pair| {
            let numbers = Numbers::of(pair);
            if let Err(e) = file.append(&numbers) {
                failure = Some(e);
                return Ok(ControlFlow::Break(()));
            }
            known.push(numbers);
            done += 1;
            bar.at(done, || "responses".into());
            Ok(interrupt::flow())
        })?;
        drop(bar);
        if let Some(e) = failure {
            return Err(e.into());
        }
        if (done as usize) < missing.len() {
            return Err(Interrupted.into());
        }
    }
    let of = |pair: &Pair| known.iter().find(|numbers| numbers.fits(pair)).cloned();
    let all: Option<Vec<Numbers>> = pairs.iter().map(of).collect();
    all.ok_or_else(|| {
        anyhow::anyhow!(
            "{}: a response was not scored; run the command again",
            path.display()
        )
    })
}

/// A response as the contrastive models read it: behind the prompt that they were trained with.
fn pair(p: &Pipeline, record: &RolloutRecord, few_shot: bool) -> Pair {
    let mut prompt_ids = p.prompt.training_prefix(few_shot).to_vec();
    if !few_shot {
        prompt_ids.extend(p.base.bos);
    }
    prompt_ids.extend(&record.prompt_ids);
    Pair {
        problem_id: record.problem_id.clone(),
        rejected_sample: record.sample,
        prompt_ids,
        rejected_ids: record.ids.clone(),
        ..Pair::default()
    }
}
