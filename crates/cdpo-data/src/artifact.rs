//! Stage folders: what a stage read, how it was set, what it wrote; reused only if all of that is still the same.
//!
//! A stage's key is the hash of its name, version, inputs (by content) and settings. Its folder `RUN/STAGE` holds the stage's
//! files and `manifest.json`. Opening a stage gives
//! - [`StageState::Done`] if a finished stage has this key and its files are as it left them;
//! - [`StageState::Resume`] if a stage with this key was begun and not finished;
//! - [`StageState::Fresh`] otherwise. What stood there is first moved to `RUN/superseded/STAGE`, replacing what was put there
//!   before, so that nothing of another key is ever mixed in.
//!
//! Everything in a manifest but its `clock` is equal between an uninterrupted run and one that was killed and resumed; list as
//! outputs only files that are, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

mod hash;
mod manifest;
mod time;

#[cfg(test)]
use hash::hash_bytes;
pub use hash::{hash_file, hash_folder, hash_json};
pub use manifest::{Clock, Manifest, PeakMemory, Status};

use crate::jsonl::{sync_folder_of, write_json};
use crate::{Error, Result};

/// The manifest's name in a stage's folder.
pub const MANIFEST: &str = "manifest.json";
/// The folder in a run's folder to which stages that no longer apply are moved.
pub const SUPERSEDED: &str = "superseded";

/// A stage as it would be run now: all that its result depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct StageKey {
    /// The stage's name, which is its folder's name too.
    pub name: String,
    /// Raised whenever the stage's code comes to mean something else for the same inputs and settings.
    pub version: u32,
    /// What it reads: a name for each input, and the hash of its content.
    pub inputs: BTreeMap<String, String>,
    /// How it is set.
    pub settings: Value,
}

/// What opening a stage would find, without touching anything.
#[derive(Debug, Clone, PartialEq)]
pub enum StagePlan {
    /// Finished with this key; its files are unchanged.
    Done(Manifest),
    /// Begun with this key.
    Resume(Manifest),
    /// To be done from the start.
    Fresh(Reason),
}

/// Why a stage starts from nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such stage yet.
    New,
    /// Inputs, settings or version differ: one line for each difference.
    Changed(Vec<String>),
    /// Files of the finished stage are missing or not what it wrote: one line for each.
    Damaged(Vec<String>),
    /// The folder holds something, but no readable manifest.
    Unknown(String),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New => f.write_str("not done yet"),
            Self::Changed(lines) => write!(f, "changed: {}", lines.join("; ")),
            Self::Damaged(lines) => write!(f, "its files were changed since: {}", lines.join("; ")),
            Self::Unknown(reason) => f.write_str(reason),
        }
    }
}

impl StageKey {
    /// The hash of name, version, inputs and settings; 64 hexadecimal digits.
    pub fn key(&self) -> String {
        hash_json(&serde_json::json!({
            "stage": self.name,
            "version": self.version,
            "inputs": self.inputs,
            "settings": self.settings,
        }))
    }

    /// Looks at the stage's folder and says what [`StageDir::open`] would find. Reads and hashes the files of a finished stage.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or a file in it cannot be read.
    pub fn plan(&self, run_dir: impl AsRef<Path>) -> Result<StagePlan> {
        let dir = run_dir.as_ref().join(&self.name);
        if !has_entries(&dir)? {
            return Ok(StagePlan::Fresh(Reason::New));
        }
        let manifest = match Manifest::read(&dir.join(MANIFEST))? {
            Ok(manifest) => manifest,
            Err(reason) => return Ok(StagePlan::Fresh(Reason::Unknown(reason))),
        };
        if manifest.key != self.key() {
            return Ok(StagePlan::Fresh(Reason::Changed(
                manifest.differences(self),
            )));
        }
        if manifest.status == Status::Running {
            return Ok(StagePlan::Resume(manifest));
        }
        let damage = manifest.damage(&dir)?;
        if damage.is_empty() {
            Ok(StagePlan::Done(manifest))
        } else {
            Ok(StagePlan::Fresh(Reason::Damaged(damage)))
        }
    }
}

fn has_entries(dir: &Path) -> Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(dir, "read the stage's folder", e)),
    }
}

/// An opened stage.
#[derive(Debug)]
pub enum StageState {
    /// Finished: use its files.
    Done(Manifest),
    /// Begun and not finished: go on from its last whole records.
    Resume(StageDir),
    /// Empty, with the reason why.
    Fresh(StageDir, Reason),
}

/// The folder of a stage that is being worked on.
#[derive(Debug)]
pub struct StageDir {
    dir: PathBuf,
    manifest: Manifest,
    /// Seconds spent in earlier sittings.
    before: f64,
    opened: Instant,
}

impl StageDir {
    /// Opens a stage in a run's folder, making both if need be.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder or the manifest cannot be read, moved or written; [`Error::Setting`] if the stage's name is not
    /// a plain folder name.
    pub fn open(run_dir: impl AsRef<Path>, stage: &StageKey) -> Result<StageState> {
        let run_dir = run_dir.as_ref();
        check_name(&stage.name)?;
        let dir = run_dir.join(&stage.name);
        let (mut state, reason) = match stage.plan(run_dir)? {
            StagePlan::Done(manifest) => return Ok(StageState::Done(manifest)),
            StagePlan::Resume(mut manifest) => {
                manifest.clock.sittings += 1;
                (Self::at(dir, manifest), None)
            }
            StagePlan::Fresh(reason) => {
                if reason != Reason::New {
                    supersede(run_dir, &stage.name)?;
                }
                std::fs::create_dir_all(&dir)
                    .map_err(|e| Error::io(&dir, "create the stage's folder", e))?;
                (Self::at(dir, Manifest::begin(stage)), Some(reason))
            }
        };
        state.write()?;
        Ok(match reason {
            None => StageState::Resume(state),
            Some(reason) => StageState::Fresh(state, reason),
        })
    }

    fn at(dir: PathBuf, manifest: Manifest) -> Self {
        Self {
            before: manifest.clock.seconds,
            dir,
            manifest,
            opened: Instant::now(),
        }
    }

    /// The stage's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of a file in it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Wall-clock seconds spent on the stage so far, earlier sittings included.
    pub fn seconds(&self) -> f64 {
        self.before + self.opened.elapsed().as_secs_f64()
    }

    /// Writes down the time spent so far, so that a kill loses no more than what came after.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn keep_time(&mut self) -> Result<()> {
        self.write()
    }

    /// Writes down, with the stage's end, the memory that it took.
    pub fn keep_memory(&mut self, memory: PeakMemory) {
        self.manifest.clock.memory = Some(memory);
    }

    /// Finishes the stage: hashes its outputs (files, or folders with all files in them) and marks it done.
    ///
    /// # Errors
    /// [`Error::Io`] if an output is missing or cannot be read, or the manifest cannot be written.
    pub fn finish(mut self, outputs: &[&str], counts: Value) -> Result<Manifest> {
        for output in outputs {
            let path = self.dir.join(output);
            if path.is_dir() {
                for (file, hash) in hash::files_in(&path)? {
                    self.manifest
                        .outputs
                        .insert(format!("{output}/{file}"), hash);
                }
            } else {
                self.manifest
                    .outputs
                    .insert((*output).to_string(), hash_file(&path)?);
            }
        }
        self.manifest.counts = counts;
        self.manifest.status = Status::Done;
        self.manifest.clock.finished = Some(time::now_utc());
        self.write()?;
        Ok(self.manifest)
    }

    fn write(&mut self) -> Result<()> {
        self.manifest.clock.seconds = self.seconds();
        write_json(self.dir.join(MANIFEST), &self.manifest)
    }
}

/// Takes a finished stage over from another run's folder, `from`, if it is there with the same key and its files as it left them,
/// and `run_dir` has nothing of that key itself. Returns whether it was.
///
/// # Errors
/// [`Error::Io`] if a folder or file cannot be read, moved or written.
pub fn take_over(
    run_dir: impl AsRef<Path>,
    stage: &StageKey,
    from: impl AsRef<Path>,
) -> Result<bool> {
    let (run_dir, from) = (run_dir.as_ref(), from.as_ref());
    check_name(&stage.name)?;
    let StagePlan::Fresh(reason) = stage.plan(run_dir)? else {
        return Ok(false);
    };
    if run_dir == from || !matches!(stage.plan(from)?, StagePlan::Done(_)) {
        return Ok(false);
    }
    // Copied under another name, so that a kill leaves no half of a stage.
    let part = run_dir.join(format!(".{}.partial", stage.name));
    match std::fs::remove_dir_all(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(&part, "remove what an earlier copy left", e));
        }
        _ => {}
    }
    let source = from.join(&stage.name);
    std::fs::create_dir_all(&part).map_err(|e| Error::io(&part, "create the folder", e))?;
    for (file, _) in hash::files_in(&source)? {
        let target = part.join(&file);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::io(folder, "create the folder", e))?;
        }
        std::fs::copy(source.join(&file), &target)
            .map_err(|e| Error::io(&target, "write a copy", e))?;
    }
    if reason != Reason::New {
        supersede(run_dir, &stage.name)?;
    }
    let dir = run_dir.join(&stage.name);
    // An empty folder may stand there.
    let _ = std::fs::remove_dir(&dir);
    std::fs::rename(&part, &dir).map_err(|e| Error::io(&dir, "move the copy into place", e))?;
    sync_folder_of(&dir);
    Ok(true)
}

fn check_name(name: &str) -> Result<()> {
    let plain = !name.is_empty()
        && name != SUPERSEDED
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
    if plain {
        Ok(())
    } else {
        Err(Error::Setting(format!(
            "stage name {name:?}: letters, digits, '-', '_', '+' and '.' are expected, and neither a leading '.' nor {SUPERSEDED:?}"
        )))
    }
}

/// Moves a stage's folder to `superseded`, in the place of what was there.
fn supersede(run_dir: &Path, name: &str) -> Result<()> {
    let aside = run_dir.join(SUPERSEDED);
    let target = aside.join(name);
    std::fs::create_dir_all(&aside)
        .map_err(|e| Error::io(&aside, "create the folder for superseded stages", e))?;
    match std::fs::remove_dir_all(&target) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io(&target, "remove an older superseded stage", e)),
    }
    let dir = run_dir.join(name);
    std::fs::rename(&dir, &target)
        .map_err(|e| Error::io(&dir, "move the superseded stage aside", e))?;
    sync_folder_of(&dir);
    Ok(())
}

#[cfg(test)]
#[path = "artifact_tests.rs"]
mod tests;
