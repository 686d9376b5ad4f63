//! From a row's columns to a [`Problem`], for each published form and for a column mapping.

use super::{Columns, Format, ReadOptions};
use crate::Problem;
use crate::cell::Cell;
use crate::columns;

/// How rows of one file are read.
#[derive(Debug, Clone)]
pub(super) enum Layout {
    Gsm8k,
    Math,
    Mapped(Columns),
    /// Generic without a mapping: question or problem, answer.
    Plain,
}

/// The layout the options settle on, or none if the rows must tell.
pub(super) fn given(options: &ReadOptions) -> Option<Layout> {
    match (&options.columns, options.format) {
        (Some(columns), _) => Some(Layout::Mapped(columns.clone())),
        (None, Format::Auto) => None,
        (None, Format::Gsm8k) => Some(Layout::Gsm8k),
        (None, Format::Math) => Some(Layout::Math),
        (None, Format::Generic) => Some(Layout::Plain),
    }
}

const QUESTION: [&str; 2] = ["question", "problem"];
const ANSWER: &str = "answer";
const SOLUTION: &str = "solution";
const SUBJECT: [&str; 2] = ["subject", "type"];
const LEVEL: &str = "level";
const ID: [&str; 2] = ["id", "unique_id"];

/// Whether a column may be needed under these options.
pub(super) fn knows(options: &ReadOptions, name: &str) -> bool {
    if let Some(c) = &options.columns {
        let optional = [&c.id, &c.solution, &c.subject, &c.level];
        return c.question == name
            || c.answer == name
            || optional.iter().any(|o| o.as_deref() == Some(name));
    }
    [ANSWER, SOLUTION, LEVEL].contains(&name)
        || [QUESTION, SUBJECT, ID]
            .iter()
            .any(|names| names.contains(&name))
}

/// Tells the layout from one row.
pub(super) fn detect(columns: &columns::Columns) -> Option<Layout> {
    columns.first_of(&QUESTION)?;
    if columns.present(SOLUTION).is_some() {
        return Some(Layout::Math);
    }
    match columns.present(ANSWER)? {
        Cell::Text(answer) if answer.contains(MARK) => Some(Layout::Gsm8k),
        _ => Some(Layout::Plain),
    }
}

/// The reason for a row whose layout cannot be told.
pub(super) fn undetected(columns: &columns::Columns) -> String {
    let empty = |(name, role): (&str, &str)| {
        let stands = columns.has(name) && columns.present(name).is_none();
        stands.then(|| columns.text(name, role).err()).flatten()
    };
    let needed = [(QUESTION[0], "the question"), (ANSWER, "the answer")];
    if let Some(reason) = needed.into_iter().find_map(empty) {
        return reason;
    }
    format!(
        "cannot tell the format from the columns {}: GSM8K has question and answer, MATH problem and solution; for anything else give a column mapping (question = .., answer = ..)",
        columns.names()
    )
}

impl Layout {
    /// The problem in one row; `fallback_id` is used where the row has no id. Emptiness is checked by the caller.
    pub(super) fn problem(
        &self,
        columns: &columns::Columns,
        fallback_id: String,
    ) -> Result<Problem, String> {
        match self {
            Self::Gsm8k => {
                let full = columns.text(ANSWER, "the answer")?;
                let (worked, answer) = full
                    .rsplit_once(MARK)
                    .ok_or("the answer has no final line \"#### ANSWER\", as GSM8K's have")?;
                Ok(Problem {
                    id: optional_of(columns, &ID).unwrap_or(fallback_id),
                    question: question(columns)?,
                    answer: answer.trim().to_string(),
                    solution: non_empty(&without_marks(worked)),
                    subject: None,
                    level: None,
                })
            }
            Self::Math => {
                // It may be empty beside an answer, but a file without the column is of another form.
                let solution = optional(columns, SOLUTION);
                let answer = match (columns.present(ANSWER), &solution) {
                    (Some(_), _) if columns.has(SOLUTION) => columns.text(ANSWER, "the answer")?,
                    (None, Some(solution)) => last_boxed(solution)
                        .ok_or("there is no answer column and no \\boxed{..} in the solution")?
                        .to_owned(),
                    _ => columns.text(SOLUTION, "the solution")?,
                };
                Ok(Problem {
                    id: optional_of(columns, &ID).unwrap_or(fallback_id),
                    question: question(columns)?,
                    answer: answer.trim().to_string(),
                    solution,
                    subject: optional_of(columns, &SUBJECT),
                    level: columns.present(LEVEL).and_then(level),
                })
            }
            Self::Plain => Ok(Problem {
                id: optional_of(columns, &ID).unwrap_or(fallback_id),
                question: question(columns)?,
                answer: columns.text(ANSWER, "the answer")?.trim().to_string(),
                solution: optional(columns, SOLUTION),
                subject: optional_of(columns, &SUBJECT),
                level: columns.present(LEVEL).and_then(level),
            }),
            Self::Mapped(c) => {
                let opt = |column: &Option<String>| {
                    column.as_deref().and_then(|name| optional(columns, name))
                };
                let id = match &c.id {
                    Some(column) => columns.text(column, "the id")?,
                    None => fallback_id,
                };
                Ok(Problem {
                    id,
                    question: columns
                        .text(&c.question, "the question")?
                        .trim()
                        .to_string(),
                    answer: columns.text(&c.answer, "the answer")?.trim().to_string(),
                    solution: opt(&c.solution),
                    subject: opt(&c.subject),
                    level: c
                        .level
                        .as_deref()
                        .and_then(|name| columns.present(name))
                        .and_then(level),
                })
            }
        }
    }
}

fn question(columns: &columns::Columns) -> Result<String, String> {
    let name = columns.first_of(&QUESTION).unwrap_or(QUESTION[0]);
    Ok(columns.text(name, "the question")?.trim().to_string())
}

fn optional_of(columns: &columns::Columns, candidates: &[&str]) -> Option<String> {
    columns
        .first_of(candidates)
        .and_then(|name| optional(columns, name))
}

fn optional(columns: &columns::Columns, name: &str) -> Option<String> {
    columns.text(name, name).ok().and_then(|t| non_empty(&t))
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_string())
}

/// 5, "5" or "Level 5".
fn level(cell: &Cell) -> Option<u8> {
    let whole = match cell {
        Cell::Text(text) => {
            let bare = text.trim().trim_start_matches("Level").trim();
            Cell::Text(bare.into()).whole()
        }
        other => other.whole(),
    };
    whole.and_then(|n| u8::try_from(n).ok())
}

/// GSM8K's mark before the gold answer.
const MARK: &str = "####";

/// Takes out calculator marks `<<..>>`; one that is not closed stays.
fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("<<") {
        let Some(close) = rest[open..].find(">>") else {
            break;
        };
        out.push_str(&rest[..open]);
        rest = &rest[open + close + 2..];
    }
    out.push_str(rest);
    out
}

/// The contents of the last `\boxed{..}` (braces balanced, escaped ones apart) or of a brace-less `\boxed 2`.
fn last_boxed(solution: &str) -> Option<&str> {
    let mut rest = solution;
    while let Some(at) = rest.rfind("\\boxed") {
        let behind = &solution[at + "\\boxed".len()..];
        if let Some(content) = boxed_content(behind) {
            return Some(content);
        }
        rest = &rest[..at];
    }
    None
}

fn boxed_content(behind: &str) -> Option<&str> {
    let Some(inner) = behind.trim_start().strip_prefix('{') else {
        let token = behind
            .trim_start()
            .split(|c: char| c.is_whitespace() || "$.,".contains(c))
            .next()?;
        return (behind.starts_with(' ') && !token.is_empty()).then_some(token);
    };
    let mut depth = 0;
    let mut escaped = false;
    for (i, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => return Some(&inner[..i]),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calculator_marks_go_and_unclosed_ones_stay() {
        assert_eq!(
            without_marks("48/2 = <<48/2=24>>24, <<1+1=2>>2"),
            "48/2 = 24, 2"
        );
        assert_eq!(without_marks("a << b"), "a << b");
        assert_eq!(without_marks("<<x>>"), "");
    }

    #[test]
    fn the_last_box_is_the_answer_with_braces_balanced_and_escaped_ones_apart() {
        assert_eq!(
            last_boxed(r"\boxed{1} so \boxed{\frac{1}{2}}."),
            Some(r"\frac{1}{2}")
        );
        assert_eq!(
            last_boxed(r"\boxed{\left\{ 1 \right.}"),
            Some(r"\left\{ 1 \right.")
        );
        assert_eq!(last_boxed(r"$\boxed 2$."), Some("2"));
        assert_eq!(last_boxed(r"\boxed{3} and a torn \boxed{4"), Some("3"));
        assert_eq!(last_boxed(r"\boxed{}"), Some(""));
        assert_eq!(last_boxed("no box"), None);
    }

    #[test]
    fn a_level_is_read_from_number_or_text() {
        let number = |text: &str| Cell::Number(text.into());
        assert_eq!(level(&number("5")), Some(5));
        assert_eq!(level(&number("5.0")), Some(5));
        assert_eq!(level(&Cell::Text("Level 3".into())), Some(3));
        assert_eq!(level(&Cell::Text("Level ?".into())), None);
        assert_eq!(level(&number("300")), None);
    }
}
