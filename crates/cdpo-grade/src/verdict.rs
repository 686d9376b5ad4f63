//! What grading one response yields.

use serde::{Deserialize, Serialize};

/// Whether a response answers its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was found and equals the gold answer.
    Correct,
    /// The answer was found and could not be shown to equal the gold answer.
    Wrong,
    /// No answer was found, or it lies outside the bounds of what is read.
    Unparsed,
}

/// The result of grading one response against a gold answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Correct, wrong or unparsed.
    pub outcome: Outcome,
    /// The extracted answer, as written in the response.
    pub answer: Option<String>,
    /// The canonical key of the answer: equal keys mean equal answers.
    pub key: Option<String>,
    /// The extraction rule that fired (see [`crate::Rule`]), or `none`.
    pub rule: String,
    /// Where the answer stands in the response: its first byte, and the first behind it. Missing where none was found, and
    /// in verdicts kept by versions that did not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    /// One line saying how the outcome was reached.
    pub why: String,
}
