//! Rows of a table as named cells, from JSON Lines, delimited text or Parquet: the common ground of all readers of users' files.

mod delimited;
mod foreign;
mod input;
mod parquet;

use std::path::Path;

use crate::Result;
use crate::columns::{Columns, json_row};
use crate::lines::Lines;
use delimited::Delimited;
use input::Input;
pub(crate) use input::unpacked_name;
use parquet::Table;

/// The rows of one file, in file order. A column for which `wanted` does not hold changes nothing, whatever stands in it.
pub(crate) struct Rows<W> {
    source: Source,
    wanted: W,
}

enum Source {
    Json(Lines),
    Delimited(Delimited),
    Parquet(Table),
}

/// A row with its line (from 1; in Parquet the row), or the reason why it cannot be read.
pub(crate) type NumberedRow = (usize, std::result::Result<Columns, String>);

impl<W: Fn(&str) -> bool> Rows<W> {
    /// The lines of the file, if it is JSON Lines.
    pub(crate) fn into_lines(self) -> Option<Lines> {
        match self.source {
            Source::Json(lines) => Some(lines),
            Source::Delimited(_) | Source::Parquet(_) => None,
        }
    }

    /// Opens a file of any kind that is read, told by its content, to read the columns for which `wanted` holds; of others the names are
    /// known at most.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; [`crate::Error::File`] for an empty file, a broken one, one of a kind that is not read, or a table with no wanted column.
    pub(crate) fn open(path: &Path, wanted: W) -> Result<Self> {
        let source = match input::open(path, &wanted)? {
            Input::Parquet => Source::Parquet(Table::open(path, &wanted)?),
            Input::Json(text) => Source::Json(Lines::of(path, text)),
            Input::Delimited(text, delimiter) => {
                Source::Delimited(Delimited::open(path, text, delimiter, &wanted)?)
            }
        };
        Ok(Self { source, wanted })
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
                Ok(Some((line.number, json_row(line.bytes, &self.wanted))))
            }
            Source::Delimited(table) => table.next_row(),
            Source::Parquet(table) => {
                let row = table.next_row()?;
                Ok(row.map(|(number, columns)| (number, Ok(columns))))
            }
        }
    }
}
