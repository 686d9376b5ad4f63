//! Every method runs from a recipe, and what it leaves behind is what was evaluated.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::Place;

const STRONG: &str = "train.learning_rate=0.01";

fn json(place: &Place, path: &str) -> serde_json::Value {
    serde_json::from_str(&place.read(path)).unwrap()
}

#[test]
fn every_method_has_its_row() {
    let methods = [
        "sft",
        "sft+dpo",
        "dpo",
        "rpo",
        "cdpo",
        "cdpo-reference-compat",
        "weighted-dpo",
        "ipo",
        "simpo",
        "dpop",
    ];
    let place = Place::new();
    let set = format!("methods={methods:?}");
    let table = place.cdpo(&["demo", "--set", &set]).succeeded().stdout;
    for method in methods {
        assert!(table.contains(&format!("| {method} ")), "{method}: {table}");
        assert!(place.run_dir().join(method).join("adapter").exists());
    }
}

#[test]
fn a_method_after_fine_tuning_starts_there_and_is_one_adapter() {
    let place = Place::new();
    let set = "methods=[\"sft+dpo\", \"dpo\"]";
    let run = ["demo", "--set", set, "--set", STRONG];
    let table = place.cdpo(&run).succeeded().stdout;
    assert!(!table.contains("| sft "), "not asked for: {table}");
    let rank =
        |stage: &str| json(&place, &format!("{stage}/adapter/adapter_config.json"))["r"].clone();
    assert_eq!((rank("sft"), rank("sft+dpo")), (16.into(), 32.into()));
    let first = |method: &str| {
        let metrics = place.read(&format!("{method}/metrics.jsonl"));
        let first: serde_json::Value =
            serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
        first
    };
    // Policy and reference are the same at the start, which is not the base.
    let ln2 = std::f64::consts::LN_2;
    for method in ["sft+dpo", "dpo"] {
        let loss = first(method)["loss"].as_f64().unwrap();
        assert!((loss - ln2).abs() < 1e-5, "{method}: {loss}");
    }
    assert_ne!(
        first("sft+dpo")["logps/chosen"],
        first("dpo")["logps/chosen"]
    );
    // The one adapter alone gives the answers that were evaluated.
    let recipe = place.run_dir().join("recipe.toml");
    let adapter = place.run_dir().join("sft+dpo/adapter");
    place
        .cdpo(&[
            "eval",
            recipe.to_str().unwrap(),
            "--adapter",
            adapter.to_str().unwrap(),
        ])
        .succeeded();
    let answers = |stage: &str| place.read(&format!("{stage}/trajectories.jsonl"));
    assert_eq!(answers("eval-given"), answers("eval-sft+dpo"));
    assert_ne!(answers("eval-sft+dpo"), answers("eval-base"));
}

#[test]
fn all_parameters_are_trained_into_a_model_of_its_own() {
    let place = Place::new();
    let run = [
        "demo",
        "--set",
        "methods=[\"dpo\", \"sft+dpo\"]",
        "--set",
        "train.parameters=all",
        "--set",
        "train.learning_rate=0.003",
    ];
    place.cdpo(&run).succeeded();
    let answers = |path: &str| {
        std::fs::read_to_string(
            place
                .dir
                .join("demo/runs")
                .join(path)
                .join("trajectories.jsonl"),
        )
        .unwrap()
    };
    let recipe = place.run_dir().join("recipe.toml");
    for method in ["dpo", "sft+dpo"] {
        assert_ne!(
            answers(&format!("tiny/eval-{method}")),
            answers("tiny/eval-base")
        );
        let model = format!(
            "model.path={:?}",
            place.run_dir().join(method).join("model")
        );
        let sets = ["--set", &model, "--set", "run.name=alone"];
        place
            .cdpo(&[&["eval", recipe.to_str().unwrap()][..], &sets].concat())
            .succeeded();
        assert_eq!(
            answers("alone/eval-base"),
            answers(&format!("tiny/eval-{method}"))
        );
    }
    place
        .cdpo(&[
            "demo",
            "--set",
            "ce.train.parameters=all",
            "--set",
            "methods=[\"sft\", \"sft+dpo\"]",
            "--set",
            "train.sft.parameters=all",
        ])
        .failed(
            2,
            &[
                "ce.train.parameters",
                "train.sft+dpo.parameters: it starts from sft",
            ],
        );
}
