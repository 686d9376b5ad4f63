//! What every row of a data file has in common: it can be checked and ordered; and what happens to rows that fail.

use std::cmp::Ordering;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One row of a JSONL file.
pub trait Record: Serialize + DeserializeOwned {
    /// Counts, ranges, not-a-number: everything the types alone do not hold.
    ///
    /// # Errors
    /// The reason, in one line, saying what was expected.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    /// The order of rows in a finished file: by question, then by sample. Must be total and depend on content alone.
    fn order(&self, other: &Self) -> Ordering;
}

/// What to do with a row that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// Stop at the first one with path, line and reason.
    #[default]
    Fail,
    /// Leave it out, and report it in [`Skipped`].
    Skip,
}

impl std::str::FromStr for OnBadRow {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "fail" => Ok(Self::Fail),
            "skip" => Ok(Self::Skip),
            other => Err(format!("{other:?} is neither \"skip\" nor \"fail\"")),
        }
    }
}

/// One row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line, counted from 1 (in a Parquet file: the row).
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// The rows that were left out under [`OnBadRow::Skip`], in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Skipped {
    /// The file they are in.
    pub path: PathBuf,
    /// Line and reason of each.
    pub rows: Vec<BadRow>,
}

impl Skipped {
    /// Nothing skipped yet in `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rows: Vec::new(),
        }
    }

    /// How many rows were left out.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Applies the policy to one bad row: an error, or one more entry here.
    ///
    /// # Errors
    /// [`crate::Error::Row`] under [`OnBadRow::Fail`].
    pub fn take(&mut self, policy: OnBadRow, line: usize, reason: String) -> crate::Result<()> {
        match policy {
            OnBadRow::Fail => Err(crate::Error::row(&self.path, line, reason)),
            OnBadRow::Skip => {
                self.rows.push(BadRow { line, reason });
                Ok(())
            }
        }
    }
}

impl std::fmt::Display for Skipped {
    /// One `path:line: reason` per line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}: {}", self.path.display(), row.line, row.reason)?;
        }
        Ok(())
    }
}

/// Checks that a list of per-token numbers fits its tokens and holds only finite numbers in `range`.
pub(crate) fn check_per_token(
    name: &str,
    values: Option<&[f32]>,
    tokens: (&str, usize),
    range: std::ops::RangeInclusive<f32>,
) -> std::result::Result<(), String> {
    let Some(values) = values else { return Ok(()) };
    check_count(name, values.len(), tokens)?;
    for (t, value) in values.iter().enumerate() {
        if !value.is_finite() {
            return Err(format!(
                "{name}[{t}] is {value}: a finite number is expected"
            ));
        }
        if !range.contains(value) {
            let (low, high) = (range.start(), range.end());
            return Err(if *high == f32::MAX {
                format!("{name}[{t}] is {value}: at least {low} is expected")
            } else {
                format!("{name}[{t}] is {value}: a number from {low} to {high} is expected")
            });
        }
    }
    Ok(())
}

/// Checks that a list of per-token values has as many as there are tokens.
pub(crate) fn check_count(
    name: &str,
    values: usize,
    (ids_name, tokens): (&str, usize),
) -> std::result::Result<(), String> {
    if values == tokens {
        return Ok(());
    }
    Err(format!(
        "{name} has {values} values but {ids_name} has {tokens} tokens: one value per token is expected"
    ))
}

/// Any finite number, for [`check_per_token`].
pub(crate) const FINITE: std::ops::RangeInclusive<f32> = f32::MIN..=f32::MAX;

/// Checks that a list of token ids is not empty.
pub(crate) fn check_ids(name: &str, ids: &[u32]) -> std::result::Result<(), String> {
    if ids.is_empty() {
        return Err(format!("{name} is empty: at least one token is expected"));
    }
    Ok(())
}

/// Checks that a text that identifies something is not blank.
pub(crate) fn check_text(name: &str, text: &str) -> std::result::Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{name} is empty"));
    }
    Ok(())
}
