//! Whether every training's warm-up ends within its steps, told as soon as the number of examples can be known.

use cdpo_train::{Method, TrainSettings, WarmUp};
use serde_json::Value;

use crate::outcome::Usage;
use crate::pipeline::{Pipeline, Step};

/// How many examples there are at most.
struct Most {
    positives: usize,
    negatives: usize,
    pairs: usize,
}

/// After the step that bounds the number of examples, checks the trainings among `steps`.
pub(crate) fn check(p: &Pipeline, done: Step, steps: &[Step]) -> anyhow::Result<()> {
    let Some(most) = most(p, done) else {
        return Ok(());
    };
    let mut faults = Vec::new();
    for &step in steps {
        let (settings, examples, section) = match step {
            Step::Positive => (&p.recipe.ce.train, most.positives, "ce.train"),
            Step::Negative => (&p.recipe.ce.train, most.negatives, "ce.train"),
            Step::Train(method) => {
                let examples = if method == Method::SFT {
                    most.positives
                } else {
                    most.pairs
                };
                let settings = &p.recipe.train.methods[method.name()];
                (settings, examples, "train")
            }
            _ => continue,
        };
        if let Some((warmup, all)) = too_short(settings, examples)? {
            faults.push(format!(
                "{}: {warmup} warm-up steps of at most {all} steps ({examples} examples); e.g. --set {section}.warmup_ratio=0.1 instead of \
                 warmup_steps",
                step.name()
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

fn most(p: &Pipeline, done: Step) -> Option<Most> {
    let counts = &p.manifest(done)?.counts;
    let count = |value: &Value| value.as_u64().map(|n| n as usize);
    match done {
        Step::Problems => {
            let questions = count(&counts["train"]["questions"])?;
            Some(Most {
                positives: questions,
                negatives: questions * p.recipe.sample.n as usize,
                pairs: questions,
            })
        }
        Step::Select => Some(Most {
            positives: count(&counts["positives"])?,
            negatives: count(&counts["negatives"])?,
            pairs: count(&counts["pairs"])?,
        }),
        _ => None,
    }
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
