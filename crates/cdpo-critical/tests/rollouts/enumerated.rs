//! Rollouts against the exact distribution: every response of a small model is enumerated with its probability.

use cdpo_critical::rollout::{
    CriticalToken, ReplaceSettings, RolloutSettings, Scores, WrongResponse, replace,
};
use cdpo_data::RolloutKeys;
use cdpo_model::{AdapterStack, Model, TokenForest};
use cdpo_sample::{Branches, LocalSampler, SampleParams};
use std::ops::ControlFlow;

use crate::setup::{LETTERS, model, run, tokenizer, wrongs};

const LONGEST: usize = 6;
const EOS: u32 = 4;
const VOCABULARY: usize = 5;

fn params() -> SampleParams {
    SampleParams {
        max_new_tokens: LONGEST,
        seed: 1,
        ..SampleParams::default()
    }
}

fn right(text: &str) -> bool {
    text.bytes().filter(|&letter| letter == b'a').count() % 3 == 1
}

/// Next-token probabilities after a sequence.
fn next(model: &Model, ids: &[u32]) -> Vec<f64> {
    let mut forest = TokenForest::new();
    forest.push(ids, None, 0);
    let logits = model
        .forest_logits(&forest, &AdapterStack::base())
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let row = logits.last().unwrap();
    let weights: Vec<f64> = row.iter().map(|&logit| f64::from(logit).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// The probability that a response that begins with `ids` is right.
fn enumerate(model: &Model, prompt: &[u32], ids: &[u32]) -> f64 {
    let text = |ids: &[u32]| -> String {
        ids.iter()
            .map(|&id| LETTERS.as_bytes()[id as usize] as char)
            .collect()
    };
    let value = |ids: &[u32]| f64::from(u8::from(right(&text(ids))));
    if ids.len() == LONGEST {
        return value(ids);
    }
    let after = next(model, &[prompt, ids].concat());
    (0..VOCABULARY as u32)
        .map(|id| {
            let rest = if id == EOS {
                value(ids)
            } else {
                enumerate(model, prompt, &[ids, &[id]].concat())
            };
            after[id as usize] * rest
        })
        .sum()
}

/// Short responses of a few prompts, without exemplars.
fn short(sampler: &mut LocalSampler<'_>) -> Vec<WrongResponse> {
    let mut wrongs = wrongs(sampler, &params(), 12, &right);
    for wrong in &mut wrongs {
        wrong.prefix_ids.truncate(2);
    }
    wrongs.retain(|wrong| wrong.ids.len() >= 2);
    wrongs.truncate(5);
    assert_eq!(wrongs.len(), 5);
    wrongs
}

/// A count of n draws lies this close to its mean but once in a million: Hoeffding's bound.
fn bound(n: u32) -> f64 {
    ((2.0f64 / 1e-6).ln() / (2.0 * f64::from(n))).sqrt()
}

#[test]
fn scores_are_the_probability_of_success_under_either_keys() {
    let (model, tokenizer) = (model(4), tokenizer(4));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = short(&mut sampler);
    let n = 4000;
    let mut spread = 0.0f64;
    for keys in [RolloutKeys::Common, RolloutKeys::Independent] {
        let settings = RolloutSettings {
            n,
            keys,
            scores: Scores::Full,
            seed: 7,
            ..RolloutSettings::default()
        };
        for (index, told) in run(&sampler, &params(), &wrongs, &settings, &right).done {
            let wrong = &wrongs[index];
            let prompt = [&wrong.prefix_ids[..], &wrong.prompt_ids].concat();
            for (t, &(successes, failures)) in told.counts.iter().enumerate() {
                assert_eq!(successes + failures, n);
                let want = enumerate(&model, &prompt, &wrong.ids[..=t]);
                let got = f64::from(successes) / f64::from(n);
                assert!(
                    (got - want).abs() < bound(n),
                    "{keys:?}, response {index}, position {}: {got} against {want}",
                    t + 1
                );
                spread = spread.max(want * (1.0 - want));
            }
            for (t, (&logp, &entropy)) in told.token_logps.iter().zip(&told.entropies).enumerate() {
                let row = next(&model, &[&prompt[..], &wrong.ids[..t]].concat());
                let want = row[wrong.ids[t] as usize].ln();
                assert!((f64::from(logp) - want).abs() < 1e-4, "{logp}, {want}");
                let want: f64 = row.iter().map(|p| -p * p.ln()).sum();
                assert!(
                    (f64::from(entropy) - want).abs() < 1e-4,
                    "{entropy}, {want}"
                );
            }
        }
    }
    assert!(
        spread > 0.1,
        "every score is near 0 or 1: the test shows too little"
    );
}

#[test]
fn replacements_follow_the_masked_distribution_and_go_on_as_the_model_does() {
    let (model, tokenizer) = (model(4), tokenizer(4));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = short(&mut sampler);
    let criticals: Vec<CriticalToken> = wrongs
        .into_iter()
        .enumerate()
        .map(|(i, wrong)| CriticalToken {
            position: 1 + i % wrong.ids.len(),
            wrong,
        })
        .collect();
    let settings = ReplaceSettings {
        n: 4000,
        seed: 7,
        ..ReplaceSettings::default()
    };
    let mut branches = Branches::new(&sampler, params()).unwrap();
    let mut all = Vec::new();
    let flow = replace(
        &mut branches,
        &criticals,
        &settings,
        &|_, text| right(text),
        &mut |one| {
            all.push(one);
            Ok(ControlFlow::Continue(()))
        },
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    assert!(flow.is_continue());
    assert_eq!(all.len(), criticals.len());
    let mut ends = 0;
    for one in all {
        let CriticalToken { wrong, position } = &criticals[one.index];
        let prompt = [&wrong.prefix_ids[..], &wrong.prompt_ids].concat();
        let before = &wrong.ids[..position - 1];
        let masked = wrong.ids[position - 1];
        let mut row = next(&model, &[&prompt[..], before].concat());
        row[masked as usize] = 0.0;
        let rest: f64 = row.iter().sum();
        let mut success = 0.0;
        for id in 0..VOCABULARY as u32 {
            let want = row[id as usize] / rest;
            let drawn: Vec<_> = one.without.iter().filter(|one| one.id == id).collect();
            let got = drawn.len() as f64 / f64::from(settings.n);
            assert!(
                (got - want).abs() < bound(settings.n),
                "token {id}: {got}, {want}"
            );
            if id == EOS {
                ends += drawn.len();
                assert!(drawn.iter().all(|one| one.tokens == 1));
                let text: String = before
                    .iter()
                    .map(|&id| LETTERS.as_bytes()[id as usize] as char)
                    .collect();
                assert!(drawn.iter().all(|one| one.right == right(&text)));
                success += want * f64::from(u8::from(right(&text)));
            } else {
                let ids = [before, &[id]].concat();
                success += want * enumerate(&model, &prompt, &ids);
            }
        }
        assert!(one.without.iter().all(|one| one.id != masked));
        let got = one.without.iter().filter(|one| one.right).count() as f64 / f64::from(settings.n);
        assert!(
            (got - success).abs() < bound(settings.n),
            "{got}, {success}"
        );
    }
    assert!(ends > 0, "no replacement was an end token");
}
