//! Files that the program writes whole or not at all.

use std::path::Path;

use cdpo_data::jsonl;

/// Writes `bytes` to `path`; a kill leaves the file as it was.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(jsonl::write_file_atomic(path, |out| {
        out.write_all(bytes)
            .map_err(|e| cdpo_data::Error::io(path, "write", e))
    })?)
}
