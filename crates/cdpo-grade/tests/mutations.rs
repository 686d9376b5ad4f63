//! Answers with pieces changed at random: each is graded without a panic, equals itself if it is read, and compares alike in either order.

use std::panic::catch_unwind;

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};

/// SplitMix64: the same numbers for the same seed.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<'a>(&mut self, pieces: &[&'a str]) -> &'a str {
        pieces[(self.next() % pieces.len() as u64) as usize]
    }
}

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

fn text(draws: &mut Draws) -> String {
    let count = 1 + draws.next() % 7;
    (0..count).map(|_| draws.of(PIECES)).collect()
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
    let mut draws = Draws(seed);
    for i in 0..count {
        let (response, gold) = (text(&mut draws), text(&mut draws));
        let outcome = catch_unwind(|| check(&response, &gold, &graders));
        assert!(
            outcome.is_ok(),
            "pair {i} of seed {seed}: {response:?} against {gold:?}"
        );
    }
}

#[test]
fn changed_answers_are_graded_without_a_panic() {
    run(20_000, 1);
}

/// Minutes: `cargo test --release -p cdpo-grade --test mutations -- --ignored`.
#[test]
#[ignore = "a million pairs"]
fn a_million_changed_answers_are_graded_without_a_panic() {
    run(1_000_000, 2);
}
