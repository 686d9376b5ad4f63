//! The crate's one error type: every variant names the file, the line where there is one, what was expected and what to do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What can go wrong with data files, framing and stage folders.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a path.
    #[error("{}: cannot {action}: {source}{}", .path.display(), remedy(.source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase: "read", "append a record".
        action: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// One row of a file is not what it should be.
    #[error("{}:{line}: {reason}", .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1 (in a Parquet file: the row).
        line: usize,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// Two rows carry the same id.
    #[error("{}:{line}: duplicate id {id:?}, first seen at line {first_line}: ids must be unique, because samples are keyed by them", .path.display())]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// The later line.
        line: usize,
        /// The line that had the id first.
        first_line: usize,
        /// The id.
        id: String,
    },
    /// A whole file is unusable: empty, of an unknown format, or broken.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A record that was about to be written is not valid; the fault lies with the caller, the file is untouched.
    #[error("{}: refusing to write an invalid record: {reason}", .path.display())]
    Invalid {
        /// The file that would have been written.
        path: PathBuf,
        /// The record's own complaint.
        reason: String,
    },
    /// A chat template that cannot be used, or that cannot say certain messages.
    #[error("chat template {name}{}: {reason}", .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Template {
        /// The file that it is from.
        name: String,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// A setting of this crate is out of range.
    #[error("{0}")]
    Setting(String),
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Io`]: `action` is a verb phrase that completes "cannot ..".
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_path_buf(),
            action,
            source,
        }
    }

    /// An [`Error::Row`] at a line counted from 1.
    pub fn row(path: impl AsRef<Path>, line: usize, reason: impl Into<String>) -> Self {
        Self::Row {
            path: path.as_ref().to_path_buf(),
            line,
            reason: reason.into(),
        }
    }

    /// An [`Error::File`].
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File {
            path: path.as_ref().to_path_buf(),
            reason: reason.into(),
        }
    }
}

fn remedy(source: &std::io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            " (free some space and run the same command again: it goes on from the last whole record)"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            " (choose a place where you may write, or change the permissions)"
        }
        ErrorKind::NotFound => " (check the path)",
        ErrorKind::IsADirectory => " (this is a folder: name the file in it)",
        _ => "",
    }
}
