//! Accuracy as pre-training goes on: `accuracy.jsonl` in the run's folder, read and written whole.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::Context as _;
use cdpo_data::{OnBadRow, Record, jsonl};
use serde::{Deserialize, Serialize};

/// Accuracy on held-out questions at a checkpoint, a line of `accuracy.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) step: u64,
    pub(super) questions: usize,
    pub(super) correct: usize,
    pub(super) accuracy: f64,
}

impl Record for Look {
    fn check(&self) -> Result<(), String> {
        if self.correct <= self.questions && (0.0..=1.0).contains(&self.accuracy) {
            return Ok(());
        }
        Err(format!(
            "{} of {} questions are right, an accuracy of {}: they do not fit",
            self.correct, self.questions, self.accuracy
        ))
    }

    fn order(&self, other: &Self) -> Ordering {
        self.step.cmp(&other.step)
    }
}

const CURVE: &str = "accuracy.jsonl";

pub(super) fn read(dir: &Path) -> anyhow::Result<Vec<Look>> {
    let path = dir.join(CURVE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let (curve, _) = jsonl::read(&path, OnBadRow::Fail)
        .with_context(|| format!("{} is damaged; remove it", path.display()))?;
    Ok(curve)
}

pub(super) fn write(dir: &Path, curve: &[Look]) -> anyhow::Result<()> {
    Ok(jsonl::write_atomic(dir.join(CURVE), curve)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_comes_back_and_a_damaged_one_is_refused_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        let look = |step, correct| Look {
            step,
            questions: 4,
            correct,
            accuracy: correct as f64 / 4.0,
        };
        let curve = [look(1, 0), look(2, 3)];
        write(dir.path(), &curve).unwrap();
        assert_eq!(read(dir.path()).unwrap(), curve);
        let mut text = std::fs::read_to_string(dir.path().join(CURVE)).unwrap();
        text += "{\"step\":3,\"questions\":4,\"correct\":9,\"accuracy\":0.5}\n";
        std::fs::write(dir.path().join(CURVE), text).unwrap();
        let told = format!("{:#}", read(dir.path()).unwrap_err());
        assert!(told.contains(":3") && told.contains("remove it"), "{told}");
    }
}
