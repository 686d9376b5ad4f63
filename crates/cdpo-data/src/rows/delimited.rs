//! Rows of comma- or tab-separated text: a header of names, then records as RFC 4180 has them. A text goes in, cells come out, all
//! of them texts: CSV knows no other kind.

use std::io::{BufRead, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::NumberedRow;
use super::input::Text;
use crate::cell::{Cell, Columns};
use crate::{Error, Result};

/// A record put at the end of the text. If it is not found as one, a quotation mark was left open, and everything after it would be one
/// field.
const END: &[u8] = b"\0end of the table";

/// The records of one text.
pub(super) struct Delimited {
    path: PathBuf,
    records: Reader<Box<dyn BufRead>>,
    names: Vec<String>,
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
            if wanted(name) && table.names.iter().any(|other| other == name) {
                return Err(Error::file(
                    path,
                    format!(
                        "the column {name:?} stands twice in the header: which one is meant cannot be told"
                    ),
                ));
            }
            table.names.push(name.to_owned());
        }
        if !table.names.iter().any(|name| wanted(name)) {
            return Err(Error::file(
                path,
                format!(
                    "none of the expected columns is in the header row, which has: {}",
                    table.names.join(", ")
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

    /// The next record with its first line.
    fn record(&mut self) -> Result<Option<(usize, ByteRecord)>> {
        let mut record = ByteRecord::new();
        let some = self
            .records
            .read_byte_record(&mut record)
            .map_err(|e| match e.into_kind() {
                csv::ErrorKind::Io(e) => Error::io(&self.path, "read", e),
                other => Error::file(&self.path, format!("cannot read as CSV: {other:?}")),
            })?;
        let last = record
            .get(record.len().saturating_sub(1))
            .unwrap_or_default();
        if !some || (record.len() == 1 && last == END) {
            return Ok(None);
        }
        let line = record.position().map_or(0, |at| at.line() as usize);
        if last.trim_ascii_end().ends_with(END) {
            return Err(Error::row(
                &self.path,
                line,
                "a quotation mark opens a field here that is not closed by the end of the file: quotation marks within a field are doubled",
            ));
        }
        Ok(Some((line, record)))
    }

    fn columns(&self, record: &ByteRecord) -> std::result::Result<Columns, String> {
        if record.len() != self.names.len() {
            return Err(format!(
                "there are {} fields, but the header row has {} columns: a field with the delimiter or a line break in it needs quotation marks",
                record.len(),
                self.names.len()
            ));
        }
        let cell = |(name, field): (&String, &[u8])| match std::str::from_utf8(field) {
            Ok(text) => Ok((name.clone(), Cell::Text(text.into()))),
            Err(_) => Err(format!(
                "the column {name:?} is not UTF-8: save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8 FILE > NAME`)"
            )),
        };
        self.names.iter().zip(record).map(cell).collect()
    }
}
