//! Scores of a random model against Eq. 1 by its definition.

use super::*;

/// Weights drawn by name, large enough that the logits spread over several nats.
struct RandomWeights;

impl TensorSource for RandomWeights {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> cdpo_model::Result<Vec<f32>> {
        let key = Key::new(5).with_str(name);
        let scale = if name.contains("norm") {
            0.5
        } else {
            2.0 / (shape[shape.len() - 1] as f64).sqrt()
        };
        let offset = if name.contains("norm") { 1.0 } else { 0.0 };
        let n = shape.iter().product::<usize>();
        Ok((0..n as u64)
            .map(|i| (offset + scale * (2.0 * key.with(i).unit() - 1.0)) as f32)
            .collect())
    }
}

fn tiny_config() -> ModelConfig {
    ModelConfig {
        family: Family::Llama,
        vocab_size: VOCAB,
        hidden_size: 24,
        intermediate_size: 40,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        rope_scaling: RopeScaling::None,
        tie_embeddings: false,
        qkv_bias: false,
        max_positions: 64,
        bos: None,
        eos: vec![2],
    }
}

/// An adapter whose two factors are both random, so that it changes the model.
fn random_adapter(config: &ModelConfig, seed: u64) -> Adapter {
    let lora = LoraConfig {
        rank: 3,
        alpha: 6.0,
        ..LoraConfig::default()
    };
    let mut adapter = Adapter::init(config, &lora, Key::new(seed), &Device::Cpu).unwrap();
    let mut params = adapter.arena().clone();
    for (i, value) in params.data.iter_mut().enumerate() {
        *value = (Key::new(seed).with_str("values").with(i as u64).unit() - 0.5) as f32;
    }
    adapter.set(&params).unwrap();
    adapter
}

/// Log s, log P_p and log P_n in f64 from whole rows of logits, each token's prompt and prefix run by itself.
fn by_definition(
    models: &ContrastModels<'_>,
    pair: &Pair,
    response: &[u32],
    t: usize,
    ce_beta: f64,
) -> (f64, f64, f64) {
    let mut forest = TokenForest::new();
    let prefix: Vec<u32> = pair
        .prompt_ids
        .iter()
        .chain(&response[..t])
        .copied()
        .collect();
    forest.push(&prefix, None, 0);
    let last_row = |stack: &AdapterStack<'_>| -> Vec<f64> {
        let logits = models
            .model
            .forest_logits(&forest, stack)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        logits[prefix.len() - 1]
            .iter()
            .map(|&logit| f64::from(logit))
            .collect()
    };
    let (positive, negative) = (last_row(&models.positive), last_row(&models.negative));
    let token = response[t] as usize;
    (
        formula::log_score(&positive, &negative, token, ce_beta),
        formula::log_softmax(&positive, token),
        formula::log_softmax(&negative, token),
    )
}

/// The engine mixes hidden states before one f32 product with the head; logits here reach about 20, so that rounding of both
/// paths stays near 20 * 2^-24 * sqrt(24) ~ 6e-6 a term.
#[test]
fn scores_through_the_engine_equal_the_softmax_over_both_models_full_logits() {
    let config = tiny_config();
    let model = Model::load(&config, &RandomWeights, &Device::Cpu).unwrap();
    let (positive, negative) = (random_adapter(&config, 1), random_adapter(&config, 2));
    let (positive, negative) = ([&positive], [&negative]);
    let models = ContrastModels {
        model: &model,
        positive: AdapterStack::frozen(&positive),
        negative: AdapterStack::frozen(&negative),
    };
    for ce_beta in [0.0, 0.5, 1.0, 2.0] {
        let settings = ContrastSettings {
            ce_beta,
            max_tokens: 25,
        };
        let mut scored = Vec::new();
        let summary = score_pairs(&models, &pairs(), &[], &settings, &mut |pair| {
            scored.push(pair);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert!(
            summary.separation.unwrap() > 0.3,
            "the two models must differ for the test to say anything"
        );
        for pair in &scored {
            pair.check().unwrap();
            for t in 0..pair.rejected_ids.len() {
                let (log_score, positive, negative) =
                    by_definition(&models, pair, &pair.rejected_ids, t, ce_beta);
                let found = |values: &Option<Vec<f32>>| f64::from(values.as_ref().unwrap()[t]);
                let close = |name: &str, found: f64, expected: f64| {
                    let off = (found - expected).abs();
                    assert!(
                        off < 5e-5,
                        "{} token {t} beta {ce_beta}: {name} {found}, expected {expected}",
                        pair.problem_id
                    );
                };
                close("log s", found(&pair.rejected_scores).ln(), log_score);
                close("log P_p", found(&pair.positive_logps), positive);
                close("log P_n", found(&pair.negative_logps), negative);
                close("1 - s", found(&pair.rejected_weights), -log_score.exp_m1());
                // The best alternative and the rank say the same of the token's place.
                let best = pair.rejected_alternatives.as_ref().unwrap()[t][0].1;
                let first = pair.rejected_ranks.as_ref().unwrap()[t] == 1;
                assert_eq!(first, found(&pair.positive_logps).exp() > f64::from(best));
            }
            for t in 0..pair.chosen_ids.len() {
                let (_, positive, negative) =
                    by_definition(&models, pair, &pair.chosen_ids, t, ce_beta);
                let found = |values: &Option<Vec<f32>>| f64::from(values.as_ref().unwrap()[t]);
                assert!((found(&pair.chosen_positive_logps) - positive).abs() < 5e-5);
                assert!((found(&pair.chosen_negative_logps) - negative).abs() < 5e-5);
            }
        }
    }
}

#[test]
fn two_equal_models_score_a_token_by_its_own_probability() {
    let config = tiny_config();
    let model = Model::load(&config, &RandomWeights, &Device::Cpu).unwrap();
    let models = ContrastModels {
        model: &model,
        positive: AdapterStack::base(),
        negative: AdapterStack::base(),
    };
    let summary = score_pairs(
        &models,
        &pairs(),
        &[],
        &ContrastSettings::default(),
        &mut |pair| {
            let scores = pair.rejected_scores.as_ref().unwrap();
            for (score, logp) in scores.iter().zip(pair.positive_logps.as_ref().unwrap()) {
                assert!((score - logp.exp()).abs() < 1e-6);
            }
            Ok(ControlFlow::Continue(()))
        },
    )
    .unwrap();
    assert_eq!(summary.separation, Some(0.0));
    assert!(summary.barely_separated());
}
