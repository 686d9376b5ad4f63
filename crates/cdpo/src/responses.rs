//! Grading a file of responses that no recipe made: rows with `response` and `gold` (or `answer`) in, verdicts out,
//! counted by outcome and compared with a label that the row may have.

use std::path::Path;

use cdpo_data::given_responses;
use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome, Verdict};
use serde::Serialize;

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
    /// The outcomes under the strict and the flexible filter of lm-evaluation-harness, where both can apply.
    #[serde(skip)]
    filters: Option<[Outcome; 2]>,
    #[serde(skip)]
    line: usize,
    #[serde(skip)]
    gold: String,
}

/// Grades every row, in order.
pub(crate) fn grade(path: &Path, options: &GradeOptions) -> anyhow::Result<Vec<Graded>> {
    let by = |extraction| {
        Grader::new(GradeOptions {
            extraction,
            ..options.clone()
        })
    };
    let grader = by(options.extraction);
    let filters = [Extraction::Gsm8kStrictFilter, Extraction::Gsm8kFlexible].map(by);
    let mut graded = Vec::new();
    for row in given_responses::read(path)? {
        let verdict = grader.grade(&row.response, &row.gold);
        let numeric = |key: String| key.parse::<f64>().is_ok();
        let applies = filters[0]
            .key(row.gold.rsplit("####").next().unwrap_or_default())
            .is_some_and(numeric);
        graded.push(Graded {
            filters: applies
                .then(|| [0, 1].map(|i: usize| filters[i].grade(&row.response, &row.gold).outcome)),
            agrees: row
                .label
                .map(|label| label == (verdict.outcome == Outcome::Correct)),
            label: row.label,
            line: row.line,
            gold: row.gold,
            verdict,
        });
    }
    Ok(graded)
}

/// A line with the rows by outcome; and, where every gold answer is a number, as GSM8K's are, one by each of the two filters
/// of lm-evaluation-harness.
pub(crate) fn counts(graded: &[Graded]) -> Vec<String> {
    let line = |name: &str, outcomes: &[Outcome]| {
        let count = |outcome| outcomes.iter().filter(|o| **o == outcome).count();
        format!(
            "{name}: {} correct, {} wrong, {} unparsed",
            count(Outcome::Correct),
            count(Outcome::Wrong),
            count(Outcome::Unparsed)
        )
    };
    let outcomes: Vec<Outcome> = graded.iter().map(|row| row.verdict.outcome).collect();
    let mut lines = vec![line("graded", &outcomes)];
    let filters: Option<Vec<[Outcome; 2]>> = graded.iter().map(|row| row.filters).collect();
    if let Some(filters) = filters.filter(|filters| !filters.is_empty()) {
        for (i, name) in ["strict filter", "flexible filter"].into_iter().enumerate() {
            let outcomes: Vec<Outcome> = filters.iter().map(|both| both[i]).collect();
            lines.push(line(name, &outcomes));
        }
    }
    lines
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
