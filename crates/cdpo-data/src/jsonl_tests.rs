use std::path::Path;

use super::*;
use crate::{Finish, Trajectory};

fn sample(problem_id: &str, sample: u32) -> Trajectory {
    Trajectory {
        problem_id: problem_id.into(),
        sample,
        text: format!(" It is {sample}.\n\"ünïcode\" \u{2028}"),
        ids: vec![sample, 11, 151_643],
        finish: Finish::Stop,
        token_logps: Some(vec![-0.1, -1.0e-7, -23.456_789]),
        reencoded: false,
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn records_come_back_equal_and_equal_records_give_equal_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.jsonl"), dir.path().join("b.jsonl"));
    let records = vec![sample("q/0", 0), sample("q/0", 1), sample("q/2", 0)];
    write_atomic(&a, &records).unwrap();
    let (back, skipped) = read::<Trajectory>(&a, OnBadRow::Fail).unwrap();
    assert_eq!((&back, skipped.count()), (&records, 0));
    write_atomic(&b, &back).unwrap();
    assert_eq!(text(&a), text(&b));
    assert_eq!(
        text(&a).lines().count(),
        3,
        "a record is one line, whatever its text"
    );
}

#[test]
fn every_f32_comes_back_bit_for_bit() {
    let mut values = vec![
        0.0,
        -0.0,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::MAX,
        f32::MIN,
        0.1,
        1.0 / 3.0,
    ];
    // A Weyl sequence over the bit patterns: finite ones of every exponent, subnormals too.
    let mut bits = 0x9e37_79b9_u32;
    while values.len() < 200_000 {
        bits = bits.wrapping_add(0x9e37_79b9);
        let value = f32::from_bits(bits);
        if value.is_finite() {
            values.push(value);
        }
    }
    let mut record = sample("q", 0);
    record.ids = vec![1; values.len()];
    record.token_logps = Some(values.clone());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.jsonl");
    write_atomic(&path, [&record]).unwrap();
    let (back, _) = read::<Trajectory>(&path, OnBadRow::Fail).unwrap();
    let back = back[0].token_logps.as_ref().unwrap();
    assert!(
        values
            .iter()
            .zip(back)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    assert!(text(&path).contains("[0.0,-0.0,"), "shortest decimal form");
    assert!(
        text(&path).contains(",0.1,0.33333334,"),
        "shortest decimal form"
    );
}

#[test]
fn a_bad_row_is_path_line_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    write_atomic(&path, [&sample("q/0", 0)]).unwrap();
    let good = text(&path);
    let wrong_count = good.replace("[0,11,151643]", "[0,11]");
    std::fs::write(
        &path,
        format!("{good}\n{{\"problem_id\":\"q/1\"}}\n{wrong_count}not json\n{good}"),
    )
    .unwrap();

    let error = read::<Trajectory>(&path, OnBadRow::Fail).unwrap_err();
    assert!(matches!(error, Error::Row { line: 3, .. }));
    let at = path.display();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{at}:3: missing field `sample`")),
        "{error}"
    );

    let (records, skipped) = read::<Trajectory>(&path, OnBadRow::Skip).unwrap();
    assert_eq!((records.len(), skipped.count()), (2, 3));
    let told = skipped.to_string();
    let told: Vec<&str> = told.lines().collect();
    assert!(
        told[0].starts_with(&format!("{at}:3: missing field")),
        "{told:?}"
    );
    assert_eq!(
        told[1],
        format!(
            "{at}:4: token_logps has 3 values but ids has 2 tokens: one value per token is expected"
        )
    );
    assert!(
        told[2].starts_with(&format!("{at}:5: expected ident (column 2)")),
        "{told:?}"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_a_bad_row_and_a_byte_order_mark_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    write_atomic(&path, [&sample("q/0", 0)]).unwrap();
    let good = std::fs::read(&path).unwrap();
    let bytes = [
        b"\xef\xbb\xbf",
        good.trim_ascii_end(),
        b"\r\n{\"problem_id\":\"\xff\"}\r\n",
    ]
    .concat();
    std::fs::write(&path, bytes).unwrap();
    let (records, skipped) = read::<Trajectory>(&path, OnBadRow::Skip).unwrap();
    assert_eq!((records.len(), skipped.rows[0].line), (1, 2));
}

#[test]
fn a_missing_file_or_a_folder_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = read::<Trajectory>(dir.path().join("none.jsonl"), OnBadRow::Skip)
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("none.jsonl: cannot read") && missing.ends_with("(check the path)"),
        "{missing}"
    );
    let folder = read::<Trajectory>(dir.path(), OnBadRow::Skip)
        .unwrap_err()
        .to_string();
    assert!(folder.ends_with("a regular file is expected"), "{folder}");
}

#[test]
fn a_finished_file_is_sorted_by_question_and_sample_whatever_the_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.jsonl"), dir.path().join("b.jsonl"));
    let records = vec![
        sample("q/10", 1),
        sample("q/2", 1),
        sample("q/10", 0),
        sample("q/2", 0),
    ];
    let keys = |records: &[Trajectory]| -> Vec<(String, u32)> {
        records
            .iter()
            .map(|r| (r.problem_id.clone(), r.sample))
            .collect()
    };
    let sorted = write_sorted(&a, records.clone()).unwrap();
    let expected =
        [("q/2", 0), ("q/2", 1), ("q/10", 0), ("q/10", 1)].map(|(id, s)| (id.to_string(), s));
    assert_eq!(keys(&sorted), expected);
    write_sorted(&b, records.into_iter().rev().collect()).unwrap();
    assert_eq!(text(&a), text(&b));
}

#[test]
fn a_file_cut_at_any_byte_resumes_to_the_uncut_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.jsonl");
    let records: Vec<Trajectory> = (0..4).map(|i| sample("q/0", i)).collect();
    let (mut appender, found) = Appender::resume::<Trajectory>(&path).unwrap();
    assert!(found.is_empty());
    for record in &records {
        appender.append(record).unwrap();
    }
    appender.sync().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (mut appender, found) = Appender::resume::<Trajectory>(&path).unwrap();
        let whole_lines = whole[..cut].split(|b| *b == b'\n').count() - 1;
        assert_eq!(found, records[..whole_lines], "cut at byte {cut}");
        for record in &records[whole_lines..] {
            appender.append(record).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at byte {cut}");
    }
}

#[test]
fn a_tail_of_zeros_after_a_power_cut_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.jsonl");
    write_atomic(&path, [&sample("q/0", 0)]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [whole.as_slice(), &[0; 100]].concat()).unwrap();
    let (_, found) = Appender::resume::<Trajectory>(&path).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn a_whole_line_that_is_no_record_is_an_error_on_resume_and_the_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.jsonl");
    std::fs::write(&path, "{\"other\":1}\n{\"to").unwrap();
    let error = Appender::resume::<Trajectory>(&path)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("s.jsonl:1: missing field `problem_id`"),
        "{error}"
    );
    assert_eq!(text(&path), "{\"other\":1}\n{\"to");
}

#[test]
fn an_invalid_record_is_refused_before_a_byte_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.jsonl");
    let mut bad = sample("q/0", 1);
    bad.token_logps = Some(vec![0.0, f32::NAN, 0.0]);
    let (mut appender, _) = Appender::resume::<Trajectory>(&path).unwrap();
    appender.append(&sample("q/0", 0)).unwrap();
    let before = text(&path);
    let error = appender.append(&bad).unwrap_err();
    assert!(
        matches!(error, Error::Invalid { .. })
            && error.to_string().contains("token_logps[1] is NaN"),
        "{error}"
    );
    assert_eq!(text(&path), before);

    let error = write_atomic(&path, [&sample("q/0", 0), &bad]).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }));
    assert_eq!(text(&path), before, "the old file stays");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn a_stale_temporary_file_of_a_killed_run_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.jsonl");
    std::fs::write(dir.path().join(".s.jsonl.tmp"), "half a rec").unwrap();
    write_atomic(&path, [&sample("q/0", 0)]).unwrap();
    assert_eq!(
        read::<Trajectory>(&path, OnBadRow::Fail).unwrap().0.len(),
        1
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// `/dev/full` refuses every write with "no space left on device".
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_clear_error_and_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.jsonl");
    write_atomic(&path, [&sample("q/0", 0)]).unwrap();
    let before = text(&path);
    std::os::unix::fs::symlink("/dev/full", dir.path().join(".s.jsonl.tmp")).unwrap();
    let error = write_atomic(&path, [&sample("q/0", 1)])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("s.jsonl: cannot write") && error.contains("free some space"),
        "{error}"
    );
    assert_eq!(text(&path), before);

    let mut appender = Appender {
        path: path.clone(),
        file: OpenOptions::new().append(true).open("/dev/full").unwrap(),
        length: 0,
    };
    let error = appender.append(&sample("q/0", 1)).unwrap_err().to_string();
    assert!(
        error.contains("s.jsonl: cannot append a record")
            && error.contains("goes on from the last whole record")
    );
}

#[test]
fn a_missing_folder_is_a_clear_error_of_the_writers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no").join("s.jsonl");
    for error in [
        write_atomic(&path, [&sample("q/0", 0)]).unwrap_err(),
        Appender::resume::<Trajectory>(&path).unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::Io { .. }) && error.to_string().ends_with("(check the path)"),
            "{error}"
        );
    }
}
