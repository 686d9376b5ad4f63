//! The pipeline: stages in order, each done once.
//!
//! A stage's key is made of the contents it reads and its settings; so a changed input reruns what depends on it and nothing
//! else. A stage upstream that is not done leaves the key of those after it unknown.

use std::path::Path;

use cdpo_data::artifact::{self, Manifest, PeakMemory, StageDir, StagePlan, StageState};

use crate::outcome::Usage;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::Stage;
use crate::stages::{self, expected, grade, sample, warm_up};
use crate::{interrupt, memory, messages};

/// What a run as far as `goals` would do, one line a stage.
pub(crate) fn plan(run: &mut Run, goals: &[StageId]) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for stage in needed(run, goals)? {
        let id = stage.id.clone();
        let state = match stage.key(run)? {
            None => "to do, after the stages before it".to_owned(),
            Some(key) => match key.plan(run.folder(&id))? {
                StagePlan::Done(manifest) => {
                    run.finished(id.clone(), manifest);
                    "done".to_owned()
                }
                StagePlan::Resume(_) => "to go on with".to_owned(),
                StagePlan::Fresh(reason) => format!("to do ({reason})"),
            },
        };
        lines.push(format!("{:<12} {state}", id.name));
    }
    Ok(lines)
}

/// Does every stage that `goals` need and that is not done, and `goals` themselves.
pub(crate) fn carry_out(run: &mut Run, goals: &[StageId]) -> anyhow::Result<()> {
    if run.home == run.dir {
        run.keep_recipe()?;
    }
    let stages = needed(run, goals)?;
    for (i, stage) in stages.iter().enumerate() {
        interrupt::check()?;
        let at = format!("[{}/{}] {}", i + 1, stages.len(), stage.id.name);
        let manifest = do_stage(run, stage, &at)?;
        run.finished(stage.id.clone(), manifest);
        warm_up::check(run, &stage.id, &stages)?;
    }
    Ok(())
}

/// Does a stage's work in its folder unless it is done, there or in a sibling of the run; `label` stands before the messages.
pub(crate) fn do_stage(run: &mut Run, stage: &Stage, label: &str) -> anyhow::Result<Manifest> {
    let name = &stage.id.name;
    let key = stage
        .key(run)?
        .ok_or_else(|| anyhow::anyhow!("a stage before {name} is not done"))?;
    let folder = run.folder(&stage.id).to_path_buf();
    // A seed's stages lie in its own folder, in every run.
    let within = folder.strip_prefix(&run.dir).unwrap_or(Path::new(""));
    for sibling in &run.siblings {
        let sibling = sibling.join(within);
        if artifact::take_over(&folder, &key, &sibling)? {
            messages::say(format_args!(
                "{label}: taken over from {}",
                sibling.display()
            ));
            break;
        }
    }
    let mut dir = match StageDir::open(&folder, &key)? {
        StageState::Done(manifest) => {
            messages::say(format_args!("{label}: done before"));
            return Ok(manifest);
        }
        StageState::Resume(dir) => {
            messages::say(format_args!("{label}: going on"));
            dir
        }
        StageState::Fresh(dir, reason) => {
            messages::say(format_args!("{label}: {reason}"));
            dir
        }
    };
    memory::forget_peak();
    let counts = (stage.work)(run, &mut dir).inspect_err(|_| {
        // The time spent counts although the stage did not end; the first error is the one to report.
        let _ = dir.keep_time();
    })?;
    // Here, so that no stage's texts count as the next one's.
    run.vocabulary.report(name);
    let seen = memory::peak();
    let expected = expected::memory(run, stage, &counts);
    dir.keep_memory(PeakMemory { expected, seen });
    let files: Vec<&str> = stage.files.iter().map(String::as_str).collect();
    let manifest = dir.finish(&files, counts)?;
    messages::say(format_args!(
        "{name}: finished in {}{}",
        messages::clock(manifest.clock.seconds),
        messages::memory(expected, seen)
    ));
    Ok(manifest)
}

/// `goals` and all that they need, in order; the weights are opened if one of the stages needs them.
fn needed(run: &Run, goals: &[StageId]) -> anyhow::Result<Vec<Stage>> {
    let needed = stages_for(&run.recipe, goals)?;
    if needed.iter().any(|stage| stage.model.weights()) {
        run.base.open()?;
    }
    Ok(needed)
}

/// `goals` and all that they need, in order.
pub(crate) fn stages_for(recipe: &Recipe, goals: &[StageId]) -> anyhow::Result<Vec<Stage>> {
    let sampling = [sample::id(), grade::id()];
    if recipe.data.pairs.is_some() && goals.iter().any(|id| sampling.contains(id)) {
        return Err(Usage(
            "the recipe's pairs are given (data.pairs), so there is nothing to sample or grade"
                .into(),
        )
        .into());
    }
    let all = stages::all(recipe);
    let mut wanted: Vec<&StageId> = goals.iter().collect();
    let mut next = 0;
    while next < wanted.len() {
        let stage = all.iter().find(|stage| stage.id == *wanted[next]);
        for input in stage.into_iter().flat_map(|stage| &stage.reads) {
            if !wanted.contains(&&input.from) {
                wanted.push(&input.from);
            }
        }
        next += 1;
    }
    let wanted: Vec<StageId> = wanted.into_iter().cloned().collect();
    let needed = all.into_iter().filter(|stage| wanted.contains(&stage.id));
    Ok(needed.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recipe::from_text;

    #[test]
    fn what_a_stage_encodes_is_reported_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[model]\npath = \"builtin:wordmath-1m\"\n[data]\ntrain = \"a\"\ntest = \"b\"\n";
        let recipe = from_text(text, "test", &[format!("run.dir={:?}", dir.path())]).unwrap();
        let mut run = Run::new(recipe).unwrap();
        run.vocabulary.report("the exemplars");
        let stage = Stage::new(
            StageId::shared("encoding"),
            |_| json!({}),
            |run, _| {
                run.vocabulary.opening("one text")?;
                assert!(!run.vocabulary.is_reported());
                Ok(json!({}))
            },
        );
        do_stage(&mut run, &stage, "encoding").unwrap();
        assert!(run.vocabulary.is_reported());
    }
}
