//! Grading a file of responses that no recipe made: JSONL rows with `response` and `gold` in, verdicts out.

use std::path::Path;

use anyhow::Context as _;
use cdpo_grade::{Grader, Verdict};
use serde::Deserialize;

/// What is read of a row; other columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    response: String,
    gold: String,
}

/// Grades every row, in order.
pub(crate) fn grade(path: &Path, grader: &Grader) -> anyhow::Result<Vec<Verdict>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let mut verdicts = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let row: Row = serde_json::from_str(line).with_context(|| {
            format!(
                "{}:{}: an object with the texts `response` and `gold` is expected",
                path.display(),
                i + 1
            )
        })?;
        verdicts.push(grader.grade(&row.response, &row.gold));
    }
    Ok(verdicts)
}
