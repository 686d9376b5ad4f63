//! How a question becomes token ids, few-shot for sampling and evaluation, zero-shot for training: as plain text (`prompt/plain.rs`) or as a
//! turn of a chat (`prompt/chat.rs`).
//!
//! The three forms of a prompt's ids, which differ in what stands before the question:
//!
//! | form | plain text | chat | made by |
//! |---|---|---|---|
//! | after the exemplars: sampling, evaluation | `prefix_ids` (BOS, exemplars), question | `prefix_ids` (BOS, system, exemplars as turns, up to a special token), rest of the turn | [`Prompt::question_ids`] |
//! | alone: what pairs and examples hold | BOS, question | BOS, system, the turn | [`Prompt::alone`] |
//! | as trained: without `train.few_shot` | alone | alone | [`Prompt::training_ids`], [`Prompt::as_trained`] |
//! | as trained: with it | `prefix_ids` once for a micro-batch, question | the same, rest of the turn | the same |

use cdpo_data::chat::ChatTemplate;
use cdpo_data::{Exemplar, ExemplarSet, Problem, exemplars};
use serde_json::{Value, json};

use crate::messages;
use crate::outcome::Usage;
use crate::recipe::{Bos, FramingName, PromptSection, Template};
use crate::vocabulary::{Response, Vocabulary};

mod chat;
mod plain;

use chat::Chat;
use plain::Plain;

/// The recipe's form of a question, with what all its prompts begin with as ids.
pub(crate) struct Prompt {
    /// Text: BOS where it is resolved so, and the exemplars. Chat: what the prompts have in common, up to a special token.
    pub(crate) prefix_ids: Vec<u32>,
    /// A response ends where one of these begins.
    pub(crate) stop: Vec<String>,
    /// How many ids more a prompt of training without exemplars has than a question after the prefix: BOS, or a chat's opening.
    pub(crate) opening: f64,
    shots: usize,
    form: Form,
}

enum Form {
    Plain(Plain),
    Chat(Box<Chat>),
}

impl Prompt {
    /// Builds the prefix. With a chat template, what stands around texts is the template's from then on: `bos` is what the recipe wants
    /// before every sequence.
    pub(crate) fn new(
        section: &PromptSection,
        vocabulary: &mut Vocabulary,
        bos: Bos,
    ) -> anyhow::Result<Self> {
        if section.template == Template::None {
            if let Some(templates) = vocabulary.tokenizer.chat_templates() {
                messages::say(format_args!(
                    "prompt  plain text; the model's chat template ({}) is not used: prompt.template = \"chat\" asks questions by it",
                    templates.origin()
                ));
            }
            let exemplars = exemplars(section, usize::MAX)?;
            let plain = Plain::new(section, vocabulary, &exemplars)?;
            return Ok(Self {
                prefix_ids: vocabulary.opening(plain.prefix())?,
                stop: plain.framing().stop.clone(),
                opening: f64::from(u8::from(vocabulary.bos.is_some())),
                shots: exemplars.len(),
                form: Form::Plain(plain),
            });
        }
        let exemplars = exemplars(section, 0)?;
        let shots = exemplars.len();
        let chat = Chat::open(section, vocabulary, bos, exemplars)?;
        Ok(Self {
            prefix_ids: chat.prefix_ids().to_vec(),
            stop: section.stop.clone().unwrap_or_default(),
            opening: chat.opening(),
            shots,
            form: Form::Chat(Box::new(chat)),
        })
    }

    /// The question's own ids, which stand after the prefix.
    pub(crate) fn question_ids(
        &self,
        vocabulary: &Vocabulary,
        problem: &Problem,
    ) -> anyhow::Result<Vec<u32>> {
        match &self.form {
            Form::Plain(plain) => {
                let text = plain.framing().prompt(&problem.question);
                plain.after_prefix(vocabulary, &self.prefix_ids, &text)
            }
            Form::Chat(chat) => Ok(chat.question(vocabulary, problem)?.1),
        }
    }

    /// The zero-shot prompt of training as a text of its own, with its ids.
    pub(crate) fn alone(
        &self,
        vocabulary: &Vocabulary,
        question: &str,
    ) -> anyhow::Result<(String, Vec<u32>)> {
        match &self.form {
            Form::Plain(plain) => {
                let text = plain.framing().prompt(question);
                let ids = vocabulary.opening(&text)?;
                Ok((text, ids))
            }
            Form::Chat(chat) => chat.alone(vocabulary, question),
        }
    }

    /// A response to the question that came to its own end.
    pub(crate) fn response(
        &self,
        vocabulary: &Vocabulary,
        problem: &Problem,
        text: &str,
    ) -> anyhow::Result<Response> {
        let (prompt, ids) = match &self.form {
            Form::Plain(plain) => (
                plain.framing().prompt(&problem.question),
                self.question_ids(vocabulary, problem)?,
            ),
            Form::Chat(chat) => chat.question(vocabulary, problem)?,
        };
        vocabulary.response(&prompt, &ids, text)
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
        match &self.form {
            Form::Plain(plain) => plain.training_ids(vocabulary, &self.prefix_ids, prompt, alone),
            Form::Chat(chat) => chat.after_exemplars(prompt, alone),
        }
    }

    /// A prompt as training reads it, of the ids that stand after the prefix when sampling.
    pub(crate) fn as_trained(
        &self,
        vocabulary: &Vocabulary,
        question_ids: &[u32],
        few_shot: bool,
    ) -> anyhow::Result<Vec<u32>> {
        match &self.form {
            _ if few_shot => Ok([&self.prefix_ids[..], question_ids].concat()),
            Form::Plain(plain) => plain.alone(vocabulary, &self.prefix_ids, question_ids),
            Form::Chat(chat) => Ok([chat.alone_prefix()?, question_ids].concat()),
        }
    }

    /// What stands before the prompts of training and scoring: nothing, unless the recipe wants the exemplars there.
    pub(crate) fn training_prefix(&self, few_shot: bool) -> &[u32] {
        if few_shot { &self.prefix_ids } else { &[] }
    }

    /// What the ids of a training prompt depend on, besides the prompt.
    pub(crate) fn training_settings(&self, vocabulary: &Vocabulary, few_shot: bool) -> Value {
        let prefix = json!(self.training_prefix(few_shot));
        let continued = match &self.form {
            Form::Plain(plain) => few_shot && plain.continues(vocabulary),
            Form::Chat(_) => false,
        };
        if continued {
            // Such a prompt once had the ids of a text of its own, whatever stood before it.
            return json!({ "prefix": prefix, "continued": true });
        }
        prefix
    }

    /// Whether training prompts can stand after the exemplars at all.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn check_few_shot(&self) -> anyhow::Result<()> {
        match &self.form {
            Form::Plain(_) => Ok(()),
            Form::Chat(chat) => chat.alone_prefix().map(|_| ()),
        }
    }

    /// The chat template, if questions are asked by one.
    pub(crate) fn template(&self) -> Option<&ChatTemplate> {
        match &self.form {
            Form::Plain(_) => None,
            Form::Chat(chat) => Some(chat.template()),
        }
    }

    /// What makes a text of a question, under its name: a stage that encodes zero-shot prompts depends on it.
    pub(crate) fn identity(&self) -> (&'static str, Value) {
        match &self.form {
            Form::Plain(plain) => ("framing", json!(plain.framing())),
            Form::Chat(chat) => ("chat", chat.identity(&self.stop)),
        }
    }

    /// What a stage that prompts depends on.
    pub(crate) fn settings(&self, vocabulary: &Vocabulary) -> Value {
        let (name, identity) = self.identity();
        let mut settings = json!({
            name: identity,
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

/// The recipe's exemplars; without a number of them, at most `most` of the framing's own.
fn exemplars(section: &PromptSection, most: usize) -> anyhow::Result<Vec<Exemplar>> {
    let mut set: Vec<Exemplar> = match (&section.exemplars, section.framing) {
        (Some(path), _) => ExemplarSet::read(path)?.exemplars,
        (None, FramingName::Gsm8k) => exemplars::gsm8k_8shot()?.exemplars,
        (None, FramingName::Math) => exemplars::math_4shot()?.exemplars,
        (None, FramingName::Custom) => Vec::new(),
    };
    let all = if section.exemplars.is_some() {
        set.len()
    } else {
        set.len().min(most)
    };
    let shots = section.shots.unwrap_or(all);
    if shots > set.len() {
        return Err(Usage(format!(
            "prompt.shots is {shots}, but there are only {} exemplars",
            set.len()
        ))
        .into());
    }
    set.truncate(shots);
    Ok(set)
}

#[cfg(test)]
mod tests;
