//! Every method is DPO where its own part vanishes.

use super::testing::Case;
use super::{PairTerms, TisSide, TisWeights};
use crate::settings::LossSettings;
use crate::{Loss, Method, TrainSettings};

/// A loss's terms under settings changed by `change`.
fn terms(loss: Loss, case: &Case, change: &dyn Fn(&mut LossSettings)) -> PairTerms {
    let mut settings = TrainSettings::of(Method::of(loss)).validate().unwrap().loss;
    settings.gamma = 0.3;
    change(&mut settings);
    loss.on_pairs(&settings).unwrap().terms(&case.input())
}

/// Equal loss and gradients, but for the order in which `gamma` is multiplied in: a few roundings of numbers of size 1.
#[track_caller]
fn assert_same(got: &PairTerms, dpo: &PairTerms, what: &str) {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-14;
    let nears =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(*a, *b));
    let same = near(got.loss, dpo.loss)
        && nears(&got.chosen_gradient, &dpo.chosen_gradient)
        && nears(&got.rejected_gradient, &dpo.rejected_gradient);
    assert!(same, "{what}: {got:?} is not {dpo:?}");
}

fn unit_weights(case: &Case) -> Case {
    Case {
        weights: [
            vec![1.0; case.chosen[0].len()],
            vec![1.0; case.rejected[0].len()],
        ],
        ..case.clone()
    }
}

#[test]
fn every_method_is_dpo_where_its_own_part_vanishes() {
    for seed in 0..4 {
        let case = Case::mixed(seed);
        let units = unit_weights(&case);
        let same_models = [&case.chosen[0], &case.rejected[0]]
            .map(|logps| TisWeights::default().weights(logps, logps, TisSide::Chosen));
        let equal_weights = Case {
            weights: same_models,
            ..case.clone()
        };
        let no_divergence = Case {
            kl: [vec![0.0; 5], vec![0.0; 7]],
            ..case.clone()
        };
        for label_smoothing in [0.0, 0.2] {
            let smoothed = |s: &mut LossSettings| s.label_smoothing = label_smoothing;
            let dpo = terms(Loss::Dpo, &case, &smoothed);
            let is_dpo = |got: PairTerms, what: &str| assert_same(&got, &dpo, what);
            let tdpo2 = terms(Loss::Tdpo2, &case, &|s| {
                smoothed(s);
                s.tdpo_alpha = 0.0;
            });
            assert_eq!(tdpo2.kl_gradient.map(f64::abs), [0.0; 2]);
            is_dpo(tdpo2, "tdpo2 with alpha 0");
            for loss in [Loss::Tdpo1, Loss::Tdpo2] {
                is_dpo(
                    terms(loss, &no_divergence, &smoothed),
                    "tdpo without divergence",
                );
            }
            let no_penalty = |s: &mut LossSettings| {
                smoothed(s);
                s.dpop_lambda = 0.0;
            };
            is_dpo(terms(Loss::Dpop, &case, &no_penalty), "dpop with lambda 0");
            is_dpo(terms(Loss::Rpo, &case, &smoothed), "rpo but for its term");
            for loss in [Loss::Cdpo, Loss::CdpoRollout, Loss::WeightedDpo] {
                is_dpo(terms(loss, &units, &smoothed), "unit weights");
            }
            is_dpo(
                terms(Loss::TisDpo, &equal_weights, &smoothed),
                "tis-dpo of equal models",
            );
        }
    }
}

/// With one token on each side and no other position, the released code's mean over positions has one member.
#[test]
fn the_released_codes_loss_of_single_tokens_is_dpo() {
    let mut case = unit_weights(&Case::mixed(1));
    for side in [&mut case.chosen, &mut case.rejected, &mut case.weights] {
        for values in side.iter_mut() {
            values.truncate(1);
        }
    }
    case.padded_positions = 1;
    let keep = |_: &mut LossSettings| {};
    let compat = terms(Loss::CdpoReferenceCompat, &case, &keep);
    assert_same(&compat, &terms(Loss::Dpo, &case, &keep), "compat");
}

#[test]
fn a_small_gamma_makes_every_logistic_loss_log_two() {
    let case = Case::mixed(3);
    for loss in Loss::ALL {
        if matches!(loss, Loss::Sft | Loss::Ipo | Loss::SimPo) {
            continue;
        }
        let near = terms(loss, &case, &|s| s.gamma = 1e-12);
        assert!(
            (near.loss - std::f64::consts::LN_2).abs() < 1e-9,
            "{loss:?}"
        );
    }
}
