//! Logits, log-probabilities and contrast scores against transformers and PEFT.

use super::*;

#[test]
fn logits_of_every_family_equal_transformers() {
    for (name, prefix) in [
        ("llama", ""),
        ("llama-tied", ""),
        ("qwen2", ""),
        ("llama-linear", ""),
    ]
    .into_iter()
    .chain(ADAPTED.map(|n| (n, "lora.")))
    {
        let f = fixture(name);
        let lora = (!prefix.is_empty()).then(|| adapter(&f, "lora"));
        let adapters: Vec<&Adapter> = lora.iter().collect();
        let stack = AdapterStack::frozen(&adapters);
        for (i, sequence) in f.json["sequences"].as_array().unwrap().iter().enumerate() {
            let mut forest = TokenForest::new();
            forest.push(&ids(sequence), None, 0);
            let got: Vec<f32> = f
                .model
                .forest_logits(&forest, &stack)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f32> = f.tensors[&format!("{prefix}logits.{i}")]
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            close(&got, &expected, 1e-5);
        }
    }
}

#[test]
fn token_logps_of_shared_prompts_packed_together_equal_peft() {
    for name in ADAPTED {
        let f = fixture(name);
        for which in ["base", "lora", "lora-mlp-rs"] {
            let lora = (which != "base").then(|| adapter(&f, which));
            let adapters: Vec<&Adapter> = lora.iter().collect();
            let mut forest = TokenForest::new();
            let mut targets = Vec::new();
            let mut expected = Vec::new();
            for (pair, reference) in f.json["pairs"]
                .as_array()
                .unwrap()
                .iter()
                .zip(f.json["token_logps"][which].as_array().unwrap())
            {
                let pair = push_pair(&mut forest, pair, true);
                targets.extend(pair.chosen.into_iter().chain(pair.rejected));
                expected.extend(
                    floats(&reference["chosen"])
                        .into_iter()
                        .chain(floats(&reference["rejected"])),
                );
            }
            let got = f
                .model
                .score(&forest, &AdapterStack::frozen(&adapters), &targets)
                .unwrap();
            close(&got, &expected, 1e-5);
        }
    }
}

#[test]
fn contrast_scores_equal_the_softmax_of_both_models_full_logits() {
    for name in ADAPTED {
        let f = fixture(name);
        let (positive, negative) = (adapter(&f, "lora"), adapter(&f, "lora-mlp-rs"));
        let (positive, negative) = ([&positive], [&negative]);
        for case in f.json["contrast_scores"].as_array().unwrap() {
            let beta = case["ce_beta"].as_f64().unwrap();
            for (pair, scores) in f.json["pairs"]
                .as_array()
                .unwrap()
                .iter()
                .zip(case["rejected"].as_array().unwrap())
            {
                let mut forest = TokenForest::new();
                let targets = push_pair(&mut forest, pair, true).rejected;
                let got = f
                    .model
                    .contrast_scores(
                        &forest,
                        &AdapterStack::frozen(&positive),
                        &AdapterStack::frozen(&negative),
                        &targets,
                        targets.len(),
                        beta,
                    )
                    .unwrap();
                let expected: Vec<f64> = floats(scores).iter().map(|s| s.ln()).collect();
                close(&got.log_scores, &expected, 1e-5);
                let judged = targets.len() / 2;
                let part = f
                    .model
                    .contrast_scores(
                        &forest,
                        &AdapterStack::frozen(&positive),
                        &AdapterStack::frozen(&negative),
                        &targets,
                        judged,
                        beta,
                    )
                    .unwrap();
                assert_eq!(part.log_scores, got.log_scores[..judged]);
                assert_eq!(part.positive_standings, got.positive_standings[..judged]);
                assert_eq!(part.positive_logps, got.positive_logps);
                assert_eq!(part.negative_logps, got.negative_logps);
            }
        }
    }
}
