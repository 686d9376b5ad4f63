//! Whether every training's warm-up ends within its steps, reported as soon as the number of examples can be known.

use cdpo_train::{TrainSettings, WarmUp};
use serde_json::Value;

use super::{problems, select};
use crate::outcome::Usage;
use crate::run::{Run, StageId};
use crate::stage::{Stage, TrainedOn};

/// How many examples there are at most.
struct Most {
    positives: usize,
    negatives: usize,
    pairs: usize,
}

/// After the stage that bounds the number of examples, checks the trainings among `stages`.
pub(crate) fn check(run: &Run, done: &StageId, stages: &[Stage]) -> anyhow::Result<()> {
    let Some(most) = most(run, done) else {
        return Ok(());
    };
    let mut faults = Vec::new();
    for stage in stages {
        let Some(training) = &stage.training else {
            continue;
        };
        let examples = match training.on {
            TrainedOn::Positives => most.positives,
            TrainedOn::Negatives => most.negatives,
            TrainedOn::Pairs => most.pairs,
        };
        if let Some((warmup, all)) = too_short(&training.settings, examples)? {
            let (name, section) = (&stage.id.name, training.section);
            faults.push(format!(
                "{name}: {warmup} warm-up steps of at most {all} steps ({examples} examples); e.g. --set {section}.warmup_ratio=0.1 instead of \
                 warmup_steps"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let list = faults.join("\n  ");
    Err(Usage(format!(
        "the warm-up must end within the training:\n  {list}"
    ))
    .into())
}

fn most(run: &Run, done: &StageId) -> Option<Most> {
    let counts = &run.manifest(done)?.counts;
    let count = |value: &Value| value.as_u64().map(|n| n as usize);
    if *done == problems::id() {
        let questions = count(&counts["train"]["questions"])?;
        return Some(Most {
            positives: questions,
            negatives: questions * run.recipe.sample.n as usize,
            pairs: questions,
        });
    }
    if *done == select::id() {
        return Some(Most {
            positives: count(&counts["positives"])?,
            negatives: count(&counts["negatives"])?,
            pairs: count(&counts["pairs"])?,
        });
    }
    None
}

/// Warm-up steps and all steps, if the former do not end within the latter. A ratio always does.
fn too_short(settings: &TrainSettings, examples: usize) -> anyhow::Result<Option<(u64, u64)>> {
    let checked = settings.validate()?;
    let WarmUp::Steps(warmup) = checked.warmup else {
        return Ok(None);
    };
    let all = checked.total_steps(examples);
    Ok((warmup >= all).then_some((warmup, all)))
}
