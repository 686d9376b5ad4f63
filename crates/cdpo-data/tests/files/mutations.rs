//! Files with bytes changed at random: every reader gives rows or an error and never panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cdpo_data::problems::{Columns, ReadOptions};
use cdpo_data::{OnBadRow, given_pairs, given_responses, given_solutions, problems};
use fastrand::Rng;

use crate::kinds::gzip;
use crate::parquet_file;

const TEXTS: [&str; 4] = [
    "{\"question\": \"q \\u00e9\", \"answer\": 18446744073709551617, \"id\": \"a\", \"level\": \"Level 5\"}\n{\"problem\": \"p\", \"solution\": \"so \\\\boxed{\\\\frac{1}{2}}\", \"answer\": null}\n",
    "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\", \"chosen_weights\": [0.5, 1e3]}\n{\"question\": \"q\", \"gold\": 1e3, \"steps\": [\"Step 1: a\", \"Step 2: b\"], \"first_error_step\": 2}\n",
    "question,answer,response,gold,correct\n\"a \"\"b\"\"\nc\",0.10,so 5,5,True\nd,1e3,,7,false\n",
    "prompt\tchosen\trejected\tprompt_ids\np\ta\tb\t\nq\t\"x\ty\"\tz\t1\n",
];

/// Bytes that formats give a meaning.
const MARKS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\t",
    b"\n",
    b"\r",
    b":",
    b"\0",
    b"\xff",
    b"\xfe",
    b"\xef\xbb\xbf",
    b"PAR1",
    b"\x1f\x8b",
    b"null",
    b"1e999",
    b"\\u",
    b"\\ud800",
    b"####",
    b"\x7f",
    b"\x80",
];

fn mutated(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.usize(..4) {
        let at = rng.usize(..=bytes.len());
        match rng.usize(..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            1 if at < bytes.len() => bytes[at] = rng.u8(..),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + rng.usize(..9)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + rng.usize(..33)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = rng.usize(..=bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let mark = MARKS[rng.usize(..MARKS.len())];
                bytes.splice(at..at, mark.iter().copied());
            }
        }
    }
    bytes
}

/// Every reader of users' files, with the policy that goes on the longest.
fn read_all(path: &Path) -> usize {
    let columns = Columns {
        question: "question".into(),
        answer: "rank".into(),
        id: Some("id".into()),
        solution: None,
        subject: None,
        level: Some("level".into()),
    };
    let on_bad_row = OnBadRow::Skip;
    let plain = ReadOptions {
        on_bad_row,
        ..ReadOptions::default()
    };
    let mapped = ReadOptions {
        columns: Some(columns),
        ..plain.clone()
    };
    [
        problems::read(path, &plain).is_ok(),
        problems::read(path, &mapped).is_ok(),
        given_pairs::read(path, on_bad_row, None).is_ok(),
        given_solutions::read(path, on_bad_row).is_ok(),
        given_responses::read(path).is_ok(),
    ]
    .into_iter()
    .filter(|read| *read)
    .count()
}

/// Mutates the seeds in turn; the number of reads that gave rows.
fn run(count: u64, seed: u64) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let cells = [
        vec![Some("q0"), Some("so #### 1")],
        vec![Some("q1"), None],
        vec![Some("q2"), Some("#### 3")],
    ];
    let mut seeds: Vec<Vec<u8>> = TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.extend(TEXTS.iter().map(|text| gzip(text.as_bytes())));
    seeds.extend(parquet_file::codecs().map(|codec| {
        let path = parquet_file::write(
            dir.path(),
            "t.parquet",
            &["question", "answer"],
            &cells,
            codec,
        );
        std::fs::read(path).unwrap()
    }));
    let path = dir.path().join("mutated");
    let mut rng = Rng::with_seed(seed);
    let mut read = 0;
    for i in 0..count {
        let bytes = mutated(&mut rng, &seeds[i as usize % seeds.len()]);
        std::fs::write(&path, &bytes).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| read_all(&path)));
        let Ok(some) = outcome else {
            let bytes = bytes.escape_ascii();
            panic!("file {i} of seed {seed} ends in a panic: {bytes}");
        };
        read += some;
    }
    read
}

/// A few thousand; `CDPO_FUZZ_CASES=1000000` takes half an hour in a release build.
#[test]
fn changed_files_are_read_or_refused_without_a_panic() {
    let asked = std::env::var("CDPO_FUZZ_CASES").ok();
    let count = asked.map_or(4_000, |n| n.parse().expect("CDPO_FUZZ_CASES is a number"));
    assert!(
        run(count, 1) as u64 > count / 8,
        "too few are still readable to say anything"
    );
}
