//! Trajectories and their questions in; verdicts, and how many of each outcome, out.

use cdpo_data::{Graded, Problem, Trajectory};
use cdpo_grade::{Grader, Outcome};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::messages;

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
    messages::say(format_args!(
        "{name}: {correct} correct, {wrong} wrong, {unparsed} unparsed"
    ));
    json!({ "correct": correct, "wrong": wrong, "unparsed": unparsed })
}
