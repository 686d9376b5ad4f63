//! How a question becomes token ids, few-shot for sampling and evaluation, zero-shot for training.

use cdpo_data::exemplars::{self, ExemplarSet};
use cdpo_data::{Exemplar, Framing, Problem};
use serde_json::{Value, json};

use crate::outcome::Usage;
use crate::recipe::{FramingName, PromptSection};
use crate::vocabulary::Vocabulary;

/// The recipe's framing, with its few-shot prefix as ids.
pub(crate) struct Prompt {
    pub(crate) framing: Framing,
    /// BOS where it is resolved so, and the exemplars.
    pub(crate) prefix_ids: Vec<u32>,
    shots: usize,
}

impl Prompt {
    /// Builds the prefix.
    pub(crate) fn new(section: &PromptSection, vocabulary: &Vocabulary) -> anyhow::Result<Self> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut framing = match section.framing {
            FramingName::Gsm8k => Framing::gsm8k(),
            FramingName::Math => Framing::math(),
            FramingName::Custom => Framing {
                question_prefix: text(&section.question_prefix),
                answer_prefix: text(&section.answer_prefix),
                separator: text(&section.separator),
                stop: Vec::new(),
            },
        };
        if let Some(stop) = &section.stop {
            framing.stop.clone_from(stop);
        }
        framing.validate()?;
        let set: Vec<Exemplar> = match (&section.exemplars, section.framing) {
            (Some(path), _) => ExemplarSet::read(path)?.exemplars,
            (None, FramingName::Gsm8k) => exemplars::gsm8k_8shot()?.exemplars,
            (None, FramingName::Math) => exemplars::math_4shot()?.exemplars,
            (None, FramingName::Custom) => Vec::new(),
        };
        let shots = section.shots.unwrap_or(set.len());
        let Some(exemplars) = set.get(..shots) else {
            return Err(Usage(format!(
                "prompt.shots is {shots}, but there are only {} exemplars",
                set.len()
            ))
            .into());
        };
        Ok(Self {
            prefix_ids: vocabulary.encode(&framing.few_shot(exemplars))?,
            framing,
            shots,
        })
    }

    /// The question's own ids, which stand after the prefix.
    pub(crate) fn question_ids(
        &self,
        vocabulary: &Vocabulary,
        problem: &Problem,
    ) -> anyhow::Result<Vec<u32>> {
        let text = self.framing.prompt(&problem.question);
        Ok(vocabulary.tokenizer.encode(&text)?)
    }

    /// What stands before the prompts of training and scoring: nothing, unless the recipe wants the exemplars there.
    pub(crate) fn training_prefix(&self, few_shot: bool) -> &[u32] {
        if few_shot { &self.prefix_ids } else { &[] }
    }

    /// What a stage that prompts depends on.
    pub(crate) fn settings(&self, vocabulary: &Vocabulary) -> Value {
        let mut settings = json!({
            "framing": self.framing,
            "shots": self.shots,
            "prefix_ids": cdpo_data::artifact::hash_json(&json!(self.prefix_ids)),
            "bos": vocabulary.bos,
            "eos": vocabulary.eos,
            "stops": vocabulary.stops,
        });
        // What is drawn depends on the rows that are not, where a model has some.
        if vocabulary.padding > 0 {
            settings["rows_never_drawn"] = json!(vocabulary.padding);
        }
        settings
    }
}
