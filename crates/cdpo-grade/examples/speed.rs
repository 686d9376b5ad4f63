//! Verdicts a second on one core, and the slowest single comparison.
//!
//! `CDPO_TEST_DATA=<folder> cargo run --release -p cdpo-grade --example speed` reads `gsm8k_train.jsonl` and
//! `math_train.jsonl` from the folder.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};

fn rows(folder: &Path, file: &str, response: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let field =
        |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON row"));
    rows.map(|row| (field(&row, response), field(&row, "answer")))
        .collect()
}

fn rate(name: &str, grader: &Grader, rows: &[(String, String)]) {
    let start = Instant::now();
    let mut verdicts = 0u32;
    let mut worst = Duration::ZERO;
    let mut correct = 0u32;
    while start.elapsed() < Duration::from_secs(2) {
        for (response, gold) in rows {
            let one = Instant::now();
            correct += u32::from(grader.grade(response, gold).outcome == Outcome::Correct);
            worst = worst.max(one.elapsed());
            verdicts += 1;
        }
    }
    let rate = f64::from(verdicts) / start.elapsed().as_secs_f64();
    println!("{name}: {rate:.0} verdicts/s, {correct} of {verdicts} correct, slowest {worst:?}");
}

fn main() {
    let Some(folder) = std::env::var_os("CDPO_TEST_DATA") else {
        println!("set CDPO_TEST_DATA to the folder with gsm8k_train.jsonl and math_train.jsonl");
        return;
    };
    let folder = Path::new(&folder);
    let grader = |extraction| {
        Grader::new(GradeOptions {
            extraction,
            ..GradeOptions::default()
        })
    };
    let gsm8k: Vec<(String, String)> = rows(folder, "gsm8k_train.jsonl", "answer")
        .into_iter()
        .map(|(response, gold)| (response.replace("\n#### ", "\nThe answer is ") + ".", gold))
        .collect();
    rate("GSM8K", &grader(Extraction::Auto), &gsm8k);
    rate("GSM8K strict", &grader(Extraction::Gsm8kStrict), &gsm8k);
    let math = rows(folder, "math_train.jsonl", "solution");
    rate("MATH", &grader(Extraction::Math), &math);
    // Wrong answers cost more: they are compared to the end.
    let mut golds: Vec<String> = math.iter().map(|(_, gold)| gold.clone()).collect();
    golds.rotate_left(1);
    let wrong: Vec<(String, String)> = math
        .into_iter()
        .map(|(response, _)| response)
        .zip(golds)
        .collect();
    rate("MATH, wrong", &grader(Extraction::Math), &wrong);
    println!(
        "slowest hostile comparison: {:?}",
        slowest(&grader(Extraction::Plain), &hostile())
    );
}

/// The time of the slowest pair, each at its best of five, so that other work on the machine does not count.
fn slowest(grader: &Grader, pairs: &[(String, String)]) -> Duration {
    let time = |(a, b): &(String, String)| {
        let once = || {
            let start = Instant::now();
            grader.grade(a, b);
            start.elapsed()
        };
        (0..5).map(|_| once()).min().unwrap_or_default()
    };
    pairs.iter().map(time).max().unwrap_or_default()
}

/// Pairs that try the bounds.
fn hostile() -> Vec<(String, String)> {
    let nest = |open: &str, close: &str, n: usize| open.repeat(n) + "x" + &close.repeat(n);
    let one = [
        "2003^{2002^{2001}}".to_owned(),
        "(x+y+z+w+v)^{60}-(x+y+z+w+v)^{59}(x+y+z+w+v)".to_owned(),
        "(a+b+c+d+e+f+g+h+j+k)(a+b+c+d+e+f+g+h+j+l)".repeat(40),
        nest("\\sqrt{1+", "}", 40),
        nest("\\frac{1}{1+", "}", 45),
        nest("(", ")", 400),
        nest("{", "}", 40),
        nest("|", "|", 300),
        nest("\\sin(x+", ")", 40),
        nest("((x+1)", "^9)^9", 20),
        "1,".repeat(1500),
        "x^{999999999999999999}".to_owned(),
        "1000!".to_owned(),
        "\\binom{100000}{1000}".to_owned(),
        "\\sqrt{".to_owned() + &"1234567890".repeat(100) + "}",
        "\\ln(".to_owned() + &"7".repeat(3000) + ")",
        "\\pm 1 ".repeat(300),
        "+x".repeat(2000),
        "\\frac".repeat(800),
        "^{2}".repeat(800),
        "1".repeat(1 << 20),
    ];
    let mut pairs = Vec::new();
    for a in &one {
        for b in &one {
            pairs.push((a.clone(), b.clone() + "+0"));
        }
    }
    pairs
}
