//! Kinds of file: what is read whatever its name, and what is refused by its own.

use std::io::Write;
use std::path::{Path, PathBuf};

use cdpo_data::problems::{Format, read};
use cdpo_data::{Problem, given_pairs, given_responses, given_solutions};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::basic::Compression as Codec;

use crate::problems::{GSM8K, options, skip};
use crate::{parquet_file, text_file};

fn bytes_file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Questions and answers of a file.
fn rows(path: &Path) -> Vec<(String, String)> {
    let (problems, _) = read(path, &options()).unwrap();
    let row = |p: Problem| (p.question, p.answer);
    problems.into_iter().map(row).collect()
}

fn refusal(path: &Path) -> String {
    read(path, &skip()).unwrap_err().to_string()
}

#[test]
fn gzip_is_unpacked_whatever_the_name_and_the_ids_are_those_of_the_file_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let plain = read(text_file(dir.path(), "t.jsonl", GSM8K), &options()).unwrap();
    let middle = GSM8K.find('\n').unwrap() + 1;
    let members = [
        gzip(&GSM8K.as_bytes()[..middle]),
        gzip(&GSM8K.as_bytes()[middle..]),
    ]
    .concat();
    for (name, bytes) in [
        ("t.jsonl.gz", gzip(GSM8K.as_bytes())),
        ("t.json.GZ", gzip(GSM8K.as_bytes())),
        ("t.jsonl", gzip(GSM8K.as_bytes())),
        // As `cat a.gz b.gz` makes it.
        ("t.gz", members),
    ] {
        let packed = read(bytes_file(dir.path(), name, &bytes), &options()).unwrap();
        assert_eq!(packed.0, plain.0, "{name}");
    }
}

#[test]
fn a_gzip_file_cut_off_anywhere_is_an_error_and_no_shorter_table() {
    let dir = tempfile::tempdir().unwrap();
    let packed = gzip(GSM8K.as_bytes());
    for cut in 2..packed.len() {
        let path = bytes_file(dir.path(), "t.jsonl.gz", &packed[..cut]);
        let error = refusal(&path);
        assert!(
            error.contains("t.jsonl.gz: cannot read: the gzip data is broken or cut off"),
            "cut at {cut}: {error}"
        );
    }
    let mut broken = packed;
    let last = broken.len() - 6;
    broken[last] ^= 1;
    let error = refusal(&bytes_file(dir.path(), "t.jsonl.gz", &broken));
    assert!(
        error.contains("the gzip data is broken"),
        "the checksum: {error}"
    );
}

#[test]
fn comma_tab_and_semicolon_separated_rows_are_read_with_their_digits() {
    let dir = tempfile::tempdir().unwrap();
    let expected = [
        ("What is 2^64 + 1?", "18446744073709551617"),
        ("Two, \"three\"\nor four?", "0.10"),
        ("é", "1e3"),
    ]
    .map(|(q, a)| (q.to_owned(), a.to_owned()));
    let commas = "question,answer,note\nWhat is 2^64 + 1?,18446744073709551617,\n\"Two, \"\"three\"\"\nor four?\",0.10,x\n\né,1e3,\n";
    for (name, text) in [
        ("t.csv", commas.to_owned()),
        ("t.txt", commas.to_owned()),
        (
            "windows.csv",
            format!(
                "\u{feff}{}",
                commas
                    .replace("\n\n", "\n")
                    .replace(",\n", ",\r\n")
                    .replace(",x\n", ",x\r\n")
            ),
        ),
        ("last.csv", commas.trim_end().to_owned()),
        (
            "quoted.csv",
            commas.replacen("question,answer", "\"question\", answer ", 1),
        ),
        (
            "t.tsv",
            commas
                .replacen("question,answer,note", "question\tanswer\tnote", 1)
                .replace("?,1", "?\t1")
                .replace("7,", "7\t")
                .replace("\",0.10,", "\"\t0.10\t")
                .replace("é,1e3,", "é\t1e3\t"),
        ),
        (
            "t.csv",
            commas
                .replacen("question,answer,note", "question;answer;note", 1)
                .replace("?,1", "?;1")
                .replace("7,", "7;")
                .replace("\",0.10,", "\";0.10;")
                .replace("é,1e3,", "é;1e3;"),
        ),
    ] {
        let path = text_file(dir.path(), name, &text);
        assert_eq!(rows(&path), expected, "{name}: {text}");
        let packed = bytes_file(dir.path(), &format!("{name}.gz"), &gzip(text.as_bytes()));
        assert_eq!(rows(&packed), expected, "{name}.gz");
        let ids = |path| {
            read(path, &options())
                .unwrap()
                .0
                .into_iter()
                .map(|p| p.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(packed), ids(path));
    }
}

#[test]
fn an_empty_field_is_an_absent_one() {
    let dir = tempfile::tempdir().unwrap();
    let text = "id,question,problem,answer,level,solution\na,,Why?,4,5,\n,Where?,,5,,there\n";
    let (problems, _) = read(
        text_file(dir.path(), "t.csv", text),
        &cdpo_data::problems::ReadOptions {
            format: Format::Generic,
            ..options()
        },
    )
    .unwrap();
    let told: Vec<_> = problems
        .iter()
        .map(|p| {
            (
                p.id.as_str(),
                p.question.as_str(),
                p.level,
                p.solution.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("a", "Why?", Some(5), None),
            ("t/1", "Where?", None, Some("there"))
        ]
    );
}

/// What a reader makes of rows in which a column is empty: the same in CSV and, as null or as a blank text, in JSON Lines.
#[test]
fn an_empty_field_and_a_null_are_absent_alike_in_every_reader() {
    let dir = tempfile::tempdir().unwrap();
    let told = |reader: usize, path: &Path| {
        let problems = read(path, &skip()).map(|(p, s)| (p, reasons(&s)));
        let pairs = given_pairs::read(path, skip().on_bad_row, None).map(|(p, s)| (p, reasons(&s)));
        let solutions =
            given_solutions::read(path, skip().on_bad_row).map(|(p, s)| (p, reasons(&s)));
        let responses = given_responses::read(path).map(|all| {
            let fields = |r: given_responses::GivenResponse| (r.response, r.gold, r.label);
            all.into_iter().map(fields).collect::<Vec<_>>()
        });
        let words = |text: String| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let text = text
                .replace(&path.display().to_string(), "")
                .replace(name, "");
            // The header is a line of its own.
            text.replace(":2:", ":1:").replace("line 2", "line 1")
        };
        let error = |e: cdpo_data::Error| words(e.to_string());
        [
            words(format!("{:?}", problems.map_err(error))),
            words(format!("{:?}", pairs.map_err(error))),
            words(format!("{:?}", solutions.map_err(error))),
            words(format!("{:?}", responses.map_err(error))),
        ][reader]
            .clone()
    };
    for (reader, row) in [
        // Questions.
        (
            0,
            [
                ("question", "q"),
                ("answer", ""),
                ("solution", "so \\boxed{4}"),
            ],
        ),
        (0, [("question", "q"), ("answer", "4"), ("solution", "")]),
        (
            0,
            [("question", "q"), ("answer", "so #### 4"), ("solution", "")],
        ),
        (0, [("question", ""), ("problem", "p"), ("answer", "4")]),
        (0, [("question", ""), ("answer", "4"), ("id", "")]),
        // Pairs.
        (1, [("prompt", ""), ("chosen", "a"), ("rejected", "b")]),
        (1, [("prompt", "p"), ("chosen", ""), ("rejected", "b")]),
        (1, [("prompt", "p"), ("chosen", "a"), ("rejected", "")]),
        // Solutions.
        (2, [("question", "q"), ("gold", ""), ("response", "r")]),
        (2, [("problem", "q"), ("gold", "4"), ("response", "")]),
        // Responses.
        (3, [("response", ""), ("gold", "4"), ("label", "true")]),
        (3, [("response", "r"), ("gold", ""), ("answer", "4")]),
        (3, [("response", "r"), ("gold", "4"), ("label", "")]),
    ] {
        let names = row.map(|(name, _)| name).join(",");
        let csv = format!("{names}\n{}\n", row.map(|(_, cell)| cell).join(","));
        let by_csv = told(reader, &text_file(dir.path(), "t.csv", &csv));
        for absent in ["null", "\"\"", "\" \""] {
            let cell = |(name, cell): (&str, &str)| match cell {
                "" => format!("\"{name}\": {absent}"),
                cell => format!("\"{name}\": {cell:?}"),
            };
            let json = format!("{{{}}}\n", row.map(cell).join(", "));
            let by_json = told(reader, &text_file(dir.path(), "t.jsonl", &json));
            assert_eq!(by_csv, by_json, "{json}");
        }
    }
    // Pairs are encoded if there are ids, not if there is an empty column for them.
    for ids in ["null", "\"\""] {
        let row = format!(
            "{{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\", \"prompt_ids\": {ids}}}"
        );
        let path = text_file(dir.path(), "p.jsonl", &row);
        let (pairs, _) = given_pairs::read(&path, options().on_bad_row, None).unwrap();
        assert!(matches!(pairs, given_pairs::GivenPairs::Text(_)), "{ids}");
    }
}

fn reasons(skipped: &cdpo_data::Skipped) -> Vec<String> {
    skipped.rows.iter().map(|row| row.reason.clone()).collect()
}

#[test]
fn lines_are_counted_whatever_ends_them_and_wherever_they_are_blank() {
    let dir = tempfile::tempdir().unwrap();
    let unix = "\n\nquestion,answer\n\n\"q\n\n0\",1\nq1,2,3\n\n\nq2\n\"q3\",\"4\"\n";
    for text in [unix.to_owned(), unix.replace('\n', "\r\n")] {
        let path = text_file(dir.path(), "t.csv", &text);
        let (problems, skipped) = read(&path, &skip()).unwrap();
        let lines: Vec<usize> = skipped.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [8, 11], "{text:?}");
        let answers: Vec<&str> = problems.iter().map(|p| p.answer.as_str()).collect();
        assert_eq!(answers, ["1", "4"], "{text:?}");
        let open = text_file(dir.path(), "o.csv", &(text + "q4,\"5"));
        let error = refusal(&open);
        assert!(error.contains("o.csv:13: a quotation mark"), "{error}");
        let one = text_file(dir.path(), "r.csv", "response,gold\r\n\r\na,\r\n");
        let error = given_responses::read(&one).unwrap_err().to_string();
        assert!(
            error.contains("r.csv:3: the gold answer is empty"),
            "{error}"
        );
    }
}

#[test]
fn a_header_that_begins_like_another_kind_of_file_is_a_header() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "PARENT", "PARE", "FEA1", "ARROW1", "Rar!", "ORC", "BZh", "%PDF",
    ] {
        let text = format!("{name},question,answer\nx,q,1\n");
        let path = text_file(dir.path(), "t.csv", &text);
        assert_eq!(rows(&path), [("q".to_owned(), "1".to_owned())], "{name}");
    }
}

#[test]
fn a_file_of_responses_without_rows_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, reason) in [
        ("r.csv", "response,gold\n", "r.csv: the file has no rows"),
        (
            "r.csv",
            "response,gold\r\n\r\n",
            "r.csv: the file has no rows",
        ),
        ("r.jsonl", "\n", "r.jsonl: the file is empty"),
        ("r.jsonl", "", "r.jsonl: the file is empty"),
    ] {
        let error = given_responses::read(text_file(dir.path(), name, text))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_column_that_nobody_reads_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let expected = [("q".to_owned(), "1".to_owned())];
    let csv = bytes_file(
        dir.path(),
        "t.csv",
        b"question,note,answer,note\nq,caf\xe9,1,\n",
    );
    assert_eq!(rows(&csv), expected);
    let deep = "[".repeat(50) + &"]".repeat(50);
    let json = format!("{{\"note\": {deep}, \"question\": \"q\", \"note\": 2, \"answer\": 1}}");
    assert_eq!(rows(&text_file(dir.path(), "t.jsonl", &json)), expected);
    // Of one that is read, which is meant cannot be told.
    let json = "{\"question\": \"q\", \"answer\": 2, \"answer\": 1}";
    let error = refusal(&text_file(dir.path(), "t.jsonl", json));
    assert!(
        error.contains("the column \"answer\" stands there twice"),
        "{error}"
    );
}

#[test]
fn every_reader_of_users_files_takes_csv_and_gzip() {
    let dir = tempfile::tempdir().unwrap();
    let responses = text_file(
        dir.path(),
        "r.csv",
        "response,gold,correct\nfour,4,True\n,5,false\n",
    );
    let found = given_responses::read(&responses).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|r| (r.line, r.response.as_str(), r.gold.as_str(), r.label))
        .collect();
    assert_eq!(
        told,
        [(2, "four", "4", Some(true)), (3, "", "5", Some(false))]
    );

    let pairs = bytes_file(
        dir.path(),
        "p.csv.gz",
        &gzip(b"prompt,chosen,rejected\nq,a,b\n"),
    );
    let (pairs, _) = given_pairs::read(&pairs, options().on_bad_row, None).unwrap();
    assert!(
        matches!(pairs, given_pairs::GivenPairs::Text(rows) if rows[0].rejected == "b" && rows[0].id == "p/0")
    );
    let row = r#"{"prompt":"q","chosen":" a","rejected":" b","problem_id":"1","chosen_sample":0,"rejected_sample":1,"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3],"chosen_terminated":false,"rejected_terminated":false}"#;
    let encoded = bytes_file(dir.path(), "p.jsonl.gz", &gzip(row.as_bytes()));
    let (pairs, _) = given_pairs::read(&encoded, options().on_bad_row, None).unwrap();
    assert!(
        matches!(pairs, given_pairs::GivenPairs::Encoded(pairs) if pairs[0].rejected_ids == [3])
    );
    let flat = text_file(
        dir.path(),
        "flat.csv",
        "prompt,chosen,rejected,prompt_ids\nq,a,b,\"[1]\"\n",
    );
    let error = given_pairs::read(&flat, options().on_bad_row, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("read from JSON Lines only"), "{error}");
    let messages = text_file(
        dir.path(),
        "m.csv",
        "prompt,chosen,rejected\nq,\"[{'role': 'assistant', 'content': 'a'}]\",b\n",
    );
    let error = given_pairs::read(&messages, options().on_bad_row, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("list of messages"), "{error}");

    let wrong = text_file(
        dir.path(),
        "w.csv",
        "question,gold,response,first_error_step\nq,4,five,1\n",
    );
    let (found, _) = given_solutions::read(&wrong, options().on_bad_row).unwrap();
    assert_eq!(
        (found[0].gold.as_str(), found[0].first_error_step),
        ("4", Some(1))
    );
}

#[test]
fn a_bad_csv_row_is_named_by_its_line_or_skipped_and_an_open_quotation_mark_is_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let text = "question,answer\n\"q\n0\",1\nq1,2,3\nq2\n\nq3,4\n";
    let path = text_file(dir.path(), "t.csv", text);
    let error = read(&path, &options()).unwrap_err().to_string();
    assert!(
        error.contains("t.csv:4: there are 3 fields, but the header row has 2 columns"),
        "{error}"
    );
    let (problems, skipped) = read(&path, &skip()).unwrap();
    let ids: Vec<&str> = problems.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["t/0", "t/3"]);
    assert_eq!(
        skipped.rows.iter().map(|r| r.line).collect::<Vec<_>>(),
        [4, 5]
    );
    let latin1 = bytes_file(dir.path(), "l.csv", b"question,answer\nq,1\ncaf\xe9,2\n");
    let error = read(&latin1, &options()).unwrap_err().to_string();
    assert!(
        error.contains("l.csv:3: the column \"question\" is not UTF-8: save the file as UTF-8"),
        "{error}"
    );
    for text in [
        "question,answer\nq,1\n\"q1,2\nq2,3\n",
        "question,answer\nq,1\n\"q1,2",
        "question,answer\nq,1\nq1,\"2\n",
    ] {
        let error = refusal(&text_file(dir.path(), "t.csv", text));
        assert!(
            error.contains("t.csv:3: a quotation mark opens a field here that is not closed"),
            "{error}"
        );
    }
    // A mark within a field that has none around it is a letter.
    let inches = text_file(
        dir.path(),
        "t.csv",
        "question,answer\nHow long is 5\" in cm?,12.7\n",
    );
    assert_eq!(rows(&inches)[0].0, "How long is 5\" in cm?");
}

#[test]
fn a_header_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for (text, reason) in [
        (
            "q,a\n1,2\n",
            "none of the expected columns is in the header row, which has: q, a",
        ),
        (
            "question,answer,answer\n1,2,3\n",
            "the column \"answer\" stands twice in the header",
        ),
        ("question,answer\n", "the file has no rows"),
        (
            "\"question,answer\n1,2\n",
            "a quotation mark opens a field here",
        ),
        ("", "the file is empty"),
    ] {
        let error = refusal(&text_file(dir.path(), "t.csv", text));
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn parquet_is_read_in_every_usual_compression() {
    let dir = tempfile::tempdir().unwrap();
    let cells = [
        vec![Some("q0"), Some("so #### 1")],
        vec![Some("q1"), Some("so #### 2")],
    ];
    for codec in parquet_file::codecs() {
        let path = parquet_file::write(
            dir.path(),
            "t.parquet",
            &["question", "answer"],
            &cells,
            codec,
        );
        assert_eq!(rows(&path).len(), 2, "{codec}");
    }
}

#[test]
fn what_is_plainly_something_else_is_refused_by_name_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let utf16: Vec<u8> = GSM8K.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big_endian: Vec<u8> = GSM8K.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: &[(&str, &[u8], &str, &str)] = &[
        (
            "a.jsonl",
            b"PK\x03\x04\x14\0\0\0zz",
            "a zip archive",
            "unpack it",
        ),
        (
            "a.jsonl",
            b"PK\x03\x04\x14\0[Content_Types].xml..xl/workbook.xml",
            "an Excel workbook",
            "save the sheet as CSV",
        ),
        (
            "a.xlsx",
            b"PK\x03\x04\x14\0[Content_Types].xml",
            "an Excel workbook",
            "save the sheet as CSV",
        ),
        (
            "a.xls",
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "an Excel workbook",
            "save the sheet as CSV",
        ),
        ("a.csv", b"\x28\xb5\x2f\xfd\0\0", "zstd", "zstd -d"),
        ("a.jsonl.xz", b"\xfd7zXZ\0\0", "xz", "xz -d"),
        ("a.jsonl.bz2", b"BZh91AY&SY..", "bzip2", "bzip2 -d"),
        ("a.jsonl.lz4", b"\x04\x22\x4d\x18..", "lz4", "lz4 -d"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c..", "7z", "unpack it"),
        ("a.rar", b"Rar!\x1a\x07", "RAR", "unpack it"),
        ("a.tar", &tar, "a tar archive", "tar xf"),
        ("a.arrow", b"ARROW1\0\0", "Arrow", "parquet"),
        (
            "a.arrow",
            b"\xff\xff\xff\xff\x10\0",
            "Arrow stream",
            "to_parquet",
        ),
        ("a.feather", b"FEA1\0\x02", "Feather", "to_parquet"),
        (
            "a.parquet",
            b"PARE\x15\0",
            "encrypted Parquet",
            "without encryption",
        ),
        ("a.orc", b"ORC\0..", "ORC", "to_parquet"),
        ("a.avro", b"Obj\x01..", "Avro", "Parquet"),
        (
            "a.db",
            b"SQLite format 3\0..",
            "SQLite",
            "sqlite3 -header -csv",
        ),
        ("a.npy", b"\x93NUMPY\x01\0", "NumPy", "JSON Lines"),
        ("a.pkl", b"\x80\x04\x95..", "Python pickle", "to_parquet"),
        ("a.pkl", b"(lp0\nS'a'", "Python pickle", "to_parquet"),
        ("a.pdf", b"%PDF-1.7", "a PDF file", "JSON Lines"),
        ("a.jsonl", b"\xff\xfe{\0\"\0", "UTF-16", "iconv"),
        ("a.jsonl", &utf16, "UTF-16", "iconv"),
        ("a.csv", &big_endian, "UTF-16", "iconv"),
        (
            "a.jsonl",
            b"<!DOCTYPE html><html>Sign in",
            "HTML",
            "download the file again",
        ),
        (
            "a.csv",
            b"\xef\xbb\xbf\n <html lang=en>",
            "HTML",
            "download the file again",
        ),
        (
            "a.jsonl",
            b"<?xml version=\"1.0\"?><Error><Code>AccessDenied",
            "XML",
            "download the file again",
        ),
        (
            "a.parquet",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "Git LFS pointer",
            "git lfs pull",
        ),
        (
            "a.jsonl",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "Git LFS pointer",
            "git lfs pull",
        ),
        (
            "a.jsonl",
            b"\x01\x02\0\0\x07question",
            "binary data",
            "JSON Lines",
        ),
        (
            "a.json",
            b"[{\"question\": 1}]",
            "a JSON array",
            "jq -c '.[]'",
        ),
        (
            "a.json",
            b"{\n  \"question\": \"q\"\n}\n",
            "an object over several lines",
            "jq -c .",
        ),
    ];
    for (name, bytes, what, remedy) in cases {
        let error = refusal(&bytes_file(dir.path(), name, bytes));
        assert!(
            error.contains(&format!("{name}: ")) && error.contains(what) && error.contains(remedy),
            "{error}"
        );
        // The same inside gzip, by what is inside.
        let error = refusal(&bytes_file(dir.path(), "packed.gz", &gzip(bytes)));
        assert!(
            error.contains(what) || name.ends_with("xlsx"),
            "{what}: {error}"
        );
    }
    let error = refusal(dir.path());
    assert!(
        error.ends_with("this is a folder: name the file in it"),
        "{error}"
    );
    let twice = bytes_file(dir.path(), "t.gz", &gzip(&gzip(GSM8K.as_bytes())));
    assert!(refusal(&twice).contains("packed with gzip twice"));
    let cells = [vec![Some("q0"), Some("so #### 1")]];
    let table = parquet_file::write(
        dir.path(),
        "t.parquet",
        &["question", "answer"],
        &cells,
        Codec::SNAPPY,
    );
    let packed = bytes_file(
        dir.path(),
        "t.parquet.gz",
        &gzip(&std::fs::read(table).unwrap()),
    );
    assert!(refusal(&packed).contains("a Parquet file packed with gzip: unpack it"));
}

#[test]
fn a_byte_order_mark_and_lines_of_windows_are_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("\u{feff}{}", GSM8K.replace('\n', "\r\n"));
    let plain = read(text_file(dir.path(), "t.jsonl", GSM8K), &options()).unwrap();
    let marked = read(text_file(dir.path(), "t.jsonl", &text), &options()).unwrap();
    assert_eq!(marked.0, plain.0);
}
