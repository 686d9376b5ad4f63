//! Read-only memory mapping of a model file: the one place of this crate, besides the CPU kernels, with `unsafe`.
//!
//! Goes in: a path. Comes out: the file's bytes, paged in as they are read.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps the whole file at `path`.
///
/// # Errors
/// A file that cannot be opened or mapped, or an empty one.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
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
    unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))
}
