//! The stage `graded`: a verdict for every sample.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use serde_json::{Value, json};

use super::generate::TRAJECTORIES;
use super::grading::{grade_all, outcomes};
use super::{problems, sample};
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Stage};

/// The verdicts.
pub(crate) const GRADED: &str = "graded.jsonl";

pub(crate) fn id() -> StageId {
    StageId::shared("graded")
}

pub(super) fn stage(_: &Recipe) -> Stage {
    Stage {
        reads: vec![
            Input::new("questions", problems::id(), problems::TRAIN),
            Input::new("samples", sample::id(), TRAJECTORIES),
        ],
        files: vec![GRADED.into()],
        ..Stage::new(
            id(),
            |run| json!({ "grade": run.recipe.grade, "grader": cdpo_grade::VERSION }),
            |run, dir| work(run, dir),
        )
    }
}

fn work(run: &Run, dir: &StageDir) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), problems::TRAIN), OnBadRow::Fail)?;
    let (trajectories, _) = jsonl::read(run.path(&sample::id(), TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(run.recipe.grade.clone());
    let graded = jsonl::write_sorted(
        dir.path(GRADED),
        grade_all(&grader, &problems, &trajectories)?,
    )?;
    Ok(outcomes("graded", &graded))
}
