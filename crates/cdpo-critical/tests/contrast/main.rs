//! Contrastive scores of pairs, by a stand-in for the model and by the engine.

mod batches;
mod engine;
mod summary;

use cdpo_critical::contrast::{Contrast, SEPARATION_FLOOR, Scorer, formula, score_pairs_by};
use cdpo_critical::{ContrastModels, ContrastSettings, ContrastSummary, Error, score_pairs};
use cdpo_data::{Pair, Record};
use cdpo_model::config::{Family, ModelConfig, RopeScaling};
use cdpo_model::source::TensorSource;
use cdpo_model::{
    Adapter, AdapterStack, Device, Key, LoraConfig, Model, Standing, Target, TokenForest,
};
use std::cell::RefCell;
use std::ops::ControlFlow;

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
        ..Pair::default()
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
fn stand_in(_: &TokenForest, targets: &[Target], judged: usize) -> cdpo_model::Result<Contrast> {
    let of = |targets: &[Target], scale: f32| {
        targets
            .iter()
            .map(|target| -scale * (target.id as f32 + 1.0))
            .collect()
    };
    Ok(Contrast {
        log_scores: of(&targets[..judged], 0.1),
        positive_logps: of(targets, 0.2),
        negative_logps: of(targets, 0.25),
        positive_standings: targets[..judged]
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
    contrast: &mut Scorer<'_>,
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
