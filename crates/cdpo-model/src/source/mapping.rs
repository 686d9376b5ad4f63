//! Read-only memory mapping of a model file: the one place of this crate, besides the CPU kernels, with `unsafe`.
//!
//! Goes in: a path. Comes out: the file's bytes, paged in as they are read, and given back on request.
#![allow(unsafe_code)]

use std::collections::HashSet;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A mapped file.
pub(crate) struct Mapping {
    bytes: Mmap,
    /// What has passed a scan: see [`FileBytes::scan_once`].
    scanned: Mutex<HashSet<(usize, usize)>>,
}

impl Mapping {
    /// Gives the pages that have been read back to the system; reading again reads the file again.
    pub(crate) fn release(&self) {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the mapping is read-only and backed by the file, so dropped pages come back with the same bytes.
            // A refusal costs nothing but the memory.
            let _ = unsafe {
                self.bytes
                    .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
            };
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A model file's bytes, shared by all that read from it.
#[derive(Clone)]
pub(crate) enum FileBytes {
    Mapped(Arc<Mapping>),
    /// Part of the program.
    Embedded(&'static [u8]),
    /// Made in memory.
    Made(Arc<Vec<u8>>),
}

impl FileBytes {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// As [`map`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self::Mapped(Arc::new(map(path)?)))
    }

    /// Runs `scan` on a part of the file unless that part has passed it before: as long as a file is mapped its bytes stay the same. What is
    /// part of the program is small, and scanned each time.
    ///
    /// # Errors
    /// What `scan` returns.
    pub(crate) fn scan_once(
        &self,
        part: Range<usize>,
        scan: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Self::Mapped(mapping) = self else {
            return scan(&self[part]);
        };
        let key = (part.start, part.end);
        let scanned = || {
            let scanned = mapping.scanned.lock();
            scanned.unwrap_or_else(PoisonError::into_inner)
        };
        if scanned().contains(&key) {
            return Ok(());
        }
        scan(&mapping[part])?;
        scanned().insert(key);
        Ok(())
    }

    /// Gives memory of what was read back, where the file can be read again.
    pub(crate) fn release(&self) {
        if let Self::Mapped(mapping) = self {
            mapping.release();
        }
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Embedded(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

/// Maps the whole file at `path`.
///
/// # Errors
/// A file that cannot be opened or mapped, or an empty one.
pub(crate) fn map(path: &Path) -> Result<Mapping> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
    if size == 0 {
        return Err(Error::file(
            path,
            "the file is empty; download or copy it again",
        ));
    }
    // SAFETY: the mapping is private and read-only, and it is only ever read as plain bytes, for which every bit
    // pattern is valid. What remains is the caller's duty that every user of a mapping has: another process must not
    // shorten or rewrite a model file while it is open. Writers of this project replace files by rename, which leaves
    // a mapping of the old file intact.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
    Ok(Mapping {
        bytes: map,
        scanned: Mutex::default(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_passed_a_scan_is_not_scanned_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [1; 64]).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        let mut scans = 0;
        let mut scan = |bytes: &FileBytes, part: Range<usize>, passes: bool| {
            let scanned = bytes.scan_once(part, |_| {
                scans += 1;
                let fault = || Error::Invalid("no".into());
                passes.then_some(()).ok_or_else(fault)
            });
            (scanned.is_ok(), scans)
        };
        assert_eq!(scan(&bytes, 0..8, false), (false, 1));
        assert_eq!(scan(&bytes, 0..8, true), (true, 2));
        assert_eq!(
            scan(&bytes.clone(), 0..8, true),
            (true, 2),
            "a clone is the same file"
        );
        assert_eq!(scan(&bytes, 0..16, true), (true, 3));
        let again = FileBytes::open(file.path()).unwrap();
        assert_eq!(
            scan(&again, 0..8, true),
            (true, 4),
            "opened anew, it may be another file"
        );
    }
}
