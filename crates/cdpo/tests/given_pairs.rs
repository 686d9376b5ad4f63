//! Training from pairs that the user has.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::Place;

fn with_pairs(rows: &str, methods: &str) -> (Place, binary::Outcome) {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    std::fs::write(place.dir.join("pairs.jsonl"), rows).unwrap();
    let recipe = include_str!("../../../recipes/tiny.toml");
    let recipe = recipe.replace("train = \"demo/train.jsonl\"", "pairs = \"pairs.jsonl\"");
    std::fs::write(place.dir.join("tiny.toml"), recipe).unwrap();
    let methods = format!("methods={methods}");
    let outcome = place.cdpo(&["run", "tiny.toml", "--set", &methods]);
    (place, outcome)
}

fn rows(weights: &str) -> String {
    let row = |i: usize| {
        format!(
            "{{\"prompt\":\"Q: {i}+1?\\nA:\",\"chosen\":\" {}.\",\"rejected\":\" {}.\"{weights}}}\n",
            i + 1,
            i + 2
        )
    };
    (0..4).map(row).collect()
}

#[test]
fn text_pairs_are_trained_on_without_sampling() {
    let (place, outcome) = with_pairs(&rows(""), "[\"sft\",\"dpo\",\"cdpo\"]");
    let table = outcome.succeeded().stdout;
    for method in ["base", "sft", "dpo", "cdpo"] {
        assert!(table.contains(&format!("| {method} ")), "{table}");
    }
    assert!(!place.run_dir().join("samples").exists());
    assert!(!place.run_dir().join("problems/train.jsonl").exists());
    assert_eq!(place.read("selected/positives.jsonl").lines().count(), 4);

    // The run's own file of pairs gives the same pairs back.
    let own = place.read("selected/pairs.jsonl");
    let (again, outcome) = with_pairs(&own, "[\"dpo\"]");
    outcome.succeeded();
    assert_eq!(again.read("selected/pairs.jsonl"), own);
    let dpo = "dpo/adapter/adapter_model.safetensors";
    let bytes = |place: &Place| std::fs::read(place.run_dir().join(dpo)).unwrap();
    assert_eq!(bytes(&place), bytes(&again));

    let sample = place.cdpo(&["sample", "tiny.toml"]);
    sample.failed(2, &["data.pairs", "nothing to sample"]);
}

#[test]
fn given_weights_are_trained_with_and_counted() {
    let weights = ",\"rejected_weights\":[1,0.5,0.25,0]";
    let (place, outcome) = with_pairs(&rows(weights), "[\"weighted-dpo\",\"dpo\"]");
    outcome.succeeded();
    assert!(!place.run_dir().join("scored").exists(), "not scored");
    let loss = |method: &str| {
        let metrics = place.read(&format!("{method}/metrics.jsonl"));
        metrics.lines().last().unwrap().to_owned()
    };
    assert_ne!(loss("weighted-dpo"), loss("dpo"));

    let short = ",\"rejected_weights\":[1,0.5]";
    let (_, outcome) = with_pairs(&rows(short), "[\"weighted-dpo\"]");
    outcome.failed(
        1,
        &["rejected_weights has 2 values but rejected_ids has 4 tokens"],
    );
    let (_, outcome) = with_pairs(&rows(""), "[\"weighted-dpo\"]");
    outcome.failed(1, &["neither rejected_weights nor chosen_weights"]);
}

#[test]
fn an_end_that_the_text_brings_is_the_only_one_and_is_reported() {
    let ended = rows("").replace(".\",\"rejected", ".<|end|>\\n\",\"rejected");
    assert_ne!(ended, rows(""));
    let (plain, outcome) = with_pairs(&rows(""), "[\"dpo\"]");
    let told = outcome.succeeded();
    assert!(!told.stderr.contains("their own end"), "{told:?}");
    let (brought, outcome) = with_pairs(&ended, "[\"dpo\"]");
    let told = outcome.succeeded();
    let report = "selected: 4 of 8 responses bring their own end (\"<|end|>\"); none is added";
    assert!(told.stderr.contains(report), "{told:?}");
    let ids = |place: &Place, key: &str| -> Vec<serde_json::Value> {
        let pairs = place.read("selected/pairs.jsonl");
        let row =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()[key].clone();
        pairs.lines().map(row).collect()
    };
    for key in ["prompt_ids", "chosen_ids", "rejected_ids"] {
        assert_eq!(ids(&plain, key), ids(&brought, key), "{key}");
    }
    let adapter = "dpo/adapter/adapter_model.safetensors";
    let bytes = |place: &Place| std::fs::read(place.run_dir().join(adapter)).unwrap();
    assert_eq!(bytes(&plain), bytes(&brought));
}

#[test]
fn encoded_pairs_that_do_not_begin_with_bos_once_are_warned_of() {
    let (place, outcome) = with_pairs(&rows(""), "[\"dpo\"]");
    outcome.succeeded();
    let own = place.read("selected/pairs.jsonl");
    std::fs::write(place.dir.join("pairs.jsonl"), &own).unwrap();
    // The demonstration has no BOS of its own; its end token stands in.
    let settings = place.dir.join("demo/model/tokenizer_config.json");
    std::fs::write(
        settings,
        r#"{"bos_token": "<|end|>", "eos_token": "<|end|>"}"#,
    )
    .unwrap();
    let told = place.cdpo(&[
        "run",
        "tiny.toml",
        "--set",
        "methods=[\"dpo\"]",
        "--set",
        "model.bos=true",
    ]);
    let told = told.succeeded();
    assert!(
        told.stderr
            .contains("4 of 4 pairs come with prompt_ids that do not begin with BOS"),
        "{told:?}"
    );
}
