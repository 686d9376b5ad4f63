//! The stage `agreement`: whether the servers that drew the samples have the model that is trained.
//!
//! Some samples' log-probabilities, as the servers gave them, are held against those of the model here, for the same ids after the
//! same prompt. Another tokenizer, template, rope setting or adapter shows as a difference; so does arithmetic, a little.

use std::collections::HashMap;

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Problem, Trajectory, jsonl};
use cdpo_model::{AdapterStack, Key};
use serde_json::{Value, json};

use super::apart::{Apart, BOUND, logps};
use super::generate::TRAJECTORIES;
use super::{problems, sample};
use crate::interrupt;
use crate::messages;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Compared, Demand, Input, Model, Stage};

/// The differences.
const AGREEMENT: &str = "agreement.json";
/// Samples that are looked at.
const SAMPLES: usize = 64;

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
        demand: Demand::Compared(Compared {
            samples: SAMPLES as u32,
            most: None,
            by: vec![Vec::new()],
        }),
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
