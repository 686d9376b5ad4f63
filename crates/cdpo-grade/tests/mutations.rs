//! Answers with pieces changed at random: each is graded without a panic, equals itself if it is read, and compares alike in either order.

use std::panic::catch_unwind;

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};
use fastrand::Rng;

const PIECES: &[&str] = &[
    "5",
    "42",
    "0.10",
    "1,234",
    "1/2",
    "-",
    "−",
    ".",
    ",",
    " ",
    "\u{a0}",
    "/",
    "^",
    "^2",
    "²",
    "⁻¹",
    "{",
    "}",
    "(",
    ")",
    "€",
    "₹",
    "$",
    "\\$",
    "£",
    "¢",
    "EUR",
    "USD",
    "Rs.",
    "Rs",
    "kr",
    "zł",
    "US$",
    "R$",
    "kWh",
    "m",
    "m²",
    "km/h",
    "kg/m³",
    "N·m",
    "µ",
    "μm",
    "°",
    "°C",
    "℃",
    "^\\circ",
    "^{\\circ}",
    "\\text{",
    "\\mathrm{kWh}",
    "\\,",
    "\\cdot",
    "\\mu ",
    "\\frac{1}{2}",
    "\\boxed{",
    "\\sqrt",
    "pounds",
    "euro",
    "yen",
    "square ",
    " per ",
    "cubic",
    "squared",
    "million",
    "hundred",
    "forty",
    "-two",
    "two",
    "and",
    "a half",
    "three quarters",
    "minus ",
    "٤",
    "४२",
    "４",
    "𝟒",
    "٫",
    "٬",
    "####",
    "The answer is ",
    "The answer is",
    "\n",
    "x",
    "ab",
    "C",
    "=",
    "%",
    "\\%",
    "é",
    "\u{301}",
    "\u{e000}",
    "\u{200b}",
    "𐒠",
];

fn text(rng: &mut Rng) -> String {
    let count = rng.usize(1..8);
    (0..count)
        .map(|_| PIECES[rng.usize(..PIECES.len())])
        .collect()
}

fn check(response: &str, gold: &str, graders: &[Grader]) {
    for grader in graders {
        let verdict = grader.grade(response, gold);
        assert_eq!(verdict.outcome == Outcome::Unparsed, verdict.key.is_none());
        if let Some(found) = grader.extract(response) {
            assert!(response.get(found.span.clone()).is_some());
        }
        let _ = grader.settled_at(response);
    }
    let grader = &graders[0];
    assert_eq!(grader.equal(response, gold), grader.equal(gold, response));
    assert_eq!(
        grader.equal(response, response),
        grader.key(response).is_some()
    );
    if let (Some(a), Some(b)) = (grader.key(response), grader.key(gold)) {
        assert!(
            a != b || grader.equal(response, gold),
            "one key, {a}, and not equal"
        );
    }
}

fn run(count: u64, seed: u64) {
    let graders = [
        Extraction::Auto,
        Extraction::Gsm8kStrict,
        Extraction::Gsm8kStrictFilter,
        Extraction::Gsm8kFlexible,
        Extraction::Math,
    ]
    .map(|extraction| {
        Grader::new(GradeOptions {
            extraction,
            ..GradeOptions::default()
        })
    });
    let mut rng = Rng::with_seed(seed);
    for i in 0..count {
        let (response, gold) = (text(&mut rng), text(&mut rng));
        let outcome = catch_unwind(|| check(&response, &gold, &graders));
        assert!(
            outcome.is_ok(),
            "pair {i} of seed {seed}: {response:?} against {gold:?}"
        );
    }
}

/// Twenty thousand; `CDPO_FUZZ_CASES=1000000` takes a minute or two in a release build.
#[test]
fn changed_answers_are_graded_without_a_panic() {
    let asked = std::env::var("CDPO_FUZZ_CASES").ok();
    run(
        asked.map_or(20_000, |n| n.parse().expect("CDPO_FUZZ_CASES is a number")),
        1,
    );
}
