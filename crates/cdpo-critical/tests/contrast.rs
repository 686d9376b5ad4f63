//! Contrastive scoring: through a stand-in for the model (batches, resuming, errors) and through the engine on a tiny random
//! model, held to Eq. 1 in f64 over both models' full logits.

use std::cell::RefCell;
use std::ops::ControlFlow;

use cdpo_critical::contrast::{Contrast, SEPARATION_FLOOR, formula, score_pairs_by};
use cdpo_critical::{ContrastModels, ContrastSettings, ContrastSummary, Error, score_pairs};
use cdpo_data::{Pair, Record};
use cdpo_model::config::{Family, ModelConfig, RopeScaling};
use cdpo_model::source::TensorSource;
use cdpo_model::{
    Adapter, AdapterStack, Device, Key, LoraConfig, Model, Standing, Target, TokenForest,
};

const VOCAB: usize = 61;

/// A pair with random ids: `prompt` and `rejected` tokens.
fn pair(id: usize, prompt: usize, rejected: usize, terminated: bool) -> Pair {
    let key = Key::new(17).with(id as u64);
    let ids = |name: &str, n: usize| {
        (0..n)
            .map(|i| key.with_str(name).with(i as u64).below(VOCAB) as u32)
            .collect()
    };
    Pair {
        prompt: format!("Question {id}"),
        chosen: "right".into(),
        rejected: "wrong".into(),
        problem_id: format!("q/{id}"),
        chosen_sample: 1,
        rejected_sample: 4,
        prompt_ids: ids("prompt", prompt),
        chosen_ids: ids("chosen", 3),
        rejected_ids: ids("rejected", rejected),
        chosen_terminated: false,
        rejected_terminated: terminated,
        rejected_scores: None,
        rejected_weights: None,
        chosen_weights: None,
        positive_logps: None,
        negative_logps: None,
        rejected_ranks: None,
        rejected_alternatives: None,
        chosen_positive_logps: None,
        chosen_negative_logps: None,
    }
}

fn pairs() -> Vec<Pair> {
    vec![
        pair(0, 5, 7, true),
        pair(1, 3, 4, false),
        pair(2, 9, 12, true),
        pair(3, 2, 1, true),
        pair(4, 4, 6, false),
    ]
}

/// Stands in for the model: numbers that depend on each target alone.
#[allow(clippy::unnecessary_wraps, reason = "the model's calls can fail")]
fn stand_in(_: &TokenForest, targets: &[Target]) -> cdpo_model::Result<Contrast> {
    let of = |scale: f32| {
        targets
            .iter()
            .map(|target| -scale * (target.id as f32 + 1.0))
            .collect()
    };
    Ok(Contrast {
        log_scores: of(0.1),
        positive_logps: of(0.2),
        negative_logps: of(0.25),
        positive_standings: targets
            .iter()
            .map(|target| Standing {
                rank: target.id + 1,
                alternatives: vec![(target.id + 7, 0.5), (target.id + 8, 0.25)],
            })
            .collect(),
    })
}

fn settings(max_tokens: usize) -> ContrastSettings {
    ContrastSettings {
        max_tokens,
        ..ContrastSettings::default()
    }
}

/// Scores all pairs and returns them with the summary.
fn scored_by(
    contrast: &mut dyn FnMut(&TokenForest, &[Target]) -> cdpo_model::Result<Contrast>,
    pairs: &[Pair],
    done: &[Pair],
    settings: &ContrastSettings,
) -> Result<(Vec<Pair>, ContrastSummary), Error> {
    let mut scored = Vec::new();
    let summary = score_pairs_by(contrast, pairs, done, settings, &mut |pair| {
        scored.push(pair);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((scored, summary))
}

#[test]
fn scores_land_on_their_own_tokens_whatever_the_batch() {
    let pairs = pairs();
    let (one_by_one, _) = scored_by(&mut stand_in, &pairs, &[], &settings(1)).unwrap();
    for max_tokens in [12, 20, 33, 10_000] {
        assert_eq!(
            scored_by(&mut stand_in, &pairs, &[], &settings(max_tokens))
                .unwrap()
                .0,
            one_by_one
        );
    }
    for (pair, scored) in pairs.iter().zip(&one_by_one) {
        scored.check().unwrap();
        let scores = scored.rejected_scores.as_ref().unwrap();
        let weights = scored.rejected_weights.as_ref().unwrap();
        for (t, &id) in pair.rejected_ids.iter().enumerate() {
            let s = (-f64::from(0.1f32 * (id as f32 + 1.0))).exp();
            assert!((f64::from(scores[t]) - s).abs() < 1e-7);
            assert!((f64::from(weights[t]) - (1.0 - s)).abs() < 1e-7);
            assert_eq!(
                scored.positive_logps.as_ref().unwrap()[t],
                -0.2 * (id as f32 + 1.0)
            );
            assert_eq!(
                scored.negative_logps.as_ref().unwrap()[t],
                -0.25 * (id as f32 + 1.0)
            );
            assert_eq!(scored.rejected_ranks.as_ref().unwrap()[t], id + 1);
            assert_eq!(
                scored.rejected_alternatives.as_ref().unwrap()[t],
                [(id + 7, 0.5), (id + 8, 0.25)]
            );
        }
        for (t, &id) in pair.chosen_ids.iter().enumerate() {
            let of = |values: &Option<Vec<f32>>| values.as_ref().unwrap()[t];
            let id = id as f32 + 1.0;
            assert_eq!(of(&scored.chosen_positive_logps), -0.2 * id);
            assert_eq!(of(&scored.chosen_negative_logps), -0.25 * id);
        }
        assert!(
            scored.chosen_weights.is_none(),
            "only the rejected side is weighted"
        );
        let mut unscored = scored.clone();
        unscored.rejected_scores = None;
        unscored.rejected_weights = None;
        unscored.positive_logps = None;
        unscored.negative_logps = None;
        unscored.chosen_positive_logps = None;
        unscored.chosen_negative_logps = None;
        unscored.rejected_ranks = None;
        unscored.rejected_alternatives = None;
        assert_eq!(unscored, *pair, "nothing else changes");
    }
}

#[test]
fn a_call_holds_as_many_pairs_as_fit_the_budget_and_a_longer_pair_goes_alone() {
    let rows = RefCell::new(Vec::new());
    let mut counting = |forest: &TokenForest, targets: &[Target]| {
        rows.borrow_mut().push(forest.rows());
        stand_in(forest, targets)
    };
    // Pairs hold 15, 10, 24, 6 and 13 tokens.
    scored_by(&mut counting, &pairs(), &[], &settings(25)).unwrap();
    assert_eq!(rows.take(), [25, 24, 19]);
    scored_by(&mut counting, &pairs(), &[], &settings(24)).unwrap();
    assert_eq!(rows.take(), [15, 10, 24, 19]);
}

#[test]
fn a_resumed_run_calls_the_model_with_the_same_forests_and_ends_with_the_same_pairs_and_summary() {
    let pairs = pairs();
    let calls = RefCell::new(Vec::new());
    let mut recording = |forest: &TokenForest, targets: &[Target]| {
        calls.borrow_mut().push(forest.ids().to_vec());
        stand_in(forest, targets)
    };
    let (whole, summary) = scored_by(&mut recording, &pairs, &[], &settings(25)).unwrap();
    let whole_calls = calls.take();
    for done in 0..=pairs.len() {
        let (rest, resumed) =
            scored_by(&mut recording, &pairs, &whole[..done], &settings(25)).unwrap();
        assert_eq!(rest, whole[done..], "{done} pairs were done");
        assert_eq!(resumed, summary);
        assert!(
            whole_calls.ends_with(&calls.take()),
            "{done} pairs were done"
        );
    }
}

#[test]
fn scored_pairs_of_another_selection_are_refused() {
    let pairs = pairs();
    let (scored, _) = scored_by(&mut stand_in, &pairs, &[], &settings(100)).unwrap();
    let mut other = scored[..2].to_vec();
    other[1].rejected_sample = 9;
    let error = scored_by(&mut stand_in, &pairs, &other, &settings(100)).unwrap_err();
    assert!(
        matches!(error, Error::NotAPrefix { index: 1, .. }),
        "{error}"
    );
    let error = scored_by(&mut stand_in, &pairs[..1], &scored[..2], &settings(100)).unwrap_err();
    assert!(error.to_string().contains("no more pairs"), "{error}");
}

#[test]
fn a_value_that_is_not_a_number_names_pair_and_token() {
    for (what, field) in [
        ("log s", 0),
        ("the positive log-probability", 1),
        ("the negative log-probability", 2),
    ] {
        let mut spoiled = |forest: &TokenForest, targets: &[Target]| {
            let mut contrast = stand_in(forest, targets)?;
            // Targets 0..7 are pair 0's; 7..11 are pair 1's.
            let fields = [
                &mut contrast.log_scores,
                &mut contrast.positive_logps,
                &mut contrast.negative_logps,
            ];
            fields.into_iter().nth(field).unwrap()[8] = f32::NAN;
            Ok(contrast)
        };
        let error = scored_by(&mut spoiled, &pairs(), &[], &settings(1000)).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error::NotFinite {
                    position: 2,
                    count: 4,
                    ..
                }
            ),
            "{text}"
        );
        assert!(
            text.starts_with(&format!(
                "pair q/1 (samples 1 and 4), rejected token 2 of 4: {what} is NaN"
            )),
            "{text}"
        );
    }
}

#[test]
fn a_failing_model_a_short_answer_and_an_empty_prompt_name_their_pairs() {
    let mut failing =
        |_: &TokenForest, _: &[Target]| Err(cdpo_model::Error::Context("too long".into()));
    let error = scored_by(&mut failing, &pairs(), &[], &settings(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "scoring pair q/0 (samples 1 and 4): context: too long"
    );
    let mut short = |forest: &TokenForest, targets: &[Target]| {
        let mut contrast = stand_in(forest, targets)?;
        contrast.negative_logps.pop();
        Ok(contrast)
    };
    assert!(matches!(
        scored_by(&mut short, &pairs(), &[], &settings(1)),
        Err(Error::Scoring { .. })
    ));
    let mut promptless = pairs();
    promptless[2].prompt_ids.clear();
    let error = scored_by(&mut stand_in, &promptless, &[], &settings(1)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("pair q/2 (samples 1 and 4): prompt_ids is empty"),
        "{error}"
    );
}

#[test]
fn a_sink_can_stop_the_scoring_and_its_errors_come_back() {
    let mut taken = 0;
    let summary = score_pairs_by(&mut stand_in, &pairs(), &[], &settings(1), &mut |_| {
        taken += 1;
        Ok(if taken == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    assert_eq!((taken, summary.pairs), (2, 2));
    let full = || Error::Data(cdpo_data::Error::Setting("disk full".into()));
    let error = score_pairs_by(&mut stand_in, &pairs(), &[], &settings(1), &mut |_| {
        Err(full())
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "disk full");
}

#[test]
fn the_summary_keeps_terminators_apart_and_measures_the_separation() {
    let (scored, summary) = scored_by(&mut stand_in, &pairs(), &[], &settings(1)).unwrap();
    assert_eq!(
        (summary.pairs, summary.content_tokens, summary.terminators),
        (5, 27, 3)
    );
    assert_eq!(summary.tokens_read, 68);
    let (mut apart, mut content, mut terminator) = (0.0, 0.0, 0.0);
    for pair in &scored {
        for (t, &id) in pair.rejected_ids.iter().enumerate() {
            let s = f64::from(pair.rejected_scores.as_ref().unwrap()[t]);
            if pair.rejected_terminated && t + 1 == pair.rejected_ids.len() {
                terminator += s;
            } else {
                content += s;
                apart += 0.05 * (f64::from(id) + 1.0);
            }
        }
    }
    assert!((summary.mean_score.unwrap() - content / 27.0).abs() < 1e-12);
    assert!((summary.mean_terminator_score.unwrap() - terminator / 3.0).abs() < 1e-12);
    // The stand-in's f32 products are rounded: 61 * 0.25 * 2^-24.
    assert!((summary.separation.unwrap() - apart / 27.0).abs() < 1e-5);
    assert_eq!(summary.score_histogram.iter().sum::<u64>(), 27);
    assert!(!summary.barely_separated());
    assert_eq!(ContrastSummary::of(1.0, &scored).unwrap(), summary);
    assert!(matches!(
        ContrastSummary::of(1.0, &pairs()),
        Err(Error::Pair { .. })
    ));
}

#[test]
fn models_that_hardly_differ_are_marked() {
    let alike = |apart: f32| {
        let mut contrast = |forest: &TokenForest, targets: &[Target]| {
            let mut contrast = stand_in(forest, targets)?;
            contrast.negative_logps = contrast
                .positive_logps
                .iter()
                .map(|logp| logp - apart)
                .collect();
            Ok(contrast)
        };
        scored_by(&mut contrast, &pairs(), &[], &settings(100))
            .unwrap()
            .1
    };
    assert!(alike(0.0).barely_separated());
    assert!(alike(SEPARATION_FLOOR as f32 * 0.99).barely_separated());
    assert!(!alike(SEPARATION_FLOOR as f32 * 1.01).barely_separated());
    let nothing = scored_by(&mut stand_in, &[], &[], &settings(100))
        .unwrap()
        .1;
    assert!(!nothing.barely_separated() && nothing.separation.is_none());
}

#[test]
fn a_score_near_one_keeps_its_small_weight() {
    let mut certain = |_: &TokenForest, targets: &[Target]| {
        let n = targets.len();
        Ok(Contrast {
            log_scores: vec![-1e-9; n],
            positive_logps: vec![-0.1; n],
            negative_logps: vec![-0.3; n],
            positive_standings: vec![
                Standing {
                    rank: 1,
                    alternatives: vec![]
                };
                n
            ],
        })
    };
    let pair = &scored_by(&mut certain, &pairs(), &[], &settings(100))
        .unwrap()
        .0[0];
    assert_eq!(pair.rejected_scores.as_ref().unwrap()[0], 1.0);
    assert!((pair.rejected_weights.as_ref().unwrap()[0] / 1e-9 - 1.0).abs() < 1e-6);
    // Rounding may leave log s a hair above 0: the score stays within [0, 1].
    let mut above = |_: &TokenForest, targets: &[Target]| {
        let n = targets.len();
        Ok(Contrast {
            log_scores: vec![1e-6; n],
            positive_logps: vec![-0.1; n],
            negative_logps: vec![-0.3; n],
            positive_standings: vec![
                Standing {
                    rank: 1,
                    alternatives: vec![]
                };
                n
            ],
        })
    };
    let pair = &scored_by(&mut above, &pairs(), &[], &settings(100))
        .unwrap()
        .0[0];
    pair.check().unwrap();
    assert_eq!(pair.rejected_weights.as_ref().unwrap()[0], 0.0);
}

#[test]
fn settings_out_of_range_are_errors() {
    for ce_beta in [-0.1, f64::NAN, f64::INFINITY] {
        let settings = ContrastSettings {
            ce_beta,
            ..ContrastSettings::default()
        };
        assert!(matches!(
            settings.validate(),
            Err(Error::Setting {
                name: "contrast.ce_beta",
                ..
            })
        ));
    }
    assert!(matches!(
        settings(0).validate(),
        Err(Error::Setting {
            name: "contrast.max_tokens",
            ..
        })
    ));
}

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
