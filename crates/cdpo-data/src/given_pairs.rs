//! Preference pairs that a user brings: a run's own `pairs.jsonl`, or TRL's text columns.

use std::path::Path;

use crate::chat::ChatTemplate;
use crate::rows::Rows;
use crate::trl::TextPair;
use crate::{Error, OnBadRow, Pair, Result, Skipped, jsonl, trl};

/// The pairs of a file, by its form.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenPairs {
    /// Rows with token ids, as a run writes them.
    Encoded(Vec<Pair>),
    /// Rows with text, still to be encoded.
    Text(Vec<TextPair>),
}

/// How many rows of the file can be read, whatever stands in them.
///
/// # Errors
/// A file that cannot be read.
pub fn count(path: impl AsRef<Path>) -> Result<usize> {
    let mut rows = Rows::open(path.as_ref(), |_: &str| false)?;
    let mut count = 0;
    while let Some((_, row)) = rows.next_row()? {
        count += usize::from(row.is_ok());
    }
    Ok(count)
}

/// Reads pairs: with token ids if the first row that can be read has `prompt_ids`, else as text or, with a `template`, as messages.
///
/// # Errors
/// As [`jsonl::read`] and [`trl::read`].
pub fn read(
    path: impl AsRef<Path>,
    on_bad_row: OnBadRow,
    template: Option<&ChatTemplate>,
) -> Result<(GivenPairs, Skipped)> {
    let path = path.as_ref();
    let wanted = |name: &str| name == "prompt_ids" || trl::wanted(name);
    let mut rows = Rows::open(path, wanted)?;
    let encoded = loop {
        match rows.next_row()? {
            Some((_, Ok(columns))) => break columns.present("prompt_ids").is_some(),
            Some((_, Err(_))) => {}
            None => break false,
        }
    };
    if encoded {
        let Some(lines) = Rows::open(path, wanted)?.into_lines() else {
            return Err(Error::file(
                path,
                "pairs with token ids (prompt_ids, ..) are read from JSON Lines only; write the rows as .jsonl",
            ));
        };
        let (pairs, skipped) = jsonl::read_lines(path, lines, on_bad_row)?;
        return Ok((GivenPairs::Encoded(pairs), skipped));
    }
    let (rows, skipped) = trl::read(path, on_bad_row, template)?;
    Ok((GivenPairs::Text(rows), skipped))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"prompt":"q","chosen":" a","rejected":" b","problem_id":"1","chosen_sample":0,"rejected_sample":1,"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3],"chosen_terminated":false,"rejected_terminated":false}"#;

    fn read_as(name: &str, text: &str, policy: OnBadRow) -> Result<(GivenPairs, Skipped)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, policy, None)
    }

    #[test]
    fn a_bad_first_row_does_not_change_the_files_form() {
        let text = format!("not json\n{ROW}\n");
        let (pairs, skipped) = read_as("p.jsonl", &text, OnBadRow::Skip).unwrap();
        let GivenPairs::Encoded(pairs) = pairs else {
            panic!("the ids were dropped")
        };
        assert_eq!(pairs[0].rejected_ids, [3]);
        assert_eq!(skipped.count(), 1);
    }

    #[test]
    fn rows_without_ids_are_text() {
        let text = r#"{"prompt":"q","chosen":" a","rejected":" b"}"#;
        let (pairs, _) = read_as("p.jsonl", text, OnBadRow::Fail).unwrap();
        assert!(matches!(pairs, GivenPairs::Text(rows) if rows[0].rejected == " b"));
    }
}
