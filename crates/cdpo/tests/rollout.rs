//! `cdpo rollout` on the demonstration: the default against the definition, kills, given responses, replacements.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use std::time::Duration;

use binary::{Place, timeless_files};
use cdpo_data::{CriticalKind, OnBadRow, ReplacementRecord, RolloutRecord, jsonl};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/tiny.toml");

/// A place with model and questions, and `cdpo rollout` on them.
fn place() -> Place {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    place
}

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["rollout", RECIPE, "--limit", "6"], more].concat()
}

fn records(place: &Place, stage: &str) -> Vec<RolloutRecord> {
    let path = place.run_dir().join(stage).join("rollouts.jsonl");
    jsonl::read(path, OnBadRow::Fail).unwrap().0
}

#[test]
fn the_default_finds_what_exhaustive_finds_and_replaces_it() {
    let place = place();
    let told = place.cdpo(&args(&["--replace"])).succeeded();
    assert!(
        told.stderr.contains("critical tokens of 6 responses"),
        "{told:?}"
    );
    place.cdpo(&args(&["--exhaustive"])).succeeded();
    let (found, defined) = (
        records(&place, "rollouts"),
        records(&place, "rollouts-exhaustive"),
    );
    assert_eq!((found.len(), defined.len()), (6, 6));
    for (found, defined) in found.iter().zip(&defined) {
        assert_eq!(found.ids, defined.ids);
        assert_eq!(
            (found.kind, found.position),
            (defined.kind, defined.position)
        );
        assert!(found.cost.generated < defined.cost.generated);
        assert_eq!(defined.cost.exhaustive, defined.cost.generated);
        assert!(defined.positions.iter().all(|at| !at.partial));
    }
    let path = place.run_dir().join("replacements/replacements.jsonl");
    let replaced: Vec<ReplacementRecord> = jsonl::read(path, OnBadRow::Fail).unwrap().0;
    let critical = found.iter().filter(|r| r.position.is_some()).count();
    assert_eq!(replaced.len(), critical);
    assert!(critical > 0);
    assert!(
        replaced
            .iter()
            .all(|r| r.without.len() == 64 && r.with_right == 0)
    );
    let again = place.cdpo(&args(&["--replace"])).succeeded();
    assert!(again.stderr.contains("rollouts: done before"), "{again:?}");
    assert!(again.stderr.contains("replacements: done before"));
}

#[test]
fn a_killed_run_goes_on_and_leaves_the_files_of_one_that_was_not() {
    let more = args(&["--n", "3000", "--full-scores"]);
    let whole = place();
    whole.cdpo(&more).succeeded();
    let killed = place();
    let mut child = killed.spawn(&more);
    let rounds = killed.run_dir().join("rollouts-full/rounds.jsonl");
    // Until something is kept; if it ends before, it was too quick to be killed, and nothing is lost either.
    while child.try_wait().unwrap().is_none()
        && std::fs::metadata(&rounds).map_or(0, |file| file.len()) == 0
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    child.wait().unwrap();
    let told = killed.cdpo(&more).succeeded();
    assert!(!told.stderr.contains("panicked"));
    assert_eq!(
        timeless_files(&killed.run_dir()),
        timeless_files(&whole.run_dir())
    );
}

#[test]
fn flags_out_of_range_are_faults_of_the_command_before_any_work() {
    let place = place();
    for flag in ["--n", "--limit", "--per-question"] {
        let zero = ["rollout", RECIPE, flag, "0"];
        place.cdpo(&zero).failed(2, &["rollout."]);
    }
    assert!(!place.run_dir().join("samples").exists());
}

#[test]
fn the_pairs_rejected_responses_are_rolled_out_and_stand_in_the_report() {
    let place = place();
    place.cdpo(&["run", RECIPE]).succeeded();
    place.cdpo(&args(&["--of", "pairs"])).succeeded();
    let found = records(&place, "rollouts-pairs");
    let path = place.run_dir().join("selected/pairs.jsonl");
    let pairs: Vec<cdpo_data::Pair> = jsonl::read(path, OnBadRow::Fail).unwrap().0;
    assert_eq!(found.len(), pairs.len().min(6));
    for (record, pair) in found.iter().zip(&pairs) {
        assert_eq!(record.problem_id, pair.problem_id);
        assert_eq!(record.sample, pair.rejected_sample);
        assert!(pair.rejected_ids.starts_with(&record.ids));
    }
    // A flag is of its command alone.
    let run = place.run_dir();
    let kept = run.join("recipe.toml");
    place
        .cdpo(&["rollout", kept.to_str().unwrap(), "--limit", "6"])
        .succeeded();
    let samples = records(&place, "rollouts");
    assert!(samples.iter().zip(&found).any(|(a, b)| a.ids != b.ids));
    std::fs::remove_dir_all(run.join("rollouts")).unwrap();
    place.cdpo(&["report", run.to_str().unwrap()]).succeeded();
    let data: serde_json::Value = serde_json::from_str(&place.read("report.json")).unwrap();
    let shown = data["trajectories"].as_array().unwrap().iter();
    let with = shown.filter(|view| view.get("rollouts").is_some());
    assert_eq!(with.count(), found.len());
    place
        .cdpo(&args(&["--of", "pairs", "--trajectories", "mine.jsonl"]))
        .failed(2, &["cannot be used with"]);
}

#[test]
fn given_responses_are_rolled_out_if_they_are_wrong() {
    let place = place();
    let file = place.dir.join("mine.jsonl");
    let row = |response: &str| {
        serde_json::json!({"question": "1+1?", "response": response, "gold": "2"}).to_string()
            + "\n"
    };
    std::fs::write(&file, row("2.") + &row("3.")).unwrap();
    let more = args(&["--trajectories", "mine.jsonl", "--n", "16"]);
    place.cdpo(&more).succeeded();
    let found = records(&place, "rollouts-given");
    assert_eq!(found.len(), 1, "one of them is right");
    assert_eq!(found[0].problem_id, "mine/1");
    assert_ne!(found[0].kind, CriticalKind::Unsettled);
    // The folder is a run's, for other commands.
    let (run, records) = (
        place.run_dir(),
        place.run_dir().join("rollouts-given/rollouts.jsonl"),
    );
    place
        .cdpo(&[
            "analyze",
            run.to_str().unwrap(),
            "--rollouts",
            records.to_str().unwrap(),
        ])
        .succeeded();
    std::fs::write(&file, row("2.")).unwrap();
    place
        .cdpo(&more)
        .failed(2, &["none of the 1 responses is wrong"]);
    std::fs::write(&file, "{\"question\": 1}\n").unwrap();
    place.cdpo(&more).failed(1, &["mine.jsonl:1"]);
    place
        .cdpo(&args(&[
            "--set",
            "rollout.n=0",
            "--set",
            "rollout.keys=own",
        ]))
        .failed(2, &["rollout"]);
}

#[test]
fn under_the_strict_rule_what_is_settled_is_not_drawn_behind() {
    const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/quickstart.toml");
    let place = Place::new();
    let row = serde_json::json!({
        "question": "Ruth has 27 apples. She eats 8 apples. How many apples does she have?",
        "response": " Ruth starts with 27 apples. The answer is 27. So she has 27 - 8 = 19 apples.",
        "gold": "19",
    });
    std::fs::write(place.dir.join("mine.jsonl"), row.to_string() + "\n").unwrap();
    let told = |extraction: &str, more: &[&str], stage: &str| {
        let extraction = format!("grade.extraction={extraction}");
        let given = [
            "rollout",
            BUILT_IN,
            "--trajectories",
            "mine.jsonl",
            "--n",
            "16",
        ];
        let all = [
            &given[..],
            &["--set", "run.dir=runs", "--set", &extraction],
            more,
        ]
        .concat();
        place.cdpo(&all).succeeded();
        let path = place.dir.join("runs/quickstart").join(stage);
        let found: Vec<RolloutRecord> = jsonl::read(path.join("rollouts.jsonl"), OnBadRow::Fail)
            .unwrap()
            .0;
        assert_eq!(found.len(), 1);
        found[0].clone()
    };
    let strict = |more: &[&str], stage: &str| told("gsm8k_strict", more, stage);
    let early = strict(&["--replace"], "rollouts-given");
    let full = strict(&["--full-scores"], "rollouts-given-full");
    let unshared = strict(
        &["--full-scores", "--sharing", "none"],
        "rollouts-given-full-unshared",
    );
    let whole = strict(&["--to-the-end", "--replace"], "rollouts-given-to-the-end");
    let defined = strict(&["--exhaustive"], "rollouts-given-exhaustive");
    for one in [&early, &full, &unshared, &whole] {
        assert_eq!((one.kind, one.position), (defined.kind, defined.position));
    }
    let counts = |record: &RolloutRecord| {
        let count = |at: &cdpo_data::rollout_record::PositionScore| (at.successes, at.failures);
        record.positions.iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(counts(&full), counts(&defined));
    assert_eq!(counts(&unshared), counts(&defined));
    assert!(early.cost.generated < whole.cost.generated);
    assert!(unshared.cost.generated < defined.cost.generated);
    let counted = |record: &RolloutRecord| record.cost.exhaustive_counted;
    assert!(counted(&defined) && !counted(&full) && !counted(&unshared));
    assert!(full.cost.exhaustive < defined.cost.exhaustive);
    let replaced = |stage: &str| {
        let path = place.dir.join("runs/quickstart").join(stage);
        let read = jsonl::read(path.join("replacements.jsonl"), OnBadRow::Fail);
        let mut records: Vec<ReplacementRecord> = read.unwrap().0;
        records.remove(0)
    };
    let (early, whole) = (
        replaced("replacements-given"),
        replaced("replacements-given-to-the-end"),
    );
    assert!(early.generated <= whole.generated);
    for (early, whole) in early.without.iter().zip(&whole.without) {
        assert_eq!((early.id, early.right), (whole.id, whole.right));
        assert!(early.tokens <= whole.tokens);
    }
    // Where the last match counts, the flag changes nothing and is no other stage.
    let stage = "rollouts-given-full";
    let auto = told("auto", &["--full-scores"], stage);
    assert!(counted(&auto));
    assert_eq!(
        told("auto", &["--full-scores", "--to-the-end"], stage),
        auto
    );
    let other = place
        .dir
        .join("runs/quickstart/rollouts-given-full-to-the-end");
    assert!(!other.exists());
}
