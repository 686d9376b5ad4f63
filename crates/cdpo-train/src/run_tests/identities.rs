//! What must come to the same: methods, packings, prefixes, recomputation.

use super::*;

/// The same examples a step, computed together or one by one: only the order of f32 additions differs.
#[test]
fn packed_or_accumulated_a_step_is_the_same() {
    let (model, values) = (model("llama"), values("llama"));
    for method in [Method::SFT, Method::CDPO] {
        let set = set(method, &values);
        let split = |batch_size, accumulation| {
            let settings = TrainSettings {
                batch_size: Some(batch_size),
                accumulation: Some(accumulation),
                ..small(method)
            };
            let dir = tempfile::tempdir().unwrap();
            train(&model, &set, &settings, dir.path(), NEVER, 0.1)
                .unwrap()
                .metrics
        };
        let one_by_one = split(1, 4);
        for other in [split(4, 1), split(2, 2)] {
            assert_eq!((one_by_one.len(), other.len()), (7, 7));
            for (a, b) in one_by_one.iter().zip(&other) {
                assert!(
                    (a.loss - b.loss).abs() < 1e-5 * a.loss,
                    "{method}: {a:?} {b:?}"
                );
                assert!(
                    (a.grad_norm - b.grad_norm).abs() < 1e-4 * a.grad_norm,
                    "{a:?} {b:?}"
                );
            }
        }
    }
}

#[test]
fn training_starts_at_log_two_and_lowers_the_loss() {
    let (model, values) = (model("llama"), values("llama"));
    for method in [
        Method::DPO,
        Method::CDPO,
        Method::of(Loss::CdpoReferenceCompat),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let report = train(
            &model,
            &set(method, &values),
            &small(method),
            dir.path(),
            NEVER,
            0.0,
        )
        .unwrap();
        let losses: Vec<f64> = report.metrics.iter().map(|m| m.loss).collect();
        assert!(
            (losses[0] - std::f64::consts::LN_2).abs() < 1e-5,
            "{method}: {losses:?}"
        );
        assert!(losses[6] < losses[0], "{method}: {losses:?}");
    }
}

#[test]
fn cdpo_with_unit_weights_trains_as_dpo_bit_for_bit() {
    let (model, values) = (model("llama"), values("llama"));
    let mut pairs = pairs(&values);
    for p in &mut pairs {
        p.rejected_weights = Some(vec![1.0; p.rejected_ids.len()]);
    }
    let set = TrainSet::Pairs(pairs);
    let [dpo, cdpo] = [Method::DPO, Method::CDPO].map(|method| {
        let dir = tempfile::tempdir().unwrap();
        train(&model, &set, &small(method), dir.path(), NEVER, 0.0)
            .unwrap()
            .metrics
    });
    assert_eq!(dpo, cdpo);
}

#[test]
fn a_prefix_before_every_prompt_is_the_same_as_longer_prompts() {
    let (model, values) = (model("llama"), values("llama"));
    let prefix = [7, 8, 9];
    let short = pairs(&values);
    let mut long = short.clone();
    for p in &mut long {
        p.prompt_ids.splice(0..0, prefix);
    }
    let losses = |pairs: Vec<Pair>, prefix: &[u32]| {
        let dir = tempfile::tempdir().unwrap();
        let job = Job {
            policy: on_top(&model, fresh(&model, 0.0)),
            model_id: "fixture",
            reference: &[],
            examples: &TrainSet::Pairs(pairs),
            prefix_ids: prefix,
            settings: &small(Method::CDPO),
            dir: dir.path(),
            reference_cache: None,
        };
        let report = run(job, &mut |_| ControlFlow::Continue(())).unwrap();
        report.metrics.iter().map(|m| m.loss).collect::<Vec<_>>()
    };
    let (with_prefix, without) = (losses(short, &prefix), losses(long, &[]));
    assert_eq!((with_prefix.len(), without.len()), (7, 7));
    for (a, b) in with_prefix.iter().zip(&without) {
        assert!((a - b).abs() < 1e-5, "{with_prefix:?} {without:?}");
    }
}

#[test]
fn recomputing_changes_no_bit() {
    let (model, values) = (model("qwen2"), values("qwen2"));
    let set = set(Method::CDPO, &values);
    let ways = [
        Recompute::Nothing,
        Recompute::FeedForward,
        Recompute::Blocks,
    ];
    let [kept, partly, recomputed] = ways.map(|recompute| {
        let settings = TrainSettings {
            recompute: Some(recompute),
            ..small(Method::CDPO)
        };
        let dir = tempfile::tempdir().unwrap();
        train(&model, &set, &settings, dir.path(), NEVER, 0.1)
            .unwrap()
            .metrics
    });
    assert_eq!(kept, partly);
    assert_eq!(kept, recomputed);
}

/// Policy and reference on the same adapter: the first step's loss is log 2 (its margin is 0), as from the base.
#[test]
fn after_fine_tuning_a_preference_method_starts_at_its_reference() {
    let (model, values) = (model("llama"), values("llama"));
    let tuned = Adapter::load(&folder("llama").join("lora"), model.config(), &Device::Cpu).unwrap();
    let tuned = [&tuned];
    for name in ["sft+dpo", "sft+tdpo2", "sft+cdpo"] {
        let method: Method = name.parse().unwrap();
        let (set, settings, dir) = (
            set(method, &values),
            small(method),
            tempfile::tempdir().unwrap(),
        );
        let job = Job {
            policy: Policy::Adapter {
                model: &model,
                adapter: fresh(&model, 0.0),
                under: &tuned,
            },
            model_id: "llama",
            reference: &tuned,
            examples: &set,
            prefix_ids: &[],
            settings: &settings,
            dir: dir.path(),
            reference_cache: None,
        };
        let report = run(job, &mut |_| ControlFlow::Continue(())).unwrap();
        let first = &report.metrics[0];
        // Packing two pairs or one moves log-probabilities by rounding.
        assert!(
            (first.loss - std::f64::consts::LN_2).abs() < 1e-5,
            "{name}: {}",
            first.loss
        );
        assert!(report.metrics.last().unwrap().loss < first.loss, "{name}");
    }
}

/// Weights that a user's own columns bring, and those that TIS-DPO makes of both models' log-probabilities, reach the loss.
#[test]
fn weights_of_the_data_reach_the_loss() {
    let (model, values) = (model("llama"), values("llama"));
    let mut pairs = pairs(&values);
    for (i, pair) in pairs.iter_mut().enumerate() {
        let spread = |n: usize, scale: f32| -> Option<Vec<f32>> {
            Some((0..n).map(|t| scale * ((i + 2 * t) % 5) as f32).collect())
        };
        let (chosen, rejected) = (pair.chosen_ids.len(), pair.rejected_ids.len());
        pair.chosen_weights = spread(chosen, 0.25);
        pair.chosen_positive_logps = spread(chosen, -0.5);
        pair.chosen_negative_logps = spread(chosen, -1.0);
        pair.positive_logps = spread(rejected, -1.5);
        pair.negative_logps = spread(rejected, -0.5);
    }
    let trained = |method: Method, pairs: &[Pair]| {
        let dir = tempfile::tempdir().unwrap();
        let set = TrainSet::Pairs(pairs.to_vec());
        train(&model, &set, &small(method), dir.path(), NEVER, 0.0).map(|report| report.metrics)
    };
    let [dpo, weighted, tis] = [Loss::Dpo, Loss::WeightedDpo, Loss::TisDpo].map(Method::of);
    let plain = trained(dpo, &pairs).unwrap();
    assert_ne!(trained(weighted, &pairs).unwrap(), plain);
    assert_ne!(trained(tis, &pairs).unwrap(), plain);
    pairs[1].chosen_negative_logps = None;
    let error = trained(tis, &pairs).unwrap_err().to_string();
    assert!(
        error.contains("q/1 (samples 0 over 1): chosen_negative_logps is missing; score the pairs"),
        "{error}"
    );
    for pair in &mut pairs {
        pair.chosen_weights = Some(vec![1.0; pair.chosen_ids.len()]);
        pair.rejected_weights = Some(vec![1.0; pair.rejected_ids.len()]);
    }
    let losses = |method| -> Vec<f64> {
        let metrics = trained(method, &pairs).unwrap();
        metrics.iter().map(|step| step.loss).collect()
    };
    assert_eq!(losses(weighted), losses(dpo));
}

/// By 0.75 nats more likely under the positive model: with the authors' constants a chosen token weighs
/// 0.7 + 0.6 (0.75 + 1.5) / 3 = 1.15, a rejected one 0.7 + 0.6 (-0.75 + 1.5) / 3 = 0.85.
#[test]
fn tis_weighs_each_side_by_its_own_log_probabilities() {
    let mut pairs = pairs(&values("llama"));
    for pair in &mut pairs {
        let all = |ids: &[u32], logp| Some(vec![logp; ids.len()]);
        pair.chosen_positive_logps = all(&pair.chosen_ids, -0.25);
        pair.chosen_negative_logps = all(&pair.chosen_ids, -1.0);
        pair.positive_logps = all(&pair.rejected_ids, -2.0);
        pair.negative_logps = all(&pair.rejected_ids, -2.75);
    }
    let settings = TrainSettings::of(Method::of(Loss::TisDpo))
        .validate()
        .unwrap();
    let loss = settings.method.loss().on_pairs(&settings.loss).unwrap();
    let set = TrainSet::Pairs(pairs);
    let (items, _) = prepare(&set, &settings, Some(loss.weights()), 0, usize::MAX).unwrap();
    assert!(!items.is_empty());
    for item in items {
        for (response, expected) in item.responses.iter().zip([1.15f32, 0.85]) {
            assert!(!response.weights.is_empty());
            for weight in &response.weights {
                assert!((weight - expected).abs() < 1e-6, "{weight}, not {expected}");
            }
        }
    }
}
