//! Preference pairs that a user brings: a run's own `pairs.jsonl`, or TRL's text columns.

use std::path::Path;

use crate::rows::Rows;
use crate::trl::TextPair;
use crate::{OnBadRow, Pair, Result, Skipped, jsonl, trl};

/// The pairs of a file, by its form.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenPairs {
    /// Rows with token ids, as a run writes them.
    Encoded(Vec<Pair>),
    /// Rows with text, still to be encoded.
    Text(Vec<TextPair>),
}

/// Reads pairs: with token ids if the first row has `prompt_ids`, else as text.
///
/// # Errors
/// As [`jsonl::read`] and [`trl::read`].
pub fn read(path: impl AsRef<Path>, on_bad_row: OnBadRow) -> Result<(GivenPairs, Skipped)> {
    let path = path.as_ref();
    let first = Rows::open(path, |_| true)?.next_row()?;
    let encoded = matches!(&first, Some((_, Ok(columns))) if columns.contains_key("prompt_ids"));
    if encoded {
        let (pairs, skipped) = jsonl::read(path, on_bad_row)?;
        return Ok((GivenPairs::Encoded(pairs), skipped));
    }
    let (rows, skipped) = trl::read(path, on_bad_row)?;
    Ok((GivenPairs::Text(rows), skipped))
}
