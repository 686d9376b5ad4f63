//! Responses that no stage sampled: JSONL rows with `question`, `response`, `gold` and perhaps `id` in; questions and trajectories,
//! encoded once, out.

use std::path::Path;

use anyhow::Context as _;
use cdpo_data::{Finish, Problem, Trajectory};
use serde::Deserialize;

use crate::base::Base;

/// What is read of a row; other columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    id: Option<String>,
    question: String,
    response: String,
    gold: String,
}

/// Reads a file; a row without an id is called `STEM/ROW`, and several rows of one id are its samples, in order.
///
/// A response is taken as it stands, encoded apart from its prompt: one that a prompt's last character runs into should begin with
/// the space that it is sampled with. It counts as ended by itself.
pub(crate) fn read(path: &Path, base: &Base) -> anyhow::Result<Vec<(Problem, Trajectory)>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut given: Vec<(Problem, Trajectory)> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = || format!("{}:{}", path.display(), i + 1);
        let row: Row = serde_json::from_str(line).with_context(|| {
            format!(
                "{}: an object with the texts `question`, `response` and `gold` is expected",
                place()
            )
        })?;
        let id = row.id.unwrap_or_else(|| format!("{stem}/{i}"));
        let sample = given.iter().filter(|(problem, _)| problem.id == id).count() as u32;
        let ids = base
            .checkpoint
            .tokenizer
            .encode(&row.response)
            .with_context(|| format!("{}: the response cannot be encoded", place()))?;
        given.push((
            Problem {
                id: id.clone(),
                question: row.question.trim().to_owned(),
                answer: row.gold,
                solution: None,
                subject: None,
                level: None,
            },
            Trajectory {
                problem_id: id,
                sample,
                text: row.response,
                ids,
                finish: Finish::Eos,
                token_logps: None,
            },
        ));
    }
    Ok(given)
}
