//! Grades JSONL rows with `response` and `gold` from standard input, one verdict a line.
#![allow(clippy::print_stdout)]

use std::io::BufRead;

fn main() {
    let grader = cdpo_grade::Grader::default();
    for line in std::io::stdin().lock().lines() {
        let row: serde_json::Value =
            serde_json::from_str(&line.expect("a line")).expect("a JSON row");
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let verdict = grader.grade(&text("response"), &text("gold"));
        println!("{}", serde_json::to_string(&verdict).expect("a verdict"));
    }
}
