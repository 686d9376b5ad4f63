//! Read-only memory mapping of a model file: the one place of this crate, besides the CPU kernels, with `unsafe`.
//!
//! Goes in: a path. Comes out: the file's bytes, paged in as they are read, and given back on request.
#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A mapped file.
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Gives the pages that have been read back to the system; reading again reads the file again.
    pub(crate) fn release(&self) {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the mapping is read-only and backed by the file, so dropped pages come back with the same bytes.
            // A refusal costs nothing but the memory.
            let _ = unsafe { self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
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
    Ok(Mapping(map))
}
