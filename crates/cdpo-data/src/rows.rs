//! Rows of a table as named cells, from JSON Lines, delimited text or Parquet: the common ground of all readers of users' files.

mod delimited;
mod foreign;
mod input;
mod parquet;

use std::path::Path;

use crate::Result;
use crate::cell::{Cell, Columns, json_row};
use crate::lines::Lines;
use delimited::Delimited;
use input::Input;
pub(crate) use input::unpacked_name;
use parquet::Table;

/// The rows of one file, in file order.
pub(crate) struct Rows {
    source: Source,
}

enum Source {
    Json(Lines),
    Delimited(Delimited),
    Parquet(Table),
}

/// A row with its line (from 1; in Parquet the row), or the reason why it cannot be read.
pub(crate) type NumberedRow = (usize, std::result::Result<Columns, String>);

impl Rows {
    /// The lines of the file, if it is JSON Lines.
    pub(crate) fn into_lines(self) -> Option<Lines> {
        match self.source {
            Source::Json(lines) => Some(lines),
            Source::Delimited(_) | Source::Parquet(_) => None,
        }
    }

    /// Opens a file of any kind that is read, told by its content. Of a Parquet file only the columns for which `wanted` holds are read;
    /// other rows come whole.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; [`crate::Error::File`] for an empty file, a broken one, one of a kind that is not read, or a table with no wanted column.
    pub(crate) fn open(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let source = match input::open(path, &wanted)? {
            Input::Parquet => Source::Parquet(Table::open(path, &wanted)?),
            Input::Json(text) => Source::Json(Lines::of(path, text)),
            Input::Delimited(text, delimiter) => {
                Source::Delimited(Delimited::open(path, text, delimiter, &wanted)?)
            }
        };
        Ok(Self { source })
    }

    /// The next row, or none at the end.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; [`crate::Error::Row`] for a broken Parquet page or an open quotation mark. Another row that cannot be read is a reason
    /// in its place.
    pub(crate) fn next_row(&mut self) -> Result<Option<NumberedRow>> {
        match &mut self.source {
            Source::Json(lines) => {
                let Some(line) = lines.next_line()? else {
                    return Ok(None);
                };
                Ok(Some((line.number, json_row(line.bytes))))
            }
            Source::Delimited(table) => table.next_row(),
            Source::Parquet(table) => {
                let row = table.next_row()?;
                Ok(row.map(|(number, columns)| (number, Ok(columns))))
            }
        }
    }
}

/// The text of a column that may be a string or a number.
///
/// # Errors
/// The reason, naming `role` and the column, if the column is missing or of another kind.
pub(crate) fn text(
    columns: &Columns,
    column: &str,
    role: &str,
) -> std::result::Result<String, String> {
    match columns.get(column) {
        Some(Cell::Text(text) | Cell::Number(text)) => Ok(text.clone()),
        Some(other) => Err(format!(
            "{role} (column {column:?}) is {}: a string or a number is expected",
            other.described()
        )),
        None => Err(format!(
            "{role} is missing: there is no column {column:?} among {}",
            names(columns)
        )),
    }
}

/// The columns' names, for messages.
pub(crate) fn names(columns: &Columns) -> String {
    let names: Vec<&str> = columns.keys().map(String::as_str).collect();
    format!("[{}]", names.join(", "))
}
