//! A stage's manifest: `manifest.json` in its folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{StageKey, hash_file, time};
use crate::{Error, Result};

/// Whether a stage has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Begun; its files may be in the making.
    Running,
    /// Finished; its outputs are listed with their hashes.
    Done,
}

/// What a stage read, how it was set, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The stage's name.
    pub stage: String,
    /// The version of the stage's code.
    pub version: u32,
    /// The hash of name, version, inputs and settings.
    pub key: String,
    /// Running or done.
    pub status: Status,
    /// Content hash of each input.
    pub inputs: BTreeMap<String, String>,
    /// The settings.
    pub settings: Value,
    /// Content hash of each output file, by its path in the stage's folder. Empty until done.
    pub outputs: BTreeMap<String, String>,
    /// What was counted; the stage's own business. Null until done.
    pub counts: Value,
    /// When, and for how long: all that differs between two runs of the same thing.
    pub clock: Clock,
}

/// Facts of the machine's clock and memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// When the stage was begun, UTC.
    pub started: String,
    /// When it was finished, UTC.
    pub finished: Option<String>,
    /// Seconds spent, over all sittings that were written down.
    pub seconds: f64,
    /// How often it was opened: 1 means uninterrupted.
    pub sittings: u32,
    /// The memory that the last sitting took, if its caller told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<PeakMemory>,
}

/// The most memory that a stage held, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeakMemory {
    /// As it was expected; none if the stage uses no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// As it was seen, pages of mapped files included; none where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

impl Manifest {
    /// The manifest of a stage that begins now.
    pub(super) fn begin(stage: &StageKey) -> Self {
        Self {
            stage: stage.name.clone(),
            version: stage.version,
            key: stage.key(),
            status: Status::Running,
            inputs: stage.inputs.clone(),
            settings: stage.settings.clone(),
            outputs: BTreeMap::new(),
            counts: Value::Null,
            clock: Clock {
                started: time::now_utc(),
                finished: None,
                seconds: 0.0,
                sittings: 1,
                memory: None,
            },
        }
    }

    /// Reads a manifest; the inner error is the reason why the file is none.
    ///
    /// # Errors
    /// If a file that is there cannot be read.
    pub fn read(path: &Path) -> Result<std::result::Result<Self, String>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Err("the folder has files but no manifest".into()));
            }
            Err(e) => return Err(Error::io(path, "read", e)),
        };
        Ok(serde_json::from_str(&text).map_err(|e| format!("the manifest cannot be read: {e}")))
    }

    /// What differs between this manifest and a stage as it would be run now, one line each.
    pub fn differences(&self, stage: &StageKey) -> Vec<String> {
        let mut lines = Vec::new();
        if self.version != stage.version {
            lines.push(format!("version {} -> {}", self.version, stage.version));
        }
        let names: std::collections::BTreeSet<&String> =
            self.inputs.keys().chain(stage.inputs.keys()).collect();
        for name in names {
            match (self.inputs.get(name), stage.inputs.get(name)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(_), Some(_)) => lines.push(format!("input {name} has other content")),
                (None, _) => lines.push(format!("input {name} is new")),
                (_, None) => lines.push(format!("input {name} is gone")),
            }
        }
        compare("", Some(&self.settings), Some(&stage.settings), &mut lines);
        lines
    }

    /// Outputs that are missing or not as the stage left them, one line each.
    pub(super) fn damage(&self, dir: &Path) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (file, hash) in &self.outputs {
            let path = dir.join(file);
            if !path.is_file() {
                lines.push(format!("{file} is missing"));
            } else if &hash_file(&path)? != hash {
                lines.push(format!("{file} has other content"));
            }
        }
        Ok(lines)
    }
}

/// Walks two settings and notes every leaf that differs, by its dotted name.
fn compare(name: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = (old, new) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let full = if name.is_empty() {
                key.clone()
            } else {
                format!("{name}.{key}")
            };
            compare(&full, a.get(key), b.get(key), lines);
        }
    } else if old != new {
        let shown =
            |value: Option<&Value>| value.map_or_else(|| "absent".to_string(), Value::to_string);
        lines.push(format!("{name} {} -> {}", shown(old), shown(new)));
    }
}
