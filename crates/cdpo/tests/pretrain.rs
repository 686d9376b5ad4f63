//! Pre-training that is killed goes on to the bits of one that was not.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use std::time::{Duration, Instant};

use binary::{Outcome, Place, timeless_files};

const TINY: &str = "
[corpus]
seed = 1
examples = 48
[model]
layers = 1
hidden_size = 32
intermediate_size = 64
heads = 2
kv_heads = 1
max_positions = 256
init_std = 0.05
[train]
max_steps = 40
batch_size = 4
learning_rate = 1e-3
warmup_steps = 2
checkpoint_every = 4
[eval]
questions = 4
max_new_tokens = 8
";

#[test]
fn a_killed_pretraining_ends_with_the_files_of_an_uninterrupted_one() {
    let (whole, killed) = (Place::new(), Place::new());
    for place in [&whole, &killed] {
        std::fs::write(place.dir.join("tiny.toml"), TINY).unwrap();
    }
    let run = |place: &Place| place.dir.join("runs/tiny");
    let done = whole.cdpo(&["pretrain", "tiny.toml"]).succeeded();
    assert_eq!(done.stdout.trim(), "runs/tiny/model");

    let mut child = killed.spawn(&["pretrain", "tiny.toml"]);
    let begun = Instant::now();
    let steps = || std::fs::read_to_string(run(&killed).join("metrics.jsonl")).unwrap_or_default();
    while steps().lines().count() < 10 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    let _ = Outcome::of(&child.wait_with_output().unwrap());
    let again = killed.cdpo(&["pretrain", "tiny.toml"]).succeeded();
    assert!(!again.stderr.contains("; 0 done before"), "{again:#?}");

    let (a, b) = (timeless_files(&run(&whole)), timeless_files(&run(&killed)));
    let differing: Vec<&String> = a
        .keys()
        .filter(|name| a.get(*name) != b.get(*name))
        .collect();
    assert!(
        a.len() == b.len() && differing.is_empty(),
        "{differing:?} differ"
    );
}

#[test]
fn a_faulty_recipe_is_refused_before_anything_is_made() {
    let place = Place::new();
    std::fs::write(
        place.dir.join("tiny.toml"),
        TINY.replace("heads = 2", "headz = 2"),
    )
    .unwrap();
    place
        .cdpo(&["pretrain", "tiny.toml"])
        .failed(2, &["unknown field `headz`"]);
    assert!(!place.dir.join("runs").exists());
}
