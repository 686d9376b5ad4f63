//! Rollout records and a folder with two contrastive models in; what the models say of each response out, kept between runs.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cdpo_critical::{ContrastModels, ContrastSettings, score_pairs};
use cdpo_data::artifact::{MANIFEST, Manifest};
use cdpo_data::jsonl::Appender;
use cdpo_data::rollout_record::RolloutRecord;
use cdpo_data::{Pair, artifact};
use cdpo_model::AdapterStack;
use serde_json::json;

use super::numbers::Numbers;
use crate::interrupt;
use crate::outcome::{Interrupted, Usage};
use crate::progress::ProgressLine;
use crate::run::Run;
use crate::stages::contrastive;
use crate::stages::finetune::ADAPTER;

/// Scores every response with the contrastive models of the run in `folder`, or takes what was scored before.
pub(super) fn scored(
    run: &mut Run,
    folder: &Path,
    records: &[RolloutRecord],
    ce_beta: f64,
    out: &Path,
) -> anyhow::Result<Vec<Numbers>> {
    let adapters = ContrastFolders::find(run, folder)?;
    let few_shot = run.recipe.train.few_shot;
    let pairs: Vec<Pair> = records
        .iter()
        .map(|record| pair(run, record, few_shot))
        .collect::<anyhow::Result<_>>()?;
    let key = artifact::hash_json(&json!({
        "model": run.base.numbers_id()?,
        "positive": artifact::hash_folder(&adapters.positive)?,
        "negative": artifact::hash_folder(&adapters.negative)?,
        "ce_beta": ce_beta,
    }));
    let path: PathBuf = out.join("numbers").join(format!("{}.jsonl", &key[..16]));
    let (file, mut known): (Appender, Vec<Numbers>) = Appender::resume(&path)?;
    let missing: Vec<Pair> = pairs
        .iter()
        .filter(|pair| !known.iter().any(|numbers| numbers.fits(pair)))
        .cloned()
        .collect();
    if !missing.is_empty() {
        score(run, &adapters, &missing, ce_beta, file, &mut known)?;
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

/// The folders of a run's two contrastive adapters.
struct ContrastFolders {
    positive: PathBuf,
    negative: PathBuf,
}

impl ContrastFolders {
    /// Finds them in `folder`, and checks that they were trained on the model of `run`.
    fn find(run: &Run, folder: &Path) -> anyhow::Result<Self> {
        let found = Self {
            positive: folder.join(contrastive::positive_id().name).join(ADAPTER),
            negative: folder.join(contrastive::negative_id().name).join(ADAPTER),
        };
        for adapter in [&found.positive, &found.negative] {
            if !adapter.is_dir() {
                return Err(Usage(format!(
                    "{} is not there; `cdpo score {}` trains the contrastive models",
                    adapter.display(),
                    folder.join("recipe.toml").display()
                ))
                .into());
            }
            // The stage's own word of what it was trained on; a folder of adapters without one is taken as it is.
            let manifest = adapter.with_file_name(MANIFEST);
            if let Ok(manifest) = Manifest::read(&manifest)?
                && let Some(base) = manifest.inputs.get("model")
                && *base != run.base.content_id()?
            {
                return Err(Usage(format!(
                    "{} was trained on another base model than the rollouts were drawn from; name a run of the same model",
                    adapter.display()
                ))
                .into());
            }
        }
        Ok(found)
    }
}

/// Scores `missing`, and adds each response's numbers to the file and to `known` as they come.
fn score(
    run: &mut Run,
    adapters: &ContrastFolders,
    missing: &[Pair],
    ce_beta: f64,
    mut file: Appender,
    known: &mut Vec<Numbers>,
) -> anyhow::Result<()> {
    let positive = [&run.base.adapter(&adapters.positive)?];
    let negative = [&run.base.adapter(&adapters.negative)?];
    let models = ContrastModels {
        model: run.base.loaded()?,
        positive: AdapterStack::frozen(&positive),
        negative: AdapterStack::frozen(&negative),
    };
    // One response a call: its numbers do not depend on which others are missing.
    let settings = ContrastSettings {
        ce_beta,
        max_tokens: 1,
    };
    let mut bar = ProgressLine::new(&format!("ce_beta {ce_beta}"), 0, missing.len() as u64);
    let mut failure = None;
    let mut done = 0;
    score_pairs(&models, missing, &[], &settings, &mut |pair| {
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
    Ok(())
}

/// A response as the contrastive models read it: after the prompt that they were trained with.
fn pair(run: &Run, record: &RolloutRecord, few_shot: bool) -> anyhow::Result<Pair> {
    Ok(Pair {
        problem_id: record.problem_id.clone(),
        rejected_sample: record.sample,
        prompt_ids: run
            .prompt
            .as_trained(&run.vocabulary, &record.prompt_ids, few_shot)?,
        rejected_ids: record.ids.clone(),
        ..Pair::default()
    })
}
