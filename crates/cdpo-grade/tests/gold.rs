//! Worked gold solutions graded as responses. Needs the data folder in `CDPO_TEST_DATA`; skips without it.
#![allow(clippy::print_stderr)]

use std::path::PathBuf;

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};

fn rows(file: &str) -> Option<Vec<serde_json::Value>> {
    let Some(folder) = std::env::var_os("CDPO_TEST_DATA") else {
        eprintln!("skipped: CDPO_TEST_DATA is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a JSON row"))
            .collect(),
    )
}

fn misses(
    file: &str,
    response: &str,
    gold: &str,
    extraction: Extraction,
) -> Option<(usize, Vec<String>)> {
    let grader = Grader::new(GradeOptions {
        extraction,
        ..GradeOptions::default()
    });
    let rows = rows(file)?;
    let misses = rows.iter().filter_map(|row| {
        let gold = row[gold].as_str().expect("a gold answer");
        let verdict = grader.grade(row[response].as_str().expect("a response"), gold);
        (verdict.outcome != Outcome::Correct).then(|| format!("{gold:?}: {verdict:?}"))
    });
    Some((rows.len(), misses.collect()))
}

#[test]
fn every_gsm8k_gold_solution_is_correct() {
    for extraction in [
        Extraction::Auto,
        Extraction::Gsm8kStrict,
        Extraction::Gsm8kStrictFilter,
        Extraction::Gsm8kFlexible,
    ] {
        for file in ["gsm8k_train.jsonl", "gsm8k_test.jsonl"] {
            let Some((rows, misses)) = misses(file, "answer", "answer", extraction) else {
                return;
            };
            assert!(
                rows > 1_000 && misses.is_empty(),
                "{extraction:?} {file}: {misses:#?}"
            );
        }
    }
}

#[test]
fn math_gold_solutions_are_correct() {
    for (file, allowed) in [("math500.jsonl", 0), ("math_train.jsonl", 15)] {
        let Some((rows, misses)) = misses(file, "solution", "answer", Extraction::Math) else {
            return;
        };
        eprintln!(
            "{file}: {} of {rows} missed\n{}",
            misses.len(),
            misses.join("\n")
        );
        assert!(misses.len() <= allowed, "{file}: {misses:#?}");
    }
}
