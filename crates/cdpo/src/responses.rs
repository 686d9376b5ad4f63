//! Grading a file of responses that no recipe made: JSONL rows with `response` and `gold` in, verdicts out, compared
//! with a label that the row may have.

use std::path::Path;

use anyhow::Context as _;
use cdpo_grade::{Grader, Outcome, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is read of a row; other columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    response: String,
    gold: String,
    label: Option<Value>,
    correct: Option<Value>,
}

impl Row {
    /// What somebody else holds of the response: `label`, else `correct`, where it is true or false.
    fn judged(&self) -> Option<bool> {
        let of = |column: &Option<Value>| column.as_ref().and_then(Value::as_bool);
        of(&self.label).or_else(|| of(&self.correct))
    }
}

/// A verdict, and the label beside it if the row has one.
#[derive(Debug, Serialize)]
pub(crate) struct Graded {
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<bool>,
    /// Whether the verdict says what the label says; a response that is not parsed is not correct.
    #[serde(skip_serializing_if = "Option::is_none")]
    agrees: Option<bool>,
    #[serde(skip)]
    line: usize,
    #[serde(skip)]
    gold: String,
}

/// Grades every row, in order.
pub(crate) fn grade(path: &Path, grader: &Grader) -> anyhow::Result<Vec<Graded>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let mut graded = Vec::new();
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
        let verdict = grader.grade(&row.response, &row.gold);
        let label = row.judged();
        graded.push(Graded {
            agrees: label.map(|label| label == (verdict.outcome == Outcome::Correct)),
            label,
            line: i + 1,
            gold: row.gold,
            verdict,
        });
    }
    Ok(graded)
}

/// A line for each row whose label differs from its verdict, and one with the counts; none where no row has a label.
pub(crate) fn disagreements(path: &Path, graded: &[Graded]) -> Vec<String> {
    let labelled = graded.iter().filter(|row| row.agrees.is_some()).count();
    if labelled == 0 {
        return Vec::new();
    }
    let mut lines: Vec<String> = graded
        .iter()
        .filter(|row| row.agrees == Some(false))
        .map(|row| {
            let (label, verdict) = match row.verdict.outcome {
                Outcome::Correct => ("wrong", "correct"),
                Outcome::Wrong => ("correct", "wrong"),
                Outcome::Unparsed => ("correct", "unparsed"),
            };
            let answer = row.verdict.answer.as_deref().unwrap_or_default();
            format!(
                "{}:{}: labelled {label}, graded {verdict}: {answer:?} against {:?}",
                path.display(),
                row.line,
                row.gold
            )
        })
        .collect();
    lines.push(format!(
        "{} of {labelled} labels agree",
        labelled - lines.len()
    ));
    lines
}
