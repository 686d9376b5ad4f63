//! The page in a real browser: toggles, filters, hovers, keys, no errors, no requests, and 1,000 responses of which only those in
//! view are drawn. Needs node and Chromium; without them it says so and does nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;

use cdpo_data::rollout_record::CriticalKind;
use cdpo_grade::Outcome;
use cdpo_report::page::{
    BINS, Curve, Distributions, Fact, ReportData, RolloutView, TrajectoryView, VerdictView, html,
};
use cdpo_report::{CostTable, Evaluation, MethodTable, StageCost};

/// Responses of the page.
const RESPONSES: usize = 1000;
/// Content tokens of each.
const TOKENS: usize = 300;

fn trajectory(i: usize) -> TrajectoryView {
    let all = TOKENS + 1;
    let critical = (i * 37) % TOKENS;
    let highest = if i.is_multiple_of(4) { 0.4 } else { 0.9 };
    let mut scores = vec![0.95; all];
    scores[critical] = 1.0 - highest;
    TrajectoryView {
        id: format!("train/{i}#2"),
        question: format!("Question number {i}: how many <b>apples</b> are {i} and {i}?"),
        gold: Some((2 * i).to_string()),
        gold_solution: Some(format!("{i} + {i} = {}", 2 * i)),
        chosen: format!(" The sum of {i} and {i} is {}.", 2 * i),
        chosen_verdict: None,
        verdict: Some(VerdictView {
            outcome: if i.is_multiple_of(10) {
                Outcome::Unparsed
            } else {
                Outcome::Wrong
            },
            answer: Some("5".into()),
            why: "not equal".into(),
        }),
        terminated: true,
        tokens: (0..all).map(|t| ((t + i) % 5) as u32).collect(),
        scores,
        positive: vec![-0.5; all],
        negative: vec![-1.5; all],
        ranks: vec![2; all],
        alternatives: vec![vec![(1, 600), (2, 300), (3, 50)]; all],
        critical,
        highest,
        rollouts: Some(RolloutView {
            kind: if i.is_multiple_of(2) {
                CriticalKind::Both
            } else {
                CriticalKind::None
            },
            critical: i.is_multiple_of(2).then_some((critical + 1) % TOKENS),
            n: 64,
            counts: vec![(3, 61); TOKENS],
        }),
    }
}

fn data() -> ReportData {
    let answers = |method: &str, right: usize| {
        let outcome = |i| {
            if i < right {
                Outcome::Correct
            } else {
                Outcome::Wrong
            }
        };
        Evaluation::new(method, (0..50).map(|i| (format!("t/{i}"), outcome(i)))).unwrap()
    };
    let table = MethodTable::build(
        &[answers("base", 20), answers("dpo", 24), answers("cdpo", 30)],
        &["base", "dpo"],
    );
    let curve = |name: &str, slope: f64| Curve {
        name: name.into(),
        stride: 1,
        steps: (1..=40).collect(),
        series: [
            "logps/chosen",
            "logps/rejected",
            "rewards/margins",
            "rewards/accuracies",
            "loss",
        ]
        .map(|metric| {
            (
                metric.to_owned(),
                (0..40).map(|i| slope * f64::from(i)).collect(),
            )
        })
        .into(),
    };
    let mut weights = [0; BINS];
    weights[0] = 299_000;
    weights[18] = 750;
    ReportData {
        title: "a made-up run".into(),
        facts: vec![Fact::new("model", "none")],
        table: Some(table.unwrap()),
        costs: CostTable {
            stages: vec![StageCost {
                stage: "samples".into(),
                seconds: 61.0,
                ..StageCost::default()
            }],
        },
        curves: vec![
            curve("dpo", -0.5),
            curve("cdpo", 0.5),
            curve("positive", 0.1),
        ],
        texts: [" the", " sum", " is\n", "", "7"]
            .map(str::to_owned)
            .to_vec(),
        trajectories: (0..RESPONSES).map(trajectory).collect(),
        scored: 1200,
        distributions: Some(Distributions {
            responses: RESPONSES as u64,
            tokens: (RESPONSES * TOKENS) as u64,
            weights,
            ..Distributions::default()
        }),
        ..ReportData::default()
    }
}

#[test]
fn the_page_works_in_a_browser() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    std::fs::write(&page, html(&data()).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs");
    let output = match Command::new("node").arg(script).arg(&page).output() {
        Ok(output) => output,
        Err(e) => {
            println!("skipped: node cannot be run: {e}");
            return;
        }
    };
    let told = String::from_utf8_lossy(&output.stdout);
    let faults = String::from_utf8_lossy(&output.stderr);
    println!("{told}{faults}");
    assert!(output.status.success(), "{told}{faults}");
}
