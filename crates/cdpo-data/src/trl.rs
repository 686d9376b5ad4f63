//! Preference data as TRL has it: the columns `prompt`, `chosen`, `rejected`, in JSON Lines or Parquet. Texts stand as they are; lists
//! of messages are rendered with a chat template.

use std::path::Path;

use crate::cell::Cell;
use crate::chat::{self, ChatTemplate, Message};
use crate::columns::Columns;
use crate::table::{self, BadRead, TableOptions};
use crate::{OnBadRow, Pair, Result, Skipped};

/// One preference as text: what a tokenizer turns into a [`Pair`].
#[derive(Debug, Clone, PartialEq)]
pub struct TextPair {
    /// From the column `problem_id` or `id`, else `STEM/ROW` with the row from 0.
    pub id: String,
    /// The prompt, exactly as it is to stand before either response.
    pub prompt: String,
    /// The better response.
    pub chosen: String,
    /// The worse response.
    pub rejected: String,
    /// Whether the pair was given as messages.
    pub rendered: bool,
    /// Whether the template begins a response otherwise than it asks for one, so that the prompt ends where both agree.
    pub shortened: bool,
    /// From the column `chosen_weights`, if there: a weight for each token of the encoded response, end-of-sequence included.
    pub chosen_weights: Option<Vec<f32>>,
    /// From the column `rejected_weights`: the same for the worse response.
    pub rejected_weights: Option<Vec<f32>>,
}

impl TextPair {
    /// Encodes prompt and responses apart, so that the boundary lies on token ids: `prompt` gives the ids of the prompt; `response` gives
    /// those of a response behind the prompt's ids, with its end-of-sequence token. Samples are numbered 0 (chosen) and 1 (rejected).
    ///
    /// # Errors
    /// Whatever `prompt` or `response` returns.
    pub fn encode<E>(
        self,
        prompt: impl FnOnce(&str) -> std::result::Result<Vec<u32>, E>,
        mut response: impl FnMut(&[u32], &str) -> std::result::Result<Vec<u32>, E>,
    ) -> std::result::Result<Pair, E> {
        let prompt_ids = prompt(&self.prompt)?;
        let chosen_ids = response(&prompt_ids, &self.chosen)?;
        let rejected_ids = response(&prompt_ids, &self.rejected)?;
        Ok(Pair {
            prompt: self.prompt,
            chosen: self.chosen,
            rejected: self.rejected,
            problem_id: self.id,
            chosen_sample: 0,
            rejected_sample: 1,
            prompt_ids,
            chosen_ids,
            rejected_ids,
            chosen_terminated: true,
            rejected_terminated: true,
            rejected_weights: self.rejected_weights,
            chosen_weights: self.chosen_weights,
            ..Pair::default()
        })
    }
}

const COLUMNS: [&str; 3] = ["prompt", "chosen", "rejected"];
const ID: [&str; 2] = ["problem_id", "id"];
const WEIGHTS: [&str; 2] = ["chosen_weights", "rejected_weights"];

/// What a row may have beside its messages that would change how they are rendered.
const UNSUPPORTED: [&str; 2] = ["tools", "chat_template_kwargs"];

/// Reads preference data; `template` renders lists of messages.
///
/// # Errors
/// [`Error::Row`](crate::Error::Row) for the first unusable row under [`OnBadRow::Fail`], and under either policy for lists of messages without a
/// template; [`Error::DuplicateId`](crate::Error::DuplicateId); [`Error::File`](crate::Error::File) if nothing usable is in the file;
/// [`Error::Io`](crate::Error::Io).
pub fn read(
    path: impl AsRef<Path>,
    on_bad_row: OnBadRow,
    template: Option<&ChatTemplate>,
) -> Result<(Vec<TextPair>, Skipped)> {
    let options = TableOptions {
        on_bad_row,
        limit: None,
    };
    table::read(
        path.as_ref(),
        &options,
        wanted,
        |pair: &TextPair| &pair.id,
        |columns, fallback_id| match (conversational(columns), template) {
            (Some(name), None) => Err(BadRead::File(format!(
                "column {name:?} is a list of messages (conversational preference data), which a chat template makes a text of; set \
                 prompt.template = \"chat\" for the model's own"
            ))),
            (Some(_), Some(template)) => Ok(conversation(columns, fallback_id, template)?),
            (None, _) => Ok(text_pair(columns, fallback_id)?),
        },
    )
}

/// Whether a column may be needed.
pub(crate) fn wanted(name: &str) -> bool {
    [&COLUMNS[..], &ID, &WEIGHTS, &UNSUPPORTED]
        .concat()
        .contains(&name)
}

/// The column that holds messages instead of text.
fn conversational(columns: &Columns) -> Option<&'static str> {
    COLUMNS
        .into_iter()
        .find(|name| columns.present(name).is_some_and(chat::is_conversation))
}

/// A row of messages. Without a prompt of messages, the prompt is what chosen and rejected begin with in common.
fn conversation(
    columns: &Columns,
    fallback_id: String,
    template: &ChatTemplate,
) -> std::result::Result<TextPair, String> {
    for name in UNSUPPORTED {
        let empty = |cell: &Cell| match cell {
            Cell::List(items) => items.is_empty(),
            Cell::Object(fields) => fields.iter().all(|(_, cell)| cell.is_absent()),
            other => other.is_absent(),
        };
        if !columns.present(name).is_none_or(empty) {
            return Err(format!(
                "there is a column {name:?}, which is not supported: take it out; what all rows have in common is set by prompt.variables"
            ));
        }
    }
    let of = |name: &str| {
        let cell = columns.present(name).unwrap_or(&Cell::Null);
        chat::messages(name, cell)
    };
    let (mut chosen, mut rejected) = (of("chosen")?, of("rejected")?);
    let own = columns.present("prompt").is_some_and(chat::is_conversation);
    let prompt = if own {
        of("prompt")?
    } else {
        let pairs = chosen.iter().zip(&rejected);
        let common = pairs.take_while(|(a, b)| a == b).count();
        rejected.drain(..common);
        chosen.drain(..common).collect()
    };
    if chosen == rejected {
        return Err("chosen and rejected are the same messages: there is nothing to prefer".into());
    }
    if chosen.is_empty() || rejected.is_empty() {
        return Err("chosen or rejected has no message after the prompt's".into());
    }
    match prompt.last().map(|last| last.role.as_str()) {
        Some("user" | "tool") => {}
        Some(role) => {
            return Err(format!(
                "the prompt's last message is the {role}'s: the user's is expected, which the responses answer"
            ));
        }
        None => {
            return Err(
                "chosen and rejected begin with different messages, and there is no prompt of messages: nothing is asked"
                    .into(),
            );
        }
    }
    let [asked, full_chosen, full_rejected] = rendered(template, &prompt, [chosen, rejected])?;
    if full_chosen == full_rejected {
        return Err(
            "chosen and rejected are different messages, but the template makes the same text of them: there is nothing to prefer"
                .into(),
        );
    }
    let length = common(&asked, [&full_chosen, &full_rejected]);
    Ok(TextPair {
        id: id(columns, fallback_id),
        prompt: asked[..length].to_owned(),
        chosen: full_chosen[length..].to_owned(),
        rejected: full_rejected[length..].to_owned(),
        rendered: true,
        shortened: length < asked.len(),
        chosen_weights: weights(columns, WEIGHTS[0])?,
        rejected_weights: weights(columns, WEIGHTS[1])?,
    })
}

/// The prompt up to where a response begins, and the prompt with each of two responses.
fn rendered(
    template: &ChatTemplate,
    prompt: &[Message],
    responses: [Vec<Message>; 2],
) -> std::result::Result<[String; 3], String> {
    let render = |messages: &[Message], asks: bool| {
        template.render(messages, asks).map_err(|e| e.to_string())
    };
    let [chosen, rejected] = responses;
    Ok([
        render(prompt, true)?,
        render(&[prompt, &chosen].concat(), false)?,
        render(&[prompt, &rejected].concat(), false)?,
    ])
}

/// How much of the prompt stands before both responses.
fn common(prompt: &str, full: [&str; 2]) -> usize {
    let of = |full: &str| {
        let differs = |(&(at, a), b): (&(usize, char), char)| (a != b).then_some(at);
        let chars: Vec<(usize, char)> = prompt.char_indices().collect();
        let found = chars.iter().zip(full.chars()).find_map(differs);
        found.unwrap_or_else(|| prompt.len().min(full.len()))
    };
    of(full[0]).min(of(full[1]))
}

/// The row's own id, if it has one.
fn id(columns: &Columns, fallback: String) -> String {
    ID.iter()
        .find_map(|name| columns.text(name, "the id").ok())
        .unwrap_or(fallback)
}

/// A column of token weights; absent ones are none.
fn weights(columns: &Columns, name: &str) -> std::result::Result<Option<Vec<f32>>, String> {
    let values = match columns.present(name) {
        None => return Ok(None),
        Some(Cell::List(values)) => values,
        Some(_) => {
            return Err(format!(
                "{name} is no list: a number for each token is expected"
            ));
        }
    };
    let number = |(i, value): (usize, &Cell)| {
        let Cell::Number(text) = value else {
            let kind = value.described();
            return Err(format!(
                "{name}[{i}] is {kind}: a number of at least 0 is expected"
            ));
        };
        match text.parse::<f32>() {
            Ok(x) if x >= 0.0 && x.is_finite() => Ok(x),
            _ => Err(format!(
                "{name}[{i}] is {text}: a number of at least 0 is expected"
            )),
        }
    };
    values
        .iter()
        .enumerate()
        .map(number)
        .collect::<std::result::Result<_, _>>()
        .map(Some)
}

fn text_pair(columns: &Columns, fallback_id: String) -> std::result::Result<TextPair, String> {
    if !columns.has("prompt")
        && columns.present("chosen").is_some()
        && columns.present("rejected").is_some()
    {
        return Err(
            "there is no column \"prompt\" (TRL calls this an implicit prompt): split the common beginning of chosen and rejected off into a column of its own (in Python: trl's extract_prompt)"
                .into(),
        );
    }
    let pair = TextPair {
        id: id(columns, fallback_id),
        prompt: columns.text("prompt", "the prompt")?,
        chosen: columns.text("chosen", "the chosen response")?,
        rejected: columns.text("rejected", "the rejected response")?,
        rendered: false,
        shortened: false,
        chosen_weights: weights(columns, WEIGHTS[0])?,
        rejected_weights: weights(columns, WEIGHTS[1])?,
    };
    if pair.chosen == pair.rejected {
        return Err("chosen and rejected are the same text: there is nothing to prefer".into());
    }
    Ok(pair)
}
