//! How a question becomes token ids, few-shot for sampling and evaluation, zero-shot for training.

use cdpo_data::exemplars::{self, ExemplarSet};
use cdpo_data::{Exemplar, Framing, Problem};
use serde_json::{Value, json};

use crate::outcome::Usage;
use crate::recipe::{FramingName, PromptSection};
use crate::vocabulary::{Response, Vocabulary};

/// The recipe's framing, with its few-shot prefix as ids.
pub(crate) struct Prompt {
    pub(crate) framing: Framing,
    /// BOS where it is resolved so, and the exemplars.
    pub(crate) prefix_ids: Vec<u32>,
    /// The text of the exemplars.
    prefix: String,
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
        if !exemplars.is_empty() && vocabulary.brings_bos(&framing.question_prefix)? {
            return Err(Usage(format!(
                "prompt.question_prefix {:?} begins with the beginning-of-sequence token, which would stand before every exemplar again; \
                 take it out: it is put once before the exemplars",
                framing.question_prefix
            ))
            .into());
        }
        let prefix = framing.few_shot(exemplars);
        Ok(Self {
            prefix_ids: vocabulary.opening(&prefix)?,
            prefix,
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
        self.behind_prefix(vocabulary, &text)
    }

    /// A response to the question that came to its own end.
    pub(crate) fn response(
        &self,
        vocabulary: &Vocabulary,
        problem: &Problem,
        text: &str,
    ) -> anyhow::Result<Response> {
        let prompt = self.framing.prompt(&problem.question);
        let prompt_ids = self.behind_prefix(vocabulary, &prompt)?;
        vocabulary.response(&prompt, &prompt_ids, text)
    }

    /// The ids of a prompt as it stands after the prefix.
    fn behind_prefix(&self, vocabulary: &Vocabulary, prompt: &str) -> anyhow::Result<Vec<u32>> {
        if self.prefix.is_empty() {
            // The prefix is BOS or nothing, and so begins what the prompt alone would be.
            return Ok(vocabulary.opening(prompt)?.split_off(self.prefix_ids.len()));
        }
        Ok(vocabulary.continuing(&self.prefix, &self.prefix_ids, prompt)?)
    }

    /// A training prompt with the ids it has alone, as it stands after [`Self::training_prefix`]: without its BOS, which is the
    /// exemplars', and without the mark that the tokenizer may put before a text's first word.
    pub(crate) fn training_ids(
        &self,
        vocabulary: &Vocabulary,
        prompt: &str,
        alone: &[u32],
        few_shot: bool,
    ) -> anyhow::Result<Vec<u32>> {
        if !few_shot {
            return Ok(alone.to_vec());
        }
        if self.continues(vocabulary) {
            anyhow::ensure!(
                alone == vocabulary.opening(prompt)?,
                "the prompt {prompt:?} has other ids than this model's tokenizer gives it, so that it cannot be put after the exemplars \
                 (train.few_shot)"
            );
            return self.behind_prefix(vocabulary, prompt);
        }
        let bos = vocabulary.bos.filter(|bos| alone.first() == Some(bos));
        Ok(alone[usize::from(bos.is_some())..].to_vec())
    }

    /// What stands before the prompts of training and scoring: nothing, unless the recipe wants the exemplars there.
    pub(crate) fn training_prefix(&self, few_shot: bool) -> &[u32] {
        if few_shot { &self.prefix_ids } else { &[] }
    }

    /// What the ids of a training prompt depend on, besides the prompt.
    pub(crate) fn training_settings(&self, vocabulary: &Vocabulary, few_shot: bool) -> Value {
        let prefix = json!(self.training_prefix(few_shot));
        if few_shot && self.continues(vocabulary) {
            // Such a prompt once had the ids of a text of its own, whatever stood before it.
            return json!({ "prefix": prefix, "continued": true });
        }
        prefix
    }

    /// The ids that a prompt has alone, from those that it has after the prefix: what [`Self::question_ids`] gave becomes what training
    /// reads.
    ///
    /// # Errors
    /// Ids that this model's tokenizer does not give after this prefix.
    pub(crate) fn alone(
        &self,
        vocabulary: &Vocabulary,
        question_ids: &[u32],
    ) -> anyhow::Result<Vec<u32>> {
        if !self.continues(vocabulary) {
            let bos = vocabulary.bos.into_iter();
            return Ok(bos.chain(question_ids.iter().copied()).collect());
        }
        let mut bytes = Vec::new();
        for &id in question_ids {
            bytes.extend(vocabulary.tokenizer.token_bytes(id)?);
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        anyhow::ensure!(
            self.behind_prefix(vocabulary, &text)? == question_ids,
            "the prompt {text:?} has other ids than this model's tokenizer gives it after the exemplars, so that its ids without them are \
             not known; draw the rollouts again with this model and these exemplars"
        );
        Ok(vocabulary.opening(&text)?)
    }

    /// Whether a prompt has other ids after the exemplars than alone.
    fn continues(&self, vocabulary: &Vocabulary) -> bool {
        vocabulary.tokenizer.marks_first_word() && !self.prefix.is_empty()
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
        if vocabulary.tokenizer.marks_first_word() {
            // Such a prompt once had the ids of a text of its own, whatever stood before it.
            settings["continued"] = true.into();
        }
        // What is drawn depends on the rows that are not, where a model has some.
        if vocabulary.padding > 0 {
            settings["rows_never_drawn"] = json!(vocabulary.padding);
        }
        settings
    }
}

#[cfg(test)]
mod tests;
