//! The stage `table`: the evaluations are graded and the methods compared.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, Problem, jsonl};
use cdpo_grade::Grader;
use cdpo_report::bootstrap::{CounterDraws, RESAMPLES};
use cdpo_report::page::MethodCurve;
use cdpo_report::{ConventionTable, Evaluation, MethodTable, sample_curve};
use cdpo_train::Method;
use serde_json::{Value, json};

use super::generate::TRAJECTORIES;
use super::problems::{self, TEST};
use super::{conventions, eval, eval_samples, grading};
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Stage};
use crate::{files, messages};

/// The table for people.
pub(crate) const TABLE: &str = "table.md";
/// The same for programs.
pub(crate) const DATA: &str = "table.json";
/// Pass@k and maj@k of every row.
pub(crate) const CURVES: &str = "curves.json";

pub(crate) fn id() -> StageId {
    StageId::of_seed("table")
}

/// The verdicts on a row's answers.
pub(crate) fn graded_file(method: Option<Method>) -> String {
    format!("graded-{}.jsonl", method.map_or("base", Method::name))
}

pub(super) fn stage(recipe: &Recipe) -> Stage {
    let rows = recipe.rows();
    let sampled = recipe.eval.samples > 0;
    let mut reads = vec![Input::new("questions", problems::id(), TEST)];
    for &method in &rows {
        let eval = eval::id(method);
        reads.push(Input::new(eval.name.clone(), eval, TRAJECTORIES));
        if sampled {
            let samples = eval_samples::id(method);
            reads.push(Input::new(samples.name.clone(), samples, TRAJECTORIES));
        }
    }
    let mut files = vec![TABLE.to_owned(), DATA.to_owned()];
    files.extend(rows.into_iter().map(graded_file));
    files.extend(sampled.then(|| CURVES.to_owned()));
    Stage {
        reads,
        files,
        ..Stage::new(
            id(),
            |run| json!({ "grade": run.recipe.grade, "grader": cdpo_grade::VERSION }),
            |run, dir| work(run, dir),
        )
    }
}

fn work(run: &Run, dir: &StageDir) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), TEST), OnBadRow::Fail)?;
    let grader = Grader::new(run.recipe.grade.clone());
    let mut evaluations = Vec::new();
    let mut outcomes = serde_json::Map::new();
    let mut conventions = ConventionTable::default();
    for method in run.recipe.rows() {
        let (answers, _) = jsonl::read(run.path(&eval::id(method), TRAJECTORIES), OnBadRow::Fail)?;
        let graded = grading::grade_all(&grader, &problems, &answers)?;
        let name = method.map_or("base", Method::name);
        evaluations.push(Evaluation::from_graded(name, &graded)?);
        outcomes.insert(name.to_owned(), grading::outcomes(name, &graded));
        conventions::add(&mut conventions, &run.recipe, name, &problems, &answers)?;
        jsonl::write_atomic(dir.path(&graded_file(method)), &graded)?;
    }
    let table = MethodTable::build(&evaluations, &run.recipe.baselines())?;
    let markdown = table.markdown() + &conventions::appended(&conventions);
    files::write(&dir.path(TABLE), markdown.as_bytes())?;
    jsonl::write_json(dir.path(DATA), &table)?;
    if run.recipe.eval.samples > 0 {
        jsonl::write_json(dir.path(CURVES), &curves(run, &grader, &problems)?)?;
    }
    Ok(json!({
        "questions": problems.len(),
        "methods": evaluations.len(),
        "outcomes": outcomes,
        "conventions": conventions.rows,
    }))
}

/// Pass@k and maj@k of every row, at powers of two up to the number of samples.
fn curves(run: &Run, grader: &Grader, problems: &[Problem]) -> anyhow::Result<Vec<MethodCurve>> {
    let n = u64::from(run.recipe.eval.samples);
    let mut ks: Vec<u64> = (0..63).map(|i| 1 << i).filter(|k| *k < n).collect();
    ks.push(n);
    let mut curves = Vec::new();
    for method in run.recipe.rows() {
        let path = run.path(&eval_samples::id(method), TRAJECTORIES);
        let (answers, _) = jsonl::read(path, OnBadRow::Fail)?;
        let graded = grading::grade_all(grader, problems, &answers)?;
        let mut draws = CounterDraws::new(0);
        let curve = sample_curve(grader, &graded, &ks, RESAMPLES, &mut || draws.draw())?;
        let method = method.map_or("base", Method::name).to_owned();
        curves.push(MethodCurve { method, curve });
    }
    for MethodCurve { method, curve } in &curves {
        messages::say(format_args!("\n{method}, sampled\n{}", curve.plain()));
    }
    Ok(curves)
}
