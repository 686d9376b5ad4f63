//! Verdicts a second on one core, and the slowest single comparison.
//!
//! `CDPO_TEST_DATA=<folder> cargo run --release -p cdpo-grade --example speed` reads `gsm8k_train.jsonl` and
//! `math_train.jsonl` from the folder. Times are processor time where the system tells it (Linux), so that other work on the
//! machine does not count; the slowest verdict of a data set is that with the slowest best run.
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

/// The processor time of this thread so far, or the time of day where the system does not tell it.
fn spent(since: Instant) -> Duration {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

fn rate(name: &str, grader: &Grader, rows: &[(String, String)]) {
    let day = Instant::now();
    let start = spent(day);
    let mut verdicts = 0u32;
    let mut correct = 0u32;
    let mut best = vec![Duration::MAX; rows.len()];
    while spent(day).saturating_sub(start) < Duration::from_secs(2) {
        for ((response, gold), best) in rows.iter().zip(&mut best) {
            let one = Instant::now();
            correct += u32::from(grader.grade(response, gold).outcome == Outcome::Correct);
            *best = one.elapsed().min(*best);
            verdicts += 1;
        }
    }
    let rate = f64::from(verdicts) / spent(day).saturating_sub(start).as_secs_f64();
    let worst = best.into_iter().max().unwrap_or_default();
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
        "slowest of {} hostile comparisons: {:?}",
        hostile().len(),
        slowest(&grader(Extraction::Plain), &hostile())
    );
    println!(
        "slowest of {} hostile responses: {:?}",
        long_responses().len(),
        slowest(&grader(Extraction::Auto), &long_responses())
    );
}

/// The time of the slowest pair: the mean of twenty runs, for those that take more than a millisecond once.
fn slowest(grader: &Grader, pairs: &[(String, String)]) -> Duration {
    let day = Instant::now();
    let time = |(a, b): &(String, String)| {
        let once = Instant::now();
        grader.grade(a, b);
        let once = once.elapsed();
        if once < Duration::from_millis(1) {
            return once;
        }
        let start = spent(day);
        for _ in 0..20 {
            grader.grade(a, b);
        }
        spent(day).saturating_sub(start) / 20
    };
    pairs.iter().map(time).max().unwrap_or_default()
}

/// Responses of 32 KiB whose every part may be the answer.
fn long_responses() -> Vec<(String, String)> {
    [
        "1 ",
        "$1$ ",
        "it 5 ",
        "not 5 ",
        "not $5$ or ",
        "$5$ and ",
        "5. x\n",
        "Step 5 ",
        "\\[5\\] ",
        "\\\\[2pt] ",
        "A or B ",
        "$x=5$ or ",
        "\\boxed{5} ",
        "The answer is 5, ",
        "The answer is not $5$ + ",
        "#### 5 ",
    ]
    .map(|part| (part.repeat((32 << 10) / part.len()), "7".to_owned()))
    .to_vec()
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
        "x^".repeat(16) + "2",
        "401e4001e4001e4001e4001".to_owned(),
        "x\\frac{".repeat(30) + "1" + &"}{y}".repeat(30),
        "1".repeat(1 << 20),
    ];
    let list = |item: &dyn Fn(usize) -> String, between: &str| {
        (0..190).map(item).collect::<Vec<_>>().join(between)
    };
    // Two lists of many items, each of which has to be evaluated.
    let lists: [(String, String); 5] = [
        (
            list(&|k| format!("\\sin {k}"), ","),
            list(&|k| format!("\\cos {k}"), ","),
        ),
        (
            list(&|k| format!("\\sin(x+{k})"), ","),
            list(&|k| format!("\\cos(x+{k})"), ","),
        ),
        (
            list(&|k| format!("\\sqrt{{\\sqrt{{{k}}}+1}}"), ","),
            list(&|k| format!("\\sqrt{{\\sqrt{{{k}}}+2}}"), ","),
        ),
        (
            list(&|k| format!("0.{}", 3000 + k), ","),
            list(&|k| format!("{}/7", k + 200), ","),
        ),
        (
            list(&|k| format!("({},{})", 2 * k, 2 * k + 1), "\\cup"),
            list(&|k| format!("({},\\sin {})", 2 * k, 2 * k + 1), "\\cup"),
        ),
    ];
    let mut pairs = lists.to_vec();
    for a in &one {
        for b in &one {
            pairs.push((a.clone(), b.clone() + "+0"));
        }
    }
    pairs
}
