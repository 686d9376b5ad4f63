//! Contrastive scores of the rejected tokens, appended pair by pair.

use std::ops::ControlFlow;

use cdpo_critical::{ContrastModels, ContrastSettings, score_pairs};
use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::{self, Appender};
use cdpo_data::{OnBadRow, Pair};
use cdpo_model::AdapterStack;
use serde_json::json;

use super::{Finished, PAIRS, finetune};
use crate::interrupt;
use crate::outcome::Interrupted;
use crate::pipeline::{Pipeline, Step};
use crate::talk::{self, Progress};

pub(super) fn run(p: &mut Pipeline, dir: &mut StageDir) -> anyhow::Result<Finished> {
    let (pairs, _): (Vec<Pair>, _) = jsonl::read(p.path(Step::Select, PAIRS), OnBadRow::Fail)?;
    let (mut out, done) = Appender::resume::<Pair>(dir.path(PAIRS))?;
    // The scores are of the prompt as the models read it; the file keeps the pair as it was selected.
    let read = |pair: &Pair| {
        let few_shot = p.recipe.train.few_shot;
        let mut pair = pair.clone();
        let own = p.base.behind_exemplars(&pair.prompt_ids, few_shot);
        pair.prompt_ids = [p.prompt.training_prefix(few_shot), &own].concat();
        pair
    };
    let as_read: Vec<Pair> = pairs.iter().map(read).collect();
    let done: Vec<Pair> = done.iter().map(read).collect();
    let settings = ContrastSettings {
        ce_beta: p.recipe.ce.ce_beta,
        max_tokens: p.recipe.ce.max_tokens,
    };
    let positive = finetune::adapter(p, Step::Positive)?;
    let negative = finetune::adapter(p, Step::Negative)?;
    let (positive, negative) = ([&positive], [&negative]);
    let models = ContrastModels {
        model: p.base.dense()?,
        positive: AdapterStack::frozen(&positive),
        negative: AdapterStack::frozen(&negative),
    };
    let mut number = done.len() as u64;
    let mut bar = Progress::new("scored", number, pairs.len() as u64);
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
    jsonl::write_json(dir.path("summary.json"), &summary)?;
    talk::say(format_args!(
        "scored: separation {:.4} nats, at most {:.2} in a response, mean s {:.3}, at the terminators {:.3}",
        summary.separation.unwrap_or(f64::NAN),
        summary.peak.unwrap_or(f64::NAN),
        summary.mean_score.unwrap_or(f64::NAN),
        summary.mean_terminator_score.unwrap_or(f64::NAN)
    ));
    if summary.barely_separated() {
        talk::warn(format_args!(
            "the positive and the negative model hardly differ (the greatest |log P_p - log P_n| of a response is {:.4} nats on \
             average, less than {}); train them longer (ce.train.epochs) or with a shorter warm-up",
            summary.peak.unwrap_or(0.0),
            cdpo_critical::contrast::SEPARATION_FLOOR
        ));
    }
    let mut counts = json!(summary);
    // Both models read every pair.
    counts["tokens_read"] = json!(2 * summary.tokens_read);
    Ok(Finished::new(&[PAIRS, "summary.json"], counts))
}
