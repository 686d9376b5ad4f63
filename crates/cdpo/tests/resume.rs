//! A run that is killed goes on with the same command, to the same files.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod binary;

use std::time::{Duration, Instant, SystemTime};

use binary::{Outcome, Place, timeless_files};

/// Long enough for five kills to fall within it.
const LONG: &[&str] = &[
    "demo",
    "--set",
    "sample.n=48",
    "--set",
    "sample.max_batch=4",
    "--set",
    "ce.train.epochs=40",
    "--set",
    "train.epochs=60",
    "--set",
    "run.threads=1",
];

#[track_caller]
fn assert_same_files(a: &Place, b: &Place) {
    let (a, b) = (timeless_files(&a.run_dir()), timeless_files(&b.run_dir()));
    assert_eq!(
        a.keys().collect::<Vec<_>>(),
        b.keys().collect::<Vec<_>>(),
        "the same files"
    );
    let differing: Vec<&String> = a.keys().filter(|name| a[*name] != b[*name]).collect();
    assert!(differing.is_empty(), "{differing:?} differ");
}

/// Files that grow by a line for each record or step, over the whole run.
const GROWING: [&str; 9] = [
    "samples/trajectories.jsonl",
    "positive/metrics.jsonl",
    "negative/metrics.jsonl",
    "scored/pairs.jsonl",
    "dpo/metrics.jsonl",
    "cdpo/metrics.jsonl",
    "eval-base/trajectories.jsonl",
    "eval-dpo/trajectories.jsonl",
    "eval-cdpo/trajectories.jsonl",
];

/// How far a run has come, in records and steps.
fn progress(place: &Place) -> usize {
    GROWING
        .iter()
        .filter_map(|file| std::fs::read(place.run_dir().join(file)).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).matches('\n').count())
        .sum()
}

#[test]
fn five_kills_at_random_moments_leave_the_files_of_an_uninterrupted_run() {
    let whole = Place::new();
    whole.cdpo(LONG).succeeded();
    let all = progress(&whole);

    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = clock.unwrap().as_nanos() as u64;
    let key = cdpo_model::Key::new(seed);
    let mut moments: Vec<usize> = (0..5)
        .map(|i| (key.with(i).unit() * 0.85 * all as f64) as usize)
        .collect();
    moments.sort_unstable();
    println!("kills at {moments:?} of {all}, from seed {seed}");

    let killed = Place::new();
    let mut early = 0;
    for moment in moments {
        let mut child = killed.spawn(LONG);
        let deadline = Instant::now() + Duration::from_secs(60);
        // On a machine so loaded that the run ends between two looks, its end is the moment.
        while child.try_wait().unwrap().is_none() && progress(&killed) <= moment {
            assert!(Instant::now() < deadline, "{moment} is not reached in 60 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let code = output.status.code();
        assert!(matches!(code, None | Some(0)), "{code:?} at {moment}");
        early += u32::from(code.is_some());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{moment}: {}", stderr.lines().last().unwrap_or_default());
    }
    assert!(early < 5, "no kill met a run at work");
    killed.cdpo(LONG).succeeded();
    assert_same_files(&whole, &killed);
}

#[test]
fn an_interrupted_run_says_so_and_goes_on_with_the_same_command() {
    let whole = Place::new();
    whole.cdpo(LONG).succeeded();

    let place = Place::new();
    let child = place.spawn(LONG);
    let samples = place.run_dir().join("samples/trajectories.jsonl");
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::fs::metadata(&samples).map_or(0, |m| m.len()) == 0 {
        assert!(Instant::now() < deadline, "no sample in 30 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    // The shell's own `kill`: a bare machine may have no program of that name.
    let kill = std::process::Command::new("bash")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status();
    assert!(kill.unwrap().success());
    Outcome::of(&child.wait_with_output().unwrap()).failed(130, &["the same command goes on"]);

    let again = place.cdpo(LONG).succeeded();
    assert!(again.stderr.contains("going on"), "{again:#?}");
    assert_same_files(&whole, &place);
}

#[test]
fn a_finished_run_does_nothing_again_and_prints_the_same_table() {
    let place = Place::new();
    let first = place.cdpo(&["demo"]).succeeded();
    let files = timeless_files(&place.run_dir());
    let second = place.cdpo(&["demo"]).succeeded();
    assert_eq!(first.stdout, second.stdout);
    assert!(!second.stderr.contains("finished in"), "{second:#?}");
    assert_eq!(files, timeless_files(&place.run_dir()));
}

#[test]
fn a_training_depends_on_the_runs_seed_even_if_its_own_is_pinned() {
    let place = Place::new();
    let pinned = ["ce.train.seed=1", "train.dpo.seed=1", "run.seed=9"];
    let mut args = vec!["demo"];
    args.extend(pinned.iter().flat_map(|set| ["--set", set]));
    place.cdpo(&args).succeeded();
    for stage in ["positive", "negative", "dpo"] {
        let manifest = place.read(&format!("{stage}/manifest.json"));
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let settings = &manifest["settings"];
        assert_eq!(settings["train"]["seed"], 1, "{stage}: {manifest}");
        assert_eq!(settings["seed"], 9, "{stage}: {manifest}");
    }
}

#[test]
fn a_changed_setting_reruns_what_depends_on_it_and_nothing_else() {
    let place = Place::new();
    place.cdpo(&["demo"]).succeeded();
    let again = |set: &str| -> Vec<String> {
        let plan = place.cdpo(&["demo", "--dry-run", "--set", set]).succeeded();
        plan.stdout
            .lines()
            .filter(|line| line.contains("to do"))
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        again("ce.ce_beta=0.5"),
        ["scored", "cdpo", "eval-cdpo", "table"]
    );
    assert_eq!(again("train.dpo.gamma=0.2"), ["dpo", "eval-dpo", "table"]);
    assert_eq!(
        again("eval.max_new_tokens=8"),
        ["eval-base", "eval-dpo", "eval-cdpo", "table"]
    );
    let with_weights = again("run.products=fast");
    if cdpo_model::Products::Fast.unit().is_some() {
        for stage in ["samples", "positive", "scored", "dpo", "eval-base", "table"] {
            assert!(with_weights.iter().any(|s| s == stage), "{with_weights:?}");
        }
        assert!(!with_weights.contains(&"problems".to_owned()));
    } else {
        // Nothing would be computed in another way.
        assert_eq!(with_weights, [""; 0]);
    }
    let drawn = again("sample.kv=bf16");
    assert_eq!(drawn[0], "samples");
    assert_eq!(again("sample.kv=f32"), [""; 0]);
    assert_eq!(again("sample.max_batch=3"), [""; 0]);
    assert_eq!(again("run.threads=1"), [""; 0]);
    assert_eq!(again("train.dpo.checkpoint_every=3"), [""; 0]);
    assert_eq!(again("ce.train.recompute=blocks"), [""; 0]);
}

#[test]
fn more_samples_or_questions_keep_those_already_drawn() {
    let set = |n: &str, limit: &str| {
        let sets = [format!("sample.n={n}"), format!("data.train_limit={limit}")];
        let mut args = vec!["demo".to_owned()];
        args.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
        args
    };
    let run = |place: &Place, n: &str, limit: &str| {
        let args = set(n, limit);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        place.cdpo(&args).succeeded().stderr
    };
    let grown = Place::new();
    run(&grown, "4", "20");
    let told = run(&grown, "8", "20");
    assert!(told.contains("samples: 80 responses are kept"), "{told}");
    let told = run(&grown, "8", "24");
    assert!(told.contains("samples: 160 responses are kept"), "{told}");
    let whole = Place::new();
    run(&whole, "8", "24");
    let samples = |place: &Place| place.read("samples/trajectories.jsonl");
    assert_eq!(samples(&grown), samples(&whole));
    // Another temperature is another sample.
    let told = grown.cdpo(&["demo", "--set", "sample.temperature=0.9"]);
    let told = told.succeeded().stderr;
    assert!(!told.contains("are kept"), "{told}");
}
