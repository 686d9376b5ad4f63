//! Properties that hold of every text, and of generated answers.

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};
use proptest::prelude::*;

fn grader() -> Grader {
    Grader::default()
}

/// Pieces of answers, from which texts near the grammar are put together.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "1",
        "23",
        "0",
        "4.5",
        ".5",
        "1,000",
        "x",
        "y",
        "e",
        "i",
        "n",
        "pi",
        "\\pi",
        "\\frac",
        "\\dfrac",
        "\\sqrt",
        "{",
        "}",
        "{2}",
        "{x}",
        "(",
        ")",
        "[",
        "]",
        "\\{",
        "\\}",
        "|",
        "+",
        "-",
        "*",
        "/",
        "^",
        "_",
        "=",
        "<",
        ">",
        "\\le",
        "\\ge",
        "\\ne",
        ",",
        ";",
        ":",
        " ",
        "!",
        "%",
        "\\%",
        "$",
        "\\$",
        "\\pm",
        "\\cdot",
        "\\times",
        "\\infty",
        "\\cup",
        "\\in",
        "\\text{ cm}",
        "\\text{and}",
        " or ",
        "\\sin",
        "\\log",
        "\\ln",
        "\\left(",
        "\\right)",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "\\\\",
        "&",
        "\\boxed{",
        "\\overline{3}",
        "^\\circ",
        "\\binom",
        "f(x)",
        "sqrt",
        "\\sum",
        "'",
        "\\",
        "\\!",
        "\\mathbb{R}",
        "the answer is ",
        "####",
        "\n",
        "€",
        "π",
        "²",
        "½",
        "é",
        "中",
        "\u{0}",
        "\u{1F600}",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

fn near_answer() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

/// Pieces of announcements, in any order.
fn announced() -> impl Strategy<Value = String> {
    let pieces = [
        "#### ",
        "The answer is ",
        "####",
        "The answer",
        " is ",
        "/",
        "1",
        "2",
        "12",
        "-",
        ".",
        ",",
        "$",
        "\n",
        " ",
        "é",
        "so",
        " million",
        " mil",
        "S",
        "€",
        "EUR",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_graded(response in any::<String>(), gold in any::<String>()) {
        let verdict = grader().grade(&response, &gold);
        prop_assert_eq!(verdict.outcome == Outcome::Unparsed, verdict.key.is_none());
    }

    #[test]
    fn every_near_answer_is_graded_under_every_convention(response in near_answer(), gold in near_answer()) {
        for extraction in [
            Extraction::Auto, Extraction::Gsm8kStrict, Extraction::Gsm8kStrictFilter, Extraction::Gsm8kFlexible,
            Extraction::Math, Extraction::Plain, Extraction::Choice,
        ] {
            let grader = Grader::new(GradeOptions { extraction, ..GradeOptions::default() });
            let verdict = grader.grade(&response, &gold);
            prop_assert_eq!(verdict.outcome == Outcome::Unparsed, verdict.key.is_none());
            if let Some(found) = grader.extract(&response) {
                prop_assert!(response.get(found.span.clone()).is_some());

            }
        }
    }

    #[test]
    fn a_settled_response_is_graded_the_same_cut_behind_that_and_whatever_follows(
        before in announced(), after in announced(), gold in 0u32..20, filter in any::<bool>(),
    ) {
        let extraction = if filter { Extraction::Gsm8kStrictFilter } else { Extraction::Gsm8kStrict };
        let strict = Grader::new(GradeOptions { extraction, ..GradeOptions::default() });
        let verdict = |response: &str| strict.grade(response, &gold.to_string());
        if let Some(settled) = strict.settled_at(&before) {
            let whole = verdict(&before);
            prop_assert_eq!(&verdict(&(before.clone() + &after)), &whole);
            for cut in (settled..=before.len()).filter(|&cut| before.is_char_boundary(cut)) {
                prop_assert_eq!(&verdict(&before[..cut]), &whole, "{:?} cut at {}", &before, cut);
            }
            prop_assert_eq!(strict.settled_at(&(before + &after)), Some(settled));
        }
    }

    #[test]
    fn equality_is_symmetric(a in near_answer(), b in near_answer()) {
        prop_assert_eq!(grader().equal(&a, &b), grader().equal(&b, &a));
    }

    #[test]
    fn what_is_read_equals_itself_and_has_one_key(a in near_answer()) {
        let key = grader().key(&a);
        prop_assert_eq!(grader().equal(&a, &a), key.is_some());
        prop_assert_eq!(key, grader().key(&a));
    }

    #[test]
    fn equal_keys_mean_equal_answers(a in near_answer(), b in near_answer()) {
        if let (Some(k), Some(l)) = (grader().key(&a), grader().key(&b)) {
            prop_assert!(k != l || grader().equal(&a, &b), "{} {}", k, l);

        }
    }

    #[test]
    fn numbers_equal_their_other_spellings_and_nothing_else(n in -99_999i64..99_999, d in 1i64..400, k in 2i64..30) {
        let g = grader();
        let fraction = format!("\\frac{{{n}}}{{{d}}}");
        let scaled = format!("\\dfrac{{{}}}{{{}}}", n * k, d * k);
        prop_assert!(g.equal(&fraction, &scaled));

        let holds = g.equal(&scaled, &format!("{n}/{d}"));
        prop_assert!(holds);
        let holds = g.equal(&fraction, &format!("{k} + \\tfrac{{{n}}}{{{d}}} - {k}"));
        prop_assert!(holds);
        let next = format!("\\frac{{{}}}{{{d}}}", n + 1);
        prop_assert!(!g.equal(&fraction, &next));

        prop_assert_ne!(g.key(&fraction), g.key(&next));
    }

    #[test]
    fn polynomials_are_equal_in_any_order_and_factoring(a in -20i64..20, b in -20i64..20, c in 1i64..9) {
        let g = grader();
        let factored = format!("{c}(x - ({a}))(x - ({b}))");
        let expanded = format!("{}*x*({}) + {}x^2 + {}", c, -(a + b), c, a * b * c);
        prop_assert!(g.equal(&factored, &expanded));

        prop_assert_eq!(g.key(&factored), g.key(&expanded));
        let holds = !g.equal(&factored, &format!("{expanded} + 1"));
        prop_assert!(holds);
        let holds = g.equal(&format!("y = {factored}"), &format!("{expanded} - y = 0"));
        prop_assert!(holds);
        let holds = g.equal(&format!("\\frac{{1}}{{{factored}}}"), &format!("({expanded})^{{-1}}"));
        prop_assert!(holds);
    }

    #[test]
    fn nested_roots_are_compared_by_value(a in 1i64..60, b in 1i64..60) {
        // (√a + √b)² = a + b + 2√(ab).
        let g = grader();
        let sum = format!("\\sqrt{{{a}}} + \\sqrt{{{b}}}");
        let holds = g.equal(&sum, &format!("\\sqrt{{{} + 2\\sqrt{{{}}}}}", a + b, a * b));
        prop_assert!(holds);
        let holds = !g.equal(&sum, &format!("\\sqrt{{{} + 2\\sqrt{{{}}}}}", a + b, a * b + 1));
        prop_assert!(holds);
        let inverse = format!("\\frac{{\\sqrt{{{a}}} - \\sqrt{{{b}}}}}{{{}}}", a - b);
        let holds = a == b || g.equal(&format!("\\frac{{1}}{{{sum}}}"), &inverse);
        prop_assert!(holds);
    }

    #[test]
    fn intervals_and_inequalities_agree(a in -50i64..50, w in 1i64..50, k in 1i64..7) {
        let g = grader();
        let b = a + w;
        let holds = g.equal(&format!("({a}, {b}]"), &format!("{a} < x \\le {b}"));
        prop_assert!(holds);
        let holds = g.equal(&format!("[{a}, \\infty)"), &format!("-{k}x \\leq {}", -k * a));
        prop_assert!(holds);
        let holds = !g.equal(&format!("({a}, {b}]"), &format!("[{a}, {b}]"));
        prop_assert!(holds);
        let holds = g.equal(&format!("({a}, {b}) \\cup [{b}, {}]", b + 1), &format!("({a}, {}]", b + 1));
        prop_assert!(holds);
    }

    #[test]
    fn lists_are_unordered_and_tuples_are_not(a in -99i64..99, b in -99i64..99) {
        let g = grader();
        let holds = g.equal(&format!("{a}, {b}"), &format!("\\{{{b}, {a}\\}}"));
        prop_assert!(holds);
        let holds = g.equal(&format!("{a} \\text{{ and }} {b}"), &format!("{b},{a}"));
        prop_assert!(holds);
        let holds = g.equal(&format!("({a}, {b})"), &format!("({b}, {a})")) == (a == b);
        prop_assert!(holds);
        let holds = !g.equal(&format!("{a}"), &format!("{a}, {b}"));
        prop_assert!(holds);
    }
}

#[test]
fn hostile_answers_end_and_are_equal_to_no_other_either_way() {
    let nest = |open: &str, close: &str, n: usize| open.repeat(n) + "x" + &close.repeat(n);
    let hostile = [
        "2003^{2002^{2001}}".to_owned(),
        nest("|", "|", 16),
        nest("f(", "", 30),
        "x^".repeat(390) + "2",
        "21.18^8^4211.18^".repeat(4) + "421.18758^4218^422.188^422.1875",
        "(a+b+c+d+e+f+g+h+j+k)(a+b+c+d+e+f+g+h+j+l)".repeat(40),
        "(x+y+z+w+v)^{60}-(x+y+z+w+v)^{59}(x+y+z+w+v)".into(),
        nest("((x+1)^3+", ")^3", 12),
        nest("\\sin(x+\\cos ", ")", 15),
        nest("{", "}", 100),
        nest("(", ")", 900),
        nest("|", "|", 900),
        nest("\\sqrt{1+", "}", 100),
        nest("\\frac{1}{1+", "}", 300),
        "\\begin{pmatrix}".repeat(200),
        "1,".repeat(2000),
        "+x".repeat(2000),
        "\\pm 1".repeat(600),
        "1000!".into(),
        "1000!!!!".into(),
        "\\binom{100000}{1000}".into(),
        "\\ln(".to_owned() + &"7".repeat(3000) + ")",
        "9".repeat(4096),
        "40".to_owned() + &"1e400".repeat(16),
        "\\sqrt{1e16383}".into(),
        "\\ln(1e9999)".into(),
        "1e9999+".repeat(100) + "1",
        "1e-9999+".repeat(20) + "1",
        "5".to_owned() + &" trillion".repeat(440),
        nest("2\\frac{", "}{3}", 40),
        "1".repeat(1 << 20),
        "{".repeat(1 << 20),
        "\\boxed{".repeat(5000),
        "$".repeat(5000),
        "the final answer is ".repeat(5000),
    ];
    for a in &hostile {
        for b in [a.clone() + "+0", a.clone(), "x+1".into()] {
            // How long each takes is what the example `speed` measures; one that does not end ends no test.
            let (there, back) = (grader().equal(a, &b), grader().equal(&b, a));
            assert_eq!(there, back, "{}", &a[..40.min(a.len())]);
            let other = b == "x+1" && grader().grade(a, &b).outcome == Outcome::Correct;
            assert!(!other, "{}", &a[..40.min(a.len())]);
        }
    }
}

#[test]
fn beyond_the_bounds_nothing_is_parsed() {
    let deep = "{".repeat(100) + "1" + &"}".repeat(100);
    for answer in [
        "2003^{2002^{2001}}",
        deep.as_str(),
        &"1".repeat(1 << 20),
        "\\frac{1}{2",
        "}{",
        "1\0",
        "\\frac{1}{0}",
    ] {
        let plain = Grader::new(GradeOptions {
            extraction: Extraction::Plain,
            ..GradeOptions::default()
        });
        let verdict = plain.grade(answer, "1");
        assert_eq!(verdict.outcome, Outcome::Unparsed, "{verdict:?}");
        assert!(verdict.why.contains("not read"), "{verdict:?}");
    }
}
