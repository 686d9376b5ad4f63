//! The memory that a stage was expected to hold, from what the run knows when it ends: a plan's formulas with measured lengths.

use cdpo_data::artifact::Manifest;
use serde_json::Value;

use super::{problems, sample, select};
use crate::run::{Run, StageId};
use crate::stage::{Demand, Stage};
use crate::workload::{self, Amounts, Known, Lengths};

/// Bytes at the peak; `None` of a stage that uses no weights, or of whose examples too little is known. `counts` are the stage's own.
pub(crate) fn memory(run: &Run, stage: &Stage, counts: &Value) -> Option<u64> {
    if !stage.model.weights() {
        return None;
    }
    let known = Known {
        recipe: &run.recipe,
        config: &run.base.config,
        form: run.base.form(),
        rounds: run.base.unit().ok()?.is_some(),
        stored: run.base.stored_bytes(),
        lengths: lengths(run, stage, counts)?,
        amounts: amounts(run),
    };
    let workload = workload::of(stage, &known, true).ok()?;
    Some(known.resident(&workload.memory?))
}

fn counts<'r>(run: &'r Run, id: &StageId) -> Option<&'r Value> {
    run.manifest(id).map(|Manifest { counts, .. }| counts)
}

fn number(counts: Option<&Value>, name: &str) -> Option<f64> {
    counts?.get(name)?.as_f64()
}

fn amounts(run: &Run) -> Amounts {
    let questions = |file: &str| {
        let all = counts(run, &problems::id())?;
        number(all.get(file), "questions")
    };
    let selected = counts(run, &select::id());
    let count = |name: &str| number(selected, name).unwrap_or(0.0);
    Amounts {
        train_questions: questions("train").unwrap_or(0.0),
        test_questions: questions("test").unwrap_or(0.0),
        positives: count("positives"),
        negatives: count("negatives"),
        pairs: count("pairs"),
    }
}

/// Lengths of the stage's own responses, else of the samples; without samples a training's tokens, two fifths of them a response's.
fn lengths(run: &Run, stage: &Stage, own: &Value) -> Option<Lengths> {
    let prefix = run.prompt.prefix_ids.len() as f64;
    let of_responses = |counts: &Value| {
        let number = |name: &str| number(Some(counts), name);
        let questions = number("questions").filter(|n| *n > 0.0)?;
        let responses = number("responses").filter(|n| *n > 0.0)?;
        let question = (number("tokens_read")? - prefix) / questions;
        Some(Lengths {
            prefix,
            question,
            alone: question + run.prompt.opening,
            response: number("tokens_generated")? / responses,
        })
    };
    if matches!(stage.demand, Demand::Responses(_)) {
        return of_responses(own);
    }
    if let Some(lengths) = counts(run, &sample::id()).and_then(of_responses) {
        return Some(lengths);
    }
    let tokens = number(Some(own), "tokens_read")?;
    let training = stage.training.as_ref()?.settings.validate().ok()?;
    let seen = number(Some(own), "steps")? * (training.batch_size * training.accumulation) as f64;
    let each = tokens / seen.max(1.0);
    Some(Lengths {
        prefix,
        question: each / 5.0,
        alone: each / 5.0,
        response: 2.0 * each / 5.0,
    })
}
