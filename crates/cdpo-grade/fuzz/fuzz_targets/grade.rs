//! Any two texts are graded without a panic, and compared alike in either order.
//!
//! `cargo +nightly fuzz run grade` in `crates/cdpo-grade`.
#![no_main]

use cdpo_grade::{Grader, Outcome};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| {
    let (a, b) = texts;
    let grader = Grader::default();
    let verdict = grader.grade(a, b);
    assert_eq!(verdict.outcome == Outcome::Unparsed, verdict.key.is_none());
    let keys = (grader.key(a), grader.key(b));
    assert_eq!(grader.equal(a, b), grader.equal(b, a));
    assert_eq!(grader.equal(a, a), keys.0.is_some());
    assert!(keys.0.is_none() || keys.0 != keys.1 || grader.equal(a, b));
});
