//! The stage `selected`: what to train on, from the graded samples.

use cdpo_critical::{PromptError, Verdicts};
use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use cdpo_model::Key;
use serde_json::{Value, json};

use super::generate::TRAJECTORIES;
use super::grade::{self, GRADED};
use super::{problems, sample};
use crate::messages;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Model, Stage};

/// The right responses.
pub(crate) const POSITIVES: &str = "positives.jsonl";
/// The wrong responses.
pub(crate) const NEGATIVES: &str = "negatives.jsonl";
/// A right and a wrong response to the same question each.
pub(crate) const PAIRS: &str = "pairs.jsonl";
/// Why questions gave no pair.
const SKIPPED: &str = "skipped.json";

pub(crate) fn id() -> StageId {
    StageId::of_seed("selected")
}

pub(super) fn stage(_: &Recipe) -> Stage {
    Stage {
        // 2: a BOS that a prompt brings is not put a second time.
        version: 2,
        reads: vec![
            Input::new("questions", problems::id(), problems::TRAIN),
            Input::new("samples", sample::id(), TRAJECTORIES),
            Input::new("graded", grade::id(), GRADED),
        ],
        model: Model::Tokenizer,
        files: [POSITIVES, NEGATIVES, PAIRS, SKIPPED]
            .map(Into::into)
            .to_vec(),
        ..Stage::new(id(), settings, |run, dir| work(run, dir))
    }
}

fn settings(run: &Run) -> Value {
    let (name, identity) = run.prompt.identity();
    json!({
        "select": run.recipe.select,
        "grader": cdpo_grade::VERSION,
        "seed": run.recipe.run.seed,
        name: identity,
        "bos": run.vocabulary.bos,
        "eos": run.vocabulary.eos,
    })
}

fn work(run: &Run, dir: &StageDir) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), problems::TRAIN), OnBadRow::Fail)?;
    let (trajectories, _) = jsonl::read(run.path(&sample::id(), TRAJECTORIES), OnBadRow::Fail)?;
    let (graded, _) = jsonl::read(run.path(&grade::id(), GRADED), OnBadRow::Fail)?;
    let mut prompts = |question: &str| {
        let prompt = run.prompt.alone(&run.vocabulary, question);
        prompt.map_err(PromptError::from)
    };
    let selection = cdpo_critical::select(
        &problems,
        &trajectories,
        Verdicts {
            graded: &graded,
            grader: &Grader::new(run.recipe.grade.clone()),
        },
        &mut prompts,
        run.vocabulary.eos,
        &run.recipe.select,
        Key::new(run.recipe.run.seed),
    )?;
    jsonl::write_atomic(dir.path(POSITIVES), &selection.positives)?;
    jsonl::write_atomic(dir.path(NEGATIVES), &selection.negatives)?;
    jsonl::write_atomic(dir.path(PAIRS), &selection.pairs)?;
    jsonl::write_json(dir.path(SKIPPED), &selection.skipped)?;
    let counts = &selection.counts;
    messages::say(format_args!(
        "selected: {} positives, {} negatives, {} pairs of {} questions; {:.1} wrong answers a question",
        counts.positives,
        counts.negatives,
        counts.pairs,
        counts.questions,
        counts.mean_wrong()
    ));
    for (reason, number) in &counts.skipped {
        messages::say(format_args!(
            "selected: {number} questions give no pair: {}",
            reason.words()
        ));
    }
    if selection.pairs.is_empty() {
        anyhow::bail!(
            "no question has both a right and a wrong sample, so there is nothing to learn from; take more questions \
             (data.train_limit), more samples (sample.n), or another sample.temperature"
        );
    }
    Ok(json!(counts))
}
