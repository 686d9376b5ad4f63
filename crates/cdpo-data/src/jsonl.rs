//! JSON Lines: one record per line, read with path and line in every error, written whole or not at all, appended so that a
//! kill at any moment costs at most the line being written.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::lines::Lines;
use crate::{Error, OnBadRow, Record, Result, Skipped};

/// Reads all records of a file, checking each. Blank lines are passed over; a file without records gives an empty list.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; under [`OnBadRow::Fail`] [`Error::Row`] for the first row that does not parse or
/// does not pass [`Record::check`].
pub fn read<T: Record>(path: impl AsRef<Path>, on_bad_row: OnBadRow) -> Result<(Vec<T>, Skipped)> {
    let path = path.as_ref();
    read_lines(path, Lines::open(path)?, on_bad_row)
}

/// As [`read`], from lines that have been opened.
pub(crate) fn read_lines<T: Record>(
    path: &Path,
    mut lines: Lines,
    on_bad_row: OnBadRow,
) -> Result<(Vec<T>, Skipped)> {
    let mut records = Vec::new();
    let mut skipped = Skipped::new(path);
    while let Some(line) = lines.next_line()? {
        match parse::<T>(line.bytes) {
            Ok(record) => records.push(record),
            Err(reason) => skipped.take(on_bad_row, line.number, reason)?,
        }
    }
    Ok((records, skipped))
}

/// Writes records to a temporary name, flushes them to the disk and renames: the path holds the old file or the whole new one,
/// never a part.
///
/// # Errors
/// [`Error::Invalid`] if a record does not pass its own check, [`Error::Io`] if the disk is full or the folder unwritable; the
/// temporary file is removed and the path is left as it was.
pub fn write_atomic<'a, T: Record + 'a>(
    path: impl AsRef<Path>,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<()> {
    let path = path.as_ref();
    write_file_atomic(path, |out| {
        for record in records {
            out.write_all(&line_of(path, record)?)
                .map_err(|e| Error::io(path, "write", e))?;
        }
        Ok(())
    })
}

/// Sorts records by [`Record::order`] and writes them as [`write_atomic`] does: how a stage's file is finished.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_sorted<T: Record>(path: impl AsRef<Path>, mut records: Vec<T>) -> Result<Vec<T>> {
    records.sort_by(T::order);
    write_atomic(path, &records)?;
    Ok(records)
}

/// Writes one value as indented JSON with a final newline, whole or not at all.
///
/// # Errors
/// [`Error::Invalid`] if the value has no JSON form, else as [`write_atomic`].
pub fn write_json(path: impl AsRef<Path>, value: &impl Serialize) -> Result<()> {
    let path = path.as_ref();
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Error::Invalid {
        path: path.to_path_buf(),
        reason: e.to_string(),
    })?;
    text.push(b'\n');
    write_file_atomic(path, |out| {
        out.write_all(&text)
            .map_err(|e| Error::io(path, "write", e))
    })
}

/// Runs `fill` on a temporary file beside `path`, then flushes it to the disk and renames it to `path`.
///
/// # Errors
/// Whatever `fill` returns, and [`Error::Io`]; the temporary file is removed and `path` is left as it was.
pub fn write_file_atomic(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let temporary = temporary_name(path)?;
    let outcome = (|| {
        let file = File::create(&temporary).map_err(|e| Error::io(&temporary, "create", e))?;
        let mut out = BufWriter::new(file);
        fill(&mut out)?;
        let file = out
            .into_inner()
            .map_err(|e| Error::io(path, "write", e.into_error()))?;
        file.sync_all()
            .map_err(|e| Error::io(path, "flush to the disk", e))?;
        std::fs::rename(&temporary, path)
            .map_err(|e| Error::io(path, "rename the finished file to its name", e))
    })();
    if outcome.is_err() {
        // The error at hand says more than a failed clean-up would.
        let _ = std::fs::remove_file(&temporary);
        return outcome;
    }
    sync_folder_of(path);
    Ok(())
}

/// The file a path's contents are written to before the rename: `.NAME.tmp` beside it.
fn temporary_name(path: &Path) -> Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| Error::file(path, "a file name is expected"))?;
    Ok(path.with_file_name(format!(".{}.tmp", name.to_string_lossy())))
}

/// Makes a rename last through a power cut where the system can; elsewhere the rename is as good as it gets.
pub(crate) fn sync_folder_of(path: &Path) {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Appends records to a file one by one; each is in the file, whole, when [`Appender::append`] returns.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines: where the file is cut if a write fails half-way.
    length: u64,
}

impl Appender {
    /// Opens a file to go on appending, and returns the records it holds. A last line without its newline was cut off by a kill
    /// or a full disk, and is removed; a file that does not exist is begun.
    ///
    /// # Errors
    /// [`Error::Row`] if a whole line is not a valid record (that is no torn write: the file belongs to something else, or was
    /// edited); [`Error::Io`].
    pub fn resume<T: Record>(path: impl AsRef<Path>) -> Result<(Self, Vec<T>)> {
        let path = path.as_ref();
        let mut records = Vec::new();
        let mut length = 0u64;
        if path.exists() {
            let mut lines = Lines::open(path)?;
            while let Some(line) = lines.next_line()? {
                if line.torn {
                    break;
                }
                let record = parse::<T>(line.bytes);
                records.push(record.map_err(|reason| Error::row(path, line.number, reason))?);
                length = line.end;
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| Error::io(path, "open for appending", e))?;
        file.set_len(length)
            .map_err(|e| Error::io(path, "cut off a torn last line", e))?;
        let appender = Self {
            path: path.to_path_buf(),
            file,
            length,
        };
        Ok((appender, records))
    }

    /// Appends one record.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the record does not pass its own check; [`Error::Io`] if it cannot be written whole, in which case
    /// the file is cut back to its last whole line.
    pub fn append<T: Record>(&mut self, record: &T) -> Result<()> {
        let line = line_of(&self.path, record)?;
        if let Err(source) = self.file.write_all(&line).and_then(|()| self.file.flush()) {
            // Best effort: what stays behind is a torn last line, which the next resume cuts.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path, "append a record", source));
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Flushes everything appended so far to the disk itself.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|e| Error::io(&self.path, "flush to the disk", e))
    }
}

/// One record from the bytes of its line.
fn parse<T: Record>(bytes: &[u8]) -> std::result::Result<T, String> {
    let record: T = serde_json::from_slice(bytes).map_err(|e| json_reason(&e))?;
    record.check()?;
    Ok(record)
}

/// serde_json's message without its own line number, which is always 1 here.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(at) => format!("{} (column {})", &message[..at], error.column()),
        None => message,
    }
}

/// A checked record as one line with its newline.
fn line_of<T: Record>(path: &Path, record: &T) -> Result<Vec<u8>> {
    let invalid = |reason: String| Error::Invalid {
        path: path.to_path_buf(),
        reason,
    };
    record.check().map_err(invalid)?;
    let mut line = serde_json::to_vec(record).map_err(|e| invalid(e.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
#[path = "jsonl_tests.rs"]
mod tests;
