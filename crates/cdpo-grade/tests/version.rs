//! The version follows the verdicts: a change of any of these, or of their number, asks for another. There is a pair for each rule of
//! extraction and reading that has come with a version, under each convention and each option.

use cdpo_grade::{Extraction, GradeOptions, Grader, VERSION};

const PAIRS: &[(&str, &str)] = &[
    (r"The answer is 5.", r"#### 5"),
    (r"#### 1,234", r"1234"),
    (r"So it is 7", r"7"),
    (r"The answer is 7. He has 3.", r"3"),
    (r"\boxed{\frac{2}{4}}", r"0.5"),
    (r"\boxed{1 \pm \sqrt2}", r"1-\sqrt2, 1+\sqrt2"),
    (r"$x = 5$", r"5"),
    (r"\boxed{x=5}", r"y=5"),
    (r"\boxed{50\%}", r"0.5"),
    (r"\boxed{12\frac{1}{2}\%}", r"12.5"),
    (r"\boxed{0.3333}", r"\frac13"),
    (r"\boxed{0.333}", r"\frac13"),
    (r"\boxed{(1,2)}", r"(1,2)"),
    (r"\boxed{[1,2]}", r"(1,2)"),
    (r"\boxed{1<x\le2}", r"(1,2]"),
    (r"\boxed{x^2-1}", r"(x-1)(x+1)"),
    (r"\boxed{\sqrt{3+2\sqrt2}}", r"1+\sqrt2"),
    (r"\boxed{\sin 75^\circ}", r"\frac{\sqrt6+\sqrt2}{4}"),
    (r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}", r"(1,2)"),
    (r"\boxed{12_3}", r"12_4"),
    (r"\boxed{2:3}", r"4:6"),
    (r"\boxed{\text{Evelyn}}", r"evelyn"),
    (r"The answer is (C).", r"C"),
    (r"D. it can't be A", r"D"),
    (r"\boxed{5 \text{ cm}}", r"5"),
    (r"\boxed{5 \text{ million}}", r"5"),
    (r"\boxed{5} and \boxed{6}", r"6, 5"),
    (r"The answer is twice 5.", r"5"),
    (r"\boxed{2003^{2002^{2001}}}", r"1"),
    (r"\boxed{1", r"1"),
    (r"", r"1"),
    (
        r"Final Answer: The final answer is $8$. I hope it is correct.",
        r"8",
    ),
    (r"\boxed{y=2x+3}", r"2x-y+3=0"),
    (r"\boxed{\log_2 8}", r"3"),
    (r"\boxed{5!}", r"120"),
    (r"\boxed{0.(3)}", r"1/3"),
    (r"\boxed{x>1 \text{ or } x<2}", r"1<x<2"),
    (r"\boxed{5\text{ m}}", r"5m"),
    (r"\boxed{\emptyset}", r"\{\}"),
    (r"\boxed{1e3}", r"1000"),
    (r"\boxed{2^3^2}", r"512"),
    (r"The answer is not $5$.", r"5"),
    (r"The answer is $5$ million.", r"5000000"),
    ("It is 6.\nStep 5: print it", r"6"),
    (r"It is 6, not 5", r"6"),
    (r"So $x=5$ or $x=6$", r"6"),
    (r"The answer is (A) or (B)", r"A"),
    (r"\boxed{P(A)=1/2}", r"P(B)=1/2"),
    (r"\boxed{f(x)=x}", r"f(y)=x"),
    (r"The answer is $5$ + 3", r"5"),
    (r"$$x &= 1 \\[2pt] y$$ so the total is 7", r"7"),
    (r"So it is $4$, not $2$ or $3$.", r"4"),
    ("The answer is ₹5", "5"),
    ("The answer is US$5.", "5 CAD"),
    ("5 kWh", "5 Wh"),
    ("5kWh", "5"),
    ("5ms", "5"),
    ("5 mg", "5"),
    ("2mg", "2"),
    ("6s²", "6"),
    ("5m²", "5"),
    ("5 s⁻¹", "5"),
    (r"2L\cdot W", "2"),
    ("5 N·m", "5"),
    ("#### $5A$", "5"),
    ("3kT", "3"),
    ("2 MN", "2"),
    ("5 kW·h", "5 kWh"),
    ("5 dekameters", "5 decameters"),
    ("#### **5 kWh**", "5"),
    ("20° C", "20 °F"),
    ("60 miles per hour", "60 mph"),
    ("one hundred and three quarters", "100.75"),
    ("forty-two", "forty-two dollars"),
    ("fifty percent", "0.5"),
    ("twenty fifth", "25"),
    ("٤٢", "42"),
];

/// Under every convention but `auto`.
const ANNOUNCED: &[(&str, &str)] = &[
    ("The answer is 5 million.", "5000000"),
    ("The answer is EUR 5.", "5"),
    ("The answer is $1,234", "1234"),
    ("Final Answer: The final answer is $x=5$. I hope", "5"),
    (r"So $a=1$ and $b=2$, \boxed{3}", "3"),
    ("It is (B) or (C), so (D).", "D"),
    ("So 7 of $20.", "20"),
    ("The answer is 12. #### 13", "12"),
    ("#### 13\nThe answer is 12.", "12"),
    ("The answer is 12", "12"),
    ("The answer is $12.", "12"),
    ("The answer is 42", "4"),
];

/// Under each option by itself.
const CHOSEN: &[(&str, &str)] = &[
    (r"\boxed{50\%}", "0.5"),
    (r"\boxed{1, 2}", "2, 1"),
    (r"\boxed{2,5}", "2.5"),
    (r"\boxed{0.33}", "1/3"),
    (r"\boxed{6/4}", "3/2"),
    ("fifty percent", "one half"),
];

/// Every grader with the pairs that it is held by.
fn graded() -> impl Iterator<Item = (Grader, &'static (&'static str, &'static str))> {
    let with = |change: fn(&mut GradeOptions)| {
        let mut options = GradeOptions::default();
        change(&mut options);
        Grader::new(options)
    };
    let conventions: [fn(&mut GradeOptions); 6] = [
        |o| o.extraction = Extraction::Gsm8kStrict,
        |o| o.extraction = Extraction::Gsm8kStrictFilter,
        |o| o.extraction = Extraction::Gsm8kFlexible,
        |o| o.extraction = Extraction::Math,
        |o| o.extraction = Extraction::Plain,
        |o| o.extraction = Extraction::Choice,
    ];
    let options: [fn(&mut GradeOptions); 5] = [
        |o| o.percent_rule = true,
        |o| o.ordered_lists = true,
        |o| o.decimal_comma = true,
        |o| o.decimal_digits = 2,
        |o| o.require_simplified = true,
    ];
    let each = move |changes: Vec<fn(&mut GradeOptions)>, pairs: &'static [(&str, &str)]| {
        let graders: Vec<Grader> = changes.into_iter().map(with).collect();
        graders
            .into_iter()
            .flat_map(move |grader| pairs.iter().map(move |pair| (grader.clone(), pair)))
    };
    each(vec![|_| {}], PAIRS)
        .chain(each(conventions.to_vec(), ANNOUNCED))
        .chain(each(options.to_vec(), CHOSEN))
}

/// FNV-1a over outcome, answer, key, rule and span of each verdict.
fn digest() -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for (grader, (response, gold)) in graded() {
        let verdict = serde_json::to_value(grader.grade(response, gold)).expect("a verdict");
        for field in ["outcome", "answer", "key", "rule", "span"] {
            let text = verdict[field].to_string();
            for byte in text.bytes().chain([b'|']) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    hash
}

#[test]
fn verdicts_and_version_change_together() {
    let digest = digest();
    assert_eq!(
        (VERSION, digest),
        (11, 0x8fc0_ad11_2c9f_fc18),
        "verdicts differ from those of this version ({digest:#x}): raise cdpo_grade::VERSION and set both numbers here"
    );
}
