//! Contrastive estimation (Lin et al. 2025, Eq. 1): preference pairs and two models go in; the pairs with a score for every
//! rejected token come out, and a summary.
//!
//! For each token of the wrong response, with the positive model P_p and the negative model P_n,
//!
//! ```text
//! log s_t = (1 + ce_beta) log P_p(y_t | x, y_<t) - ce_beta log P_n(y_t | x, y_<t) - log Z_t
//! ```
//!
//! where Z_t normalises over the vocabulary. A low s_t marks a token likely under wrong and unlikely under right reasoning; cDPO
//! weighs it by 1 - s_t. Every response id is scored, the terminator too; the summary keeps the terminators apart.

mod batches;
pub mod formula;
mod summary;

use std::ops::{ControlFlow, Range};

use cdpo_data::Pair;
use cdpo_model::{AdapterStack, Model, Target, TokenForest};
use serde::{Deserialize, Serialize};

pub use cdpo_model::Contrast;
pub use summary::{ContrastSummary, SEPARATION_FLOOR};

use crate::error::{Error, Result};
use batches::batches;

/// How pairs are scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContrastSettings {
    /// Weight of the negative model, at least 0; the paper's is 1.
    pub ce_beta: f64,
    /// Most tokens of prompts and rejected responses in one call of the model, at least 1; a longer pair goes alone.
    pub max_tokens: usize,
}

impl Default for ContrastSettings {
    fn default() -> Self {
        Self {
            ce_beta: 1.0,
            max_tokens: 2048,
        }
    }
}

impl ContrastSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `ce_beta` is finite and at least 0 and `max_tokens` at least 1.
    pub fn validate(&self) -> Result<()> {
        if !(self.ce_beta >= 0.0 && self.ce_beta.is_finite()) {
            return Err(Error::Setting {
                name: "contrast.ce_beta",
                value: self.ce_beta.to_string(),
                expected: "a finite number of at least 0 is expected (the paper's is 1)",
            });
        }
        if self.max_tokens == 0 {
            return Err(Error::Setting {
                name: "contrast.max_tokens",
                value: "0".into(),
                expected: "at least one token a call is expected (2048 is the default)",
            });
        }
        Ok(())
    }
}

/// A base model with the two adapter stacks that make it the positive and the negative model.
#[derive(Debug, Clone, Copy)]
pub struct ContrastModels<'a> {
    /// The base.
    pub model: &'a Model,
    /// Trained on right trajectories.
    pub positive: AdapterStack<'a>,
    /// Trained on wrong trajectories.
    pub negative: AdapterStack<'a>,
}

/// Scores the rejected side of `pairs`, handing each on to `sink` in order, as soon as its batch is done.
///
/// `done` holds the pairs that an earlier, interrupted run scored: the first of `pairs`, in order. They are not scored again nor
/// given to the sink, and the summary counts them. Batches are cut from `pairs` alone, never from where a run was interrupted, so
/// that a resumed run calls the model with the same forests and gives the same bits. A sink that breaks ends the scoring early;
/// the summary is then of what was scored.
///
/// # Errors
/// [`Error::Setting`] for settings out of range, [`Error::NotAPrefix`] if `done` belongs to other pairs, [`Error::Pair`] for a pair
/// without prompt or response, [`Error::Scoring`] if the model fails, [`Error::NotFinite`] with pair and token, and whatever the
/// sink returns.
pub fn score_pairs(
    models: &ContrastModels<'_>,
    pairs: &[Pair],
    done: &[Pair],
    settings: &ContrastSettings,
    sink: &mut dyn FnMut(Pair) -> Result<ControlFlow<()>>,
) -> Result<ContrastSummary> {
    let ContrastModels {
        model,
        positive,
        negative,
    } = models;
    score_pairs_by(
        &mut |forest, targets, judged| {
            model.contrast_scores(
                forest,
                positive,
                negative,
                targets,
                judged,
                settings.ce_beta,
            )
        },
        pairs,
        done,
        settings,
        sink,
    )
}

/// Gives Eq. 1 for the first so many targets of a forest, as [`cdpo_model::Model::contrast_scores`] does.
pub type Scorer<'s> =
    dyn FnMut(&TokenForest, &[Target], usize) -> cdpo_model::Result<Contrast> + 's;

/// As [`score_pairs`], with any [`Scorer`].
///
/// # Errors
/// As [`score_pairs`].
pub fn score_pairs_by(
    contrast: &mut Scorer<'_>,
    pairs: &[Pair],
    done: &[Pair],
    settings: &ContrastSettings,
    sink: &mut dyn FnMut(Pair) -> Result<ControlFlow<()>>,
) -> Result<ContrastSummary> {
    settings.validate()?;
    check_prefix(pairs, done)?;
    let mut summary = ContrastSummary::new(settings.ce_beta);
    for pair in done {
        summary.add(pair)?;
    }
    for batch in batches(pairs, settings.max_tokens) {
        if batch.end <= done.len() {
            continue;
        }
        let scored = score_batch(contrast, &pairs[batch.clone()])?;
        for (index, pair) in batch.zip(scored) {
            if index < done.len() {
                continue;
            }
            summary.add(&pair)?;
            if sink(pair)?.is_break() {
                return Ok(summary);
            }
        }
    }
    Ok(summary)
}

/// One call of the model: a root for each prompt, both its responses as children. Targets are all rejected tokens, then all
/// chosen ones.
fn score_batch(contrast: &mut Scorer<'_>, pairs: &[Pair]) -> Result<Vec<Pair>> {
    let mut forest = TokenForest::new();
    let (mut targets, mut chosen_targets) = (Vec::new(), Vec::new());
    for pair in pairs {
        if pair.prompt_ids.is_empty() || pair.rejected_ids.is_empty() {
            let empty = if pair.prompt_ids.is_empty() {
                "prompt_ids"
            } else {
                "rejected_ids"
            };
            let reason = format!(
                "{empty} is empty: every rejected token needs a token before it; select the pairs again"
            );
            return Err(Error::Pair {
                pair: name(pair),
                reason,
            });
        }
        let prompt = forest.push(&pair.prompt_ids, None, 0);
        let rejected = forest.push(&pair.rejected_ids, Some(prompt), 0);
        targets.extend(forest.targets(rejected));
        let chosen = forest.push(&pair.chosen_ids, Some(prompt), 0);
        chosen_targets.extend(forest.targets(chosen));
    }
    let rejected_tokens = targets.len();
    targets.extend(chosen_targets);
    let scoring = |source| Error::Scoring {
        pairs: names(pairs),
        source,
    };
    let scores = contrast(&forest, &targets, rejected_tokens).map_err(scoring)?;
    let counts = [
        scores.log_scores.len(),
        scores.positive_logps.len(),
        scores.negative_logps.len(),
        scores.positive_standings.len(),
    ];
    let (all, judged) = (targets.len(), rejected_tokens);
    if counts != [judged, all, all, judged] {
        let reason = format!(
            "the model returned {counts:?} numbers for {all} targets, {judged} of them rejected tokens"
        );
        return Err(scoring(cdpo_model::Error::Invalid(reason)));
    }
    let [mut first, mut first_chosen] = [0, rejected_tokens];
    let mut scored = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let rows = first..first + pair.rejected_ids.len();
        let chosen = first_chosen..first_chosen + pair.chosen_ids.len();
        (first, first_chosen) = (rows.end, chosen.end);
        let log_scores = finite(pair, REJECTED, "log s", &scores.log_scores[rows.clone()])?;
        let logps = |side, rows: &Range<usize>| -> Result<[Option<Vec<f32>>; 2]> {
            let [positive, negative] =
                [&scores.positive_logps, &scores.negative_logps].map(|all| &all[rows.clone()]);
            let positive = finite(pair, side, "the positive log-probability", positive)?;
            let negative = finite(pair, side, "the negative log-probability", negative)?;
            Ok([Some(positive.to_vec()), Some(negative.to_vec())])
        };
        let [rejected_logps, chosen_logps] = [logps(REJECTED, &rows)?, logps(CHOSEN, &chosen)?];
        let mut pair = pair.clone();
        [pair.positive_logps, pair.negative_logps] = rejected_logps;
        [pair.chosen_positive_logps, pair.chosen_negative_logps] = chosen_logps;
        let standings = &scores.positive_standings[rows];
        pair.rejected_ranks = Some(standings.iter().map(|s| s.rank).collect());
        pair.rejected_alternatives =
            Some(standings.iter().map(|s| s.alternatives.clone()).collect());
        pair.rejected_scores = Some(
            log_scores
                .iter()
                .map(|&log_score| score(log_score))
                .collect(),
        );
        pair.rejected_weights = Some(
            log_scores
                .iter()
                .map(|&log_score| one_minus_score(log_score))
                .collect(),
        );
        scored.push(pair);
    }
    Ok(scored)
}

/// s from log s; rounding above 0 is cut, so that 0 <= s <= 1.
fn score(log_score: f32) -> f32 {
    f64::from(log_score).min(0.0).exp() as f32
}

/// 1 - s from log s, without the cancellation of the subtraction where s is near 1.
fn one_minus_score(log_score: f32) -> f32 {
    -f64::from(log_score).min(0.0).exp_m1() as f32
}

/// How messages call the two responses.
const REJECTED: &str = "rejected";
const CHOSEN: &str = "chosen";

fn finite<'v>(
    pair: &Pair,
    side: &'static str,
    what: &'static str,
    values: &'v [f32],
) -> Result<&'v [f32]> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(at) => Err(Error::NotFinite {
            pair: name(pair),
            side,
            position: at + 1,
            count: values.len(),
            what,
            value: values[at],
        }),
    }
}

fn check_prefix(pairs: &[Pair], done: &[Pair]) -> Result<()> {
    let same = |a: &Pair, b: &Pair| {
        a.problem_id == b.problem_id
            && (a.chosen_sample, a.rejected_sample) == (b.chosen_sample, b.rejected_sample)
            && a.prompt_ids == b.prompt_ids
            && a.rejected_ids == b.rejected_ids
            && a.chosen_ids == b.chosen_ids
    };
    for (index, found) in done.iter().enumerate() {
        let expected = pairs.get(index);
        if !expected.is_some_and(|expected| same(expected, found)) {
            let expected = expected.map_or_else(|| "none: there are no more pairs".into(), name);
            return Err(Error::NotAPrefix {
                index,
                found: name(found),
                expected,
            });
        }
    }
    Ok(())
}

/// How messages call a pair.
pub(crate) fn name(pair: &Pair) -> String {
    format!(
        "pair {} (samples {} and {})",
        pair.problem_id, pair.chosen_sample, pair.rejected_sample
    )
}

fn names(pairs: &[Pair]) -> String {
    match pairs {
        [] => "no pairs".into(),
        [only] => name(only),
        [first, .., last] => format!(
            "{} pairs from {} to {}",
            pairs.len(),
            name(first),
            name(last)
        ),
    }
}
