//! A fuzz run on the stable compiler: millions of mutated answers and responses, the same ones for the same seed.
//!
//! `CDPO_TEST_DATA=<folder> cargo run --release -p cdpo-grade --example mutations -- [COUNT] [SEED]` takes the gold answers,
//! solutions and test cases in the folder, mutates them, and holds each pair to what the fuzz target (`fuzz/`) demands: no
//! panic, a key exactly where something was parsed, equality alike in either order and true of what is read and itself, equal
//! keys only for equal answers. It reports the slowest comparison, at its best of five so that other work on the machine does
//! not count, and ends with an error on the first broken demand.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};
use fastrand::Rng;

/// Pieces that mutations put in.
const PIECES: &[&str] = &[
    "\\frac{",
    "}{",
    "}",
    "{",
    "\\sqrt",
    "\\sqrt{",
    "^",
    "^{",
    "_",
    "_{",
    "(",
    ")",
    "[",
    "]",
    "|",
    "!",
    "%",
    "\\%",
    "$",
    "\\$",
    ",",
    ";",
    ":",
    ".",
    "...",
    "-",
    "+",
    "=",
    "<",
    ">",
    "\\le ",
    "\\cup ",
    "\\pm ",
    "\\cdot ",
    "/",
    "*",
    "0",
    "1",
    "9",
    "12",
    "1000",
    "99999999999999999999",
    "e9",
    "1e400",
    "x",
    "y",
    "i",
    "e",
    "\\pi",
    "\\infty",
    "\\sin ",
    "\\ln",
    "\\log_",
    "\\binom{",
    "\\begin{pmatrix}",
    "\\\\",
    "&",
    "\\end{pmatrix}",
    "\\{",
    "\\}",
    "\\text{",
    "\\text{ cm}",
    "^\\circ",
    " and ",
    " or ",
    "\\boxed{",
    "The answer is ",
    "#### ",
    "\n",
    " ",
    "(3)",
    "\\overline{3}",
    " million",
    "½",
    "²",
    "−",
    "٣",
    "\u{0}",
    "\u{1F600}",
];

/// Texts of the folder: answers, and ends of responses.
fn texts(folder: &Path) -> (Vec<String>, Vec<String>) {
    let files = [
        ("gsm8k_train.jsonl", "answer", "answer"),
        ("math_train.jsonl", "answer", "solution"),
        ("math500.jsonl", "answer", "solution"),
        ("grader_cases.jsonl", "gold", "prediction"),
    ];
    let (mut answers, mut responses) = (Vec::new(), Vec::new());
    for (file, answer, response) in files {
        let path = folder.join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("a JSON row");
            let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let gold = field(answer);
            answers.push(gold.rsplit("#### ").next().unwrap_or_default().to_owned());
            let response = field(response);
            let tail = response
                .char_indices()
                .rev()
                .nth(600)
                .map_or(0, |(at, _)| at);
            responses.push(response[tail..].to_owned());
        }
    }
    (answers, responses)
}

/// A text with one to six changes.
fn mutated(text: &str, others: &[String], rng: &mut Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=rng.usize(..6) {
        let at = rng.usize(..=chars.len());
        let len = rng.usize(..8).min(chars.len() - at);
        match rng.usize(..8) {
            0 => drop(chars.drain(at..at + len)),
            1 => {
                let copied: Vec<char> = chars[at..at + len].to_vec();
                chars.splice(at..at, copied);
            }
            2 => {
                // The same piece again and again.
                let piece = PIECES[rng.usize(..PIECES.len())];
                let times = 1 << rng.usize(..7);
                chars.splice(at..at, piece.repeat(times).chars());
            }
            3 => {
                let other: Vec<char> = others[rng.usize(..others.len())].chars().collect();
                let from = rng.usize(..=other.len());
                chars.splice(at..at + len, other[from..].iter().copied());
            }
            4 if at < chars.len() => chars[at] = char::from(rng.u8(32..127)),
            5 if at < chars.len() => {
                let with = rng.usize(..chars.len());
                chars.swap(at, with);
            }
            _ => {
                let piece = PIECES[rng.usize(..PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
        }
    }
    chars.into_iter().collect()
}

fn hold(demand: bool, what: &str, a: &str, b: &str) {
    assert!(demand, "{what}:\n{a:?}\n{b:?}");
}

fn main() {
    let Some(folder) = std::env::var_os("CDPO_TEST_DATA") else {
        println!("set CDPO_TEST_DATA to the folder with the data sets");
        return;
    };
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |n| n.parse().expect("a number"))
    };
    let (count, seed) = (number(1_000_000u64), number(1u64));
    let (answers, responses) = texts(Path::new(&folder));
    let graders = [
        Extraction::Auto,
        Extraction::Math,
        Extraction::Gsm8kStrict,
        Extraction::Gsm8kStrictFilter,
        Extraction::Gsm8kFlexible,
        Extraction::Choice,
        Extraction::Plain,
    ]
    .map(|extraction| {
        Grader::new(GradeOptions {
            extraction,
            ..GradeOptions::default()
        })
    });
    let mut rng = Rng::with_seed(seed);
    let (mut read, mut equal, mut parsed, mut correct) = (0u64, 0u64, 0u64, 0u64);
    let mut worst = (Duration::ZERO, String::new(), String::new());
    for n in 0..count {
        let a = mutated(&answers[rng.usize(..answers.len())], &answers, &mut rng);
        let b = match rng.usize(..3) {
            0 => answers[rng.usize(..answers.len())].clone(),
            1 => mutated(&a, &answers, &mut rng),
            _ => a.clone() + "+0",
        };
        let grader = &graders[(n % 6) as usize];
        let start = Instant::now();
        let same = grader.equal(&a, &b);
        let took = start.elapsed();
        let (k, l) = (grader.key(&a), grader.key(&b));
        hold(same == grader.equal(&b, &a), "not symmetric", &a, &b);
        hold(grader.equal(&a, &a) == k.is_some(), "not reflexive", &a, &a);
        hold(k.is_none() || k != l || same, "one key, not equal", &a, &b);
        read += u64::from(k.is_some());
        equal += u64::from(same);
        let mut slow = (took, a, b);
        if n % 4 == 0 {
            let response = mutated(
                &responses[rng.usize(..responses.len())],
                &responses,
                &mut rng,
            );
            let gold = answers[rng.usize(..answers.len())].clone();
            let start = Instant::now();
            let verdict = grader.grade(&response, &gold);
            let took = start.elapsed();
            hold(
                (verdict.outcome == Outcome::Unparsed) == verdict.key.is_none(),
                "a key without an answer",
                &response,
                &gold,
            );
            parsed += u64::from(verdict.key.is_some());
            correct += u64::from(verdict.outcome == Outcome::Correct);
            if took > slow.0 {
                slow = (took, response, gold);
            }
        }
        if slow.0 > worst.0 {
            let (_, a, b) = &slow;
            let once = |_| {
                let start = Instant::now();
                grader.equal(a, b);
                grader.grade(a, b);
                start.elapsed()
            };
            let best = (0..5).map(once).min().unwrap_or_default().min(slow.0 * 2);
            if best > worst.0 {
                worst = (best, slow.1, slow.2);
            }
        }
    }
    println!("{count} pairs of mutated answers: {read} first answers read, {equal} pairs equal");
    println!(
        "{} mutated responses: {parsed} parsed, {correct} correct",
        count.div_ceil(4)
    );
    let head = |text: &str| text.chars().take(80).collect::<String>();
    println!(
        "slowest: {:?} (compared and graded), {:?} against {:?}",
        worst.0,
        head(&worst.1),
        head(&worst.2)
    );
}
