//! Losses, schedules, optimizer and clipping against TRL's, transformers', torch's and the losses' authors' own values
//! (`scripts/make_loss_fixtures.py`).
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use cdpo_model::Arena;
use cdpo_model::arena::Layout;
use cdpo_train::losses::{PairInput, PairLoss, Side, Tdpo, TdpoForm, TisSide, TisWeights, nll};
use cdpo_train::optimizer::{AdamW, AdamWSettings, clip};
use cdpo_train::{Decay, Loss, Method, Schedule, TrainSettings};
use serde::Deserialize;

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Pair {
    chosen: Vec<f32>,
    rejected: Vec<f32>,
    ref_chosen: Vec<f32>,
    ref_rejected: Vec<f32>,
    chosen_weights: Vec<f32>,
    rejected_weights: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    batch: String,
    loss: String,
    #[serde(default)]
    gamma: f64,
    #[serde(default)]
    label_smoothing: f64,
    #[serde(default)]
    rpo_alpha: f64,
    #[serde(default)]
    simpo_beta: f64,
    #[serde(default)]
    simpo_margin: f64,
    #[serde(default)]
    positions: usize,
    value: f64,
    rewards_chosen: Vec<f64>,
    rewards_rejected: Vec<f64>,
    d_chosen: Vec<Vec<f64>>,
    d_rejected: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Losses {
    batches: std::collections::BTreeMap<String, Vec<Pair>>,
    cases: Vec<Case>,
}

/// The reference takes f64 log-probabilities, a loss here f32 ones: each is off by at most 2^-25 of itself. `logits` bounds how
/// much of that reaches a logit, which bounds loss and slope.
fn tolerance(pairs: &[Pair], gamma: f64) -> f64 {
    let size = |v: &[f32]| v.iter().map(|x| f64::from(x.abs())).sum::<f64>();
    let largest = pairs
        .iter()
        .map(|p| size(&p.chosen) + size(&p.rejected) + size(&p.ref_chosen) + size(&p.ref_rejected));
    3e-8 * (1.0 + gamma * largest.fold(0.0, f64::max)) + 1e-12
}

#[test]
fn losses_and_gradients_equal_trls() {
    let losses: Losses = fixture("trl_losses.json");
    let mut checked = 0;
    for case in &losses.cases {
        let loss = match case.loss.as_str() {
            "dpo" | "label_smoothing" => Loss::Dpo,
            "rpo" => Loss::Rpo,
            "cdpo" => Loss::Cdpo,
            "weighted_dpo" => Loss::WeightedDpo,
            "cdpo_reference_compat" => Loss::CdpoReferenceCompat,
            "ipo" => Loss::Ipo,
            "simpo" => Loss::SimPo,
            _ => continue,
        };
        checked += 1;
        let pairs = &losses.batches[&case.batch];
        let mut settings = TrainSettings::of(Method::of(loss)).validate().unwrap().loss;
        (settings.gamma, settings.ipo_tau) = (case.gamma, case.gamma);
        settings.label_smoothing = case.label_smoothing;
        (settings.simpo_beta, settings.simpo_margin) = (case.simpo_beta, case.simpo_margin);
        let name = loss;
        let loss = loss.on_pairs(&settings).unwrap();
        // A logistic loss's slope is at most 1. IPO's is twice the distance to its target, whose square the loss is, and
        // its logit is the log-ratio itself.
        let steep = if name == Loss::Ipo {
            2.0 * (case.value * pairs.len() as f64).sqrt().max(1.0) / case.gamma
        } else {
            1.0
        };
        let close = |got: f64, expected: f64, what: &str| {
            let tolerance = steep * tolerance(pairs, case.gamma.max(case.simpo_beta));
            let (name, batch) = (&case.loss, &case.batch);
            assert!(
                (got - expected).abs() <= tolerance,
                "{name} on {batch}: {what} {got} is not {expected} within {tolerance}"
            );
        };
        let tokens = pairs.iter().map(|p| p.chosen.len()).sum();
        let scale = 1.0 / pairs.len() as f64;
        let mut value = 0.0;
        for (i, p) in pairs.iter().enumerate() {
            let unit = vec![1.0; p.chosen.len()];
            let chosen_weights = if name == Loss::WeightedDpo {
                &p.chosen_weights
            } else {
                &unit
            };
            let terms = loss.terms(&PairInput {
                chosen: Side {
                    policy: &p.chosen,
                    reference: &p.ref_chosen,
                    weights: chosen_weights,
                    kl: &[],
                },
                rejected: Side {
                    policy: &p.rejected,
                    reference: &p.ref_rejected,
                    weights: &p.rejected_weights,
                    kl: &[],
                },
                padded_positions: case.positions,
            });
            let term = nll(&p.chosen, case.rpo_alpha, tokens);
            value += terms.loss * scale + term.loss;
            for (t, g) in terms.chosen_gradient.iter().enumerate() {
                close(
                    g * scale + term.gradient,
                    case.d_chosen[i][t],
                    "gradient of a chosen token",
                );
            }
            for (t, g) in terms.rejected_gradient.iter().enumerate() {
                close(
                    g * scale,
                    case.d_rejected[i][t],
                    "gradient of a rejected token",
                );
            }
            let compat = name == Loss::CdpoReferenceCompat;
            let rejected = if compat {
                terms.rejected_reward_unweighted
            } else {
                terms.rejected_reward
            };
            close(terms.chosen_reward, case.rewards_chosen[i], "chosen reward");
            close(rejected, case.rewards_rejected[i], "rejected reward");
        }
        close(value, case.value, "loss");
    }
    assert!(checked >= 40, "only {checked} cases were found");
}

#[derive(Deserialize)]
struct TdpoCase {
    gamma: f64,
    alpha: f64,
    second: bool,
    ratios: Vec<[f64; 2]>,
    kls: Vec<[f64; 2]>,
    losses: Vec<f64>,
    rewards: Vec<[f64; 2]>,
    d_ratios: Vec<[f64; 2]>,
    d_kls: Vec<[f64; 2]>,
}

#[derive(Deserialize)]
struct TisCase {
    differences: Vec<f32>,
    chosen: Vec<f64>,
    rejected: Vec<f64>,
}

#[derive(Deserialize)]
struct Authors {
    tdpo: Vec<TdpoCase>,
    tis: TisCase,
}

/// One token on each side, whose log-ratio and divergence are the sequence's. They are rounded to f32 here: 2^-25 of sums up to
/// a few hundred, times gamma.
#[test]
fn tdpo_equals_its_authors_function() {
    let cases = fixture::<Authors>("authors_losses.json").tdpo;
    assert_eq!(cases.len(), 16);
    for case in cases {
        let form = if case.second {
            TdpoForm::Two { alpha: case.alpha }
        } else {
            TdpoForm::One
        };
        let loss = Tdpo {
            gamma: case.gamma,
            label_smoothing: 0.0,
            form,
        };
        for i in 0..case.losses.len() {
            let [ratios, kls] = [case.ratios[i], case.kls[i]].map(|both| both.map(|x| [x as f32]));
            let side = |s: usize| Side {
                policy: &ratios[s],
                reference: &[0.0],
                weights: &[1.0],
                kl: &kls[s],
            };
            let terms = loss.terms(&PairInput {
                chosen: side(0),
                rejected: side(1),
                padded_positions: 1,
            });
            let got = [
                terms.loss,
                terms.chosen_reward,
                terms.rejected_reward,
                terms.chosen_gradient[0],
                terms.rejected_gradient[0],
                terms.kl_gradient[0],
                terms.kl_gradient[1],
            ];
            let [rewards, d_ratios, d_kls] = [case.rewards[i], case.d_ratios[i], case.d_kls[i]];
            let expected = [rewards, d_ratios, d_kls].concat();
            let expected = std::iter::once(case.losses[i]).chain(expected);
            for (part, (got, expected)) in got.into_iter().zip(expected).enumerate() {
                assert!(
                    (got - expected).abs() < 2e-5 * (1.0 + case.alpha),
                    "{form:?}, gamma {}, pair {i}, part {part}: {got} is not {expected}",
                    case.gamma
                );
            }
        }
    }
}

#[test]
fn tis_weights_equal_their_authors_function() {
    let case = fixture::<Authors>("authors_losses.json").tis;
    let zeros = vec![0.0; case.differences.len()];
    for (side, expected) in [
        (TisSide::Chosen, &case.chosen),
        (TisSide::Rejected, &case.rejected),
    ] {
        let got = TisWeights::default().weights(&case.differences, &zeros, side);
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (f64::from(*got) - expected).abs() < 1.5e-7,
                "{got} is not {expected}"
            );
        }
    }
}

#[derive(Deserialize)]
struct ScheduleCase {
    schedule: Decay,
    warmup_steps: u64,
    total_steps: u64,
    factors: Vec<f64>,
}

#[test]
fn schedules_equal_transformers() {
    for case in fixture::<Vec<ScheduleCase>>("schedules.json") {
        let (decay, warmup_steps, total_steps) =
            (case.schedule, case.warmup_steps, case.total_steps);
        let schedule = Schedule {
            peak: 1.0,
            decay,
            warmup_steps,
            total_steps,
        };
        for (step, factor) in case.factors.iter().enumerate() {
            let got = schedule.at(step as u64);
            assert!(
                (got - factor).abs() < 1e-15,
                "{schedule:?}, step {step}: {got} is not {factor}"
            );
        }
    }
}

#[derive(Deserialize)]
struct AdamWCase {
    lr: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    start: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    values: Vec<Vec<f64>>,
}

fn arena(parts: &[&[f32]]) -> Arena {
    let named = parts
        .iter()
        .enumerate()
        .map(|(i, p)| (format!("w{i}"), vec![1, p.len()]));
    let mut arena = Arena::zeros(Arc::new(Layout::new(named)));
    arena.data.copy_from_slice(&parts.concat());
    arena
}

#[test]
fn adamw_equals_torch() {
    for case in fixture::<Vec<AdamWCase>>("adamw.json") {
        let [beta1, beta2] = case.betas;
        let settings = AdamWSettings {
            beta1,
            beta2,
            epsilon: case.eps,
            weight_decay: case.weight_decay,
        };
        let mut params = arena(&[&case.start]);
        let mut adamw = AdamW::new(settings, &params);
        for (step, (gradient, expected)) in case.gradients.iter().zip(&case.values).enumerate() {
            adamw.step(&mut params, &arena(&[gradient]), case.lr);
            for (i, (&got, expected)) in params.data.iter().zip(expected).enumerate() {
                // f32: half an ulp of the value at the start, an ulp (decay, update) and a few ulps of the update (about lr)
                // for every step so far.
                let size = expected.abs().max(f64::from(case.start[i].abs()));
                let tolerance = 6e-8 * size + (step + 1) as f64 * (1.2e-7 * size + 6e-7 * case.lr);
                let got = f64::from(got);
                assert!(
                    (got - expected).abs() < tolerance,
                    "lr {}, step {step}, element {i}: {got} is not {expected}",
                    case.lr
                );
            }
        }
    }
}

#[derive(Deserialize)]
struct ClippingCase {
    max_norm: f64,
    gradients: Vec<Vec<f32>>,
    norm: f64,
    clipped: Vec<Vec<f64>>,
}

#[test]
fn clipping_equals_torch() {
    for case in fixture::<Vec<ClippingCase>>("clipping.json") {
        let parts: Vec<&[f32]> = case.gradients.iter().map(Vec::as_slice).collect();
        let mut grads = arena(&parts);
        let norm = clip(&mut grads, case.max_norm);
        assert!(
            (norm - case.norm).abs() <= 1e-7 * case.norm,
            "{norm} is not {}",
            case.norm
        );
        for (&got, expected) in grads.data.iter().zip(case.clipped.iter().flatten()) {
            assert!(
                (f64::from(got) - expected).abs() <= 2e-7 * expected.abs(),
                "{got} is not {expected}"
            );
        }
    }
}
