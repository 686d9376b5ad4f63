//! Several seeds of a run, and experiments.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::Place;

/// The demonstration's questions and recipe, changed by `to`.
fn place(from: &str, to: &str) -> Place {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    let recipe = include_str!("../../../recipes/tiny.toml");
    assert!(recipe.contains(from));
    std::fs::write(place.dir.join("tiny.toml"), recipe.replace(from, to)).unwrap();
    place
}

#[test]
fn seeds_share_the_samples_and_nothing_after_them() {
    let seeded = place("seed = 7", "seed = 7");
    let several = ["run", "tiny.toml", "--seeds", "2"];
    let table = seeded.cdpo(&several).succeeded().stdout;
    assert!(
        table.contains("± sd") && table.contains("| cdpo "),
        "{table}"
    );
    assert!(!seeded.run_dir().join("seed-8/samples").exists());
    assert!(!seeded.run_dir().join("seed-8/eval-base").exists());
    // A run of the second seed on the first one's samples is the same.
    let alone = place("seed = 7", "seed = 8");
    let sets = ["run", "tiny.toml", "--set", "sample.seed=7"];
    alone.cdpo(&sets).succeeded();
    for file in [
        "selected/pairs.jsonl",
        "scored/pairs.jsonl",
        "cdpo/metrics.jsonl",
        "eval-cdpo/trajectories.jsonl",
        "table/table.md",
    ] {
        let of_seed = seeded.read(&format!("seed-8/{file}"));
        assert_eq!(of_seed, alone.read(file), "{file}");
        // So small a model may give the same answers after either.
        if !["eval-cdpo/trajectories.jsonl", "table/table.md"].contains(&file) {
            assert_ne!(of_seed, seeded.read(file), "{file}");
        }
    }
    let again = seeded.cdpo(&several).succeeded();
    assert_eq!(again.stdout, table);
    assert!(!again.stderr.contains("finished in"), "{again:#?}");
}

#[test]
fn held_out_samples_give_pass_at_k_for_every_method() {
    let place = place("seed = 7", "seed = 7");
    let sets = [
        "run",
        "tiny.toml",
        "--set",
        "eval.samples=4",
        "--set",
        "methods=[\"dpo\"]",
    ];
    place.cdpo(&sets).succeeded();
    let curves: serde_json::Value = serde_json::from_str(&place.read("table/curves.json")).unwrap();
    for (i, method) in ["base", "dpo"].into_iter().enumerate() {
        assert_eq!(curves[i]["method"], method);
        let points = curves[i]["points"].as_array().unwrap();
        let ks: Vec<u64> = points.iter().map(|p| p["k"].as_u64().unwrap()).collect();
        assert_eq!(ks, [1, 2, 4]);
        let pass: Vec<f64> = points
            .iter()
            .map(|p| p["pass_at_k"].as_f64().unwrap())
            .collect();
        assert!(
            pass[0] > 0.05 && pass[0] < pass[1] && pass[1] < pass[2],
            "{pass:?}"
        );
    }
}

#[test]
fn an_experiment_shares_stages_and_makes_one_table() {
    let place = place("seed = 7", "seed = 7");
    let experiment = r#"
        seeds = 2
        dir = "out"
        [[run]]
        dataset = "sums"
        model = "tiny"
        recipe = "tiny.toml"
        [[run]]
        dataset = "sums, strong"
        model = "tiny"
        recipe = "tiny.toml"
        set = { "train.learning_rate" = 0.01 }
    "#;
    std::fs::write(place.dir.join("both.toml"), experiment).unwrap();
    let done = place.cdpo(&["experiment", "both.toml"]).succeeded();
    for column in ["sums", "sums, strong", "base", "cdpo"] {
        assert!(done.stdout.contains(column), "{column}: {}", done.stdout);
    }
    for stage in ["samples", "graded", "selected", "scored", "eval-base"] {
        let taken = format!("{stage}: taken over from out/both/sums-tiny");
        assert!(done.stderr.contains(&taken), "{stage}: {}", done.stderr);
    }
    // The second seed's, too.
    let second = "selected: taken over from out/both/sums-tiny/seed-8";
    assert!(done.stderr.contains(second), "{}", done.stderr);
    assert!(!done.stderr.contains("cdpo: taken over"), "{}", done.stderr);
    for file in ["experiment.md", "experiment.csv", "experiment.json"] {
        assert!(place.dir.join("out/both").join(file).exists());
    }
    let again = place.cdpo(&["experiment", "both.toml"]).succeeded();
    assert_eq!(again.stdout, done.stdout);
    assert!(!again.stderr.contains("finished in"), "{again:#?}");
}

#[test]
fn shared_stages_are_done_once_and_a_run_with_one_seed_shows_its_own_table() {
    let place = place("seed = 7", "seed = 7");
    let sampled = place
        .cdpo(&["sample", "tiny.toml", "--set", "run.seeds=2"])
        .succeeded();
    assert!(!sampled.stderr.contains("seed    8"), "{sampled:?}");
    let planned = place
        .cdpo(&["sample", "tiny.toml", "--set", "run.seeds=2", "--dry-run"])
        .succeeded();
    assert!(!planned.stdout.contains("seed 8"), "{planned:?}");
    let run = |more: &[&str]| {
        let args = [&["run", "tiny.toml", "--set", "methods=[\"dpo\"]"], more].concat();
        place.cdpo(&args).succeeded()
    };
    run(&["--seeds", "2"]);
    assert!(place.run_dir().join("seeds.json").exists());
    run(&[]);
    assert!(!place.run_dir().join("seeds.json").exists());
    let costs = place.read("timing.json");
    place
        .cdpo(&["select", "tiny.toml", "--set", "methods=[\"dpo\"]"])
        .succeeded();
    assert_eq!(
        place.read("timing.json"),
        costs,
        "a command that does less keeps what others took"
    );
}

#[test]
fn rollouts_of_pairs_are_those_of_the_first_seed() {
    let place = place("seed = 7", "seed = 7");
    let rolled = [
        "rollout",
        "tiny.toml",
        "--of",
        "pairs",
        "--n",
        "8",
        "--set",
        "run.seeds=2",
    ];
    place.cdpo(&rolled).succeeded();
    let read = |file: &str| -> Vec<serde_json::Value> {
        let rows = place.read(file);
        rows.lines()
            .map(|row| serde_json::from_str(row).unwrap())
            .collect()
    };
    let named = |rows: Vec<serde_json::Value>, sample: &str| -> Vec<(String, u64)> {
        let name = |row: &serde_json::Value| {
            (row["problem_id"].to_string(), row[sample].as_u64().unwrap())
        };
        rows.iter().map(name).collect()
    };
    let found = named(read("rollouts-pairs/rollouts.jsonl"), "sample");
    let first = named(read("selected/pairs.jsonl"), "rejected_sample");
    let second = named(read("seed-8/selected/pairs.jsonl"), "rejected_sample");
    assert_eq!(found[..], first[..found.len()]);
    assert_ne!(first, second);
}

#[test]
fn a_change_that_reaches_no_method_is_a_fault() {
    let place = place("seed = 7", "seed = 7");
    place.cdpo(&["run", "tiny.toml"]).succeeded();
    let recipe = place.run_dir().join("recipe.toml");
    let train =
        |set: &str| place.cdpo(&["train", recipe.to_str().unwrap(), "--set", set, "--dry-run"]);
    train("train.gamma=0.9").failed(2, &["train.gamma", "train.dpo.gamma, train.cdpo.gamma"]);
    train("train.cdpo.gamma=0.9").succeeded();
}

#[test]
fn an_experiments_faults_are_told_before_its_first_run() {
    let place = place("seed = 7", "seed = 7");
    let write = |text: &str| std::fs::write(place.dir.join("e.toml"), text).unwrap();
    write("seeds = 2\n");
    place.cdpo(&["experiment", "e.toml"]).failed(2, &["run"]);
    let run = "[[run]]\ndataset = \"a\"\nmodel = \"b\"\nrecipe = \"tiny.toml\"\n";
    write(&format!("{run}{run}"));
    place
        .cdpo(&["experiment", "e.toml"])
        .failed(2, &["two runs are of b on a"]);
    write(&format!("{run}set = {{ \"sample.m\" = 3 }}\n"));
    place
        .cdpo(&["experiment", "e.toml"])
        .failed(2, &["sample.m: no such key"]);
    place
        .cdpo(&["experiment", "none.toml"])
        .failed(2, &["none.toml"]);
    assert!(!place.dir.join("runs").exists());
}
