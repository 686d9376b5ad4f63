//! Questions as turns of a chat, by the model's own template or a file's.
//!
//! A prompt is rendered and encoded whole, so that its ids are those of transformers' `apply_chat_template`. What all prompts begin
//! with in common is cut off them as ids, behind a special token, and computed once.

use anyhow::Context as _;
use cdpo_data::artifact::hash_json;
use cdpo_data::chat::{ChatTemplate, Given, Message};
use cdpo_data::{Exemplar, Problem};
use serde_json::{Value, json};

use crate::messages;
use crate::outcome::Usage;
use crate::recipe::{Bos, PromptSection, Template};
use crate::vocabulary::Vocabulary;

/// Asks for the answer in a form that the grader extracts, where no exemplar shows one.
const INSTRUCTION: &str = "Please reason step by step, and put your final answer within \\boxed{}.";

/// So many characters of a prompt's end are shown.
const SHOWN: usize = 120;

/// How questions are asked by a template.
pub(super) struct Chat {
    template: ChatTemplate,
    system: Option<String>,
    instruction: String,
    assistant_prefix: String,
    exemplars: Vec<Exemplar>,
    /// What all prompts with the exemplars begin with.
    prefix_ids: Vec<u32>,
    /// What all prompts without them begin with; `None` if what follows differs from what follows with them.
    alone_prefix: Option<Vec<u32>>,
    /// See [`super::Prompt::opening`].
    opening: f64,
    /// All that sets the text of a question.
    identity: Value,
}

impl Chat {
    /// Opens the template, and leaves to it what stands around texts.
    pub(super) fn open(
        section: &PromptSection,
        vocabulary: &mut Vocabulary,
        bos: Bos,
        exemplars: Vec<Exemplar>,
    ) -> anyhow::Result<Self> {
        let template = template(section, vocabulary)?;
        let instruction = section.instruction.clone();
        let instruction = instruction.unwrap_or_else(|| match exemplars.as_slice() {
            [] => INSTRUCTION.to_owned(),
            _ => String::new(),
        });
        let mut chat = Self {
            identity: json!({
                "template": hash_json(&json!(template.source())),
                "special_tokens": vocabulary.tokenizer.special_tokens(),
                "variables": section.variables,
                "date": section.date,
                "system": section.system,
                "instruction": instruction,
                "assistant_prefix": section.assistant_prefix,
            }),
            template,
            system: section.system.clone(),
            instruction,
            assistant_prefix: section.assistant_prefix.clone().unwrap_or_default(),
            exemplars,
            prefix_ids: Vec::new(),
            alone_prefix: None,
            opening: 0.0,
        };
        vocabulary.leave_to_template(bos, chat.end_of_turn(vocabulary)?);
        chat.cut(vocabulary)?;
        chat.say(vocabulary)?;
        Ok(chat)
    }

    /// Finds what prompts begin with in common, with and without the exemplars.
    fn cut(&mut self, vocabulary: &Vocabulary) -> anyhow::Result<()> {
        let ids = |exemplars: &[Exemplar]| -> anyhow::Result<[Vec<u32>; 2]> {
            let of = |question| Ok(vocabulary.whole(&self.text(question, exemplars)?)?);
            let both: [anyhow::Result<Vec<u32>>; 2] = ["1", "How?"].map(of);
            let [a, b] = both;
            Ok([a?, b?])
        };
        let (with, without) = (ids(&self.exemplars)?, ids(&[])?);
        let (prefix, alone) = (
            common(vocabulary, &with).to_vec(),
            common(vocabulary, &without).to_vec(),
        );
        let same = with
            .iter()
            .zip(&without)
            .all(|(with, without)| with[prefix.len()..] == without[alone.len()..]);
        self.opening = without[0].len() as f64 - (with[0].len() - prefix.len()) as f64;
        self.alone_prefix = same.then_some(alone);
        self.prefix_ids = prefix;
        Ok(())
    }

    /// The token that the template writes after what the assistant has said, if it is a special one.
    fn end_of_turn(&self, vocabulary: &Vocabulary) -> anyhow::Result<Option<u32>> {
        const SAID: &str = "Yes.";
        let messages = [
            Message::new("user", "Is it?"),
            Message::new("assistant", SAID),
            Message::new("user", "And now?"),
        ];
        let after = |text: &str| -> anyhow::Result<Option<u32>> {
            let after = text.rsplit_once(SAID).map(|(_, after)| after);
            let ids = vocabulary
                .tokenizer
                .encode(after.unwrap_or_default().trim_start())?;
            let first = ids.first().copied();
            Ok(first.filter(|&id| vocabulary.tokenizer.is_special(id)))
        };
        let text = self.template.render(&messages[..2], false)?;
        let Some(end) = after(&text)? else {
            return Ok(None);
        };
        // Where a response is asked for in any case, what follows may be the next turn's header. An end stands within a conversation, too.
        let asked = self.template.render(&messages[..2], true);
        if asked.is_ok_and(|asked| asked == text)
            && after(&self.template.render(&messages, false)?)? != Some(end)
        {
            return Err(Usage(format!(
                "{}: the template begins a response although none is asked for (it ignores add_generation_prompt), so that {} after what \
                 the assistant has said is no end of it; write the template into a file, put that part into \
                 {{% if add_generation_prompt %}}, and name the file as prompt.template",
                self.template.name(),
                vocabulary.written(end)
            ))
            .into());
        }
        Ok(Some(end))
    }

    /// Says which template it is, and what it makes of a question.
    fn say(&self, vocabulary: &Vocabulary) -> anyhow::Result<()> {
        let text = self.text("..", &self.exemplars)?;
        let first = vocabulary.whole(&text)?.first().copied();
        messages::say(format_args!(
            "chat    {}; a prompt begins with {}, a response ends with {}",
            self.template.name(),
            first.map_or_else(String::new, |id| vocabulary.written(id)),
            vocabulary.written(vocabulary.eos)
        ));
        let from = text.char_indices().rev().nth(SHOWN).map_or(0, |(at, _)| at);
        messages::say(format_args!(
            "        {} exemplars as turns; a prompt ends {:?}",
            self.exemplars.len(),
            &text[from..]
        ));
        Ok(())
    }

    pub(super) fn template(&self) -> &ChatTemplate {
        &self.template
    }

    pub(super) fn prefix_ids(&self) -> &[u32] {
        &self.prefix_ids
    }

    pub(super) fn opening(&self) -> f64 {
        self.opening
    }

    pub(super) fn identity(&self, stop: &[String]) -> Value {
        let mut identity = self.identity.clone();
        identity["stop"] = json!(stop);
        identity
    }

    /// What prompts without the exemplars begin with, where prompts with them go on in the same way.
    pub(super) fn alone_prefix(&self) -> anyhow::Result<&[u32]> {
        self.alone_prefix.as_deref().ok_or_else(|| {
            let why = if self.prefix_ids.is_empty() {
                "the template writes no special token before a question, and only after one can a prompt be cut off from the exemplars; set \
                 prompt.shots = 0"
            } else {
                "a question after exemplars has other text around it than one alone (the system message stands in the first turn, \
                 perhaps), so that prompts cannot be put after exemplars as they are; set prompt.shots = 0, or leave prompt.system out"
            };
            Usage(format!("{}: {why}", self.template.name())).into()
        })
    }

    /// The prompt's text, up to where the response begins.
    fn text(&self, question: &str, exemplars: &[Exemplar]) -> anyhow::Result<String> {
        let asked = |question: &str| {
            let text = match self.instruction.as_str() {
                "" => question.to_owned(),
                instruction => format!("{question}\n{instruction}"),
            };
            Message::new("user", text)
        };
        let mut messages = Vec::new();
        messages.extend(
            self.system
                .as_deref()
                .map(|text| Message::new("system", text)),
        );
        for exemplar in exemplars {
            let gap = if self.assistant_prefix.is_empty() || self.assistant_prefix.ends_with('\n') {
                ""
            } else {
                " "
            };
            let said = format!("{}{gap}{}", self.assistant_prefix, exemplar.rationale);
            messages.push(asked(&exemplar.question));
            messages.push(Message::new("assistant", said));
        }
        messages.push(asked(question));
        Ok(self.template.render(&messages, true)? + &self.assistant_prefix)
    }

    /// A question's text as it stands with the exemplars, and its ids after the prefix.
    pub(super) fn question(
        &self,
        vocabulary: &Vocabulary,
        problem: &Problem,
    ) -> anyhow::Result<(String, Vec<u32>)> {
        let text = self.text(&problem.question, &self.exemplars)?;
        let ids = vocabulary.opening(&text)?;
        let own = ids.strip_prefix(&self.prefix_ids[..]).with_context(|| {
            format!(
                "{}: the prompt of question {} begins otherwise than other questions' prompts",
                self.template.name(),
                problem.id
            )
        })?;
        Ok((text, own.to_vec()))
    }

    /// The prompt of a question without exemplars.
    pub(super) fn alone(
        &self,
        vocabulary: &Vocabulary,
        question: &str,
    ) -> anyhow::Result<(String, Vec<u32>)> {
        let text = self.text(question, &[])?;
        let ids = vocabulary.opening(&text)?;
        Ok((text, ids))
    }

    /// A prompt's own ids, without what such prompts begin with.
    pub(super) fn after_exemplars(&self, prompt: &str, alone: &[u32]) -> anyhow::Result<Vec<u32>> {
        let own = alone.strip_prefix(self.alone_prefix()?);
        let own = own.with_context(|| {
            format!(
                "the prompt {prompt:?} does not begin as the recipe's prompts do, so that it cannot be put after the exemplars \
                 (train.few_shot)"
            )
        })?;
        Ok(own.to_vec())
    }
}

/// What two prompts have in common, up to the last special token of that.
fn common<'i>(vocabulary: &Vocabulary, [a, b]: &'i [Vec<u32>; 2]) -> &'i [u32] {
    let length = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let special = |id: &u32| vocabulary.tokenizer.is_special(*id);
    let cut = a[..length].iter().rposition(special);
    &a[..cut.map_or(0, |last| last + 1)]
}

/// The template that the recipe names.
fn template(section: &PromptSection, vocabulary: &Vocabulary) -> anyhow::Result<ChatTemplate> {
    let given = Given {
        special_tokens: vocabulary.tokenizer.special_tokens(),
        variables: section.variables.clone(),
        date: section.date.clone(),
    };
    if let Template::File(path) = &section.template {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Usage(format!(
                "prompt.template: {} cannot be read: {e}; \"none\", \"chat\" or a template's file is expected",
                path.display()
            )))?;
        return Ok(ChatTemplate::new(path.display().to_string(), text, given)?);
    }
    let Some(templates) = vocabulary.tokenizer.chat_templates() else {
        return Err(Usage(
            "prompt.template is \"chat\", but the model's files have no chat template (chat_template.jinja, chat_template in \
             tokenizer_config.json, or tokenizer.chat_template in a GGUF file): name a file with one, or set \"none\""
                .into(),
        )
        .into());
    };
    let Some(text) = templates.default_one() else {
        return Err(Usage(format!(
            "{} has the chat templates {}, and none that is called default: write the one that is meant into a file, and name that as \
             prompt.template",
            templates.origin(),
            templates.names().join(", ")
        ))
        .into());
    };
    Ok(ChatTemplate::new(templates.origin(), text, given)?)
}

#[cfg(test)]
mod tests;
