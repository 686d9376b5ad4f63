//! The stages of the methods, `sft`, `dpo`, `cdpo` and so on: each trains the policy that it is evaluated with.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Pair, jsonl};
use cdpo_model::LoraConfig;
use cdpo_train::{Examples, Loss, Method, TrainSet};
use serde_json::Value;

use super::finetune::{self, ADAPTER, Finetuning, MODEL};
use super::select::{self, PAIRS, POSITIVES};
use super::{agreement, rollout_score, score};
use crate::base_model::Trained;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Model, Stage, TrainedOn, Training};

pub(crate) fn id(method: Method) -> StageId {
    StageId::of_seed(method.name())
}

/// The trainings of a recipe.
pub(super) fn stages(recipe: &Recipe) -> Vec<Stage> {
    let trainings = recipe.trainings().into_iter();
    trainings.map(|method| stage(recipe, method)).collect()
}

fn stage(recipe: &Recipe, method: Method) -> Stage {
    let settings = &recipe.train.methods[method.name()];
    let (source, file) = examples(recipe, method);
    let mut reads = vec![Input::new("examples", source, file)];
    if method.starts_from_sft() {
        reads.push(input("start", recipe, Method::SFT));
    }
    reads.extend(agreement::input(recipe));
    Stage {
        reads,
        model: Model::Weights,
        files: finetune::files(settings),
        training: Some(Training {
            settings: settings.clone(),
            on: if method == Method::SFT {
                TrainedOn::Positives
            } else {
                TrainedOn::Pairs
            },
            section: "train",
            lora: recipe.train.lora.clone(),
            under: (method.starts_from_sft() && result(recipe, Method::SFT) != MODEL)
                .then(|| recipe.train.lora.clone()),
        }),
        ..Stage::new(
            id(method),
            move |run| {
                let train = &run.recipe.train;
                finetune::settings(run, &train.lora, &train.methods[method.name()])
            },
            move |run, dir| work(run, method, dir),
        )
    }
}

/// Where a method's examples come from. Methods that use no scores read the same pairs unscored, so that they do not wait for
/// the contrastive models, nor change with them.
fn examples(recipe: &Recipe, method: Method) -> (StageId, &'static str) {
    match method.examples() {
        Examples::Responses => (select::id(), POSITIVES),
        Examples::Pairs => (select::id(), PAIRS),
        // Given pairs come with their own weights.
        _ if method.loss() == Loss::WeightedDpo && recipe.data.pairs.is_some() => {
            (select::id(), PAIRS)
        }
        Examples::RolloutPairs => (rollout_score::id(), PAIRS),
        _ => (score::id(), PAIRS),
    }
}

fn work(run: &mut Run, method: Method, dir: &mut StageDir) -> anyhow::Result<Value> {
    agreement::say(run)?;
    let (source, file) = examples(&run.recipe, method);
    let path = run.path(&source, file);
    let examples = if method.takes_pairs() {
        let (mut pairs, _): (Vec<Pair>, _) = jsonl::read(path, OnBadRow::Fail)?;
        for pair in &mut pairs {
            pair.prompt_ids = finetune::training_ids(run, &pair.prompt, &pair.prompt_ids)?;
        }
        TrainSet::Pairs(pairs)
    } else {
        TrainSet::Sft(finetune::fine_tuning_examples(run, &path)?)
    };
    let start = method.starts_from_sft().then(|| trained(run, Method::SFT));
    let wanted = Finetuning {
        examples,
        lora: run.recipe.train.lora.clone(),
        settings: run.recipe.train.methods[method.name()].clone(),
        start: start.transpose()?,
    };
    finetune::train(run, dir, &wanted)
}

/// What a method's stage makes: an adapter, or a whole model where all parameters are trained.
pub(crate) fn result(recipe: &Recipe, method: Method) -> &'static str {
    finetune::result(&recipe.train.methods[method.name()])
}

/// Whether a method makes an adapter; the base, which none makes, is a whole model.
pub(super) fn makes_adapter(recipe: &Recipe, method: Option<Method>) -> bool {
    method.is_some_and(|method| result(recipe, method) == ADAPTER)
}

/// The adapters that a method's stage makes of the base, which it keeps as their sum; none if it makes a model.
pub(super) fn adapters(recipe: &Recipe, method: Method) -> Vec<LoraConfig> {
    if result(recipe, method) == MODEL {
        return Vec::new();
    }
    let count = if method.starts_from_sft() { 2 } else { 1 };
    vec![recipe.train.lora.clone(); count]
}

/// What a method's stage made, as another stage reads it.
pub(super) fn input(name: &str, recipe: &Recipe, method: Method) -> Input {
    Input::new(name, id(method), result(recipe, method))
}

/// Loads what a method's stage made.
pub(super) fn trained(run: &Run, method: Method) -> anyhow::Result<Trained> {
    let result = result(&run.recipe, method);
    let path = run.path(&id(method), result);
    Ok(if result == MODEL {
        Trained::Model(path)
    } else {
        Trained::Adapter(run.base.adapter(&path)?)
    })
}
