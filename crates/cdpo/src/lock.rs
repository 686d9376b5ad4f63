//! One process a run folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context as _;

/// Holds a run folder until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder, making it if it is not there.
    pub(crate) fn take(run_dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(run_dir)
            .with_context(|| format!("the run's folder {} cannot be made", run_dir.display()))?;
        let path = run_dir.join(".lock");
        let file =
            File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "{} is in use by another cdpo process; wait for it, or give this run another name with --set run.name=...",
                run_dir.display()
            ),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}
