//! Reads questions with gold answers: GSM8K, MATH and MATH-500 in their published forms, or any JSON Lines or Parquet file
//! with a column mapping.
//!
//! - **GSM8K**: `question`, `answer`; the gold answer stands behind the last `####`, the solution before it, with its
//!   calculator marks `<<48/2=24>>` taken out.
//! - **MATH**: `problem` or `question`, `solution`, optionally `answer` (else the solution's last `\boxed{..}`), `subject` or
//!   `type`, `level` (5 or `Level 5`; one without a number, `Level ?`, is left out), `unique_id` or `id`.
//! - **Generic**: the columns of the mapping, by default `question` or `problem`, and `answer`.
//!
//! A row without an id is called `STEM/ROW`, the file's name without extension and the row from 0, counting unusable rows, so
//! that ids do not depend on the policy. Questions, answers and solutions lose their outer white space.

use std::path::Path;

mod layout;

use serde::{Deserialize, Serialize};

use crate::table::{self, TableOptions};
use crate::{Error, OnBadRow, Problem, Record, Result, Skipped};

/// The form a file of questions has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Told from the columns of the first usable row.
    #[default]
    Auto,
    /// OpenAI's grade-school mathematics.
    Gsm8k,
    /// Hendrycks' MATH, and MATH-500.
    Math,
    /// Any columns, see [`Columns`].
    Generic,
}

/// Which column holds what, in a generic file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The question.
    pub question: String,
    /// The gold answer, a string or a number.
    pub answer: String,
    /// The id; without it rows are numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A worked solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution: Option<String>,
    /// A group by which results may be broken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// A level, 0 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// How to read a file of questions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOptions {
    /// The file's form.
    pub format: Format,
    /// A column mapping; makes the format generic.
    pub columns: Option<Columns>,
    /// Take the first so many usable questions.
    pub limit: Option<usize>,
    /// What to do with a row that cannot be used.
    pub on_bad_row: OnBadRow,
}

/// Reads the questions of a file.
///
/// # Errors
/// [`Error::Row`] for the first unusable row under [`OnBadRow::Fail`] (not JSON, a missing column, an empty question or answer);
/// [`Error::DuplicateId`] under either policy; [`Error::File`] if nothing usable is in the file; [`Error::Setting`] if a column
/// mapping stands beside a format that has its own; [`Error::Io`].
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<(Vec<Problem>, Skipped)> {
    if options.columns.is_some() && matches!(options.format, Format::Gsm8k | Format::Math) {
        return Err(Error::Setting(
            "a column mapping goes with the format \"generic\": GSM8K and MATH have their own columns".into(),
        ));
    }
    if options.limit == Some(0) {
        return Err(Error::Setting(
            "limit is 0: at least one question is expected".into(),
        ));
    }
    let table_options = TableOptions {
        on_bad_row: options.on_bad_row,
        limit: options.limit,
    };
    let mut layout = layout::given(options);
    table::read(
        path.as_ref(),
        &table_options,
        |name| layout::knows(options, name),
        |problem: &Problem| &problem.id,
        |columns, fallback_id| {
            if layout.is_none() {
                layout = layout::detect(columns);
            }
            let layout = layout.as_ref().ok_or_else(|| layout::undetected(columns))?;
            let problem = layout.problem(columns, fallback_id)?;
            problem.check()?;
            Ok(problem)
        },
    )
}
