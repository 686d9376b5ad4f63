//! The cases of twelve public test suites. Needs the data folder in `CDPO_TEST_DATA`; skips without it.
#![allow(clippy::print_stderr)]

use std::path::PathBuf;

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};

/// The options that a suite's own settings ask for.
fn options(case: &serde_json::Value) -> GradeOptions {
    let config = &case["config"];
    let types = config.get("match_types").or(config.get("match_type"));
    let types: Vec<&str> = types.and_then(|t| t.as_array()).map_or(Vec::new(), |t| {
        t.iter().filter_map(|t| t.as_str()).collect()
    });
    let language = config["language"].as_str().unwrap_or("");
    GradeOptions {
        extraction: match types.as_slice() {
            ["NativeLetters"] => Extraction::Choice,
            ["latex"] if case["kind"] == "response" => Extraction::Math,
            _ => Extraction::Auto,
        },
        decimal_comma: types == ["expr"] || language.ends_with("FRENCH"),
        decimal_digits: config["precision"].as_u64().map_or(4, |p| p.min(4) as u32),
        ordered_lists: case["source"] == "hendrycks/math",
        require_simplified: case["source"] == "openai/simple-evals",
        ..GradeOptions::default()
    }
}

#[test]
fn public_cases_are_graded_as_their_suites_expect() {
    let Some(folder) = std::env::var_os("CDPO_TEST_DATA") else {
        eprintln!("skipped: CDPO_TEST_DATA is not set");
        return;
    };
    let path = PathBuf::from(folder).join("grader_cases.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (mut cases, mut false_positives, mut misses) = (0, Vec::new(), Vec::new());
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("a JSON row");
        if case["contradicted"] == true {
            continue;
        }
        cases += 1;
        let (prediction, gold) = (
            case["prediction"].as_str().expect("text"),
            case["gold"].as_str().expect("text"),
        );
        let verdict = Grader::new(options(&case)).grade(prediction, gold);
        let correct = verdict.outcome == Outcome::Correct;
        if correct != case["expected"].as_bool().expect("a label") {
            let tail: String = prediction
                .chars()
                .rev()
                .take(120)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect();
            let row = format!("{} {tail:?} / {gold:?}: {verdict:?}", case["id"]);
            if correct {
                false_positives.push(row);
            } else {
                misses.push(row);
            }
        }
    }
    eprintln!(
        "{cases} cases, {} missed, {} false positives",
        misses.len(),
        false_positives.len()
    );
    for row in misses.iter().chain(&false_positives) {
        eprintln!("{row}");
    }
    assert!(false_positives.is_empty(), "{false_positives:#?}");
    assert!(
        misses.len() * 50 <= cases,
        "more than 2 % missed: {misses:#?}"
    );
}
