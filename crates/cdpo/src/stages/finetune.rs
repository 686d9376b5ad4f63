//! Training an adapter on the base, or all of its parameters: what every training stage does.

use std::path::Path;

use cdpo_data::artifact::{StageDir, hash_folder, hash_json};
use cdpo_data::{OnBadRow, SftExample, jsonl};
use cdpo_model::{Adapter, Key, LoraConfig};
use cdpo_train::{
    Job, METRICS, Parameters, Policy, StepMetrics, TrainEvent, TrainReport, TrainSet, TrainSettings,
};
use serde_json::{Value, json};

use crate::base_model::{BaseModel, Trained};
use crate::interrupt;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use crate::run::Run;

/// The folder of what was trained, where it is an adapter.
pub(crate) const ADAPTER: &str = "adapter";
/// The folder of what was trained, where it is a whole model.
pub(crate) const MODEL: &str = "model";

/// What a training makes: an adapter, or a whole model where all parameters are trained.
pub(super) fn result(train: &TrainSettings) -> &'static str {
    match train.parameters {
        Some(Parameters::All) => MODEL,
        _ => ADAPTER,
    }
}

/// The files of a training stage.
pub(super) fn files(train: &TrainSettings) -> Vec<String> {
    vec![result(train).to_owned(), METRICS.to_owned()]
}

/// What a training stage is set by.
pub(super) fn settings(run: &Run, lora: &LoraConfig, train: &TrainSettings) -> Value {
    json!({
        "lora": lora,
        "train": numeric(train),
        // The adapter's initial values are drawn from the run's seed, not the training's.
        "seed": run.recipe.run.seed,
        "prefix": prefix_hash(run),
    })
}

/// Identifies what stands before every prompt of a training, and how a prompt continues it.
pub(super) fn prefix_hash(run: &Run) -> String {
    let few_shot = run.recipe.train.few_shot;
    hash_json(&run.prompt.training_settings(&run.vocabulary, few_shot))
}

/// The settings that a training's numbers depend on: all but how often it is kept and how it uses memory.
fn numeric(train: &TrainSettings) -> Value {
    let mut settings = json!(train);
    if let Some(settings) = settings.as_object_mut() {
        for name in ["checkpoint_every", "keep_checkpoints", "recompute"] {
            settings.remove(name);
        }
    }
    settings
}

/// Reads examples of fine-tuning; their prompts as they stand after the exemplars.
pub(super) fn fine_tuning_examples(run: &Run, path: &Path) -> anyhow::Result<Vec<SftExample>> {
    let (mut examples, _): (Vec<SftExample>, _) = jsonl::read(path, OnBadRow::Fail)?;
    for example in &mut examples {
        example.prompt_ids = training_ids(run, &example.prompt, &example.prompt_ids)?;
    }
    Ok(examples)
}

/// A prompt's ids as they stand after what stands before every prompt of a training.
pub(super) fn training_ids(run: &Run, prompt: &str, alone: &[u32]) -> anyhow::Result<Vec<u32>> {
    let few_shot = run.recipe.train.few_shot;
    run.prompt
        .training_ids(&run.vocabulary, prompt, alone, few_shot)
}

/// A training to be done.
pub(super) struct Finetuning {
    pub(super) examples: TrainSet,
    pub(super) lora: LoraConfig,
    pub(super) settings: TrainSettings,
    /// Where policy and reference start, if not at the base.
    pub(super) start: Option<Trained>,
}

impl Finetuning {
    fn of_all_parameters(&self) -> bool {
        result(&self.settings) == MODEL
    }

    /// The adapters below the one that is trained.
    fn under(&self) -> Vec<&Adapter> {
        match &self.start {
            Some(Trained::Adapter(adapter)) => vec![adapter],
            _ => Vec::new(),
        }
    }
}

/// Trains an adapter on the base or all parameters of it; what it is called is the stage's name, which also names its initial
/// values. With a start, policy and reference begin there.
///
/// What is trained on an adapter is a second one. The stage keeps both as one adapter, their sum, which any user of PEFT can load on
/// the base alone.
pub(super) fn train(
    run: &mut Run,
    dir: &mut StageDir,
    wanted: &Finetuning,
) -> anyhow::Result<Value> {
    let name = dir.dir().file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let settings = &wanted.settings;
    let model_id = match &wanted.start {
        Some(Trained::Model(folder)) => hash_folder(folder)?,
        _ => run.base.numbers_id()?,
    };
    // The pairs are the same for every method, and so are the reference's log-probabilities.
    let cache = run.dir.join("reference.bin");
    let prefix = run
        .prompt
        .training_prefix(run.recipe.train.few_shot)
        .to_vec();
    // Preference methods start from the same values.
    let draw = if settings.method.takes_pairs() {
        "policy"
    } else {
        &name
    };
    let key = Key::new(run.recipe.run.seed)
        .with_str("lora")
        .with_str(draw);
    let folder = dir.dir().to_path_buf();
    let under = wanted.under();
    let job = Job {
        policy: policy(&mut run.base, wanted, &under, key)?,
        model_id: &model_id,
        reference: &under,
        examples: &wanted.examples,
        prefix_ids: &prefix,
        settings,
        dir: &folder,
        reference_cache: Some(&cache),
    };
    let report = observed(job, &name, dir)?;
    let counts = json!({
        "steps": report.total_steps,
        "examples_left_out": report.left_out.total(),
        "tokens_read": report.tokens,
        "last": report.metrics.last(),
    });
    if wanted.of_all_parameters() {
        let folder = dir.path(MODEL);
        if let Some(model) = report.policy.into_model() {
            model.save(&folder)?;
        }
        run.vocabulary.tokenizer.save(&folder)?;
    } else if let Some(adapter) = report.policy.into_adapter() {
        let whole = match under.as_slice() {
            [] => adapter,
            [start, ..] => Adapter::sum(&run.base.config, &[*start, &adapter], run.base.device()?)?,
        };
        whole.save(&dir.path(ADAPTER), &run.base.origin)?;
    }
    Ok(counts)
}

/// What is trained, at its initial values.
fn policy<'a>(
    base: &'a mut BaseModel,
    wanted: &Finetuning,
    under: &'a [&'a Adapter],
    key: Key,
) -> anyhow::Result<Policy<'a>> {
    if wanted.of_all_parameters() {
        let model = match &wanted.start {
            Some(Trained::Model(folder)) => base.load_from(folder)?,
            _ => base.load_f32()?,
        };
        return Ok(Policy::Model(Box::new(model)));
    }
    let device = base.device()?.clone();
    let model = base.loaded()?;
    Ok(Policy::Adapter {
        model,
        adapter: Adapter::init(model.config(), &wanted.lora, key, &device)?,
        under,
    })
}

/// Runs the training loop, reports on it as `name`, and writes down the time spent at every checkpoint.
fn observed<'p>(
    job: Job<'_, 'p>,
    name: &str,
    dir: &mut StageDir,
) -> anyhow::Result<TrainReport<'p>> {
    let mut bar: Option<ProgressLine> = None;
    let report = cdpo_train::run(job, &mut |event| {
        match event {
            TrainEvent::Warning(text) => messages::warn(text),
            TrainEvent::Started {
                examples,
                done,
                total_steps,
                warmup_steps,
            } => {
                messages::say(format_args!(
                    "{name}: {examples} examples, {total_steps} steps, {warmup_steps} of them warm-up{}",
                    if done > 0 {
                        format!("; {done} done before")
                    } else {
                        String::new()
                    }
                ));
                bar = Some(ProgressLine::new(name, done, total_steps));
            }
            TrainEvent::Reference { done, all } => {
                let label = "reference";
                let bar =
                    bar.get_or_insert_with(|| ProgressLine::new(label, done as u64, all as u64));
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
    if let Some(last) = report.metrics.last() {
        messages::say(format_args!("{name}: step {}: {}", last.step, note(last)));
    }
    Ok(report)
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
