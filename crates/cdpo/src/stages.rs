//! The stages: for each, what it depends on, and its work.

mod conventions;
mod eval;
mod finetune;
mod generate;
mod given;
mod length;
mod questions;
mod reuse;
mod score;
mod select;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use cdpo_data::artifact::{StageDir, StageKey, hash_file, hash_folder, hash_json};
use cdpo_model::LoraConfig;
use cdpo_train::{Examples, Loss, Method, Parameters, TrainSettings};
use serde_json::{Value, json};

use crate::builtin;
use crate::pipeline::{Pipeline, Step};
use crate::recipe::Recipe;
use crate::rollout;

pub(crate) use eval::accuracy;
pub(crate) use generate::training_params;
pub(crate) use length::check as check_lengths;
pub(crate) use table::{baselines, costs, rows};

pub(crate) const TRAIN: &str = "train.jsonl";
pub(crate) const TEST: &str = "test.jsonl";
pub(crate) const TRAJECTORIES: &str = "trajectories.jsonl";
pub(crate) const GRADED: &str = "graded.jsonl";
pub(crate) const POSITIVES: &str = "positives.jsonl";
pub(crate) const NEGATIVES: &str = "negatives.jsonl";
pub(crate) const PAIRS: &str = "pairs.jsonl";
pub(crate) const ADAPTER: &str = "adapter";
pub(crate) const MODEL: &str = "model";

/// What a stage leaves behind.
pub(crate) struct Finished {
    /// Files and folders, relative to the stage's.
    pub(crate) outputs: Vec<String>,
    /// How many of everything.
    pub(crate) counts: Value,
}

impl Finished {
    pub(crate) fn new(outputs: &[&str], counts: Value) -> Self {
        Self {
            outputs: outputs.iter().map(|o| (*o).to_owned()).collect(),
            counts,
        }
    }
}

/// The steps whose outputs a step reads.
pub(crate) fn needs(recipe: &Recipe, step: Step) -> Vec<Step> {
    match step {
        Step::Problems => Vec::new(),
        Step::Sample | Step::Eval(None) | Step::EvalSamples(None) | Step::EvalGiven => {
            vec![Step::Problems]
        }
        Step::Grade => vec![Step::Problems, Step::Sample],
        Step::Select if recipe.data.pairs.is_some() => Vec::new(),
        Step::Select => vec![Step::Problems, Step::Sample, Step::Grade],
        Step::Positive | Step::Negative => vec![Step::Select],
        Step::Score => vec![Step::Select, Step::Positive, Step::Negative],
        Step::Train(method) => {
            let start = method.starts_from_sft().then_some(Step::Train(Method::SFT));
            std::iter::once(examples_of(recipe, method).0)
                .chain(start)
                .collect()
        }
        Step::RolloutScore => vec![Step::Problems, Step::Sample, Step::Select],
        Step::Eval(Some(method)) | Step::EvalSamples(Some(method)) => {
            vec![Step::Problems, Step::Train(method)]
        }
        Step::Table => {
            let mut steps = vec![Step::Problems];
            steps.extend(table::rows(recipe).into_iter().map(Step::Eval));
            if recipe.eval.samples > 0 {
                steps.extend(table::rows(recipe).into_iter().map(Step::EvalSamples));
            }
            steps
        }
    }
}

/// What a step reads and is set by; `None` as long as a stage before it is not done.
pub(crate) fn stage(p: &Pipeline, step: Step) -> anyhow::Result<Option<StageKey>> {
    let recipe = &p.recipe;
    let mut inputs: BTreeMap<String, String> = BTreeMap::new();
    let mut complete = true;
    let mut from = |name: &str, step: Step, file: &str| match p.output(step, file) {
        Some(hash) => {
            inputs.insert(name.to_owned(), hash);
        }
        None => complete = false,
    };
    let prefix = hash_json(&json!(p.prompt.training_prefix(recipe.train.few_shot)));
    let training = |lora: &LoraConfig, train: &TrainSettings| {
        json!({
            "lora": lora,
            "train": numeric(train),
            // The adapter's initial values are drawn from the run's seed, not the training's.
            "seed": recipe.run.seed,
            "prefix": prefix,
        })
    };
    let settings = match step {
        Step::Problems => json!({
            "format": recipe.data.format,
            "columns": recipe.data.columns,
            "train_limit": recipe.data.train_limit.filter(|_| recipe.data.pairs.is_none()),
            "eval_skip": recipe.eval.skip,
            "eval_limit": recipe.eval.limit,
            "on_bad_row": recipe.data.on_bad_row,
        }),
        Step::Sample => {
            from("questions", Step::Problems, TRAIN);
            json!({
                "n": recipe.sample.n,
                "params": generate::training_params(p),
                "prompt": p.prompt.settings(&p.base),
            })
        }
        Step::Grade => {
            from("questions", Step::Problems, TRAIN);
            from("samples", Step::Sample, TRAJECTORIES);
            json!({ "grade": recipe.grade, "grader": cdpo_grade::VERSION })
        }
        Step::Select if recipe.data.pairs.is_some() => json!({
            "given": true,
            "limit": recipe.data.train_limit,
            "on_bad_row": recipe.data.on_bad_row,
            "bos": p.base.bos,
            "eos": p.base.eos,
        }),
        Step::Select => {
            from("questions", Step::Problems, TRAIN);
            from("samples", Step::Sample, TRAJECTORIES);
            from("graded", Step::Grade, GRADED);
            json!({
                "select": recipe.select,
                "grader": cdpo_grade::VERSION,
                "seed": recipe.run.seed,
                "framing": p.prompt.framing,
                "bos": p.base.bos,
                "eos": p.base.eos,
            })
        }
        Step::Positive | Step::Negative => {
            from("examples", Step::Select, contrastive_examples(step));
            training(&recipe.ce.lora, &recipe.ce.train)
        }
        Step::Score => {
            from("pairs", Step::Select, PAIRS);
            from("positive", Step::Positive, ADAPTER);
            from("negative", Step::Negative, ADAPTER);
            let settings = &recipe.ce;
            json!({ "ce_beta": settings.ce_beta, "max_tokens": settings.max_tokens, "prefix": prefix })
        }
        Step::RolloutScore => {
            from("questions", Step::Problems, TRAIN);
            from("samples", Step::Sample, TRAJECTORIES);
            from("pairs", Step::Select, PAIRS);
            rollout::weight_settings(p)
        }
        Step::Train(method) => {
            let (source, file) = examples_of(recipe, method);
            from("examples", source, file);
            if method.starts_from_sft() {
                let start = Step::Train(Method::SFT);
                from("start", start, result_of(recipe, Method::SFT));
            }
            training(&recipe.train.lora, &recipe.train.methods[method.name()])
        }
        Step::EvalSamples(method) => {
            from("questions", Step::Problems, TEST);
            if let Some(method) = method {
                from("adapter", Step::Train(method), result_of(recipe, method));
            }
            json!({
                "n": recipe.eval.samples,
                "params": generate::training_params(p),
                "prompt": p.prompt.settings(&p.base),
            })
        }
        Step::Eval(_) | Step::EvalGiven => {
            from("questions", Step::Problems, TEST);
            if let Step::Eval(Some(method)) = step {
                from("adapter", Step::Train(method), result_of(recipe, method));
            }
            json!({
                "params": generate::evaluation_params(p),
                "prompt": p.prompt.settings(&p.base),
            })
        }
        Step::Table => {
            from("questions", Step::Problems, TEST);
            for method in table::rows(recipe) {
                let eval = Step::Eval(method);
                from(&eval.name(), eval, TRAJECTORIES);
                if recipe.eval.samples > 0 {
                    let samples = Step::EvalSamples(method);
                    from(&samples.name(), samples, TRAJECTORIES);
                }
            }
            json!({ "grade": recipe.grade, "grader": cdpo_grade::VERSION })
        }
    };
    if !complete {
        return Ok(None);
    }
    match step {
        Step::Problems => {
            if recipe.data.pairs.is_none() {
                inputs.insert("train".into(), source_of(&recipe.data.train)?);
            }
            inputs.insert("test".into(), source_of(&recipe.data.test)?);
        }
        Step::EvalGiven => {
            let adapter = recipe.given_adapter.as_deref().unwrap_or(Path::new(""));
            inputs.insert("adapter".into(), hash_folder(adapter)?);
            inputs.insert("model".into(), p.base.checkpoint.content_id.clone());
        }
        Step::Select => {
            if let Some(pairs) = &recipe.data.pairs {
                inputs.insert("pairs".into(), hash_file(pairs)?);
            }
        }
        Step::Grade | Step::Table => {}
        _ => {
            inputs.insert("model".into(), p.base.checkpoint.content_id.clone());
        }
    }
    if matches!(
        step,
        Step::Sample
            | Step::Eval(_)
            | Step::EvalSamples(_)
            | Step::EvalGiven
            | Step::Select
            | Step::RolloutScore
    ) {
        inputs.insert("tokenizer".into(), p.base.checkpoint.tokenizer.content_id());
    }
    Ok(Some(StageKey {
        name: step.name(),
        // 2: scored pairs hold the positive model's ranks and best tokens. 3: the rejected tokens alone are judged.
        version: if step == Step::Score { 3 } else { 1 },
        inputs,
        settings,
    }))
}

/// What identifies the questions' source: a file's hash, or a built-in generator's name and version.
fn source_of(path: &Path) -> anyhow::Result<String> {
    Ok(match builtin::name(path) {
        Some(name) => format!("{name} {}", cdpo_data::wordmath::VERSION),
        None => hash_file(path)?,
    })
}

/// Does a step's work in its folder.
pub(crate) fn run(p: &mut Pipeline, step: Step, dir: &mut StageDir) -> anyhow::Result<Finished> {
    match step {
        Step::Problems => questions::run(p, dir),
        Step::Sample => generate::sample(p, dir),
        Step::Grade => select::grade(p, dir),
        Step::Select if p.recipe.data.pairs.is_some() => given::run(p, dir),
        Step::Select => select::select(p, dir),
        Step::Positive | Step::Negative => finetune::contrastive(p, step, dir),
        Step::Score => score::run(p, dir),
        Step::RolloutScore => rollout::weigh(p, dir),
        Step::Train(method) => finetune::preference(p, method, dir),
        Step::Eval(method) => eval::run(p, method, dir),
        Step::EvalSamples(method) => eval::samples(p, method, dir),
        Step::EvalGiven => eval::given(p, dir),
        Step::Table => table::run(p, dir),
    }
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

/// What the positive or the negative model is trained on.
fn contrastive_examples(step: Step) -> &'static str {
    if step == Step::Positive {
        POSITIVES
    } else {
        NEGATIVES
    }
}

/// What a method's stage makes: an adapter, or a whole model where all parameters are trained.
pub(crate) fn result_of(recipe: &Recipe, method: Method) -> &'static str {
    match recipe.train.methods[method.name()].parameters {
        Some(Parameters::All) => MODEL,
        _ => ADAPTER,
    }
}

/// Where a method's examples come from. Methods that use no scores read the same pairs unscored, so that they do not wait for
/// the contrastive models, nor change with them.
fn examples_of(recipe: &Recipe, method: Method) -> (Step, &'static str) {
    match method.examples() {
        Examples::Responses => (Step::Select, POSITIVES),
        Examples::Pairs => (Step::Select, PAIRS),
        // Given pairs come with their own weights.
        _ if method.loss() == Loss::WeightedDpo && recipe.data.pairs.is_some() => {
            (Step::Select, PAIRS)
        }
        Examples::RolloutPairs => (Step::RolloutScore, PAIRS),
        _ => (Step::Score, PAIRS),
    }
}
