//! Responses that an earlier form of a stage drew: more samples or more questions ask for the missing ones alone.
//!
//! A response is a function of prompt, sampling settings, model and sample number. So those of the stage that was set aside hold
//! good as long as its key differs in the number of samples and the set of questions only, and the question is the same.

use std::collections::{HashMap, HashSet};

use cdpo_data::artifact::{MANIFEST, Manifest, SUPERSEDED, StageDir, hash_file};
use cdpo_data::{OnBadRow, Problem, Trajectory, jsonl};

use super::problems::{self, TEST, TRAIN};
use crate::messages;

/// Responses in `file` of the stage set aside that are wanted now (`n` for each of `problems`) and not among `have`.
pub(super) fn kept(
    dir: &StageDir,
    file: &str,
    problems: &[Problem],
    n: u32,
    have: &[Trajectory],
) -> anyhow::Result<Vec<Trajectory>> {
    let none = Vec::new();
    let stage = dir.dir();
    let (Some(run), Some(name)) = (stage.parent(), stage.file_name()) else {
        return Ok(none);
    };
    let aside = run.join(SUPERSEDED);
    let old = aside.join(name);
    let read = |path: &std::path::Path| -> Option<Manifest> {
        serde_json::from_slice(&std::fs::read(path.join(MANIFEST)).ok()?).ok()
    };
    let (Some(before), Some(now)) = (read(&old), read(stage)) else {
        return Ok(none);
    };
    if fixed(&before) != fixed(&now) {
        return Ok(none);
    }
    // The questions of that time: the run's own, or those set aside with the stage.
    let Some(asked) = before.inputs.get("questions") else {
        return Ok(none);
    };
    let places = [run, &aside]
        .into_iter()
        .flat_map(|at| [TRAIN, TEST].map(|questions| at.join(problems::id().name).join(questions)));
    let mut questions: Vec<Problem> = Vec::new();
    for path in places {
        if path.is_file() && hash_file(&path)? == *asked {
            (questions, _) = jsonl::read(&path, OnBadRow::Fail)?;
            break;
        }
    }
    let question: HashMap<&str, &str> = questions
        .iter()
        .map(|p| (p.id.as_str(), p.question.as_str()))
        .collect();
    let same = |p: &&Problem| question.get(p.id.as_str()) == Some(&p.question.as_str());
    // A torn last line is none of the kept.
    let (drawn, _) = jsonl::read::<Trajectory>(old.join(file), OnBadRow::Skip)
        .unwrap_or_else(|_| (Vec::new(), cdpo_data::Skipped::new(&old)));
    let kept = still(drawn, problems.iter().filter(same), n, have);
    if !kept.is_empty() {
        messages::say(format_args!(
            "{}: {} responses are kept",
            name.to_string_lossy(),
            kept.len()
        ));
    }
    Ok(kept)
}

/// Those of `drawn` that are wanted (`n` for each of `problems`) and not among `have`, each once.
pub(super) fn still<'a>(
    drawn: Vec<Trajectory>,
    problems: impl IntoIterator<Item = &'a Problem>,
    n: u32,
    have: impl IntoIterator<Item = &'a Trajectory>,
) -> Vec<Trajectory> {
    let wanted: HashSet<&str> = problems.into_iter().map(|p| p.id.as_str()).collect();
    let key = |t: &Trajectory| (t.problem_id.clone(), t.sample);
    let mut done: HashSet<(String, u32)> = have.into_iter().map(key).collect();
    let mut kept = drawn;
    kept.retain(|t| t.sample < n && wanted.contains(t.problem_id.as_str()) && done.insert(key(t)));
    kept
}

/// What must be the same for a response to hold good.
fn fixed(manifest: &Manifest) -> serde_json::Value {
    let mut inputs = manifest.inputs.clone();
    inputs.remove("questions");
    let mut settings = manifest.settings.clone();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("n");
    }
    serde_json::json!([manifest.version, inputs, settings])
}
