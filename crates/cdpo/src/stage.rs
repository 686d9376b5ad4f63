//! A stage, as the pipeline knows it: everything about it in one value.
//!
//! Each file of `stages/` makes the value of its stage; the pipeline asks it alone, and knows no stage by name.

use std::collections::BTreeMap;

use cdpo_data::artifact::{StageDir, StageKey};
use cdpo_model::LoraConfig;
use cdpo_train::TrainSettings;
use serde_json::Value;

use crate::run::{Run, StageId};

/// An output of an earlier stage that a stage reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// What the output is to the stage: a name in its key.
    pub(crate) name: String,
    pub(crate) from: StageId,
    /// A file or folder in that stage's folder.
    pub(crate) file: String,
}

impl Input {
    pub(crate) fn new(name: impl Into<String>, from: StageId, file: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            from,
            file: file.into(),
        }
    }
}

/// What a stage reads of the model, so that its result depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Nothing.
    None,
    /// How text becomes ids.
    Tokenizer,
    /// The weights, with ids made before.
    Weights,
    /// Both.
    Whole,
}

impl Model {
    /// Whether the weights are needed.
    pub(crate) fn weights(self) -> bool {
        matches!(self, Self::Weights | Self::Whole)
    }

    fn tokenizer(self) -> bool {
        matches!(self, Self::Tokenizer | Self::Whole)
    }
}

/// What a training stage trains on, known before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrainedOn {
    Positives,
    Negatives,
    Pairs,
}

/// A stage that trains.
pub(crate) struct Training {
    pub(crate) settings: TrainSettings,
    pub(crate) on: TrainedOn,
    /// The recipe's section that sets it.
    pub(crate) section: &'static str,
    /// The adapter that it trains, unless all parameters are trained.
    pub(crate) lora: LoraConfig,
    /// The adapter that policy and reference start with, if they start from one.
    pub(crate) under: Option<LoraConfig>,
}

/// What a stage that trains nothing asks of the model, known before it runs. Time and memory follow from it.
pub(crate) enum Demand {
    /// Nothing to speak of.
    Nothing,
    /// Responses to questions.
    Responses(Responses),
    /// Contrastive scores of the pairs.
    Scores,
    /// Rollouts of the pairs' rejected responses.
    Rollouts,
    /// Log-probabilities of samples that servers drew, beside theirs.
    Compared(Compared),
}

/// Servers' samples that a stage scores with the model here.
pub(crate) struct Compared {
    pub(crate) samples: u32,
    /// Tokens of each at most, if fewer than a response's.
    pub(crate) most: Option<usize>,
    /// What scores them, one after another: the adapters on the base.
    pub(crate) by: Vec<Vec<LoraConfig>>,
}

/// Which questions are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Questions {
    Train,
    Test,
}

/// Responses that a stage draws.
pub(crate) struct Responses {
    pub(crate) of: Questions,
    /// To each question.
    pub(crate) n: u32,
    /// Sequences decoded together.
    pub(crate) max_batch: usize,
    /// The adapters that answer on the base.
    pub(crate) adapters: Vec<LoraConfig>,
}

/// What identifies the files that a stage reads and no stage made: a name and a hash each.
type Sources = Box<dyn Fn(&Run) -> anyhow::Result<Vec<(String, String)>>>;
/// A stage's work in its folder; how many of everything comes out.
type Work = Box<dyn Fn(&mut Run, &mut StageDir) -> anyhow::Result<Value>>;

/// One stage.
pub(crate) struct Stage {
    pub(crate) id: StageId,
    /// Raised whenever the stage's code comes to mean something else for the same inputs and settings.
    pub(crate) version: u32,
    /// What it reads of earlier stages; those are done before it.
    pub(crate) reads: Vec<Input>,
    /// What it reads that no stage made.
    pub(crate) sources: Sources,
    /// What it reads of the model.
    pub(crate) model: Model,
    /// All that sets it.
    pub(crate) settings: Box<dyn Fn(&Run) -> Value>,
    /// The files and folders that it leaves.
    pub(crate) files: Vec<String>,
    /// How it trains, if it does.
    pub(crate) training: Option<Training>,
    /// What else it asks of the model.
    pub(crate) demand: Demand,
    pub(crate) work: Work,
}

impl Stage {
    /// A stage of version 1 that reads nothing but what earlier stages left.
    pub(crate) fn new(
        id: StageId,
        settings: impl Fn(&Run) -> Value + 'static,
        work: impl Fn(&mut Run, &mut StageDir) -> anyhow::Result<Value> + 'static,
    ) -> Self {
        Self {
            id,
            version: 1,
            reads: Vec::new(),
            sources: Box::new(|_| Ok(Vec::new())),
            model: Model::None,
            settings: Box::new(settings),
            files: Vec::new(),
            training: None,
            demand: Demand::Nothing,
            work: Box::new(work),
        }
    }

    /// All that its result depends on, as it would be run now; `None` as long as a stage before it is not done.
    ///
    /// # Errors
    /// A source or the model cannot be read.
    pub(crate) fn key(&self, run: &Run) -> anyhow::Result<Option<StageKey>> {
        let settings = (self.settings)(run);
        let mut inputs = BTreeMap::new();
        for input in &self.reads {
            let Some(hash) = run.output(&input.from, &input.file) else {
                return Ok(None);
            };
            inputs.insert(input.name.clone(), hash);
        }
        inputs.extend((self.sources)(run)?);
        inputs.extend(model_inputs(self.model, run)?);
        Ok(Some(StageKey {
            name: self.id.name.clone(),
            version: self.version,
            inputs,
            settings,
        }))
    }
}

/// The model as an input: what identifies it.
pub(crate) fn model_inputs(model: Model, run: &Run) -> anyhow::Result<Vec<(String, String)>> {
    let mut inputs = Vec::new();
    if model.weights() {
        inputs.push(("model".to_owned(), run.base.content_id()?));
        if let Some(unit) = run.base.unit()? {
            inputs.push(("products".to_owned(), unit.to_owned()));
        }
    }
    if model.tokenizer() {
        inputs.push((
            "tokenizer".to_owned(),
            run.vocabulary.tokenizer.content_id(),
        ));
    }
    Ok(inputs)
}
