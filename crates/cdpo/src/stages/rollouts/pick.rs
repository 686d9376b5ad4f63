//! Which wrong responses are rolled out.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cdpo_data::artifact::hash_file;
use cdpo_data::{Graded, OnBadRow, Pair, Problem, Trajectory, jsonl};
use cdpo_grade::{Grader, Outcome};

use super::super::generate::TRAJECTORIES;
use super::super::grade::{self, GRADED};
use super::super::problems::{self, TRAIN};
use super::super::sample;
use super::super::select::{self, PAIRS};
use super::Picks;
use crate::messages;
use crate::outcome::Usage;
use crate::run::Run;

/// The run's wrong responses, in the order of the questions and samples, as many as the recipe wants; and what they were read from.
pub(crate) fn wrong(run: &Run) -> anyhow::Result<(Picks, Vec<(String, String)>)> {
    let (problems, _): (Vec<Problem>, _) =
        jsonl::read(run.path(&problems::id(), TRAIN), OnBadRow::Fail)?;
    let (trajectories, _): (Vec<Trajectory>, _) =
        jsonl::read(run.path(&sample::id(), TRAJECTORIES), OnBadRow::Fail)?;
    let (graded, _): (Vec<Graded>, _) =
        jsonl::read(run.path(&grade::id(), GRADED), OnBadRow::Fail)?;
    let wrong: HashSet<(&str, u32)> = graded
        .iter()
        .filter(|g| g.verdict.outcome == Outcome::Wrong)
        .map(|g| (g.problem_id.as_str(), g.sample))
        .collect();
    let problems: HashMap<&str, &Problem> = problems.iter().map(|p| (p.id.as_str(), p)).collect();
    let section = &run.recipe.rollout;
    let mut taken: HashMap<&str, usize> = HashMap::new();
    let mut picks = Picks::new();
    for trajectory in &trajectories {
        let id = trajectory.problem_id.as_str();
        let Some(&problem) = problems.get(id) else {
            continue;
        };
        if !fits(trajectory, section.longest) || !wrong.contains(&(id, trajectory.sample)) {
            continue;
        }
        let taken = taken.entry(id).or_default();
        if *taken < section.per_question && picks.len() < section.limit {
            *taken += 1;
            picks.push((problem.clone(), trajectory.clone()));
        }
    }
    if picks.is_empty() {
        anyhow::bail!(
            "the run has no wrong response with an answer (and within rollout.longest); take more questions (data.train_limit) or \
             samples (sample.n)"
        );
    }
    messages::say(format_args!(
        "rolling out {} of {} wrong responses (rollout.limit = {}, rollout.per_question = {})",
        picks.len(),
        wrong.len(),
        section.limit,
        section.per_question
    ));
    Ok((picks, own_inputs(run)))
}

/// The rejected responses of all of the run's pairs, in their order.
pub(in super::super) fn rejected(run: &Run) -> anyhow::Result<Picks> {
    let (pairs, _): (Vec<Pair>, _) = jsonl::read(run.path(&select::id(), PAIRS), OnBadRow::Fail)?;
    let (problems, _): (Vec<Problem>, _) =
        jsonl::read(run.path(&problems::id(), TRAIN), OnBadRow::Fail)?;
    let (samples, _): (Vec<Trajectory>, _) =
        jsonl::read(run.path(&sample::id(), TRAJECTORIES), OnBadRow::Fail)?;
    let problems: HashMap<&str, &Problem> = problems.iter().map(|p| (p.id.as_str(), p)).collect();
    let samples: HashMap<(&str, u32), &Trajectory> = samples
        .iter()
        .map(|t| ((t.problem_id.as_str(), t.sample), t))
        .collect();
    pairs
        .iter()
        .map(|pair| {
            let name = (pair.problem_id.as_str(), pair.rejected_sample);
            let found = problems.get(name.0).zip(samples.get(&name));
            let (&problem, &trajectory) = found.ok_or_else(|| {
                anyhow::anyhow!(
                    "sample {} of question {} is not among the samples",
                    name.1,
                    name.0
                )
            })?;
            Ok((problem.clone(), trajectory.clone()))
        })
        .collect()
}

/// Of the run's pairs, the rejected responses that the recipe wants; and what they were read from.
pub(crate) fn of_pairs(run: &Run) -> anyhow::Result<(Picks, Vec<(String, String)>)> {
    let section = &run.recipe.rollout;
    let mut picks = rejected(run)?;
    let pairs = picks.len();
    picks.retain(|(_, trajectory)| fits(trajectory, section.longest));
    picks.truncate(section.limit);
    if picks.is_empty() {
        anyhow::bail!(
            "none of the run's {pairs} pairs has a rejected response within rollout.longest"
        );
    }
    messages::say(format_args!(
        "rolling out the rejected responses of {} of {pairs} pairs (rollout.limit = {})",
        picks.len(),
        section.limit
    ));
    let mut inputs = own_inputs(run);
    let pairs = run
        .output(&select::id(), PAIRS)
        .ok_or_else(|| anyhow::anyhow!("the run's pairs are not selected"))?;
    inputs.push(("pairs".into(), pairs));
    Ok((picks, inputs))
}

/// Whether a response has a position, and not too many.
fn fits(trajectory: &Trajectory, longest: Option<usize>) -> bool {
    let tokens = trajectory.ids.len();
    tokens > 0 && longest.is_none_or(|longest| tokens <= longest)
}

/// The responses of a file that are not right.
pub(crate) fn given(run: &Run, path: &Path) -> anyhow::Result<(Picks, Vec<(String, String)>)> {
    let all = crate::given::read(path, &run.vocabulary, &run.prompt)?;
    let grader = Grader::new(run.recipe.grade.clone());
    let count = all.len();
    let mut picks: Picks = all
        .into_iter()
        .filter(|(problem, trajectory)| {
            let verdict = grader.grade(&trajectory.text, &problem.answer);
            verdict.outcome != Outcome::Correct && fits(trajectory, run.recipe.rollout.longest)
        })
        .collect();
    let wrong = picks.len();
    picks.truncate(run.recipe.rollout.limit);
    if picks.is_empty() {
        return Err(Usage(format!(
            "{}: none of the {count} responses is wrong, so there is no critical token to find",
            path.display()
        ))
        .into());
    }
    messages::say(format_args!(
        "rolling out {} of {count} given responses, {wrong} of which are not right (rollout.limit = {})",
        picks.len(),
        run.recipe.rollout.limit
    ));
    Ok((picks, vec![("given".into(), hash_file(path)?)]))
}

/// The inputs that a run's own responses come from.
fn own_inputs(run: &Run) -> Vec<(String, String)> {
    [
        ("questions", problems::id(), TRAIN),
        ("samples", sample::id(), TRAJECTORIES),
        ("graded", grade::id(), GRADED),
    ]
    .into_iter()
    .filter_map(|(name, id, file)| Some((name.to_owned(), run.output(&id, file)?)))
    .collect()
}
