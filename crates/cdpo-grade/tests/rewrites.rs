//! Every gold answer equals itself written in other ways, and nothing close to it. Needs the data folder in
//! `CDPO_TEST_DATA`; skips without it.
#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use cdpo_grade::Grader;

/// The distinct gold answers of all four files, with how often each occurs.
fn golds() -> Option<BTreeMap<String, usize>> {
    let Some(folder) = std::env::var_os("CDPO_TEST_DATA") else {
        eprintln!("skipped: CDPO_TEST_DATA is not set");
        return None;
    };
    let mut golds = BTreeMap::new();
    for file in [
        "gsm8k_train.jsonl",
        "gsm8k_test.jsonl",
        "math_train.jsonl",
        "math500.jsonl",
    ] {
        let path = PathBuf::from(&folder).join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("a JSON row");
            let answer = row["answer"].as_str().expect("an answer");
            let answer = answer.rsplit("#### ").next().expect("a part");
            *golds.entry(answer.to_owned()).or_insert(0) += 1;
        }
    }
    Some(golds)
}

/// Other ways to write an answer of any kind.
fn respelt(gold: &str) -> Vec<String> {
    let mut ways = vec![
        format!("${gold}$"),
        format!(" \\[ {gold} \\] ."),
        gold.replace("\\dfrac", "\\frac")
            .replace("\\tfrac", "\\frac")
            .replace("\\frac", "\\dfrac"),
        gold.replace("\\left", "").replace("\\right", ""),
    ];
    if !gold.contains("\\text") && !gold.contains("\\mbox") && !gold.contains('_') {
        ways.push(
            gold.replace('+', " + ")
                .replace('=', " = ")
                .replace(')', " )")
                .replace('(', "( "),
        );
    }
    ways
}

/// Other ways to write a scalar without a unit: unsimplified, reordered.
fn recomputed(gold: &str) -> Vec<String> {
    // Between brackets a comma separates items.
    let gold = gold
        .trim_end_matches('.')
        .replace(",\\!", "{,}")
        .replace("{,}", ",")
        .replace(',', "{,}");
    vec![
        format!("\\frac{{6({gold})}}{{6}}"),
        format!("1 + ({gold}) - 1"),
        format!("({gold}) \\cdot \\frac{{2}}{{3}} + \\frac{{1}}{{3}}({gold})"),
        format!("2({gold}) - ({gold})"),
    ]
}

#[test]
fn every_gold_answer_equals_itself_in_other_ways() {
    let Some(golds) = golds() else { return };
    let grader = Grader::default();
    let (mut kinds, mut failures, mut texts) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (gold, count) in &golds {
        let explanation = grader.explain(gold, gold);
        *kinds.entry(explanation.a.kind.clone()).or_insert(0) += count;
        if explanation.a.kind == "text" {
            texts.push(gold.as_str());
        }
        if gold.trim().is_empty() {
            continue;
        }
        let mut ways = respelt(gold);
        ways.push(gold.clone());
        let words = [
            "\\text", "\\mbox", "\\%", "%", "\\circ", "\\$", "\\pm", "\\,\\!",
        ];
        let plain = explanation.a.kind == "scalar" && !words.iter().any(|word| gold.contains(word));
        if plain {
            ways.extend(recomputed(gold));
            let next = format!("{gold} + 1");
            if grader.equal(gold, &next) {
                failures.push(format!("{gold:?} equals {next:?}"));
            }
        }
        for way in ways {
            if !grader.equal(gold, &way) {
                failures.push(format!("{:?}", grader.explain(gold, &way)));
            }
        }
    }
    eprintln!("{kinds:?}\nas text: {texts:?}");
    let some = &failures[..failures.len().min(40)];
    assert!(
        failures.is_empty(),
        "{} of {}: {some:#?}",
        failures.len(),
        golds.len()
    );
}

#[test]
fn exact_decimals_and_other_integers_equal_their_gold_answer() {
    let Some(golds) = golds() else { return };
    let grader = Grader::default();
    for gold in golds
        .keys()
        .filter(|gold| grader.explain(gold, gold).a.kind == "scalar")
    {
        let digits = gold.replace("{,}", "").replace(",\\!", "").replace(',', "");
        if let Ok(n) = digits.parse::<i64>() {
            for way in [
                format!("{n}.0"),
                format!("\\frac{{{}}}{{3}}", n * 3),
                format!("{n}.00 "),
                format!("+{n}"),
            ] {
                let way = way.replace("+-", "-");
                assert!(grader.equal(gold, &way), "{gold} {way}");
            }
            for other in [n + 1, n - 1, n * 10, -n] {
                assert!(
                    n == other || !grader.equal(gold, &other.to_string()),
                    "{gold} {other}"
                );
            }
        }
    }
}
