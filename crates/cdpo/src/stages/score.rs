//! The stage `scored`: contrastive scores of the rejected tokens, appended pair by pair.

use std::ops::ControlFlow;

use cdpo_critical::{ContrastModels, ContrastSettings, score_pairs};
use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::{OnBadRow, Pair};
use cdpo_model::AdapterStack;
use serde_json::{Value, json};

use super::agreement;
use super::contrastive;
use super::finetune::{self, ADAPTER};
use super::select::{self, PAIRS};
use crate::interrupt;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Demand, Input, Model, Stage};

/// Means over all scores.
const SUMMARY: &str = "summary.json";

pub(crate) fn id() -> StageId {
    StageId::of_seed("scored")
}

pub(super) fn stage(recipe: &Recipe) -> Stage {
    let mut reads = vec![
        Input::new("pairs", select::id(), PAIRS),
        Input::new("positive", contrastive::positive_id(), ADAPTER),
        Input::new("negative", contrastive::negative_id(), ADAPTER),
    ];
    reads.extend(agreement::input(recipe));
    Stage {
        // 2: scored pairs hold the positive model's ranks and best tokens. 3: the rejected tokens alone are judged.
        version: 3,
        reads,
        model: Model::Weights,
        demand: Demand::Scores,
        files: [PAIRS, SUMMARY].map(Into::into).to_vec(),
        ..Stage::new(id(), settings, work)
    }
}

fn settings(run: &Run) -> Value {
    let ce = &run.recipe.ce;
    json!({
        "ce_beta": ce.ce_beta,
        "max_tokens": ce.max_tokens,
        "prefix": finetune::prefix_hash(run),
    })
}

fn work(run: &mut Run, dir: &mut StageDir) -> anyhow::Result<Value> {
    agreement::say(run)?;
    let (pairs, _): (Vec<Pair>, _) = jsonl::read(run.path(&select::id(), PAIRS), OnBadRow::Fail)?;
    let (mut out, done) = Appender::resume::<Pair>(dir.path(PAIRS))?;
    // The scores are of the prompt as the models read it; the file keeps the pair as it was selected.
    let read = |pair: &Pair| -> anyhow::Result<Pair> {
        let prefix = run.prompt.training_prefix(run.recipe.train.few_shot);
        let mut pair = pair.clone();
        let own = finetune::training_ids(run, &pair.prompt, &pair.prompt_ids)?;
        pair.prompt_ids = [prefix, &own].concat();
        Ok(pair)
    };
    let as_read: Vec<Pair> = pairs.iter().map(read).collect::<anyhow::Result<_>>()?;
    let done: Vec<Pair> = done.iter().map(read).collect::<anyhow::Result<_>>()?;
    let settings = ContrastSettings {
        ce_beta: run.recipe.ce.ce_beta,
        max_tokens: run.recipe.ce.max_tokens,
    };
    let positive = run
        .base
        .adapter(&run.path(&contrastive::positive_id(), ADAPTER))?;
    let negative = run
        .base
        .adapter(&run.path(&contrastive::negative_id(), ADAPTER))?;
    let (positive, negative) = ([&positive], [&negative]);
    let models = ContrastModels {
        model: run.base.loaded()?,
        positive: AdapterStack::frozen(&positive),
        negative: AdapterStack::frozen(&negative),
    };
    let mut number = done.len() as u64;
    let mut bar = ProgressLine::new("scored", number, pairs.len() as u64);
    let mut failure = None;
    let summary = score_pairs(&models, &as_read, &done, &settings, &mut |mut pair| {
        let selected = &pairs[number as usize];
        pair.prompt_ids.clone_from(&selected.prompt_ids);
        if let Err(e) = out.append(&pair) {
            failure = Some(e);
            return Ok(ControlFlow::Break(()));
        }
        number += 1;
        bar.at(number, || "pairs".into());
        Ok(interrupt::flow())
    })?;
    drop(bar);
    if let Some(e) = failure {
        return Err(e.into());
    }
    if summary.pairs < pairs.len() {
        return Err(Interrupted.into());
    }
    out.sync()?;
    jsonl::write_json(dir.path(SUMMARY), &summary)?;
    messages::say(format_args!(
        "scored: separation {:.4} nats, at most {:.2} in a response, mean s {:.3}, at the terminators {:.3}",
        summary.separation.unwrap_or(f64::NAN),
        summary.peak.unwrap_or(f64::NAN),
        summary.mean_score.unwrap_or(f64::NAN),
        summary.mean_terminator_score.unwrap_or(f64::NAN)
    ));
    if summary.barely_separated() {
        messages::warn(format_args!(
            "the positive and the negative model hardly differ (the greatest |log P_p - log P_n| of a response is {:.4} nats on \
             average, less than {}); train them longer (ce.train.epochs) or with a shorter warm-up",
            summary.peak.unwrap_or(0.0),
            cdpo_critical::contrast::SEPARATION_FLOOR
        ));
    }
    let mut counts = json!(summary);
    // Both models read every pair.
    counts["tokens_read"] = json!(2 * summary.tokens_read);
    Ok(counts)
}
