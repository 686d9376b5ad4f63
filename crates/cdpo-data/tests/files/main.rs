//! Whole files in, records or `path:line: reason` out.

mod digits;
mod kinds;
mod mutations;
mod parquet_file;
mod problem_faults;
mod problems;
mod published;
mod trl;

use std::path::{Path, PathBuf};

/// Writes a text file into a folder.
fn text_file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
