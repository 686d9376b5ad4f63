//! A table's usable rows: a file goes in; what each row was read as, and the rows that were left out, come out.

use std::collections::HashMap;
use std::path::Path;

use crate::columns::Columns;
use crate::rows::{Rows, unpacked_name};
use crate::{Error, OnBadRow, Result, Skipped};

/// Why a row gave nothing.
pub(crate) enum BadRead {
    /// The row is unusable: left out, or an error, as the policy has it.
    Row(String),
    /// The file is of another kind than expected: an error under either policy.
    File(String),
}

impl From<String> for BadRead {
    fn from(reason: String) -> Self {
        Self::Row(reason)
    }
}

/// How a table is read.
pub(crate) struct TableOptions {
    /// What to do with a row that cannot be used.
    pub(crate) on_bad_row: OnBadRow,
    /// Take the first so many usable rows.
    pub(crate) limit: Option<usize>,
}

/// Reads the rows of a file, in file order. The columns for which `wanted` holds are read. `read` makes a
/// record of a row's columns; its second argument is the id of a row without one, `STEM/ROW`: the file's name without extension (and `.gz`)
/// and the row from 0, unusable ones counted. `id` gives a record's id, which must be unique.
///
/// # Errors
/// [`Error::Row`] for the first unusable row under [`OnBadRow::Fail`], and under either policy for a [`BadRead::File`];
/// [`Error::DuplicateId`]; [`Error::File`] if nothing usable is in the file; [`Error::Io`].
pub(crate) fn read<T>(
    path: &Path,
    options: &TableOptions,
    wanted: impl Fn(&str) -> bool,
    id: impl Fn(&T) -> &String,
    mut read: impl FnMut(&Columns, String) -> std::result::Result<T, BadRead>,
) -> Result<(Vec<T>, Skipped)> {
    let name = unpacked_name(path);
    let stem = name
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut input = Rows::open(path, wanted)?;
    let mut records: Vec<T> = Vec::new();
    let mut skipped = Skipped::new(path);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut row = 0;
    while let Some((line, columns)) = input.next_row()? {
        let fallback_id = format!("{stem}/{row}");
        row += 1;
        let record = columns
            .map_err(BadRead::Row)
            .and_then(|columns| read(&columns, fallback_id));
        let record = match record {
            Ok(record) => record,
            Err(BadRead::Row(reason)) => {
                skipped.take(options.on_bad_row, line, reason)?;
                continue;
            }
            Err(BadRead::File(reason)) => return Err(Error::row(path, line, reason)),
        };
        if let Some(first_line) = seen.insert(id(&record).clone(), line) {
            return Err(Error::DuplicateId {
                path: path.to_path_buf(),
                line,
                first_line,
                id: id(&record).clone(),
            });
        }
        records.push(record);
        if options.limit == Some(records.len()) {
            break;
        }
    }
    if records.is_empty() {
        return Err(Error::file(path, nothing_usable(row, &skipped)));
    }
    Ok((records, skipped))
}

/// Why a whole file gave nothing.
fn nothing_usable(rows: usize, skipped: &Skipped) -> String {
    match skipped.rows.first() {
        None => "the file has no rows: at least one is expected".into(),
        Some(first) => format!(
            "none of {rows} rows is usable; line {}: {}",
            first.line, first.reason
        ),
    }
}
