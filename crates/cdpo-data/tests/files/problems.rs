use cdpo_data::problems::{Columns, Format, ReadOptions, read};
use cdpo_data::{Error, OnBadRow, Problem};
use parquet::basic::{Compression, ZstdLevel};

use crate::{parquet_file, text_file};

pub(crate) const GSM8K: &str = concat!(
    r#"{"question": " How many?\n", "answer": "He has 48/2 = <<48/2=24>>24 clips.\nThat is #2.\n#### 1,024"}"#,
    "\n",
    r#"{"question": "And now?", "answer": "1 + 1 = <<1+1=2>>2\n#### 2"}"#,
    "\n"
);

pub(crate) fn options() -> ReadOptions {
    ReadOptions::default()
}

pub(crate) fn skip() -> ReadOptions {
    ReadOptions {
        on_bad_row: OnBadRow::Skip,
        ..options()
    }
}

fn columns(question: &str, answer: &str) -> Columns {
    Columns {
        question: question.into(),
        answer: answer.into(),
        id: None,
        solution: None,
        subject: None,
        level: None,
    }
}

fn gsm8k_problems(stem: &str) -> Vec<Problem> {
    let problem = |row: usize, question: &str, answer: &str, solution: &str| Problem {
        id: format!("{stem}/{row}"),
        question: question.into(),
        answer: answer.into(),
        solution: Some(solution.into()),
        subject: None,
        level: None,
    };
    vec![
        problem(
            0,
            "How many?",
            "1,024",
            "He has 48/2 = 24 clips.\nThat is #2.",
        ),
        problem(1, "And now?", "2", "1 + 1 = 2"),
    ]
}

#[test]
fn official_gsm8k_lines_give_question_gold_answer_and_unmarked_solution() {
    let dir = tempfile::tempdir().unwrap();
    let path = text_file(dir.path(), "gsm8k_train.jsonl", GSM8K);
    for format in [Format::Auto, Format::Gsm8k] {
        let (problems, skipped) = read(
            &path,
            &ReadOptions {
                format,
                ..options()
            },
        )
        .unwrap();
        assert_eq!(problems, gsm8k_problems("gsm8k_train"));
        assert_eq!(skipped.count(), 0);
    }
}

#[test]
fn gsm8k_parquet_gives_what_the_lines_give_in_every_supported_compression() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<serde_json::Value> = GSM8K
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let rows: Vec<Vec<Option<&str>>> = rows
        .iter()
        .map(|r| vec![r["question"].as_str(), r["answer"].as_str()])
        .collect();
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd] {
        // Neither the name nor its ending tells the format.
        let path = parquet_file::write(
            dir.path(),
            "train-00000",
            &["question", "answer"],
            &rows,
            compression,
        );
        assert_eq!(
            read(&path, &options()).unwrap().0,
            gsm8k_problems("train-00000"),
            "{compression}"
        );
    }
}

#[test]
fn math_in_its_three_published_forms_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let expected = |id: &str| Problem {
        id: id.into(),
        question: "What is $x$?".into(),
        answer: r"\frac{1}{2}".into(),
        solution: Some(r"First \boxed{3}, then $x=\boxed{\frac{1}{2}}.$".into()),
        subject: Some("Algebra".into()),
        level: Some(5),
    };
    let solution = r#""solution": "First \\boxed{3}, then $x=\\boxed{\\frac{1}{2}}.$""#;
    let forms = [
        // Hendrycks' own: the answer is the last box.
        (
            format!(
                r#"{{"problem": "What is $x$?", "level": "Level 5", "type": "Algebra", {solution}}}"#
            ),
            "m/0",
        ),
        // MATH-500.
        (
            format!(
                r#"{{"problem": "What is $x$?", {solution}, "answer": "\\frac{{1}}{{2}}", "subject": "Algebra", "level": 5, "unique_id": "test/algebra/1.json"}}"#
            ),
            "test/algebra/1.json",
        ),
        // With question for problem, and an id.
        (
            format!(
                r#"{{"id": "train/algebra/0.json", "question": "What is $x$?", {solution}, "answer": "\\frac{{1}}{{2}}", "subject": "Algebra", "level": 5}}"#
            ),
            "train/algebra/0.json",
        ),
    ];
    for (line, id) in forms {
        let path = text_file(dir.path(), "m.jsonl", &line);
        assert_eq!(read(&path, &options()).unwrap().0, [expected(id)]);
    }
}

#[test]
fn a_column_mapping_reads_any_table() {
    let dir = tempfile::tempdir().unwrap();
    let mapping = Columns {
        id: Some("key".into()),
        subject: Some("topic".into()),
        level: Some("grade".into()),
        solution: Some("why".into()),
        ..columns("Body", "Answer")
    };
    let path = text_file(
        dir.path(),
        "svamp.jsonl",
        r#"{"key": 17, "Body": "2 + 2?", "Answer": 4.0, "topic": "sums", "grade": 3, "why": "count", "question": "not this one"}"#,
    );
    let given = ReadOptions {
        columns: Some(mapping),
        ..options()
    };
    let expected = Problem {
        id: "17".into(),
        question: "2 + 2?".into(),
        answer: "4.0".into(),
        solution: Some("count".into()),
        subject: Some("sums".into()),
        level: Some(3),
    };
    assert_eq!(read(&path, &given).unwrap().0, [expected]);

    let rows = [vec![Some("2 + 2?"), Some("4")]];
    let path = parquet_file::write(
        dir.path(),
        "t.parquet",
        &["Body", "Answer"],
        &rows,
        Compression::SNAPPY,
    );
    let given = ReadOptions {
        columns: Some(columns("Body", "rank")),
        ..options()
    };
    assert_eq!(
        read(&path, &given).unwrap().0[0].answer,
        "0",
        "an integer column is an answer too"
    );
}

#[test]
fn a_table_of_question_and_answer_needs_no_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let path = text_file(
        dir.path(),
        "own.jsonl",
        "{\"question\": \"2 + 2?\", \"answer\": 4}\n",
    );
    let (problems, _) = read(&path, &options()).unwrap();
    assert_eq!(
        (problems[0].answer.as_str(), problems[0].id.as_str()),
        ("4", "own/0")
    );
}

#[test]
fn an_override_beats_what_the_columns_suggest() {
    let dir = tempfile::tempdir().unwrap();
    let path = text_file(
        dir.path(),
        "own.jsonl",
        "{\"question\": \"q\", \"answer\": \"why #### 4\"}\n",
    );
    assert_eq!(read(&path, &options()).unwrap().0[0].answer, "4");
    let generic = ReadOptions {
        format: Format::Generic,
        ..options()
    };
    assert_eq!(read(&path, &generic).unwrap().0[0].answer, "why #### 4");
    let math = ReadOptions {
        format: Format::Math,
        ..options()
    };
    let error = read(&path, &math).unwrap_err().to_string();
    assert!(error.ends_with("own.jsonl:1: the solution is missing: there is no column \"solution\" among [answer, question]"), "{error}");
    let both = ReadOptions {
        format: Format::Gsm8k,
        columns: Some(columns("a", "b")),
        ..options()
    };
    assert!(matches!(read(&path, &both).unwrap_err(), Error::Setting(_)));
}
