//! Grading the samples and selecting what to train on.

use cdpo_critical::{Prompts, Verdicts};
use cdpo_data::artifact::StageDir;
use cdpo_data::{Graded, OnBadRow, Problem, Trajectory, jsonl};
use cdpo_grade::{Grader, Outcome};
use cdpo_model::Key;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{Finished, GRADED, NEGATIVES, PAIRS, POSITIVES, TRAIN, TRAJECTORIES};
use crate::pipeline::{Pipeline, Step};
use crate::talk;

/// Grades trajectories against their questions' answers, in their order.
pub(super) fn grade_all(
    grader: &Grader,
    problems: &[Problem],
    trajectories: &[Trajectory],
) -> anyhow::Result<Vec<Graded>> {
    let gold: std::collections::HashMap<&str, &str> = problems
        .iter()
        .map(|p| (p.id.as_str(), p.answer.as_str()))
        .collect();
    trajectories
        .par_iter()
        .map(|t| {
            let gold = gold
                .get(t.problem_id.as_str())
                .ok_or_else(|| anyhow::anyhow!("there is no question {}", t.problem_id))?;
            Ok(Graded {
                problem_id: t.problem_id.clone(),
                sample: t.sample,
                verdict: grader.grade(&t.text, gold),
            })
        })
        .collect()
}

pub(super) fn grade(p: &Pipeline, dir: &StageDir) -> anyhow::Result<Finished> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TRAIN), OnBadRow::Fail)?;
    let (trajectories, _) = jsonl::read(p.path(Step::Sample, TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(p.recipe.grade.clone());
    let graded = jsonl::write_sorted(
        dir.path(GRADED),
        grade_all(&grader, &problems, &trajectories)?,
    )?;
    Ok(Finished::new(&[GRADED], outcomes("graded", &graded)))
}

/// The verdicts by outcome, which are also said under a name.
pub(super) fn outcomes(name: &str, graded: &[Graded]) -> Value {
    let count = |outcome| {
        graded
            .iter()
            .filter(|g| g.verdict.outcome == outcome)
            .count()
    };
    let [correct, wrong, unparsed] =
        [Outcome::Correct, Outcome::Wrong, Outcome::Unparsed].map(count);
    talk::say(format_args!(
        "{name}: {correct} correct, {wrong} wrong, {unparsed} unparsed"
    ));
    json!({ "correct": correct, "wrong": wrong, "unparsed": unparsed })
}

pub(super) fn select(p: &Pipeline, dir: &StageDir) -> anyhow::Result<Finished> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TRAIN), OnBadRow::Fail)?;
    let (trajectories, _) = jsonl::read(p.path(Step::Sample, TRAJECTORIES), OnBadRow::Fail)?;
    let (graded, _) = jsonl::read(p.path(Step::Grade, GRADED), OnBadRow::Fail)?;
    let mut encode = |text: &str| p.base.encode(text);
    let mut prompts = Prompts {
        framing: &p.prompt.framing,
        encode: &mut encode,
    };
    let selection = cdpo_critical::select(
        &problems,
        &trajectories,
        Verdicts {
            graded: &graded,
            grader: &Grader::new(p.recipe.grade.clone()),
        },
        &mut prompts,
        p.base.eos,
        &p.recipe.select,
        Key::new(p.recipe.run.seed),
    )?;
    jsonl::write_atomic(dir.path(POSITIVES), &selection.positives)?;
    jsonl::write_atomic(dir.path(NEGATIVES), &selection.negatives)?;
    jsonl::write_atomic(dir.path(PAIRS), &selection.pairs)?;
    jsonl::write_json(dir.path("skipped.json"), &selection.skipped)?;
    let counts = &selection.counts;
    talk::say(format_args!(
        "selected: {} positives, {} negatives, {} pairs of {} questions; {:.1} wrong answers a question",
        counts.positives,
        counts.negatives,
        counts.pairs,
        counts.questions,
        counts.mean_wrong()
    ));
    for (reason, number) in &counts.skipped {
        talk::say(format_args!(
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
    Ok(Finished::new(
        &[POSITIVES, NEGATIVES, PAIRS, "skipped.json"],
        json!(counts),
    ))
}
