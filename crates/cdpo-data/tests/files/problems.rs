use cdpo_data::problems::{Columns, Format, ReadOptions, read};
use cdpo_data::{Error, OnBadRow, Problem};
use parquet::basic::{Compression, ZstdLevel};

use crate::{parquet_file, text_file};

const GSM8K: &str = concat!(
    r#"{"question": " How many?\n", "answer": "He has 48/2 = <<48/2=24>>24 clips.\nThat is #2.\n#### 1,024"}"#,
    "\n",
    r#"{"question": "And now?", "answer": "1 + 1 = <<1+1=2>>2\n#### 2"}"#,
    "\n"
);

fn options() -> ReadOptions {
    ReadOptions::default()
}

fn skip() -> ReadOptions {
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
fn gsm8k_s_official_lines_give_question_gold_answer_and_unmarked_solution() {
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
fn gsm8k_parquet_gives_what_its_lines_give_in_every_supported_compression() {
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
fn a_bad_parquet_row_is_named_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        vec![Some("q0"), Some("#### 1")],
        vec![Some("q1"), None],
        vec![Some("q2"), Some("#### 3")],
    ];
    let path = parquet_file::write(
        dir.path(),
        "t.parquet",
        &["question", "answer"],
        &rows,
        Compression::SNAPPY,
    );
    let error = read(&path, &options()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}:2: the answer (column \"answer\") is null: a string is expected",
            path.display()
        )
    );
    let (problems, skipped) = read(&path, &skip()).unwrap();
    let ids: Vec<&str> = problems.iter().map(|p| p.id.as_str()).collect();
    assert_eq!((ids, skipped.count()), (vec!["t/0", "t/2"], 1));
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

#[test]
fn bad_rows_fail_with_path_line_and_reason_or_are_skipped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let bad = [
        ("not json", "not JSON: expected ident (column 2)"),
        ("[1]", "a list: an object is expected"),
        (
            r#"{"question": "q"}"#,
            "the answer is missing: there is no column \"answer\" among [question]",
        ),
        (
            r#"{"question": "q", "answer": ["4"]}"#,
            "the answer (column \"answer\") is a list: a string is expected",
        ),
        (
            r#"{"question": "q", "answer": "no mark"}"#,
            "the answer has no final line \"#### ANSWER\", as GSM8K's have",
        ),
        (
            r#"{"question": "q", "answer": "why\n#### "}"#,
            "answer is empty",
        ),
        (
            r#"{"question": " ", "answer": "so #### 1"}"#,
            "question is empty",
        ),
        (
            r#"{"answer": "so #### 1"}"#,
            "the question is missing: there is no column \"question\" among [answer]",
        ),
    ];
    let mut text = String::from(GSM8K);
    for (line, reason) in bad {
        let one = text_file(dir.path(), "one.jsonl", &format!("{GSM8K}\n{line}\n"));
        let error = read(&one, &options()).unwrap_err();
        // GSM8K's two lines, a blank line, then the bad one.
        assert_eq!(error.to_string(), format!("{}:4: {reason}", one.display()));
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(r#"{"question": "last", "answer": "so #### 9"}"#);
    let path = text_file(dir.path(), "all.jsonl", &text);
    let (problems, skipped) = read(&path, &skip()).unwrap();
    let ids: Vec<&str> = problems.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(
        ids,
        ["all/0", "all/1", "all/10"],
        "ids count unusable rows, so that they do not depend on the policy"
    );
    assert_eq!(skipped.count(), bad.len());
    for (i, (row, (_, reason))) in skipped.rows.iter().zip(bad).enumerate() {
        assert_eq!((row.line, row.reason.as_str()), (i + 3, reason));
    }
}

#[test]
fn a_bad_first_row_does_not_mislead_the_detection() {
    let dir = tempfile::tempdir().unwrap();
    let path = text_file(dir.path(), "t.jsonl", &format!("{{\"note\": 1}}\n{GSM8K}"));
    let (problems, skipped) = read(&path, &skip()).unwrap();
    assert_eq!((problems.len(), skipped.count()), (2, 1));
    let error = read(&path, &options()).unwrap_err().to_string();
    assert!(
        error.contains("t.jsonl:1: cannot tell the format from the columns [note]")
            && error.contains("column mapping"),
        "{error}"
    );
}

#[test]
fn a_repeated_id_is_an_error_under_either_policy() {
    let dir = tempfile::tempdir().unwrap();
    let row = r#"{"id": "a", "question": "q", "answer": "1"}"#;
    let path = text_file(dir.path(), "t.jsonl", &format!("{row}\n\n{row}\n"));
    for given in [options(), skip()] {
        let error = read(&path, &given).unwrap_err();
        assert!(
            matches!(
                error,
                Error::DuplicateId {
                    line: 3,
                    first_line: 1,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("t.jsonl:3: duplicate id \"a\", first seen at line 1"),
            "{error}"
        );
    }
}

#[test]
fn a_limit_takes_the_first_usable_questions_and_reads_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let path = text_file(dir.path(), "t.jsonl", &format!("{GSM8K}not json\n"));
    let limited = |limit| ReadOptions {
        limit: Some(limit),
        ..options()
    };
    assert_eq!(read(&path, &limited(1)).unwrap().0.len(), 1);
    assert_eq!(read(&path, &limited(2)).unwrap().0.len(), 2);
    assert!(read(&path, &limited(3)).is_err());
    assert!(matches!(
        read(&path, &limited(0)).unwrap_err(),
        Error::Setting(_)
    ));
}

#[test]
fn a_file_with_nothing_usable_says_what_it_is_instead() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("empty.jsonl", "", "the file is empty"),
        ("blank.jsonl", "\n \n", "the file is empty"),
        (
            "array.json",
            "[{\"question\": 1}]",
            "this is a JSON array: one object per line is expected",
        ),
        (
            "cut.parquet",
            "version https://git-lfs",
            "not a Parquet file: it does not begin with PAR1",
        ),
        (
            "broken.parquet",
            "PAR1 and no more",
            "cannot read as Parquet",
        ),
        (
            "bad.jsonl",
            "x\ny\n",
            "none of 2 rows is usable; line 1: not JSON",
        ),
    ];
    for (name, text, reason) in cases {
        let path = text_file(dir.path(), name, text);
        let error = read(&path, &skip()).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}: {reason}")), "{error}");
    }
    let missing = read(dir.path().join("none.jsonl"), &skip()).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}

#[test]
fn a_parquet_file_cut_off_anywhere_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        vec![Some("q0"), Some("#### 1")],
        vec![Some("q1"), Some("#### 2")],
        vec![Some("q2"), Some("#### 3")],
    ];
    let whole = parquet_file::write(
        dir.path(),
        "t.parquet",
        &["question", "answer"],
        &rows,
        Compression::SNAPPY,
    );
    let bytes = std::fs::read(&whole).unwrap();
    let path = dir.path().join("cut.parquet");
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(read(&path, &skip()).is_err(), "cut at byte {cut}");
    }
}

#[test]
fn a_parquet_file_without_the_columns_names_those_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = parquet_file::write(
        dir.path(),
        "t.parquet",
        &["q", "a"],
        &[vec![Some("x"), Some("1")]],
        Compression::SNAPPY,
    );
    let error = read(&path, &options()).unwrap_err().to_string();
    assert!(
        error.ends_with("none of the expected columns is in the file, which has: q, a, rank"),
        "{error}"
    );
}

#[test]
fn read_options_with_an_unknown_key_are_an_error() {
    let error = serde_json::from_str::<ReadOptions>(r#"{"format": "math", "on_badrow": "skip"}"#)
        .unwrap_err();
    assert!(error.to_string().contains("on_badrow"), "{error}");
    let given: ReadOptions =
        serde_json::from_str(r#"{"format": "math", "on_bad_row": "skip"}"#).unwrap();
    assert_eq!(
        (given.format, given.on_bad_row),
        (Format::Math, OnBadRow::Skip)
    );
    assert!("skipp".parse::<OnBadRow>().is_err());
}
