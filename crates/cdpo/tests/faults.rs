//! Bad input: a clear error and the right exit code, and nothing half done.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use std::path::Path;

use binary::Place;
use cdpo_model::{Adapter, Device, Key, LoraConfig, ModelConfig};

#[test]
fn unknown_keys_and_values_out_of_range_are_reported_together() {
    let place = Place::new();
    place
        .cdpo(&[
            "demo",
            "--set",
            "sample.tempreature=1",
            "--set",
            "evl.limit=3",
            "--set",
            "sample.n=0",
            "--set",
            "train.gamma=-1",
        ])
        .failed(
            2,
            &[
                "sample.tempreature: no such key; did you mean sample.temperature?",
                "evl: no such key",
                "sample.n: at least 1",
                "train.cdpo: gamma",
            ],
        );
    assert!(!place.dir.join("demo").exists(), "nothing was written");
}

#[test]
fn a_dry_run_shows_the_plan_and_starts_nothing() {
    let place = Place::new();
    let plan = place.cdpo(&["demo", "--dry-run"]).succeeded();
    let stages: Vec<&str> = plan
        .stdout
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(
        stages,
        [
            "problems",
            "samples",
            "graded",
            "selected",
            "positive",
            "negative",
            "scored",
            "dpo",
            "cdpo",
            "eval-base",
            "eval-dpo",
            "eval-cdpo",
            "table"
        ]
    );
    assert!(!place.run_dir().exists());
}

#[test]
fn arguments_that_are_none_end_with_code_2() {
    let place = Place::new();
    place.cdpo(&["fly"]).failed(2, &["fly"]);
    place.cdpo(&["run"]).failed(2, &["RECIPE"]);
    place.cdpo(&["run", "none.toml"]).failed(2, &["none.toml"]);
    place
        .cdpo(&["demo", "--set", "novalue"])
        .failed(2, &["KEY=VALUE"]);
}

#[test]
fn a_missing_or_damaged_model_is_named() {
    let place = Place::new();
    place
        .cdpo(&["demo", "--set", "model.path=nowhere"])
        .failed(1, &["nowhere"]);
    place.cdpo(&["demo"]).succeeded();
    let weights = place.dir.join("demo/model/model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    let copy = place.dir.join("cut");
    std::fs::create_dir(&copy).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(place.dir.join("demo/model").join(file), copy.join(file)).unwrap();
    }
    std::fs::write(copy.join("model.safetensors"), &whole[..whole.len() / 2]).unwrap();
    place
        .cdpo(&["demo", "--set", "model.path=cut"])
        .failed(1, &["cut/model.safetensors"]);
}

#[test]
fn empty_or_broken_questions_are_named_with_their_line() {
    let place = Place::new();
    let set = |file: &str| format!("data.train={file}");
    std::fs::write(place.dir.join("empty.jsonl"), "").unwrap();
    place
        .cdpo(&["demo", "--set", &set("empty.jsonl")])
        .failed(1, &["empty.jsonl"]);
    let rows = "{\"id\":\"a\",\"question\":\"1+1?\",\"answer\":\"2\"}\n{\"id\":\"b\",\"question\":\"1+2?\"}\n";
    std::fs::write(place.dir.join("broken.jsonl"), rows).unwrap();
    place
        .cdpo(&["demo", "--set", &set("broken.jsonl")])
        .failed(1, &["broken.jsonl:2"]);
    place
        .cdpo(&["demo", "--set", &set("missing.jsonl")])
        .failed(1, &["missing.jsonl"]);
}

#[test]
fn a_prompt_longer_than_the_context_is_named() {
    let place = Place::new();
    let question = "1+".repeat(100);
    let row = format!("{{\"id\":\"long\",\"question\":\"{question}1?\",\"answer\":\"101\"}}\n");
    std::fs::write(place.dir.join("long.jsonl"), row).unwrap();
    place
        .cdpo(&["demo", "--set", "data.train=long.jsonl"])
        .failed(1, &["long", "128"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = Place::new();
    std::fs::write(place.dir.join("file"), "").unwrap();
    place
        .cdpo(&["demo", "--set", "run.dir=file"])
        .failed(1, &["file/tiny"]);
    place.cdpo(&["demo", "file"]).failed(1, &["file"]);
}

#[test]
fn a_run_folder_has_one_process_at_a_time() {
    let place = Place::new();
    std::fs::create_dir_all(place.run_dir()).unwrap();
    let lock = std::fs::File::create(place.run_dir().join(".lock")).unwrap();
    lock.lock().unwrap();
    place
        .cdpo(&["demo"])
        .failed(1, &["in use by another cdpo process"]);
    drop(lock);
    place.cdpo(&["demo"]).succeeded();
}

#[test]
fn an_adapter_for_another_model_is_refused() {
    let place = Place::new();
    place.cdpo(&["demo"]).succeeded();
    let text = std::fs::read_to_string(place.dir.join("demo/model/config.json")).unwrap();
    let mut config = ModelConfig::from_hf_json(&text, "config.json").unwrap();
    config.hidden_size = 32;
    let adapter =
        Adapter::init(&config, &LoraConfig::default(), Key::new(1), &Device::Cpu).unwrap();
    adapter.save(&place.dir.join("foreign"), "another").unwrap();
    let recipe = place.run_dir().join("recipe.toml");
    let recipe = recipe.to_str().unwrap();
    place
        .cdpo(&["eval", recipe, "--adapter", "foreign"])
        .failed(1, &["foreign", "does not fit"]);
    place
        .cdpo(&["merge", "demo/model", "foreign", "merged"])
        .failed(1, &["foreign", "does not fit"]);
    assert!(!Path::new(&place.dir.join("merged/model.safetensors")).exists());
}

#[test]
fn a_full_disk_is_named_and_the_run_goes_on_once_there_is_room() {
    let place = Place::new();
    // The model and the questions are written without a limit.
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    let demo = env!("CARGO_BIN_EXE_cdpo");
    // No file may pass 16 KiB; a write beyond fails as on a full disk, instead of killing the process.
    let script = format!("trap '' XFSZ; ulimit -f 16; exec {demo} run tiny.toml");
    let recipe = include_str!("../../../recipes/tiny.toml");
    std::fs::write(place.dir.join("tiny.toml"), recipe).unwrap();
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]).current_dir(&place.dir);
    let outcome = binary::Outcome::of(&command.output().unwrap());
    outcome.failed(1, &["trajectories.jsonl", "File too large"]);
    let whole = Place::new();
    whole.cdpo(&["demo"]).succeeded();
    place.cdpo(&["run", "tiny.toml"]).succeeded();
    let (a, b) = (
        binary::timeless_files(&whole.run_dir()),
        binary::timeless_files(&place.run_dir()),
    );
    assert_eq!(
        a["samples/trajectories.jsonl"],
        b["samples/trajectories.jsonl"]
    );
}

#[test]
fn a_merged_model_evaluates_as_the_adapter_does() {
    let place = Place::new();
    let strong = "train.learning_rate=0.01";
    place.cdpo(&["demo", "--set", strong]).succeeded();
    let answers = |name: &str| place.read(&format!("{name}/trajectories.jsonl"));
    assert_ne!(answers("eval-cdpo"), answers("eval-base"));
    let adapter = "demo/runs/tiny/cdpo/adapter";
    place
        .cdpo(&["merge", "demo/model", adapter, "merged"])
        .succeeded();
    let recipe = place.run_dir().join("recipe.toml");
    let recipe = recipe.to_str().unwrap();
    place
        .cdpo(&[
            "eval",
            recipe,
            "--set",
            "model.path=merged",
            "--set",
            "run.name=merged",
        ])
        .succeeded();
    let merged = place
        .dir
        .join("demo/runs/merged/eval-base/trajectories.jsonl");
    assert_eq!(
        std::fs::read_to_string(merged).unwrap(),
        answers("eval-cdpo")
    );
}

#[test]
fn a_hub_model_that_is_not_there_is_an_error_offline() {
    let place = Place::new();
    let mut command = place.command(&["fetch", "owner/name"]);
    command
        .env("HF_HOME", &place.dir)
        .env("HF_HUB_OFFLINE", "1");
    binary::Outcome::of(&command.output().unwrap()).failed(1, &["owner/name", "offline"]);
    place
        .cdpo(&["demo", "--set", "model.hub=owner/name"])
        .failed(2, &["path and hub are both given"]);
}

#[test]
fn answers_are_graded_and_explained_without_a_recipe() {
    let place = Place::new();
    let rows = "{\"response\":\"The answer is 4.\",\"gold\":\"#### 4\"}\n{\"response\":\"It is 5\",\"gold\":\"4\"}\n";
    std::fs::write(place.dir.join("responses.jsonl"), rows).unwrap();
    let graded = place.cdpo(&["grade", "responses.jsonl"]).succeeded();
    let outcomes: Vec<bool> = graded
        .stdout
        .lines()
        .map(|l| l.contains("\"correct\""))
        .collect();
    assert_eq!(outcomes, [true, false]);
    assert_eq!(
        graded.stderr.lines().collect::<Vec<_>>(),
        [
            "graded: 1 correct, 1 wrong, 0 unparsed",
            "strict filter: 1 correct, 0 wrong, 1 unparsed",
            "flexible filter: 1 correct, 1 wrong, 0 unparsed",
        ],
        "no label, no comparison"
    );
    let strict = place
        .cdpo(&["grade", "responses.jsonl", "--extraction", "gsm8k_strict"])
        .succeeded();
    assert!(
        strict
            .stderr
            .starts_with("graded: 1 correct, 0 wrong, 1 unparsed"),
        "{strict:#?}"
    );
    place
        .cdpo(&["grade", "responses.jsonl", "--extraction", "loose"])
        .failed(2, &["loose", "gsm8k_flexible"]);
    let answers = "{\"response\":\"#### 4\",\"answer\":\"She has 4.\\n#### 4\"}\n";
    std::fs::write(place.dir.join("answers.jsonl"), answers).unwrap();
    let graded = place.cdpo(&["grade", "answers.jsonl"]).succeeded();
    assert!(graded.stderr.contains("1 correct, 0 wrong"), "{graded:#?}");
    std::fs::write(place.dir.join("bad.jsonl"), "{\"response\":\"x\"}\n").unwrap();
    place
        .cdpo(&["grade", "bad.jsonl"])
        .failed(1, &["bad.jsonl:1", "gold"]);
    // A cause that a message has in it is not said again after it.
    let absent = place.cdpo(&["grade", "absent.jsonl"]);
    let absent = absent.failed(1, &["absent.jsonl"]);
    let causes = absent.stderr.matches("No such file").count();
    assert_eq!(causes, 1, "{}", absent.stderr);
    let explained = place
        .cdpo(&["grade", "--explain", "1/2", "0.5"])
        .succeeded();
    assert!(
        explained.stdout.contains("\"equal\": true"),
        "{explained:#?}"
    );
    for (flags, equal) in [(&[][..], false), (&["--percent-rule"][..], true)] {
        let explained = place
            .cdpo(&[&["grade", "--explain", "50%", "0.5"], flags].concat())
            .succeeded();
        let expected = format!("\"equal\": {equal}");
        assert!(explained.stdout.contains(&expected), "{explained:#?}");
    }
}

#[test]
fn gold_answers_that_are_numbers_are_graded_by_their_digits() {
    let place = Place::new();
    // 25!, and 2^64 beside 2^64 + 1: as f64 the last two are one number.
    let rows = r#"{"response":"The answer is 15511210043330985984000000","gold":15511210043330985984000000}
{"response":"The answer is 18446744073709551616","gold":18446744073709551617}
{"response":"So it is 1000.","answer":1e3}
{"response":0.1,"answer":0.1}
"#;
    std::fs::write(place.dir.join("numbers.jsonl"), rows).unwrap();
    let graded = place.cdpo(&["grade", "numbers.jsonl"]).succeeded();
    let outcomes: Vec<String> = graded
        .stdout
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["outcome"].to_string())
        .collect();
    let [right, wrong] = ["\"correct\"", "\"wrong\""];
    assert_eq!(outcomes, [right, wrong, right, right]);
}

#[test]
fn files_of_other_kinds_are_read_or_refused_by_name() {
    let place = Place::new();
    let rows = "response,gold,label\nThe answer is 4.,4,True\nThe answer is 5.,4,False\n";
    std::fs::write(place.dir.join("responses.csv"), rows).unwrap();
    let graded = place.cdpo(&["grade", "responses.csv"]).succeeded();
    assert!(
        graded.stderr.contains("1 correct, 1 wrong")
            && graded.stderr.contains("2 of 2 labels agree"),
        "{graded:#?}"
    );
    std::fs::create_dir(place.dir.join("folder")).unwrap();
    std::fs::write(place.dir.join("page.jsonl"), "<!doctype html>Sign in").unwrap();
    for (file, what) in [
        ("folder", "this is a folder: name the file in it"),
        ("page.jsonl", "page.jsonl: this is an HTML"),
    ] {
        place.cdpo(&["grade", file]).failed(1, &[what]);
        place
            .cdpo(&["demo", "--set", &format!("data.train={file}")])
            .failed(1, &[what]);
    }
}

#[test]
fn a_label_that_differs_from_the_verdict_is_shown_with_its_line() {
    let place = Place::new();
    let rows = r#"{"response":"The answer is 4.","gold":"4","label":true}
{"response":"The answer is 4.","gold":"4","label":false}

{"response":"The answer is 5.","gold":"4","correct":true}
{"response":"The answer is 5.","gold":"4","label":"unsure"}
{"response":"","gold":"4","correct":false}
"#;
    std::fs::write(place.dir.join("labelled.jsonl"), rows).unwrap();
    let graded = place.cdpo(&["grade", "labelled.jsonl"]).succeeded();
    let told: Vec<&str> = graded.stderr.lines().collect();
    assert_eq!(
        told[3..],
        [
            r#"labelled.jsonl:2: labelled wrong, graded correct: "4" against "4""#,
            r#"labelled.jsonl:4: labelled correct, graded wrong: "5" against "4""#,
            "2 of 4 labels agree",
        ]
    );
    let agrees: Vec<Option<bool>> = graded
        .stdout
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["agrees"].as_bool())
        .collect();
    assert_eq!(
        agrees,
        [Some(true), Some(false), Some(false), None, Some(true)]
    );
}

#[test]
fn a_warm_up_longer_than_the_training_is_told_before_anything_is_sampled() {
    let place = Place::new();
    let sets = [
        "--set",
        "ce.train.epochs=1",
        "--set",
        "ce.train.max_steps=5",
    ];
    place
        .cdpo(&[&["demo"][..], &sets].concat())
        .failed(2, &["epochs and max_steps are both given"]);
    let recipe = include_str!("../../../recipes/tiny.toml").replace("warmup_ratio", "# ");
    std::fs::write(place.dir.join("long.toml"), recipe).unwrap();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    let run = ["run", "long.toml", "--set", "methods=[\"sft\"]"];
    place.cdpo(&run).failed(
        2,
        &[
            "sft: 100 warm-up steps of at most",
            "train.warmup_ratio=0.1",
        ],
    );
    assert!(!place.dir.join("demo/runs/tiny/samples").exists());
}

#[test]
fn skipped_questions_are_those_before_the_limit() {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    let recipe = include_str!("../../../recipes/tiny.toml");
    std::fs::write(place.dir.join("tiny.toml"), recipe).unwrap();
    let questions = |skip: &str, limit: &str| {
        let (skip, limit) = (format!("eval.skip={skip}"), format!("eval.limit={limit}"));
        let run = ["eval", "tiny.toml", "--set", &skip, "--set", &limit];
        place.cdpo(&run).succeeded();
        place.read("problems/test.jsonl")
    };
    let all = questions("0", "8");
    let after = questions("3", "5");
    let rest: Vec<&str> = all.lines().skip(3).collect();
    assert_eq!(after.lines().collect::<Vec<_>>(), rest);
    place
        .cdpo(&["eval", "tiny.toml", "--set", "eval.skip=500"])
        .failed(1, &["test.jsonl", "eval.skip"]);
}
