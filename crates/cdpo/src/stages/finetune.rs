//! Training stages: the two contrastive models, and the preference methods.

use std::path::Path;

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Pair, SftExample, jsonl};
use cdpo_model::{Adapter, Key, LoraConfig};
use cdpo_train::{
    Job, METRICS, Method, Parameters, Policy, StepMetrics, TrainEvent, TrainSet, TrainSettings,
};
use serde_json::json;

use super::{ADAPTER, Finished, MODEL, contrastive_examples, examples_of, result_of};
use crate::base::Trained;
use crate::interrupt;
use crate::outcome::Interrupted;
use crate::pipeline::{Pipeline, Step};
use crate::talk::{self, Progress};

pub(super) fn contrastive(
    p: &mut Pipeline,
    step: Step,
    dir: &mut StageDir,
) -> anyhow::Result<Finished> {
    let path = p.path(Step::Select, contrastive_examples(step));
    let examples = fine_tuning_examples(p, &path)?;
    let (lora, settings) = (p.recipe.ce.lora.clone(), p.recipe.ce.train.clone());
    train(p, dir, &TrainSet::Sft(examples), &lora, &settings, None)
}

pub(super) fn preference(
    p: &mut Pipeline,
    method: Method,
    dir: &mut StageDir,
) -> anyhow::Result<Finished> {
    let (step, file) = examples_of(&p.recipe, method);
    let path = p.path(step, file);
    let examples = if method.takes_pairs() {
        let (mut pairs, _): (Vec<Pair>, _) = jsonl::read(path, OnBadRow::Fail)?;
        for pair in &mut pairs {
            let few_shot = p.recipe.train.few_shot;
            pair.prompt_ids = p.base.behind_exemplars(&pair.prompt_ids, few_shot);
        }
        TrainSet::Pairs(pairs)
    } else {
        TrainSet::Sft(fine_tuning_examples(p, &path)?)
    };
    let lora = p.recipe.train.lora.clone();
    let settings = p.recipe.train.methods[method.name()].clone();
    let start = method
        .starts_from_sft()
        .then(|| trained(p, Method::SFT))
        .transpose()?;
    train(p, dir, &examples, &lora, &settings, start.as_ref())
}

fn fine_tuning_examples(p: &Pipeline, path: &Path) -> anyhow::Result<Vec<SftExample>> {
    let (mut examples, _): (Vec<SftExample>, _) = jsonl::read(path, OnBadRow::Fail)?;
    for example in &mut examples {
        let few_shot = p.recipe.train.few_shot;
        example.prompt_ids = p.base.behind_exemplars(&example.prompt_ids, few_shot);
    }
    Ok(examples)
}

/// Trains an adapter on the base or all parameters of it; what it is called is the stage's name, which also names its initial
/// values. With a `start`, policy and reference start there.
///
/// What is trained on an adapter is a second one. The stage keeps both as one adapter, their sum, which any user of PEFT can load on
/// the base alone.
fn train(
    p: &mut Pipeline,
    dir: &mut StageDir,
    examples: &TrainSet,
    lora: &LoraConfig,
    settings: &TrainSettings,
    start: Option<&Trained>,
) -> anyhow::Result<Finished> {
    let name = dir.dir().file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let mut model_id = p.base.checkpoint.content_id.clone();
    let origin = p.base.checkpoint.origin.clone();
    let device = p.base.device.clone();
    let seed = p.recipe.run.seed;
    // The pairs are the same for every method, and so are the reference's log-probabilities.
    let cache = p.run_dir.join("reference.bin");
    let prefix = p.prompt.training_prefix(p.recipe.train.few_shot).to_vec();
    let all = settings.parameters == Some(Parameters::All);
    let model = if all { None } else { Some(p.base.dense()?) };
    // Preference methods start from the same values.
    let draw = if settings.method.takes_pairs() {
        "policy"
    } else {
        &name
    };
    let key = Key::new(seed).with_str("lora").with_str(draw);
    let folder = dir.dir().to_path_buf();
    let under: Vec<&Adapter> = match start {
        Some(Trained::Adapter(adapter)) => vec![adapter],
        _ => Vec::new(),
    };
    let policy = match model {
        Some(model) => Policy::Adapter {
            model,
            adapter: Adapter::init(model.config(), lora, key, &device)?,
            under: &under,
        },
        None => Policy::Model(Box::new(match start {
            Some(Trained::Model(folder)) => {
                model_id = cdpo_data::artifact::hash_folder(folder)?;
                p.base.load_from(folder)?
            }
            _ => p.base.load()?,
        })),
    };
    let job = Job {
        policy,
        model_id: &model_id,
        reference: &under,
        examples,
        prefix_ids: &prefix,
        settings,
        dir: &folder,
        reference_cache: Some(&cache),
    };
    let mut bar: Option<Progress> = None;
    let report = cdpo_train::run(job, &mut |event| {
        match event {
            TrainEvent::Warning(text) => talk::warn(text),
            TrainEvent::Started {
                examples,
                done,
                total_steps,
                warmup_steps,
            } => {
                talk::say(format_args!(
                    "{name}: {examples} examples, {total_steps} steps, {warmup_steps} of them warm-up{}",
                    if done > 0 {
                        format!("; {done} done before")
                    } else {
                        String::new()
                    }
                ));
                bar = Some(Progress::new(&name, done, total_steps));
            }
            TrainEvent::Reference { done, all } => {
                let label = "reference";
                let bar = bar.get_or_insert_with(|| Progress::new(label, done as u64, all as u64));
                bar.at(done as u64, || "log-probabilities".into());
            }
            TrainEvent::Step(metrics) => {
                if let Some(bar) = &mut bar {
                    bar.at(metrics.step, || note(metrics));
                }
            }
            TrainEvent::Checkpoint { .. } => {
                // Only the clock: a failure to write will show at the next checkpoint.
                let _ = dir.keep_time();
            }
            _ => {}
        }
        interrupt::flow()
    })?;
    drop(bar);
    if !report.finished {
        return Err(Interrupted.into());
    }
    let last = report.metrics.last();
    if let Some(last) = last {
        talk::say(format_args!("{name}: step {}: {}", last.step, note(last)));
    }
    let counts = json!({
        "steps": report.total_steps,
        "examples_left_out": report.left_out.total(),
        "tokens_read": report.tokens,
        "last": last,
    });
    if all {
        let folder = dir.path(MODEL);
        if let Some(model) = report.policy.into_model() {
            model.save(&folder)?;
        }
        p.base.checkpoint.tokenizer.save(&folder)?;
        return Ok(Finished::new(&[MODEL, METRICS], counts));
    }
    if let Some(adapter) = report.policy.into_adapter() {
        let whole = match under.as_slice() {
            [] => adapter,
            [start, ..] => Adapter::sum(&p.base.checkpoint.config, &[*start, &adapter], &device)?,
        };
        whole.save(&dir.path(ADAPTER), &origin)?;
    }
    Ok(Finished::new(&[ADAPTER, METRICS], counts))
}

fn note(metrics: &StepMetrics) -> String {
    match &metrics.pairs {
        None => format!("loss {:.4}", metrics.loss),
        Some(pairs) => format!(
            "loss {:.4}, margin {:.3}, accuracy {:.2}",
            metrics.loss, pairs.reward_margin, pairs.reward_accuracy
        ),
    }
}

/// Loads a finished stage's adapter.
pub(super) fn adapter(p: &Pipeline, step: Step) -> anyhow::Result<Adapter> {
    Ok(Adapter::load(
        &p.path(step, ADAPTER),
        &p.base.checkpoint.config,
        &p.base.device,
    )?)
}

/// Loads what a method's stage made.
pub(super) fn trained(p: &Pipeline, method: Method) -> anyhow::Result<Trained> {
    let step = Step::Train(method);
    Ok(if result_of(&p.recipe, method) == MODEL {
        Trained::Model(p.path(step, MODEL))
    } else {
        Trained::Adapter(adapter(p, step)?)
    })
}
