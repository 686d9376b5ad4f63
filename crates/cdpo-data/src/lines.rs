//! A text file's lines with number, offset and whether the last one is whole: what every JSONL reader stands on.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// One line that is not blank, without outer white space.
pub(crate) struct Line<'a> {
    /// Counted from 1, blank lines included.
    pub(crate) number: usize,
    /// The line without newline, byte order mark and outer white space.
    pub(crate) bytes: &'a [u8],
    /// Bytes from the file's start to behind this line and its newline.
    pub(crate) end: u64,
    /// The line has no newline: it is the last, and perhaps cut off.
    pub(crate) torn: bool,
}

/// Reads a file line by line.
pub(crate) struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead>,
    buffer: Vec<u8>,
    number: usize,
    end: u64,
}

impl Lines {
    /// Opens a regular file as it lies on the disk.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
        let metadata = file.metadata().map_err(|e| Error::io(path, "read", e))?;
        if !metadata.is_file() {
            return Err(Error::file(path, "a regular file is expected"));
        }
        let input = BufReader::with_capacity(1 << 18, file);
        Ok(Self::of(path, Box::new(input)))
    }

    /// The lines of a text that has been opened; the path is for messages.
    pub(crate) fn of(path: &Path, input: Box<dyn BufRead>) -> Self {
        Self {
            path: path.to_path_buf(),
            input,
            buffer: Vec::new(),
            number: 0,
            end: 0,
        }
    }

    /// The next line that is not blank, or none at the end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            self.buffer.clear();
            let read = self
                .input
                .read_until(b'\n', &mut self.buffer)
                .map_err(|e| Error::io(&self.path, "read", e))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.end += read as u64;
            if !self.content().is_empty() {
                break;
            }
        }
        Ok(Some(Line {
            number: self.number,
            bytes: self.content(),
            end: self.end,
            torn: self.buffer.last() != Some(&b'\n'),
        }))
    }

    fn content(&self) -> &[u8] {
        let mut bytes = self.buffer.as_slice();
        if self.number == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        bytes.trim_ascii()
    }
}
