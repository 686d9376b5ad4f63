//! Wrong solutions that come from elsewhere, to look for their critical tokens: a question, its gold answer and a solution, whole or
//! in steps with the first wrong one marked (a process label).
//!
//! JSON Lines or Parquet, one solution a row:
//!
//! | column | what |
//! |---|---|
//! | `question` or `problem` | the question |
//! | `gold` or `answer` | its right answer, a text or a number |
//! | `steps` | the solution's steps in order, a list of texts; they are joined by line breaks |
//! | `response` | instead of `steps`: the solution's text |
//! | `first_error_step` | optional: which step is the first wrong one, from 1 |
//! | `error_kind` | optional: what kind of error it is, any name; results are broken down by it |
//! | `id` | optional, else `STEM/ROW` |
//!
//! Other columns are ignored. If every step begins with its own number (`Step 1: `, `Step 2: `, ..), the numbering is the labelling's
//! and is taken off. MR-GSM8K's published rows, renamed to these columns, are such a file.

use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::columns::Columns;
use crate::order;
use crate::record::{Record, check_text};
use crate::table::{self, TableOptions};
use crate::{OnBadRow, Problem, Result, Skipped};

/// One given solution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenSolution {
    /// Unique in its file; rollouts are keyed by it.
    pub id: String,
    /// The question.
    pub question: String,
    /// Its right answer.
    pub gold: String,
    /// The solution's steps, without numbering; one for a solution that came whole.
    pub steps: Vec<String>,
    /// The first wrong step, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error_step: Option<usize>,
    /// What kind of error it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<String>,
    /// Whether it is the answer to a chat's turn, which begins without a space.
    #[serde(skip)]
    pub in_turn: bool,
}

impl GivenSolution {
    /// The question as a problem of the solution's id.
    pub fn problem(&self) -> Problem {
        Problem {
            id: self.id.clone(),
            question: self.question.clone(),
            answer: self.gold.clone(),
            solution: None,
            subject: self.error_kind.clone(),
            level: None,
        }
    }

    /// The solution as a response: its steps joined by line breaks, behind a space (as a response follows `Answer:`) unless it
    /// begins with white space of its own or is a turn's answer.
    pub fn response(&self) -> String {
        let text = self.steps.join("\n");
        if self.in_turn || text.starts_with(char::is_whitespace) {
            text
        } else {
            format!(" {text}")
        }
    }

    /// The bytes of each step in [`GivenSolution::response`]; a step holds the space before it, and the line break after it.
    pub fn step_bytes(&self) -> Vec<Range<usize>> {
        let end = self.response().len();
        let mut start = 0;
        let mut spans: Vec<Range<usize>> = Vec::with_capacity(self.steps.len());
        let mut next = end - self.steps.join("\n").len();
        for step in &self.steps {
            next = (next + step.len() + 1).min(end);
            spans.push(start..next);
            start = next;
        }
        spans
    }
}

impl Record for GivenSolution {
    fn check(&self) -> std::result::Result<(), String> {
        check_text("id", &self.id)?;
        check_text("question", &self.question)?;
        check_text("gold", &self.gold)?;
        if self.gold.split_whitespace().count() >= SENTENCE {
            return Err(format!(
                "the gold answer is the sentence {:?}: an answer alone is expected, or no rollout would ever be right",
                self.gold
            ));
        }
        if self.steps.is_empty() {
            return Err("steps is empty: at least one step is expected".into());
        }
        check_text("the solution", &self.steps.concat())?;
        match self.first_error_step {
            Some(step) if !(1..=self.steps.len()).contains(&step) => Err(format!(
                "first_error_step is {step}, but the solution has the steps 1 to {}",
                self.steps.len()
            )),
            _ => Ok(()),
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id(&self.id, &other.id)
    }
}

/// Words from which a gold answer is taken for a sentence.
const SENTENCE: usize = 5;

const QUESTION: [&str; 2] = ["question", "problem"];
const GOLD: [&str; 2] = ["gold", "answer"];
const OTHERS: [&str; 5] = ["steps", "response", "first_error_step", "error_kind", "id"];

/// Reads given solutions, in file order.
///
/// # Errors
/// [`Error::Row`](crate::Error::Row) for the first unusable row under [`OnBadRow::Fail`]; [`Error::DuplicateId`](crate::Error::DuplicateId); [`Error::File`](crate::Error::File) if nothing usable is in
/// the file; [`Error::Io`](crate::Error::Io).
pub fn read(path: impl AsRef<Path>, on_bad_row: OnBadRow) -> Result<(Vec<GivenSolution>, Skipped)> {
    let options = TableOptions {
        on_bad_row,
        limit: None,
    };
    let wanted = |name: &str| {
        [&QUESTION[..], &GOLD, &OTHERS]
            .iter()
            .any(|names| names.contains(&name))
    };
    table::read(
        path.as_ref(),
        &options,
        wanted,
        |solution: &GivenSolution| &solution.id,
        |columns, fallback_id| {
            let solution = solution(columns, fallback_id)?;
            solution.check()?;
            Ok(solution)
        },
    )
}

fn solution(columns: &Columns, fallback_id: String) -> std::result::Result<GivenSolution, String> {
    let first = |names: [&'static str; 2]| columns.first_of(&names).unwrap_or(names[0]);
    let present = |name: &str| columns.present(name);
    let steps = match (present("steps"), present("response")) {
        (Some(steps), None) => without_numbers(list(steps)?),
        (None, Some(_)) => vec![columns.text("response", "the solution")?],
        (Some(_), Some(_)) => {
            return Err("there are both steps and response: one of them is expected".into());
        }
        (None, None) => {
            return Err(format!(
                "the solution is missing: there is neither \"steps\" nor \"response\" among {}",
                columns.names()
            ));
        }
    };
    let first_error_step = match present("first_error_step") {
        None => None,
        Some(value) => Some(value.whole().map(|step| step as usize).ok_or_else(|| {
            format!(
                "first_error_step is {}: the number of a step is expected, from 1",
                value.described()
            )
        })?),
    };
    let optional = |name: &str, role: &str| {
        let text = present(name).map(|_| columns.text(name, role));
        text.transpose()
    };
    Ok(GivenSolution {
        id: optional("id", "the id")?.unwrap_or(fallback_id),
        question: columns
            .text(first(QUESTION), "the question")?
            .trim()
            .to_owned(),
        gold: columns
            .text(first(GOLD), "the gold answer")?
            .trim()
            .to_owned(),
        steps,
        first_error_step,
        error_kind: optional("error_kind", "the kind of error")?,
        in_turn: false,
    })
}

fn list(value: &Cell) -> std::result::Result<Vec<String>, String> {
    let Cell::List(items) = value else {
        return Err(format!(
            "steps is {}: a list of texts is expected",
            value.described()
        ));
    };
    items
        .iter()
        .map(|item| match item {
            Cell::Text(step) => Ok(step.clone()),
            other => Err(format!(
                "a step is {}: a text is expected",
                other.described()
            )),
        })
        .collect()
}

/// Takes `Step N:` off every step, if every step has its own; blanks around the steps go with it.
fn without_numbers(steps: Vec<String>) -> Vec<String> {
    let bare: Option<Vec<String>> = steps
        .iter()
        .enumerate()
        .map(|(i, step)| {
            let number = format!("Step {}:", i + 1);
            Some(step.trim().strip_prefix(&number)?.trim().to_owned())
        })
        .collect();
    bare.unwrap_or(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, policy: OnBadRow) -> Result<(Vec<GivenSolution>, Skipped)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wrong.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path, policy)
    }

    #[test]
    fn steps_lose_the_numbers_that_the_labelling_gave_them_and_join_to_a_response() {
        let row = r#"{"question": "q ", "gold": 4, "steps": ["Step 1:  2+2 = 5.", "Step 2: #### 5"], "first_error_step": 1, "error_kind": "calculation", "more": 1}"#;
        let (found, _) = read_text(row, OnBadRow::Fail).unwrap();
        let [solution] = &found[..] else {
            panic!("one row")
        };
        assert_eq!(
            (solution.id.as_str(), solution.gold.as_str()),
            ("wrong/0", "4")
        );
        assert_eq!(solution.response(), " 2+2 = 5.\n#### 5");
        assert_eq!(solution.step_bytes(), [0..10, 10..16]);
        let turn = GivenSolution {
            in_turn: true,
            ..solution.clone()
        };
        assert_eq!(turn.response(), "2+2 = 5.\n#### 5");
        assert_eq!(turn.step_bytes(), [0..9, 9..15]);
        assert_eq!(solution.problem().subject.as_deref(), Some("calculation"));
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init)] // one step's range is meant
    fn a_whole_response_is_one_step_and_stays_as_it_is() {
        let row = r#"{"id": "a", "problem": "q", "answer": "1/2", "response": "\n Step 1: no\nmore ", "steps": null}"#;
        let (found, _) = read_text(row, OnBadRow::Fail).unwrap();
        assert_eq!(found[0].response(), "\n Step 1: no\nmore ");
        assert_eq!(found[0].step_bytes(), [0..18]);
        let partly = r#"{"question": "q", "gold": "1", "steps": ["Step 1: a", "and Step 2: b"]}"#;
        let (found, _) = read_text(partly, OnBadRow::Fail).unwrap();
        assert_eq!(found[0].response(), " Step 1: a\nand Step 2: b");
    }

    #[test]
    fn rows_that_cannot_be_used_are_told_with_their_reason() {
        let good = r#"{"question": "q", "gold": "1", "steps": ["a", "b"]}"#;
        let cases = [
            (
                r#""gold": "1""#,
                r#""gold": "Let's think step by step.""#,
                "is the sentence",
            ),
            (r#""steps": ["a", "b"]"#, r#""steps": []"#, "steps is empty"),
            (
                r#""steps": ["a", "b"]"#,
                r#""steps": ["a", 2]"#,
                "a step is a number",
            ),
            (
                r#""steps": ["a", "b"]"#,
                r#""steps": "a""#,
                "steps is a string",
            ),
            (
                r#""steps": ["a", "b"]"#,
                r#""other": 1"#,
                "neither \"steps\" nor \"response\"",
            ),
            (
                r#""gold""#,
                r#""response": "r", "gold""#,
                "both steps and response",
            ),
            (
                r#""gold""#,
                r#""first_error_step": 3, "gold""#,
                "first_error_step is 3, but the solution has the steps 1 to 2",
            ),
            (
                r#""gold""#,
                r#""first_error_step": "x", "gold""#,
                "the number of a step",
            ),
            (r#""question": "q", "#, "", "the question is missing"),
        ];
        for (from, to, reason) in cases {
            assert!(good.contains(from));
            let text = format!("{good}\n{}", good.replace(from, to));
            let told = read_text(&text, OnBadRow::Fail).unwrap_err().to_string();
            assert!(
                told.contains("wrong.jsonl:2: ") && told.contains(reason),
                "{to}: {told}"
            );
            let (kept, skipped) = read_text(&text, OnBadRow::Skip).unwrap();
            assert_eq!((kept.len(), skipped.count()), (1, 1), "{to}");
        }
        assert!(read_text("{}", OnBadRow::Skip).is_err());
    }
}
