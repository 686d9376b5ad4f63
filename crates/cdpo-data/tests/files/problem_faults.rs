use cdpo_data::problems::{Format, ReadOptions, read};
use cdpo_data::{Error, OnBadRow};
use parquet::basic::Compression;

use crate::problems::{GSM8K, options, skip};
use crate::{parquet_file, text_file};

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
            "{}:2: the answer is empty (column \"answer\"): a string or a number is expected",
            path.display()
        )
    );
    let (problems, skipped) = read(&path, &skip()).unwrap();
    let ids: Vec<&str> = problems.iter().map(|p| p.id.as_str()).collect();
    assert_eq!((ids, skipped.count()), (vec!["t/0", "t/2"], 1));
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
            "the answer (column \"answer\") is a list: a string or a number is expected",
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
            "the question is empty (column \"question\"): a string or a number is expected",
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
            "PAR and something else",
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
