//! The stages `positive` and `negative`: a model fine-tuned on the right responses and one fine-tuned on the wrong ones.

use serde_json::Value;

use cdpo_data::artifact::StageDir;
use cdpo_train::TrainSet;

use super::finetune::{self, Finetuning};
use super::select::{self, NEGATIVES, POSITIVES};
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Model, Stage, TrainedOn, Training};

pub(crate) fn positive_id() -> StageId {
    StageId::of_seed("positive")
}

pub(crate) fn negative_id() -> StageId {
    StageId::of_seed("negative")
}

pub(super) fn positive(recipe: &Recipe) -> Stage {
    stage(recipe, positive_id(), POSITIVES, TrainedOn::Positives)
}

pub(super) fn negative(recipe: &Recipe) -> Stage {
    stage(recipe, negative_id(), NEGATIVES, TrainedOn::Negatives)
}

fn stage(recipe: &Recipe, id: StageId, examples: &'static str, on: TrainedOn) -> Stage {
    let settings = |run: &Run| {
        let ce = &run.recipe.ce;
        finetune::settings(run, &ce.lora, &ce.train)
    };
    Stage {
        reads: vec![Input::new("examples", select::id(), examples)],
        model: Model::Weights,
        files: finetune::files(&recipe.ce.train),
        training: Some(Training {
            settings: recipe.ce.train.clone(),
            on,
            section: "ce.train",
            lora: recipe.ce.lora.clone(),
            under: None,
        }),
        ..Stage::new(id, settings, move |run, dir| work(run, dir, examples))
    }
}

fn work(run: &mut Run, dir: &mut StageDir, examples: &str) -> anyhow::Result<Value> {
    let path = run.path(&select::id(), examples);
    let wanted = Finetuning {
        examples: TrainSet::Sft(finetune::fine_tuning_examples(run, &path)?),
        lora: run.recipe.ce.lora.clone(),
        settings: run.recipe.ce.train.clone(),
        start: None,
    };
    finetune::train(run, dir, &wanted)
}
