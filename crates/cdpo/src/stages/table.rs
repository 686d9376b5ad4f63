//! Grading the evaluations and comparing the methods.

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use cdpo_report::{CostTable, Evaluation, MethodTable, StageCost};
use cdpo_train::Method;
use serde_json::json;

use super::{Finished, TEST, TRAJECTORIES, select};
use crate::pipeline::{Pipeline, Step};
use crate::recipe::Recipe;

/// The table's rows: the base and every method.
pub(super) fn rows(recipe: &Recipe) -> Vec<Option<Method>> {
    std::iter::once(None)
        .chain(recipe.methods.iter().copied().map(Some))
        .collect()
}

pub(super) fn run(p: &Pipeline, dir: &StageDir) -> anyhow::Result<Finished> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let grader = Grader::new(p.recipe.grade.clone());
    let mut outputs = vec!["table.md".to_owned(), "table.json".to_owned()];
    let mut evaluations = Vec::new();
    for method in rows(&p.recipe) {
        let (answers, _) = jsonl::read(p.path(Step::Eval(method), TRAJECTORIES), OnBadRow::Fail)?;
        let graded = select::grade_all(&grader, &problems, &answers)?;
        let name = method.map_or("base", Method::name);
        evaluations.push(Evaluation::from_graded(name, &graded)?);
        let file = format!("graded-{name}.jsonl");
        jsonl::write_atomic(dir.path(&file), &graded)?;
        outputs.push(file);
    }
    let mut baselines = vec!["base"];
    if p.recipe.methods.contains(&Method::Dpo) && p.recipe.methods.len() > 1 {
        baselines.push(Method::Dpo.name());
    }
    let table = MethodTable::build(&evaluations, &baselines)?;
    let path = dir.path("table.md");
    jsonl::write_file_atomic(&path, |out| {
        out.write_all(table.markdown().as_bytes())
            .map_err(|source| cdpo_data::Error::io(&path, "write", source))
    })?;
    jsonl::write_json(dir.path("table.json"), &table)?;
    Ok(Finished {
        outputs,
        counts: json!({ "questions": problems.len(), "methods": evaluations.len() }),
    })
}

/// Seconds and tokens of every finished stage.
pub(crate) fn costs(p: &Pipeline) -> CostTable {
    let stages = Step::all(&p.recipe).into_iter().filter_map(|step| {
        let manifest = p.manifest(step)?;
        let tokens = |name: &str| {
            manifest
                .counts
                .get(name)
                .and_then(serde_json::Value::as_u64)
        };
        Some(StageCost {
            stage: step.name(),
            seconds: manifest.clock.seconds,
            tokens_read: tokens("tokens_read"),
            tokens_generated: tokens("tokens_generated"),
        })
    });
    CostTable {
        stages: stages.collect(),
    }
}
