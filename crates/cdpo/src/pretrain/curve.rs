//! Accuracy as pre-training goes on: `accuracy.jsonl` in the run's folder, read and written whole.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Accuracy on held-out questions at a checkpoint, a line of `accuracy.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) step: u64,
    pub(super) questions: usize,
    pub(super) correct: usize,
    pub(super) accuracy: f64,
}

const CURVE: &str = "accuracy.jsonl";

pub(super) fn read(dir: &Path) -> anyhow::Result<Vec<Look>> {
    let path = dir.join(CURVE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path)?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("{} is damaged; remove it", path.display()))
        })
        .collect()
}

pub(super) fn write(dir: &Path, curve: &[Look]) -> anyhow::Result<()> {
    let mut text = String::new();
    for a in curve {
        text += &serde_json::to_string(a)?;
        text.push('\n');
    }
    let (path, partial) = (dir.join(CURVE), dir.join(".accuracy.partial"));
    std::fs::write(&partial, text)?;
    Ok(std::fs::rename(&partial, &path)?)
}
