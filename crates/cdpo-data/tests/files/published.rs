//! The published data sets, where `CDPO_TEST_DATA` names a folder that has them; without it these tests say so and pass.

use std::path::PathBuf;

use cdpo_data::exemplars::{ExemplarSet, gsm8k_8shot, math_4shot};
use cdpo_data::problems::{Format, ReadOptions, read};
use cdpo_data::{Error, Framing, OnBadRow};

#[allow(clippy::print_stderr, reason = "a test that was skipped must say so")]
fn published(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("CDPO_TEST_DATA").map(|dir| PathBuf::from(dir).join(name));
    let found = path.filter(|p| p.is_file());
    if found.is_none() {
        eprintln!("skipped: CDPO_TEST_DATA names no folder with {name}");
    }
    found
}

#[test]
fn gsm8k_has_7473_and_1319_questions_all_usable() {
    for (name, rows, with_comma) in [
        ("gsm8k_train.jsonl", 7473, None),
        ("gsm8k_test.jsonl", 1319, Some(14)),
    ] {
        let Some(path) = published(name) else { return };
        let (problems, skipped) = read(&path, &ReadOptions::default()).unwrap();
        assert_eq!((problems.len(), skipped.count()), (rows, 0), "{name}");
        for problem in &problems {
            let solution = problem.solution.as_ref().unwrap();
            assert!(
                !solution.contains("<<") && !solution.contains(">>") && !solution.contains("####"),
                "{}",
                problem.id
            );
            assert!(
                problem
                    .answer
                    .chars()
                    .all(|c| c.is_ascii_digit() || "-,.".contains(c)),
                "{}: {:?}",
                problem.id,
                problem.answer
            );
        }
        if let Some(expected) = with_comma {
            assert_eq!(
                problems.iter().filter(|p| p.answer.contains(',')).count(),
                expected
            );
        }
        let stem = name.trim_end_matches(".jsonl");
        assert_eq!(problems[0].id, format!("{stem}/0"));
        assert_eq!(problems[rows - 1].id, format!("{stem}/{}", rows - 1));
    }
}

#[test]
fn math_train_has_7498_usable_questions_and_two_with_empty_boxes() {
    let Some(path) = published("math_train.jsonl") else {
        return;
    };
    let skip = ReadOptions {
        on_bad_row: OnBadRow::Skip,
        ..ReadOptions::default()
    };
    let (problems, skipped) = read(&path, &skip).unwrap();
    assert_eq!((problems.len(), skipped.count()), (7498, 2));
    assert!(
        skipped
            .rows
            .iter()
            .all(|row| row.reason == "answer is empty"),
        "{skipped}"
    );
    assert!(
        !problems
            .iter()
            .any(|p| p.id.contains("number_theory/7115") || p.id.contains("number_theory/7117"))
    );
    assert!(
        problems
            .iter()
            .all(|p| p.subject.is_some() && p.solution.is_some())
    );
    let error = read(&path, &ReadOptions::default()).unwrap_err();
    assert!(
        matches!(error, Error::Row { line, .. } if line == skipped.rows[0].line),
        "{error}"
    );
}

#[test]
fn math500_has_500_questions() {
    let Some(path) = published("math500.jsonl") else {
        return;
    };
    let (problems, skipped) = read(&path, &ReadOptions::default()).unwrap();
    assert_eq!((problems.len(), skipped.count()), (500, 0));
    assert!(problems.iter().all(|p| (1..=5).contains(&p.level.unwrap())));
}

#[test]
fn the_last_box_of_a_math_solution_is_the_published_answer() {
    for name in ["math_train.jsonl", "math500.jsonl"] {
        let Some(path) = published(name) else { return };
        let text = std::fs::read_to_string(&path).unwrap();
        let mut answers = Vec::new();
        let mut without = String::new();
        for line in text.lines() {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            let answer = row.as_object_mut().unwrap().remove("answer").unwrap();
            answers.push(answer.as_str().unwrap().to_string());
            without.push_str(&row.to_string());
            without.push('\n');
        }
        let dir = tempfile::tempdir().unwrap();
        let path = crate::text_file(dir.path(), name, &without);
        let given = ReadOptions {
            format: Format::Math,
            on_bad_row: OnBadRow::Skip,
            ..ReadOptions::default()
        };
        let (problems, _) = read(&path, &given).unwrap();
        let given: Vec<&str> = answers
            .iter()
            .map(|a| a.trim())
            .filter(|a| !a.is_empty())
            .collect();
        assert_eq!(problems.len(), given.len());
        let different: Vec<_> = problems
            .iter()
            .zip(given)
            .filter(|(p, answer)| p.answer != *answer)
            .map(|(p, answer)| (p.id.clone(), p.answer.clone(), answer.to_string()))
            .collect();
        assert!(different.is_empty(), "{name}: {different:#?}");
    }
}

#[test]
fn the_few_shot_prefixes_are_the_published_prompts_but_for_spaces_before_line_ends() {
    let Some(path) = published("fewshot_prompts.json") else {
        return;
    };
    let prompts: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ours = |set: ExemplarSet, framing: Framing| framing.few_shot(&set.exemplars);
    let ours = [
        ours(gsm8k_8shot().unwrap(), Framing::gsm8k()),
        ours(math_4shot().unwrap(), Framing::math()),
    ];
    for (i, ours) in ours.iter().enumerate() {
        let published = prompts[i]["raw_prompt"].as_str().unwrap();
        assert_eq!(*ours, published.replace(" \n", "\n"));
    }
}
