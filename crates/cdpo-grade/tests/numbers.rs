//! Which numbers are equal: whole, decimal, mixed, repeating, in other scripts.

mod compared;

use cdpo_grade::{GradeOptions, Grader};
use compared::{different, equal};

#[test]
fn numbers_are_compared_exactly() {
    equal(&[
        ("1,000", "1000"),
        ("1{,}000", "1000"),
        (r"1\!000", "1000"),
        (r"11,\! 111", "11111"),
        ("1 000 000", "1000000"),
        (".5", r"\frac12"),
        ("5.0", "5"),
        ("0.1 + 0.2", "0.3"),
        (r"0.\overline{3}", r"\frac13"),
        (r"0.1\overline{6}", "1/6"),
        (r"1.5 \times 10^{-3}", "0.0015"),
        ("2.5e3", "2500"),
        (r"3\frac{1}{2}", "3.5"),
        ("1 1/2", "3/2"),
        (r"-2\frac13", r"-\frac73"),
        (r"2\cdot 3", "6"),
        ("2^{10}", "1024"),
        ("7!", "5040"),
        (r"\binom{7}{3}", "35"),
        (r"\frac{0}{5}", "0"),
        (r"17 \bmod 5", "2"),
    ]);
    different(&[
        ("100000", "100009"),
        ("5", "500"),
        (r"2\cdot 3", "23"),
        ("1,2", "1.2"),
        ("1 2", "12"),
        (r"3\frac12", r"\frac32"),
        (r"6(\frac12)", "6.5"),
        ("5", "5.001"),
        ("100000.4", "100000"),
        ("-5", "5"),
        ("12345678901234567890", "12345678901234567891"),
        ("0", ""),
    ]);
}

#[test]
fn nested_fractions_behind_a_factor_are_read_once() {
    let nest = |n| r"x\frac{".repeat(n) + "1" + &"}{y}".repeat(n);
    equal(&[(nest(12).as_str(), r"\frac{x^{12}}{y^{12}}")]);
    equal(&[
        (r"2\frac{1}{3}", "7/3"),
        (r"2\frac13", "7/3"),
        (r"2\frac{x}{3}", "2x/3"),
    ]);
}

#[test]
fn what_stands_behind_a_mixed_number_belongs_to_all_of_it() {
    equal(&[
        (r"12\frac{1}{2}\%", "12.5\\%"),
        (r"12\frac12^\circ", r"12.5^\circ"),
        ("2 1/2 %", "2.5 %"),
        (r"-2\frac12", "-2.5"),
    ]);
    different(&[
        (r"12\frac{1}{2}\%", "6"),
        (r"12\frac12^\circ", "6"),
        // The power may be of either.
        (r"2\frac12^2", "2.25"),
        (r"2\frac12!", "1"),
    ]);
}

#[test]
fn a_decimal_that_goes_on_repeats_what_its_digits_repeat() {
    equal(&[
        ("0.(3)", "1/3"),
        ("0.1(6)", "1/6"),
        ("0.333...", "1/3"),
        (r"0.1666\ldots", "1/6"),
        ("0.1212…", r"\frac{4}{33}"),
        ("2.71828...", "e"),
    ]);
    different(&[
        ("0.(3)", "0"),
        ("2.(5)", "10"),
        ("0.33...", "1/3"),
        ("1, 2, ...", "1, 2"),
        (r"1, 2, \ldots, 10", "1, 2, 10"),
    ]);
}

#[test]
fn digits_and_signs_of_other_scripts_are_read() {
    equal(&[
        ("５", "5"),
        ("١٢٣", "123"),
        ("2⁻¹", "0.5"),
        ("x₁", "x_1"),
        ("3⁄4", "0.75"),
        ("⅜", "3/8"),
        ("−½", "-0.5"),
        ("（１，２）", "(1,2)"),
    ]);
    different(&[("٥", "6"), ("⁵", "5"), ("2⁴", "24")]);
}

#[test]
fn a_decimal_equals_what_rounds_to_it_from_four_digits_on() {
    equal(&[
        ("0.3333", "1/3"),
        ("2.6667", r"\frac83"),
        ("3.1416", r"\pi"),
        ("(0.6,2.6667]", r"(\frac35,\frac83]"),
    ]);
    different(&[
        ("0.333", "1/3"),
        ("0.3334", "1/3"),
        ("3.14", r"\pi"),
        ("2.6666", r"\frac83"),
        ("4.9999", "5"),
        ("16.67", r"\frac{50}{3}"),
        ("0.000998", r"\frac{1}{1002}"),
    ]);
    let two = Grader::new(GradeOptions {
        decimal_digits: 2,
        ..GradeOptions::default()
    });
    assert!(two.equal("0.33", "1/3") && !two.equal("0.3", "1/3"));
}

#[test]
fn a_comma_is_a_decimal_mark_only_on_request() {
    let comma = Grader::new(GradeOptions {
        decimal_comma: true,
        ..GradeOptions::default()
    });
    assert!(
        comma.equal("2,5", "2.5")
            && comma.equal("1000,99", "1000.99")
            && !Grader::default().equal("2,5", "2.5")
    );
}
