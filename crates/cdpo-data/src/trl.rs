//! Preference data as TRL has it: the text columns `prompt`, `chosen`, `rejected`, in JSON Lines or Parquet.

use std::path::Path;

use crate::cell::Cell;
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

/// Reads preference data.
///
/// # Errors
/// [`Error::Row`](crate::Error::Row) for the first unusable row under [`OnBadRow::Fail`], and under either policy for conversational rows (lists
/// of messages), which must first be rendered with the model's chat template; [`Error::DuplicateId`](crate::Error::DuplicateId); [`Error::File`](crate::Error::File) if nothing
/// usable is in the file; [`Error::Io`](crate::Error::Io).
pub fn read(path: impl AsRef<Path>, on_bad_row: OnBadRow) -> Result<(Vec<TextPair>, Skipped)> {
    let options = TableOptions {
        on_bad_row,
        limit: None,
    };
    table::read(
        path.as_ref(),
        &options,
        wanted,
        |pair: &TextPair| &pair.id,
        |columns, fallback_id| match conversational(columns) {
            Some(name) => Err(BadRead::File(format!(
                "column {name:?} is a list of messages (conversational preference data): plain strings are expected; render prompt, chosen and rejected with the model's chat template first (in Python: trl's maybe_apply_chat_template(row, tokenizer))"
            ))),
            None => Ok(text_pair(columns, fallback_id)?),
        },
    )
}

/// Whether a column may be needed.
pub(crate) fn wanted(name: &str) -> bool {
    COLUMNS.contains(&name) || ID.contains(&name) || WEIGHTS.contains(&name)
}

/// The column that holds messages instead of text: a list, or a list's text, as a CSV file has it.
fn conversational(columns: &Columns) -> Option<&'static str> {
    COLUMNS
        .into_iter()
        .find(|name| match columns.present(name) {
            Some(Cell::List(_)) => true,
            Some(Cell::Text(text)) => ["'role'", "\"role\"", "'content'", "\"content\""]
                .iter()
                .any(|key| text.strip_prefix("[{").is_some_and(|t| t.starts_with(key))),
            _ => false,
        })
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
        id: ID
            .iter()
            .find_map(|name| columns.text(name, "the id").ok())
            .unwrap_or(fallback_id),
        prompt: columns.text("prompt", "the prompt")?,
        chosen: columns.text("chosen", "the chosen response")?,
        rejected: columns.text("rejected", "the rejected response")?,
        chosen_weights: weights(columns, WEIGHTS[0])?,
        rejected_weights: weights(columns, WEIGHTS[1])?,
    };
    if pair.chosen == pair.rejected {
        return Err("chosen and rejected are the same text: there is nothing to prefer".into());
    }
    Ok(pair)
}
