//! Questions as plain text: a framing around them, worked examples before them.

use cdpo_data::{Exemplar, Framing};

use crate::outcome::Usage;
use crate::recipe::{FramingName, PromptSection};
use crate::vocabulary::Vocabulary;

/// The recipe's framing, with its few-shot prefix.
pub(super) struct Plain {
    framing: Framing,
    /// The text of the exemplars.
    prefix: String,
}

impl Plain {
    pub(super) fn new(
        section: &PromptSection,
        vocabulary: &Vocabulary,
        exemplars: &[Exemplar],
    ) -> anyhow::Result<Self> {
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
        if !exemplars.is_empty() && vocabulary.brings_bos(&framing.question_prefix)? {
            return Err(Usage(format!(
                "prompt.question_prefix {:?} begins with the beginning-of-sequence token, which would stand before every exemplar again; \
                 take it out: it is put once before the exemplars",
                framing.question_prefix
            ))
            .into());
        }
        Ok(Self {
            prefix: framing.few_shot(exemplars),
            framing,
        })
    }

    pub(super) fn framing(&self) -> &Framing {
        &self.framing
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The ids of a prompt as it stands after the prefix.
    pub(super) fn after_prefix(
        &self,
        vocabulary: &Vocabulary,
        prefix_ids: &[u32],
        prompt: &str,
    ) -> anyhow::Result<Vec<u32>> {
        if self.prefix.is_empty() {
            // The prefix is BOS or nothing, and so begins what the prompt alone would be.
            return Ok(vocabulary.opening(prompt)?.split_off(prefix_ids.len()));
        }
        Ok(vocabulary.continuing(&self.prefix, prefix_ids, prompt)?)
    }

    /// See [`super::Prompt::training_ids`].
    pub(super) fn training_ids(
        &self,
        vocabulary: &Vocabulary,
        prefix_ids: &[u32],
        prompt: &str,
        alone: &[u32],
    ) -> anyhow::Result<Vec<u32>> {
        if self.continues(vocabulary) {
            anyhow::ensure!(
                alone == vocabulary.opening(prompt)?,
                "the prompt {prompt:?} has other ids than this model's tokenizer gives it, so that it cannot be put after the exemplars \
                 (train.few_shot)"
            );
            return self.after_prefix(vocabulary, prefix_ids, prompt);
        }
        let bos = vocabulary.bos.filter(|bos| alone.first() == Some(bos));
        Ok(alone[usize::from(bos.is_some())..].to_vec())
    }

    /// The ids that a prompt has alone, from those that it has after the prefix: what [`Self::after_prefix`] gave becomes what training
    /// reads.
    ///
    /// # Errors
    /// Ids that this model's tokenizer does not give after this prefix.
    pub(super) fn alone(
        &self,
        vocabulary: &Vocabulary,
        prefix_ids: &[u32],
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
            self.after_prefix(vocabulary, prefix_ids, &text)? == question_ids,
            "the prompt {text:?} has other ids than this model's tokenizer gives it after the exemplars, so that its ids without them are \
             not known; draw the rollouts again with this model and these exemplars"
        );
        Ok(vocabulary.opening(&text)?)
    }

    /// Whether a prompt has other ids after the exemplars than alone.
    pub(super) fn continues(&self, vocabulary: &Vocabulary) -> bool {
        vocabulary.tokenizer.marks_first_word() && !self.prefix.is_empty()
    }
}
