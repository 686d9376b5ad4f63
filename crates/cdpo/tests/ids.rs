//! Token ids are set once and stay the same through every stage.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod binary;

use std::path::Path;

use binary::Place;
use cdpo_data::{OnBadRow, Pair, SftExample, Trajectory, jsonl};
use cdpo_model::Tokenizer;

fn read<T: cdpo_data::Record>(place: &Place, path: &str) -> Vec<T> {
    let path = place.run_dir().join(path);
    jsonl::read(path, OnBadRow::Fail).unwrap().0
}

#[test]
fn a_pair_has_the_same_ids_in_every_stage() {
    let place = Place::new();
    place.cdpo(&["demo"]).succeeded();
    let tokenizer =
        Tokenizer::from_file(Path::new(&place.dir.join("demo/model/tokenizer.json"))).unwrap();
    let eos = tokenizer.eos()[0];
    let samples: Vec<Trajectory> = read(&place, "samples/trajectories.jsonl");
    let positives: Vec<SftExample> = read(&place, "selected/positives.jsonl");
    let negatives: Vec<SftExample> = read(&place, "selected/negatives.jsonl");
    let selected: Vec<Pair> = read(&place, "selected/pairs.jsonl");
    let scored: Vec<Pair> = read(&place, "scored/pairs.jsonl");
    assert_eq!(selected.len(), scored.len());
    assert!(!selected.is_empty());
    for (pair, scored) in selected.iter().zip(&scored) {
        let sample = |index: u32| {
            let found = samples
                .iter()
                .find(|t| t.problem_id == pair.problem_id && t.sample == index);
            found.unwrap().response_ids(eos)
        };
        let example = |examples: &[SftExample], index: u32| {
            let found = examples
                .iter()
                .find(|e| e.problem_id == pair.problem_id && e.sample == index);
            let example = found.unwrap();
            (example.prompt_ids.clone(), example.response_ids.clone())
        };
        let prompt = tokenizer.encode(&pair.prompt).unwrap();
        let ids = (&pair.prompt_ids, &pair.chosen_ids, &pair.rejected_ids);
        println!("{}: {ids:?}", pair.problem_id);
        assert_eq!(
            ids,
            (
                &prompt,
                &sample(pair.chosen_sample),
                &sample(pair.rejected_sample)
            )
        );
        assert_eq!(
            ids,
            (&scored.prompt_ids, &scored.chosen_ids, &scored.rejected_ids)
        );
        let positive = example(&positives, pair.chosen_sample);
        let negative = example(&negatives, pair.rejected_sample);
        assert_eq!((ids.0, ids.1), (&positive.0, &positive.1));
        assert_eq!((ids.0, ids.2), (&negative.0, &negative.1));
        let weights = scored.rejected_weights.as_ref().unwrap();
        assert_eq!(weights.len(), pair.rejected_ids.len());
    }
}

#[test]
fn the_demonstration_model_is_right_in_a_tenth_to_a_third_of_its_samples() {
    let place = Place::new();
    place
        .cdpo(&["sample", "demo/none.toml"])
        .failed(2, &["demo/none.toml"]);
    place.cdpo(&["demo"]).succeeded();
    let graded = place.read("graded/graded.jsonl");
    let right = graded.matches("\"correct\"").count() as f64 / graded.lines().count() as f64;
    assert!((0.1..0.3).contains(&right), "{right}");
}

#[test]
fn exemplars_before_training_prompts_change_the_training_and_not_the_pairs() {
    let set = r#"{"name":"sums","source":"written for this test","licence":"Apache-2.0",
        "exemplars":[{"question":"1+1?","rationale":"2.","answer":"2"},{"question":"4-1?","rationale":"3.","answer":"3"}]}"#;
    let with = |few_shot: &str| {
        let place = Place::new();
        std::fs::write(place.dir.join("exemplars.json"), set).unwrap();
        let few_shot = format!("train.few_shot={few_shot}");
        let exemplars = "prompt.exemplars=exemplars.json";
        place
            .cdpo(&["demo", "--set", exemplars, "--set", &few_shot])
            .succeeded();
        place
    };
    let (without, with) = (with("false"), with("true"));
    for file in ["selected/pairs.jsonl", "samples/trajectories.jsonl"] {
        assert_eq!(without.read(file), with.read(file));
    }
    let pairs = |place: &Place| -> Vec<Pair> { read(place, "scored/pairs.jsonl") };
    for (a, b) in pairs(&without).iter().zip(pairs(&with)) {
        assert_eq!(a.prompt_ids, b.prompt_ids);
        assert_ne!(a.positive_logps, b.positive_logps);
    }
    let tokens = |place: &Place| -> serde_json::Value {
        let manifest: serde_json::Value =
            serde_json::from_str(&place.read("dpo/manifest.json")).unwrap();
        manifest["counts"]["tokens_read"].clone()
    };
    assert!(tokens(&with).as_u64() > tokens(&without).as_u64());
}
