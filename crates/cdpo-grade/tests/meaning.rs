//! What equals what, by kind of answer.

use cdpo_grade::{GradeOptions, Grader};

#[track_caller]
fn equal(pairs: &[(&str, &str)]) {
    let grader = Grader::default();
    for (a, b) in pairs {
        assert!(
            grader.equal(a, b),
            "not shown equal: {:#?}",
            grader.explain(a, b)
        );
    }
}

#[track_caller]
fn different(pairs: &[(&str, &str)]) {
    let grader = Grader::default();
    for (a, b) in pairs {
        assert!(!grader.equal(a, b), "equal: {:#?}", grader.explain(a, b));
    }
}

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
fn words_behind_a_number_change_it_where_they_are_no_units() {
    equal(&[
        ("5 million", "5000000"),
        (r"\$5 \text{ million}", "5,000,000 dollars"),
        ("5 thousand people", "5000"),
    ]);
    different(&[
        ("5 million", "5"),
        (r"5\text{ hundred}", "5"),
        ("5 squared", "5"),
        (r"5\text{ squared}", "5"),
        ("5 factorial", "5"),
        ("5 halves", "5"),
        ("5 tenths", "5"),
        (r"5\text{ and a half}", "5"),
        (r"5\text{ or more}", "5"),
        (r"5\text{ pi}", "5"),
        ("3!!", "720"),
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
fn units_may_be_left_out_but_not_changed() {
    equal(&[
        ("400 ml", "400"),
        ("400 ml of salt", "400"),
        (r"50\%", "50"),
        ("28 percent", r"28\%"),
        (r"\$36", "36"),
        ("$5", r"5 \text{ dollars}"),
        (r"90^\circ", "90"),
        ("72 degrees", r"72^{\circ}"),
        (r"15\mbox{ cm}^2", "15"),
        (r"15\mbox{ cm}^2", "15 square centimeters"),
        ("5 km", r"5 \text{ kilometers}"),
        ("64 square feet", "64"),
        (r"10 \text{ apples}", r"10 \text{ pieces}"),
        (r"5\text{ m}", "5"),
        (r"5\text{ m}", "5m"),
        (r"5\text{ m}^2", "5 square meters"),
        (r"2\sqrt3\,\mathrm{m/s}", r"2\sqrt3"),
        ("5 in", "5 inches"),
        ("3:30 p.m.", "3:30 PM"),
        (r"\text{5 students}", "5"),
        ("20^\\circ", "20 degrees Celsius"),
        (r"\textcolor{red}{5}\hspace{1cm}", r"\underline{5}"),
        (r"8\!:\!34 \text{ p.m.}", "8:34 pm"),
    ]);
    different(&[
        (r"50\%", "0.5"),
        (r"5 \text{ cm}", r"5 \text{ m}"),
        (r"5 \text{ cm}", r"5 \text{ cm}^2"),
        (r"\$5", r"5 \text{ cents}"),
        ("8:34 am", "8:34 pm"),
        ("5m", "5"),
        (r"5\text{ m}", r"5\text{ m}^2"),
        (r"5\text{ m}", "5g"),
        ("60 miles per hour", "60 km/h"),
        ("20 degrees Celsius", "20 degrees Fahrenheit"),
        (r"\frac{\pi}{6}", r"30^\circ"),
    ]);
    let percent = Grader::new(GradeOptions {
        percent_rule: true,
        ..GradeOptions::default()
    });
    assert!(
        percent.equal(r"50\%", "0.5")
            && percent.equal("0.5", r"50\%")
            && !percent.equal("5", "500")
    );
}

#[test]
fn roots_powers_and_functions_are_compared_by_value() {
    equal(&[
        (r"2\sqrt{3}", r"\sqrt{12}"),
        (r"\frac{\sqrt2}{2}", r"\frac{1}{\sqrt2}"),
        (r"\sqrt[3]{-8}", "-2"),
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
        (r"\sqrt{-4}", "2i"),
        ("(1+i)^4", "-4"),
        (r"e^{i\pi}", "-1"),
        (r"\sin 75^\circ", r"\frac{\sqrt6+\sqrt2}{4}"),
        (r"\cos\frac{\pi}{3}", "0.5"),
        (r"\arctan 1", r"\frac{\pi}{4}"),
        (r"\sin^{-1} 1", r"\frac{\pi}{2}"),
        (r"\log_2 8", "3"),
        (r"\frac{\log 3}{\log 2}", r"\log_2 3"),
        (r"\log 100", "2"),
        (r"\ln e^2", "2"),
        (r"\lfloor \pi \rfloor", "3"),
        (r"|3 - 5|", "2"),
        (r"\frac{3+4i}{1-2i}", "-1+2i"),
        (r"2^{n+1}", r"2 \cdot 2^n"),
        (r"4^n", r"2^n \cdot 2^n"),
        (r"\sec^2 y", r"\tan^2 y + 1"),
        (r"2\sin b\cos a", r"\sin(a+b)-\sin(a-b)"),
        (r"\frac{1}{3x^{2/3}}", r"\frac{1}{3\sqrt[3]{x}^2}"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        ("(a+b)^{100}", "(b+a)^{99}(a+b)"),
        ("n(n+1)/2", r"\frac{n^2+n}{2}"),
        (r"|x-1|", "|1-x|"),
    ]);
    different(&[
        (r"\sqrt{x^2}", "x"),
        (r"\sqrt2", "1.41421356237309504881"),
        (r"\sqrt{10^{40}+1}", "10^{20}"),
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{6.0000001}}"),
        ("(a+b)^{100}", "(a+b)^{99}"),
        ("x^2", "2x"),
        ("x", "y"),
        ("e", "E"),
        (r"\sin x", r"\sin y"),
        (r"\infty", r"-\infty"),
        (r"1 + \frac{1}{e}", r"1 - \frac{1}{e}"),
        ("a_{n+1}", "a_n + 1"),
        // Too inexact to tell, hence not shown equal.
        (r"e^{\arccos(1-10^{-40})}", r"e^{\arccos(1-2\cdot10^{-40})}"),
    ]);
}

#[test]
fn collections_keep_what_their_brackets_say() {
    equal(&[
        ("1, 2", r"\{2, 1\}"),
        (r"3 \text{ and } 5", "5, 3"),
        ("19, 46, and 82", r"82, 19 \text{ and } 46"),
        (r"\pm 3", "-3, 3"),
        (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        ("(0;0),(1;2)", "(1,2),(0,0)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\begin{bmatrix}1 & 2 \\ 3 & \frac{8}{2}\end{bmatrix}",
        ),
        (
            r"\begin{pmatrix}1&0\\0&1\end{pmatrix}+\begin{pmatrix}1&1\\1&1\end{pmatrix}",
            r"\begin{pmatrix}2&1\\1&2\end{pmatrix}",
        ),
        (r"\begin{vmatrix}2&1\\1&2\end{vmatrix}", "3"),
        ("2:3", "4:6"),
        ("1:2", r"\frac12"),
        (r"\{-1\} \cup [0,7)", r"[0,7) \cup \{-1\}"),
        (r"(0,1] \cup (1,2)", "(0,2)"),
        (r"\mathbb{R} \setminus \{1\}", r"(-\infty,1)\cup(1,\infty)"),
        (r"\emptyset", r"\{\}"),
        (r"\begin{pmatrix}1&\phantom-1\end{pmatrix}", "(1,1)"),
        ("p=1,q=2;p=3,q=4", "(1,2),(3,4)"),
    ]);
    different(&[
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", r"\{1,2\}"),
        ("1, 1, 2", "1, 2"),
        ("1, 2", "1"),
        (r"\pm 3", "3"),
        ("2:3", "3:2"),
        ("1:00", "12:00"),
        ("10:15", "20:30"),
        ("12:00", "12"),
        (r"(0,1) \cup (1,2)", "(0,2)"),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\begin{pmatrix}1&3\\2&4\end{pmatrix}",
        ),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(2,1)"),
        (r"\emptyset", "0"),
    ]);
    let ordered = Grader::new(GradeOptions {
        ordered_lists: true,
        ..GradeOptions::default()
    });
    assert!(!ordered.equal("1, 2", "2, 1") && ordered.equal("1, 2", "1, 2"));
}

#[test]
fn names_may_be_left_out_but_not_changed() {
    equal(&[
        ("x = 5", "5"),
        ("5 = x", "5"),
        ("y = 2x+3", "2x+3"),
        ("y = 2x+3", "2x - y + 3 = 0"),
        ("xy = 1", r"y = \frac1x"),
        ("2x = 4", "x = 2"),
        ("f(x) = x+1", "1+x"),
        (r"x = 1 \text{ or } x = 2", "2, 1"),
        ("AB = 4, CD = 5", "4, 5"),
        (r"k = 3+3 = 6", "6"),
        (r"x = \frac13 \approx 0.33", r"\frac13"),
        (r"\frac{AB}{CD} = \frac{2}{3}", r"\frac23"),
        ("(p,q) = (3,2)", "(3,2)"),
        ("x^2/16 + y^2/12 = 1/4", "x^2/4 + y^2/3 = 1"),
    ]);
    different(&[
        ("x = 5", "y = 5"),
        ("a = 1, b = 2", "a = 2, b = 1"),
        ("11a+c", "7 = 11a+c"),
        ("a^2 + b = 0", "0"),
        ("x + y = 1", "x - y = 1"),
        ("x = 5", "x = 6"),
        ("f(x) = x", "g(x) = x"),
    ]);
}

#[test]
fn inequalities_are_regions() {
    equal(&[
        ("x > 5", r"(5,\infty)"),
        ("5 < x", "x > 5"),
        (r"-x \ge -1", r"x \leq 1"),
        (
            r"1 \le |z| \le \frac32",
            r"z \in [-\frac32,-1] \cup [1,\frac32]",
        ),
        (r"x < 1 \text{ or } x > 3", r"(-\infty,1)\cup(3,\infty)"),
        (r"x > 1 \text{ and } x < 3", "(1,3)"),
        (r"x > 1 \text{ or } x < 2", r"\mathbb{R}"),
        (r"\text{all real numbers}", r"(-\infty,\infty)"),
        (r"x \neq 1", r"\mathbb{R} \setminus \{1\}"),
        (r"\{x \mid x > 3\}", r"(3,\infty)"),
        ("f(2) < f(1) < f(4)", "f(4) > f(1) > f(2)"),
        (r"0 < f(x) < 1", "(0,1)"),
    ]);
    different(&[
        ("x < 5", "x > 5"),
        (r"x > 1 \text{ or } x < 2", "(1,2)"),
        (r"x < 1 \text{ or } y < 2", "x < 2"),
        (r"x \le 5", "x < 5"),
        ("x > 5", "y > 5"),
        ("x > 5", "5"),
        ("x > 5", "x = 5"),
    ]);
}

#[test]
fn words_and_letters_are_compared_without_case_and_dress() {
    equal(&[
        (r"\text{Evelyn}", "evelyn"),
        (r"\text{(C)}", "C"),
        (r"\mathrm{E}", "E"),
        ("{even}", r"\text{even}"),
        (r"\text{A, B}", r"\text{B,A}"),
        (r"\text{October 30}", "october 30"),
        (r"204_5", r"204_{5}"),
        (r"\cotx", r"\cot x"),
        (r"\text{four}", "4"),
        ("one", "1"),
    ]);
    different(&[
        ("even", "odd"),
        ("four", "5"),
        (r"\text{C}", r"\text{D}"),
        ("odd", r"\text{oddd}"),
        ("12_3", "12_4"),
        ("12_3", "5"),
        (r"\mathrm{E}*2", "E"),
    ]);
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
