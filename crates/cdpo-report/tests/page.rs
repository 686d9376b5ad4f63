//! The report's data made from a run's files, against numbers worked out by hand; the page's HTML; hostile text.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cdpo_data::{Graded, Pair, Problem, jsonl};
use cdpo_grade::{Outcome, Verdict};
use cdpo_report::page::{BINS, Fact, ReportData, RunFiles, html};
use cdpo_report::terminal::{self, Colour};
use cdpo_report::{CostTable, Evaluation, MethodTable};

/// A byte of text a token; 0 is the end.
fn bytes(id: u32) -> Vec<u8> {
    match id {
        0 => b"</s>".to_vec(),
        id => vec![id as u8],
    }
}

fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

fn problem(id: &str, question: &str) -> Problem {
    Problem {
        id: id.into(),
        question: question.into(),
        answer: "4".into(),
        solution: Some("2 + 2 = 4".into()),
        subject: None,
        level: None,
    }
}

fn graded(id: &str, sample: u32, outcome: Outcome, answer: &str) -> Graded {
    Graded {
        problem_id: id.into(),
        sample,
        verdict: Verdict {
            outcome,
            answer: Some(answer.into()),
            key: Some(answer.into()),
            rule: "boxed".into(),
            span: None,
            why: "told".into(),
        },
    }
}

/// A wrong response of `text` with these scores; the last one is the terminator's where there is one more than bytes.
fn pair(id: &str, sample: u32, text: &str, scores: &[f32]) -> Pair {
    let terminated = scores.len() > text.len();
    let mut rejected_ids = ids(text);
    rejected_ids.extend(terminated.then_some(0));
    let n = rejected_ids.len();
    Pair {
        prompt: "Question: 2+2?\nAnswer:".into(),
        chosen: " 4".into(),
        rejected: text.into(),
        problem_id: id.into(),
        chosen_sample: 1,
        rejected_sample: sample,
        prompt_ids: vec![1],
        chosen_ids: ids(" 4"),
        rejected_ids,
        chosen_terminated: false,
        rejected_terminated: terminated,
        rejected_scores: Some(scores.to_vec()),
        rejected_weights: Some(scores.iter().map(|s| 1.0 - s).collect()),
        chosen_weights: None,
        positive_logps: Some(vec![-0.123_456; n]),
        negative_logps: Some(vec![-2.0; n]),
        rejected_ranks: Some((1..=n as u32).collect()),
        rejected_alternatives: Some(vec![
            vec![(u32::from(b'z'), 0.4321), (u32::from(b'y'), 0.1)];
            n
        ]),
        chosen_positive_logps: None,
        chosen_negative_logps: None,
    }
}

fn written(dir: &Path) -> RunFiles {
    let path = |name: &str| dir.join(name);
    jsonl::write_atomic(path("train.jsonl"), &[problem("q/0", "What is 2+2?")]).unwrap();
    jsonl::write_atomic(
        path("graded.jsonl"),
        &[
            graded("q/0", 1, Outcome::Correct, "4"),
            graded("q/0", 2, Outcome::Wrong, "5"),
        ],
    )
    .unwrap();
    let pairs = [
        pair("q/0", 2, "is 5", &[0.9, 0.26, 0.01, 0.01, 0.5]),
        pair("q/1", 3, "no", &[1.0, 0.0]),
    ];
    jsonl::write_atomic(path("pairs.jsonl"), &pairs).unwrap();
    let answers = |method: &str, right: [bool; 3]| {
        let outcome = |right| {
            if right {
                Outcome::Correct
            } else {
                Outcome::Wrong
            }
        };
        let rows = right.iter().enumerate();
        Evaluation::new(
            method,
            rows.map(|(i, &right)| (format!("t/{i}"), outcome(right))),
        )
        .unwrap()
    };
    let table = MethodTable::build(
        &[
            answers("base", [true, false, false]),
            answers("cdpo", [true, true, false]),
        ],
        &["base"],
    )
    .unwrap();
    std::fs::write(path("table.json"), table.json().unwrap()).unwrap();
    std::fs::write(
        path("cdpo.jsonl"),
        "{\"step\":1,\"loss\":0.7,\"logps/chosen\":-40.123456}\n{\"step\":2,\"loss\":0.5,\"logps/chosen\":-39.0}\n",
    )
    .unwrap();
    RunFiles {
        problems: Some(path("train.jsonl")),
        graded: Some(path("graded.jsonl")),
        pairs: Some(path("pairs.jsonl")),
        table: Some(path("table.json")),
        seeds: Some(path("seeds.json")),
        metrics: vec![
            ("cdpo".into(), path("cdpo.jsonl")),
            ("dpo".into(), path("dpo.jsonl")),
        ],
        ..RunFiles::default()
    }
}

fn report(dir: &Path) -> ReportData {
    let files = written(dir);
    let facts = vec![Fact::new("model", "tiny")];
    ReportData::read("a run", facts, CostTable::default(), &files, &mut bytes).unwrap()
}

#[test]
fn the_data_of_a_run_are_its_files_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let data = report(dir.path());
    assert_eq!((data.scored, data.trajectories.len()), (2, 2));

    let first = &data.trajectories[0];
    assert_eq!(first.id, "q/0#2");
    assert_eq!(first.question, "What is 2+2?");
    assert_eq!(first.gold.as_deref(), Some("4"));
    assert_eq!(first.verdict.as_ref().unwrap().answer.as_deref(), Some("5"));
    assert_eq!(
        first.chosen_verdict.as_ref().unwrap().outcome,
        Outcome::Correct
    );
    let texts: Vec<&str> = first
        .tokens
        .iter()
        .map(|&n| data.texts[n as usize].as_str())
        .collect();
    assert_eq!(texts, ["i", "s", " ", "5", "</s>"]);
    // Two tokens have the lowest score: the first is the critical one.
    assert_eq!(
        (first.critical, first.highest, first.content()),
        (2, 0.99, 4)
    );
    assert_eq!(first.positive[0], -0.12);
    assert_eq!(first.ranks, [1, 2, 3, 4, 5]);
    let (text, thousandths) = first.alternatives[3][0];
    assert_eq!(
        (data.texts[text as usize].as_str(), thousandths),
        ("z", 432)
    );

    let second = &data.trajectories[1];
    assert_eq!(
        second.question, "Question: 2+2?\nAnswer:",
        "no such question: its prompt"
    );
    assert!(second.verdict.is_none() && second.gold.is_none());

    // 1 - s of content tokens: 0.1, 0.74, 0.99, 0.99 | 0, 1; of the terminator 0.5.
    let d = data.distributions.unwrap();
    assert_eq!((d.responses, d.tokens), (2, 6));
    let filled = |counts: &[u64; BINS]| -> Vec<(usize, u64)> {
        counts
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, n)| *n > 0)
            .collect()
    };
    assert_eq!(filled(&d.weights), [(0, 1), (2, 1), (14, 1), (19, 3)]);
    assert_eq!(filled(&d.terminator_weights), [(10, 1)]);
    assert_eq!(filled(&d.critical_weights), [(19, 2)]);
    // The third of four tokens lies at 2.5 / 4, the second of two at 1.5 / 2.
    assert_eq!(filled(&d.critical_places), [(12, 1), (15, 1)]);
    assert_eq!(filled(&d.definition_places), []);

    assert_eq!(
        data.curves.len(),
        1,
        "a training without a file is left out"
    );
    assert_eq!(data.curves[0].series["logps/chosen"], [-40.1235, -39.0]);
    let table = data.table.unwrap();
    assert_eq!(table.rows[1].versus[0].paired.only_first, 1);
    assert!(data.seeds.is_none());
}

#[test]
fn a_run_with_nothing_but_given_pairs_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let files = RunFiles {
        pairs: written(dir.path()).pairs,
        ..RunFiles::default()
    };
    let data = ReportData::read("given", vec![], CostTable::default(), &files, &mut bytes).unwrap();
    assert_eq!(data.trajectories.len(), 2);
    assert!(
        html(&data)
            .unwrap()
            .contains("<title>given · cdpo report</title>")
    );
    let empty = ReportData::read(
        "empty",
        vec![],
        CostTable::default(),
        &RunFiles::default(),
        &mut bytes,
    );
    assert_eq!(empty.unwrap().trajectories, []);
}

#[test]
fn a_damaged_row_is_path_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path());
    std::fs::write(dir.path().join("graded.jsonl"), "{}\n").unwrap();
    let error =
        ReportData::read("x", vec![], CostTable::default(), &files, &mut bytes).unwrap_err();
    assert!(error.to_string().contains("graded.jsonl:1: "), "{error}");
    std::fs::write(dir.path().join("table.json"), "{").unwrap();
    std::fs::write(dir.path().join("graded.jsonl"), "").unwrap();
    let error =
        ReportData::read("x", vec![], CostTable::default(), &files, &mut bytes).unwrap_err();
    assert!(error.to_string().contains("table.json: "), "{error}");
}

/// What a model could write to break out of the page.
const HOSTILE: &str =
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> & \" ' {{data}} \u{2028}";

#[test]
fn hostile_text_stays_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = report(dir.path());
    data.title = HOSTILE.into();
    data.trajectories[0].question = HOSTILE.into();
    data.texts[0] = HOSTILE.into();
    data.facts = vec![Fact::new(HOSTILE, HOSTILE)];
    let page = html(&data).unwrap();
    assert_eq!(
        page.matches("<script").count(),
        2,
        "the data and the page's own"
    );
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    assert!(page.contains("<title>&lt;/script&gt;&lt;script&gt;"));
    // The data come back as they were.
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    assert_eq!(serde_json::from_str::<ReportData>(json).unwrap(), data);
}

/// Elements that have no end tag.
const VOID: [&str; 3] = ["meta", "br", "input"];

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let page = html(&report(dir.path())).unwrap();
    assert!(!page.contains("{{") && page.starts_with("<!doctype html>"));
    let mut open: Vec<String> = Vec::new();
    let mut rest = page.as_str();
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let name = tag.split_whitespace().next().unwrap().to_owned();
        for attribute in ["src=", "href=\"http", "@import"] {
            assert!(!tag.contains(attribute), "<{tag}> loads something");
        }
        if name == "script" || name == "style" {
            rest = rest.split_once(&format!("</{name}>")).unwrap().1;
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "every element is closed");
    for fetch in [
        "fetch(",
        "XMLHttpRequest",
        "import(",
        "url(",
        "@import",
        "innerHTML",
        "eval(",
    ] {
        assert!(!page.contains(fetch), "the page uses {fetch}");
    }
}

#[test]
fn the_terminal_shows_marks_without_colour_and_colours_by_weight_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = report(dir.path());
    let number = data.trajectories[0].tokens[3] as usize;
    let view = data.trajectories[0].clone();
    let plain = terminal::trajectory(&data, &view, Colour::None);
    assert!(plain.contains("i[s]>> <<[5][<end>]\n"), "{plain}");
    assert!(plain.contains("answer 5, gold 4"));
    assert!(!plain.contains('\x1b'));
    let row = plain
        .lines()
        .find(|line| line.contains("\"z\" 0.432"))
        .unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells[..7],
        ["3", "\"", "\"", "0.9900", "0.887", "0.135", "3"],
        "{row}"
    );

    let coloured = terminal::trajectory(&data, &view, Colour::True);
    // Weight 0.99: 255 - 0.99 * 15 = 240, 238 - 0.99 * 108 = 131, 214 - 0.99 * 184 = 32.
    assert!(
        coloured.contains("\x1b[48;2;240;131;32;38;5;16;4m5\x1b[0m"),
        "{coloured:?}"
    );
    let palette = terminal::trajectory(&data, &view, Colour::Palette);
    assert!(
        palette.contains("\x1b[48;5;208;38;5;16;1;4m \x1b[0m"),
        "{palette:?}"
    );

    // A response cannot steer the terminal.
    data.texts[number] = "\x1b]0;title\x07\r5".into();
    let hostile = terminal::trajectory(&data, &view, Colour::None);
    assert!(!hostile.contains(['\x1b', '\x07', '\r']), "{hostile:?}");

    let list = terminal::list(&data);
    assert!(
        list.lines()
            .nth(2)
            .unwrap()
            .starts_with("q/0#2       0.9900"),
        "{list}"
    );
}
