//! Responses to be graded that no run made: a response, its gold answer, and what somebody else holds of it.
//!
//! | column | what |
//! |---|---|
//! | `response` | the response, a text or a number; an empty one is a response too, which has no answer |
//! | `gold` or `answer` | the right answer, a text or a number |
//! | `label` or `correct` | optional: whether the response is right by another judge, true or false; anything else is passed over |
//!
//! Other columns are ignored.

use std::path::Path;

use crate::cell::Cell;
use crate::columns::Columns;
use crate::rows::Rows;
use crate::{Error, Result};

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenResponse {
    /// Its line, counted from 1 (in a Parquet file: the row).
    pub line: usize,
    /// Its text.
    pub response: String,
    /// The right answer, a number as the file writes it.
    pub gold: String,
    /// What another judge says of it.
    pub label: Option<bool>,
}

const RESPONSE: &str = "response";
const GOLD: [&str; 2] = ["gold", "answer"];
const LABEL: [&str; 2] = ["label", "correct"];

/// Reads responses, in file order.
///
/// # Errors
/// [`Error::Row`] for the first row without a response or a gold answer; [`Error::File`] for a file of another kind or without
/// rows; [`Error::Io`].
pub fn read(path: impl AsRef<Path>) -> Result<Vec<GivenResponse>> {
    let path = path.as_ref();
    let wanted = |name: &str| name == RESPONSE || GOLD.contains(&name) || LABEL.contains(&name);
    let mut rows = Rows::open(path, wanted)?;
    let mut responses = Vec::new();
    while let Some((line, columns)) = rows.next_row()? {
        let response = columns.and_then(|columns| response(&columns, line));
        responses.push(response.map_err(|reason| Error::row(path, line, reason))?);
    }
    if responses.is_empty() {
        return Err(Error::file(
            path,
            "the file has no rows: at least one response with its gold answer is expected",
        ));
    }
    Ok(responses)
}

fn response(columns: &Columns, line: usize) -> std::result::Result<GivenResponse, String> {
    let gold = columns.text(
        columns.first_of(&GOLD).unwrap_or(GOLD[0]),
        "the gold answer",
    )?;
    let no_words = columns.has(RESPONSE) && columns.present(RESPONSE).is_none();
    Ok(GivenResponse {
        line,
        response: if no_words {
            String::new()
        } else {
            columns.text(RESPONSE, "the response")?
        },
        gold,
        label: LABEL
            .iter()
            .find_map(|name| columns.present(name).and_then(Cell::truth)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<GivenResponse>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn gold_answers_and_responses_are_texts_or_numbers_as_written() {
        let rows = "{\"response\":\"a\",\"gold\":18446744073709551617,\"correct\":true}\n\n{\"response\":0.10,\"gold\":null,\"answer\":\"x\",\"label\":\"?\",\"correct\":false}\n";
        let of = |line, response: &str, gold: &str, label| GivenResponse {
            line,
            response: response.into(),
            gold: gold.into(),
            label,
        };
        assert_eq!(
            read_text(rows).unwrap(),
            [
                of(1, "a", "18446744073709551617", Some(true)),
                of(3, "0.10", "x", Some(false))
            ]
        );
    }

    #[test]
    fn a_row_without_response_or_gold_is_named() {
        for (row, reason) in [
            (
                r#"{"response": "a"}"#,
                "r.jsonl:1: the gold answer is missing: there is no column \"gold\" among [response]",
            ),
            (
                r#"{"gold": 1}"#,
                "r.jsonl:1: the response is missing: there is no column \"response\" among [gold]",
            ),
            (
                r#"{"response": "a", "gold": " "}"#,
                "r.jsonl:1: the gold answer is empty (column \"gold\"): a string or a number is expected",
            ),
            (
                r#"{"response": "a", "gold": [1]}"#,
                "r.jsonl:1: the gold answer (column \"gold\") is a list: a string or a number is expected",
            ),
        ] {
            let error = read_text(row).unwrap_err().to_string();
            assert!(error.ends_with(reason), "{error}");
        }
    }
}
