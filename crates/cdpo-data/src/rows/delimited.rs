//! Rows of comma- or tab-separated text: a header of names, then records as RFC 4180 has them. A text goes in, cells come out, all
//! of them texts: CSV knows no other kind.

use std::io::{BufRead, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::NumberedRow;
use super::input::Text;
use crate::cell::Cell;
use crate::columns::Columns;
use crate::{Error, Result};

/// A record put at the end of the text. If it is not found as one, a quotation mark was left open, and everything after it would be one
/// field.
const END: &[u8] = b"\0end of the table";

/// The records of one text.
pub(super) struct Delimited {
    path: PathBuf,
    records: Reader<Box<dyn BufRead>>,
    /// Each column's name, and whether it is read.
    names: Vec<(String, bool)>,
}

impl Delimited {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::File`] for a header that is not UTF-8, has a name twice or has no column for which `wanted` holds; [`Error::Io`].
    pub(super) fn open(
        path: &Path,
        text: Text,
        delimiter: u8,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let end = [b"\n", END, b"\n"].concat();
        let text: Text = Box::new(text.chain(Cursor::new(end)));
        let records = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            // A carriage return before it is taken off below. With the reader's own "either of them" its line numbers stand still
            // between the two.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(text);
        let mut table = Self {
            path: path.to_path_buf(),
            records,
            names: Vec::new(),
        };
        let Some((_, header)) = table.record()? else {
            return Err(Error::file(path, "the file has no header row"));
        };
        for name in &header {
            let name = std::str::from_utf8(name).map_err(|_| {
                Error::file(
                    path,
                    "the header row is not UTF-8: save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8 FILE > NAME`)",
                )
            })?;
            let name = name.trim();
            if wanted(name) && table.names.iter().any(|(other, _)| other == name) {
                return Err(Error::file(
                    path,
                    format!(
                        "the column {name:?} stands twice in the header: which one is meant cannot be told"
                    ),
                ));
            }
            table.names.push((name.to_owned(), wanted(name)));
        }
        if !table.names.iter().any(|(_, wanted)| *wanted) {
            let names: Vec<&str> = table.names.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::file(
                path,
                format!(
                    "none of the expected columns is in the header row, which has: {}",
                    names.join(", ")
                ),
            ));
        }
        Ok(table)
    }

    /// The next row, or none at the end.
    ///
    /// # Errors
    /// [`Error::Row`] for a quotation mark that is not closed; [`Error::Io`].
    pub(super) fn next_row(&mut self) -> Result<Option<NumberedRow>> {
        let Some((line, record)) = self.record()? else {
            return Ok(None);
        };
        Ok(Some((line, self.columns(&record))))
    }

    /// The next record with its first line. Blank lines are passed over.
    fn record(&mut self) -> Result<Option<(usize, ByteRecord)>> {
        loop {
            let mut record = ByteRecord::new();
            let some =
                self.records
                    .read_byte_record(&mut record)
                    .map_err(|e| match e.into_kind() {
                        csv::ErrorKind::Io(e) => Error::io(&self.path, "read", e),
                        other => Error::file(&self.path, format!("cannot read as CSV: {other:?}")),
                    })?;
            if !some || (record.len() == 1 && &record[0] == END) {
                return Ok(None);
            }
            // A record ends with its line; it began as many lines before as there are line breaks in its fields.
            let breaks = record.as_slice().split(|b| *b == b'\n').count() - 1;
            let line = (self.records.position().line() as usize).saturating_sub(1 + breaks);
            let last = &record[record.len() - 1];
            // Such a record ends with the text and not with a line.
            if last.trim_ascii_end().ends_with(END) {
                return Err(Error::row(
                    &self.path,
                    line + 1,
                    "a quotation mark opens a field here that is not closed by the end of the file: quotation marks within a field are doubled",
                ));
            }
            let Some(bare) = last.strip_suffix(b"\r") else {
                return Ok(Some((line, record)));
            };
            if record.len() == 1 && bare.is_empty() {
                continue;
            }
            let mut fields: Vec<&[u8]> = record.iter().collect();
            fields.pop();
            fields.push(bare);
            return Ok(Some((line, ByteRecord::from(fields))));
        }
    }

    fn columns(&self, record: &ByteRecord) -> std::result::Result<Columns, String> {
        if record.len() != self.names.len() {
            return Err(format!(
                "there are {} fields, but the header row has {} columns: a field with the delimiter or a line break in it needs quotation marks",
                record.len(),
                self.names.len()
            ));
        }
        let cell = |((name, wanted), field): (&(String, bool), &[u8])| {
            let cell = match std::str::from_utf8(field) {
                _ if !wanted => Cell::Unread,
                Ok(text) => Cell::Text(text.into()),
                Err(_) => {
                    return Err(format!(
                        "the column {name:?} is not UTF-8: save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8 FILE > NAME`)"
                    ));
                }
            };
            Ok((name.clone(), cell))
        };
        self.names.iter().zip(record).map(cell).collect()
    }
}
