//! The stage `agreement`: whether the servers that drew the samples have the model that is trained.
//!
//! Some samples' log-probabilities, as the servers gave them, are held against those of the model here, for the same ids after the
//! same prompt. Another tokenizer, template, rope setting or adapter shows as a difference; so does arithmetic, a little.

use std::collections::HashMap;

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Problem, Trajectory, jsonl};
use cdpo_model::{AdapterStack, Key, Model as Weights, TokenForest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::generate::TRAJECTORIES;
use super::{problems, sample};
use crate::interrupt;
use crate::messages;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Model, Stage};

/// The differences.
const AGREEMENT: &str = "agreement.json";
/// Samples that are looked at.
const SAMPLES: usize = 64;
/// The mean difference, in nats, above which there is a warning. In bf16, 0.04 is usual.
pub(super) const BOUND: f64 = 0.1;

/// How far two lists of log-probabilities of the same tokens are apart, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Apart {
    pub(super) tokens: usize,
    pub(super) mean: f64,
    pub(super) largest: f64,
}

impl Apart {
    /// Of both lists, token by token.
    pub(super) fn of(pairs: impl IntoIterator<Item = (f32, f32)>) -> Self {
        let mut apart = Self::default();
        let mut sum = 0.0;
        for (one, other) in pairs {
            let by = (f64::from(one) - f64::from(other)).abs();
            apart.tokens += 1;
            sum += by;
            apart.largest = apart.largest.max(by);
        }
        apart.mean = sum / apart.tokens.max(1) as f64;
        apart
    }
}

fn id() -> StageId {
    StageId::shared("agreement")
}

/// There is one if servers draw samples with ids.
pub(super) fn stage(recipe: &Recipe) -> Option<Stage> {
    input(recipe)?;
    Some(Stage {
        reads: vec![
            Input::new("samples", sample::id(), TRAJECTORIES),
            Input::new("questions", problems::id(), problems::TRAIN),
        ],
        model: Model::Whole,
        files: vec![AGREEMENT.into()],
        ..Stage::new(id(), settings, work)
    })
}

/// The differences, as a stage that trains or scores reads them.
pub(super) fn input(recipe: &Recipe) -> Option<Input> {
    let server = recipe.sample.server.as_ref()?;
    let drawn = server.kind.gives_ids() && recipe.data.pairs.is_none();
    drawn.then(|| Input::new("agreement", id(), AGREEMENT))
}

fn settings(run: &Run) -> Value {
    json!({ "samples": SAMPLES, "prompt": run.prompt.settings(&run.vocabulary) })
}

fn work(run: &mut Run, dir: &mut StageDir) -> anyhow::Result<Value> {
    let (problems, _): (Vec<Problem>, _) =
        jsonl::read(run.path(&problems::id(), problems::TRAIN), OnBadRow::Fail)?;
    let (mut drawn, _): (Vec<Trajectory>, _) =
        jsonl::read(run.path(&sample::id(), TRAJECTORIES), OnBadRow::Fail)?;
    drawn.retain(|one| one.token_logps.is_some() && !one.ids.is_empty());
    // Of every part of the file alike.
    let place = |one: &Trajectory| {
        let question = Key::new(0).with_str(&one.problem_id);
        question.with(u64::from(one.sample)).bits()
    };
    drawn.sort_by_cached_key(place);
    drawn.truncate(SAMPLES);
    let question: HashMap<&str, &Problem> = problems.iter().map(|p| (p.id.as_str(), p)).collect();
    let mut prompts = Vec::with_capacity(drawn.len());
    for one in &drawn {
        let Some(problem) = question.get(one.problem_id.as_str()) else {
            anyhow::bail!("there is no question {}", one.problem_id);
        };
        let own = run.prompt.question_ids(&run.vocabulary, problem)?;
        prompts.push([run.prompt.prefix_ids.as_slice(), &own].concat());
    }
    let (mut pairs, mut read) = (Vec::new(), 0);
    if !drawn.is_empty() {
        let model = run.base.loaded()?;
        for (one, prompt) in drawn.iter().zip(&prompts) {
            interrupt::check()?;
            let ours = logps(model, &AdapterStack::base(), prompt, &one.ids)?;
            read += prompt.len() + one.ids.len();
            pairs.extend(one.token_logps.iter().flatten().copied().zip(ours));
        }
    }
    let apart = Apart::of(pairs);
    jsonl::write_json(dir.path(AGREEMENT), &apart)?;
    Ok(json!({ "samples": drawn.len(), "tokens_read": read, "apart": apart }))
}

/// Log-probabilities of `ids` after `prompt`, in nats.
pub(super) fn logps(
    model: &Weights,
    adapters: &AdapterStack<'_>,
    prompt: &[u32],
    ids: &[u32],
) -> anyhow::Result<Vec<f32>> {
    let mut forest = TokenForest::new();
    let root = forest.push(prompt, None, 0);
    let response = forest.push(ids, Some(root), 0);
    Ok(model.score(&forest, adapters, &forest.targets(response))?)
}

/// Says how far servers and model are apart, where servers drew the samples.
pub(super) fn say(run: &Run) -> anyhow::Result<()> {
    let Some(input) = input(&run.recipe) else {
        return Ok(());
    };
    let path = run.path(&input.from, &input.file);
    let apart: Apart = serde_json::from_slice(&std::fs::read(path)?)?;
    if apart.tokens == 0 {
        messages::warn(
            "the servers gave no log-probabilities that could be held against the model's (SGLang gives them at the sampling \
             temperature): nothing shows whether they have the same model",
        );
        return Ok(());
    }
    messages::say(format_args!(
        "|log p_server - log p_ours| of {} sampled tokens: {:.4} nats on average, {:.3} at most",
        apart.tokens, apart.mean, apart.largest
    ));
    if apart.mean > BOUND {
        messages::warn(format_args!(
            "the servers' log-probabilities are {:.3} nats from the model's on average, more than {BOUND} (in bf16, 0.04 is usual): the \
             usual causes are another tokenizer or prompt template, another rope setting, an adapter, or other weights",
            apart.mean
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_of_absolute_values() {
        let apart = Apart::of([(-1.0, -1.5), (-2.0, -1.75), (-3.0, -3.0)]);
        assert_eq!(
            apart,
            Apart {
                tokens: 3,
                mean: 0.25,
                largest: 0.5
            }
        );
        assert_eq!(Apart::of([]), Apart::default());
    }
}
