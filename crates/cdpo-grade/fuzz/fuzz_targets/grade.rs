//! Any two texts are graded without a panic, under any options, and compared alike in either order.
//!
//! An input is a byte for the options, a response, the byte 0x1F, and a gold answer; see `fuzz/README.md` for how to run it.
#![no_main]

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};
use libfuzzer_sys::fuzz_target;

fn options(byte: u8) -> GradeOptions {
    let bit = |n: u8| byte >> n & 1 == 1;
    let extraction = match byte & 7 {
        0..=2 => Extraction::Auto,
        3 => Extraction::Math,
        4 => Extraction::Plain,
        5 => Extraction::Choice,
        6 => Extraction::Gsm8kFlexible,
        _ => Extraction::Gsm8kStrict,
    };
    GradeOptions {
        extraction,
        percent_rule: bit(3),
        ordered_lists: bit(4),
        decimal_comma: bit(5),
        decimal_digits: if bit(6) { 2 } else { 4 },
        require_simplified: bit(7),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, texts)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(texts);
    let (a, b) = text.split_once('\u{1F}').unwrap_or((&text, ""));
    let grader = Grader::new(options(first));

    let verdict = grader.grade(a, b);
    assert_eq!(verdict.outcome == Outcome::Unparsed, verdict.key.is_none());
    if let Some((start, end)) = verdict.span {
        assert!(a.get(start..end).is_some());
    }

    let keys = (grader.key(a), grader.key(b));
    let equal = grader.equal(a, b);
    assert_eq!(equal, grader.equal(b, a));
    assert_eq!(grader.equal(a, a), keys.0.is_some());
    assert!(keys.0.is_none() || keys.0 != keys.1 || equal);
    assert_eq!(grader.explain(a, b).equal, equal);

    let groups = grader.group_answers(&[Some(a), Some(b)]);
    assert_eq!(groups[0].is_some() && groups[0] == groups[1], equal);
});
