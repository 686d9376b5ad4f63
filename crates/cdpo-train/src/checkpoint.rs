//! Checkpoints: parameters, both moments and a small state, written under a temporary name and renamed.
//!
//! `DIR/checkpoints/step-00000050/` holds `arenas.safetensors` (`params/NAME`, `m/NAME`, `v/NAME`, f32) and `state.json`.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use cdpo_model::Arena;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optimizer::AdamW;

const ARENAS: &str = "arenas.safetensors";
const STATE: &str = "state.json";
const FORMAT: u32 = 1;

/// What a checkpoint says besides numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) format: u32,
    /// Steps done.
    pub(crate) step: u64,
    /// Tokens computed so far.
    pub(crate) tokens: u64,
    /// What the run depends on: a name and a hash or a value for each part.
    pub(crate) identity: Vec<(String, String)>,
}

impl State {
    pub(crate) fn new(step: u64, tokens: u64, identity: Vec<(String, String)>) -> Self {
        Self {
            format: FORMAT,
            step,
            tokens,
            identity,
        }
    }
}

/// Bytes of one tensor, made when they are written.
struct Slice<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for Slice<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Writes the checkpoint of `state.step` and removes all but the newest `keep`. Returns its folder.
pub(crate) fn write(
    dir: &Path,
    state: &State,
    params: &Arena,
    adamw: &AdamW,
    keep: usize,
) -> Result<PathBuf> {
    let folder = dir.join("checkpoints");
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "create the folder", e))?;
    let name = format!("step-{:08}", state.step);
    let temporary = folder.join(format!(".{name}"));
    let path = folder.join(name);
    remove(&temporary)?;
    std::fs::create_dir(&temporary).map_err(|e| Error::io(&temporary, "create the folder", e))?;

    let mut tensors = Vec::new();
    for (part, arena) in [("params", params), ("m", &adamw.m), ("v", &adamw.v)] {
        for entry in arena.layout().entries() {
            let values = &arena.data[entry.offset..entry.offset + entry.len()];
            tensors.push((
                format!("{part}/{}", entry.name),
                Slice {
                    shape: &entry.shape,
                    values,
                },
            ));
        }
    }
    let arenas = temporary.join(ARENAS);
    safetensors::serialize_to_file(tensors, None, &arenas).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(e) => Error::io(&arenas, "write the checkpoint", e),
        e => Error::file(&arenas, format!("cannot be written: {e}")),
    })?;
    let state_path = temporary.join(STATE);
    let text =
        serde_json::to_string_pretty(state).map_err(|e| Error::file(&state_path, e.to_string()))?;
    std::fs::write(&state_path, text + "\n")
        .map_err(|e| Error::io(&state_path, "write the checkpoint", e))?;
    for file in [&arenas, &state_path, &temporary] {
        File::open(file)
            .and_then(|f| f.sync_all())
            .map_err(|e| Error::io(file, "flush the checkpoint to disk", e))?;
    }
    remove(&path)?;
    std::fs::rename(&temporary, &path)
        .map_err(|e| Error::io(&path, "put the checkpoint into its place", e))?;

    let mut all = list(dir)?;
    all.truncate(all.len().saturating_sub(keep.max(1)));
    all.iter().try_for_each(|old| remove(old))?;
    Ok(path)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(path, "remove the folder", e))
        }
        _ => Ok(()),
    }
}

/// The checkpoints in `dir`, oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let folder = dir.join("checkpoints");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder, "list the checkpoints", e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| Error::io(&folder, "list the checkpoints", e))?
            .path();
        if path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("step-"))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a checkpoint into `params` and `adamw`, whose layout says what must be there. The identity must be `identity`.
pub(crate) fn read(
    path: &Path,
    identity: &[(String, String)],
    params: &mut Arena,
    adamw: &mut AdamW,
) -> Result<State> {
    let state_path = path.join(STATE);
    let text = std::fs::read_to_string(&state_path)
        .map_err(|e| Error::io(&state_path, "read the checkpoint", e))?;
    let state: State =
        serde_json::from_str(&text).map_err(|e| Error::file(&state_path, damaged(e)))?;
    if state.format != FORMAT {
        return Err(Error::file(
            &state_path,
            format!("has format {}, this version reads {FORMAT}", state.format),
        ));
    }
    let differs: Vec<&str> = identity
        .iter()
        .filter(|part| !state.identity.contains(part))
        .map(|(name, _)| name.as_str())
        .collect();
    if !differs.is_empty() {
        return Err(Error::OtherRun {
            path: path.to_owned(),
            differs: differs.join(", "),
        });
    }

    let parts = [
        ("params", &mut *params),
        ("m", &mut adamw.m),
        ("v", &mut adamw.v),
    ];
    read_arenas(path, parts)?;
    adamw.steps = state.step;
    Ok(state)
}

fn damaged(reason: impl std::fmt::Display) -> String {
    format!("{reason}; the checkpoint is damaged: remove its folder to go on from the one before")
}

/// Reads a checkpoint's parameters, of the layout of `params`, without the optimizer's state: to look at a run as it goes on.
///
/// # Errors
/// If the checkpoint cannot be read or has other tensors.
pub fn read_parameters(path: &Path, params: &mut Arena) -> Result<()> {
    read_arenas(path, [("params", params)])
}

fn read_arenas<const N: usize>(path: &Path, parts: [(&str, &mut Arena); N]) -> Result<()> {
    let arenas = path.join(ARENAS);
    let bytes = std::fs::read(&arenas).map_err(|e| Error::io(&arenas, "read the checkpoint", e))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| Error::file(&arenas, damaged(e)))?;
    for (part, arena) in parts {
        let layout = arena.layout().clone();
        for entry in layout.entries() {
            let name = format!("{part}/{}", entry.name);
            let view = tensors
                .tensor(&name)
                .map_err(|e| Error::file(&arenas, damaged(format!("{name}: {e}"))))?;
            if view.dtype() != Dtype::F32 || view.shape() != entry.shape {
                return Err(Error::file(
                    &arenas,
                    damaged(format!(
                        "{name} is {:?} {:?}, not F32 {:?}",
                        view.dtype(),
                        view.shape(),
                        entry.shape
                    )),
                ));
            }
            let values = &mut arena.data[entry.offset..entry.offset + entry.len()];
            for (to, from) in values.iter_mut().zip(view.data().chunks_exact(4)) {
                *to = f32::from_le_bytes([from[0], from[1], from[2], from[3]]);
            }
        }
    }
    Ok(())
}
