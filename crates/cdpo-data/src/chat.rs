//! Chat templates: messages go in; the text that a model was trained to read them as comes out, letter for letter as transformers
//! renders it.
//!
//! A template is Jinja with what transformers adds: blocks are trimmed, loops have `break` and `continue`, `{% generation %}` marks
//! what is trained, and there are `raise_exception`, `strftime_now` and a `tojson` that escapes no HTML. It sees `messages`,
//! `add_generation_prompt`, `tools` and `documents` (none), the special tokens, and what else the caller sets. Two things are stricter:
//! what is not defined cannot be printed, and today's date is none unless the caller gives one.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

mod dialect;
mod generation;
mod message;
mod undefined;

pub use message::Message;
pub(crate) use message::{is_conversation, messages};
use undefined::Undefined;

/// Names under which templates ask for special tokens. One that a model has not is nothing.
const SPECIAL: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// A value that a template is given by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Variable {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl From<Variable> for Value {
    fn from(variable: Variable) -> Self {
        match variable {
            Variable::Flag(v) => v.into(),
            Variable::Whole(v) => v.into(),
            Variable::Number(v) => v.into(),
            Variable::Text(v) => v.into(),
        }
    }
}

/// What a template is given beside the messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    /// The tokenizer's special tokens by name: `bos_token`, `eos_token`, ..
    pub special_tokens: BTreeMap<String, String>,
    /// Whatever else the template knows: `enable_thinking`, ..
    pub variables: BTreeMap<String, Variable>,
    /// What `strftime_now` takes for today: `YYYY-MM-DD`. A template that asks for it without one is an error, as its prompts would
    /// change from one day to the next.
    pub date: Option<String>,
}

/// A compiled template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    name: String,
    source: String,
    given: Vec<(String, Value)>,
    undefined: Arc<Undefined>,
}

const TEMPLATE: &str = "template";

impl ChatTemplate {
    /// Compiles a template; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Template`] with the line of a syntax error, of an unknown filter or test; [`Error::Setting`] if the date is none.
    pub fn new(name: impl Into<String>, source: impl Into<String>, given: Given) -> Result<Self> {
        let (name, source) = (name.into(), source.into());
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build().map_err(|e| failed(&name, &e))?);
        // So errors say what is not defined.
        environment.set_debug(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        let undefined = Arc::new(Undefined::default());
        let today = dialect::date(given.date.as_deref())?;
        dialect::add(&mut environment, today, &undefined);
        environment
            .add_template_owned(TEMPLATE, generation::as_scopes(&source))
            .map_err(|e| failed(&name, &e))?;
        let mut variables: BTreeMap<String, Value> = SPECIAL
            .iter()
            .map(|name| ((*name).to_owned(), Value::from("")))
            .chain([
                ("tools".to_owned(), ().into()),
                ("documents".to_owned(), ().into()),
            ])
            .collect();
        variables.extend(given.special_tokens.into_iter().map(|(k, v)| (k, v.into())));
        variables.extend(given.variables.into_iter().map(|(k, v)| (k, v.into())));
        Ok(Self {
            environment,
            name,
            source,
            given: variables.into_iter().collect(),
            undefined,
        })
    }

    /// What errors call it: the file it is from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of `messages`; with `add_generation_prompt` it ends where the next response begins.
    ///
    /// # Errors
    /// [`Error::Template`]: something that is not defined is printed or gone through, something unknown is called, or the template refuses
    /// the messages by `raise_exception`.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let mut context = self.given.clone();
        let messages: Value = messages.iter().map(Message::value).collect();
        context.push(("messages".to_owned(), messages));
        context.push((
            "add_generation_prompt".to_owned(),
            add_generation_prompt.into(),
        ));
        let context = Value::from_pairs(context);
        let render = || {
            let template = self.environment.get_template(TEMPLATE)?;
            template.render(context.clone())
        };
        self.undefined
            .rendered(render)
            .map_err(|e| failed(&self.name, &e))
    }
}

/// The library's error, with the template's name in place of its own.
fn failed(name: &str, error: &minijinja::Error) -> Error {
    let line = error.line();
    let reason = match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    Error::Template {
        name: name.to_owned(),
        line,
        reason,
    }
}

#[cfg(test)]
mod tests;
