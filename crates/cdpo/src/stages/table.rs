//! Grading the evaluations and comparing the methods.

use std::path::PathBuf;

use cdpo_data::artifact::{MANIFEST, Manifest, StageDir};
use cdpo_data::{OnBadRow, Problem, jsonl};
use cdpo_grade::Grader;
use cdpo_report::bootstrap::{CounterDraws, RESAMPLES};
use cdpo_report::page::MethodCurve;
use cdpo_report::{ConventionTable, CostTable, Evaluation, MethodTable, StageCost, sample_curve};
use cdpo_train::Method;
use serde_json::json;

use super::{Finished, TEST, TRAJECTORIES, conventions, select};
use crate::pipeline::{Pipeline, Step};
use crate::recipe::Recipe;
use crate::rollout;
use crate::talk;

/// The table's rows: the base and every method.
pub(crate) fn rows(recipe: &Recipe) -> Vec<Option<Method>> {
    std::iter::once(None)
        .chain(recipe.methods.iter().copied().map(Some))
        .collect()
}

/// What every method is compared with: the base, and DPO if it is among several methods.
pub(crate) fn baselines(recipe: &Recipe) -> Vec<&'static str> {
    let mut baselines = vec!["base"];
    if recipe.methods.contains(&Method::DPO) && recipe.methods.len() > 1 {
        baselines.push(Method::DPO.name());
    }
    baselines
}

pub(super) fn run(p: &Pipeline, dir: &StageDir) -> anyhow::Result<Finished> {
    let (problems, _) = jsonl::read(p.path(Step::Problems, TEST), OnBadRow::Fail)?;
    let grader = Grader::new(p.recipe.grade.clone());
    let mut outputs = vec!["table.md".to_owned(), "table.json".to_owned()];
    let mut evaluations = Vec::new();
    let mut outcomes = serde_json::Map::new();
    let mut conventions = ConventionTable::default();
    for method in rows(&p.recipe) {
        let (answers, _) = jsonl::read(p.path(Step::Eval(method), TRAJECTORIES), OnBadRow::Fail)?;
        let graded = select::grade_all(&grader, &problems, &answers)?;
        let name = method.map_or("base", Method::name);
        evaluations.push(Evaluation::from_graded(name, &graded)?);
        outcomes.insert(name.to_owned(), select::outcomes(name, &graded));
        conventions::add(&mut conventions, &p.recipe, name, &problems, &answers)?;
        let file = format!("graded-{name}.jsonl");
        jsonl::write_atomic(dir.path(&file), &graded)?;
        outputs.push(file);
    }
    let table = MethodTable::build(&evaluations, &baselines(&p.recipe))?;
    let path = dir.path("table.md");
    jsonl::write_file_atomic(&path, |out| {
        out.write_all((table.markdown() + &conventions::appended(&conventions)).as_bytes())
            .map_err(|source| cdpo_data::Error::io(&path, "write", source))
    })?;
    jsonl::write_json(dir.path("table.json"), &table)?;
    if p.recipe.eval.samples > 0 {
        let curves = curves(p, &grader, &problems)?;
        jsonl::write_json(dir.path("curves.json"), &curves)?;
        outputs.push("curves.json".to_owned());
    }
    Ok(Finished {
        outputs,
        counts: json!({
            "questions": problems.len(),
            "methods": evaluations.len(),
            "outcomes": outcomes,
            "conventions": conventions.rows,
        }),
    })
}

/// Pass@k and maj@k of every row, at powers of two up to the number of samples.
fn curves(p: &Pipeline, grader: &Grader, problems: &[Problem]) -> anyhow::Result<Vec<MethodCurve>> {
    let n = u64::from(p.recipe.eval.samples);
    let mut ks: Vec<u64> = (0..63).map(|i| 1 << i).filter(|k| *k < n).collect();
    ks.push(n);
    let mut curves = Vec::new();
    for method in rows(&p.recipe) {
        let path = p.path(Step::EvalSamples(method), TRAJECTORIES);
        let (answers, _) = jsonl::read(path, OnBadRow::Fail)?;
        let graded = select::grade_all(grader, problems, &answers)?;
        let mut draws = CounterDraws::new(0);
        let curve = sample_curve(grader, &graded, &ks, RESAMPLES, &mut || draws.draw())?;
        let method = method.map_or("base", Method::name).to_owned();
        curves.push(MethodCurve { method, curve });
    }
    for MethodCurve { method, curve } in &curves {
        talk::say(format_args!("\n{method}, sampled\n{}", curve.plain()));
    }
    Ok(curves)
}

/// Seconds and tokens of every finished stage, by its manifest: whatever command ran it, and the rollouts that came later.
pub(crate) fn costs(p: &Pipeline) -> CostTable {
    let steps = Step::all(&p.recipe).into_iter();
    let mut manifests: Vec<PathBuf> = steps.map(|step| p.path(step, MANIFEST)).collect();
    for own in rollout::OWN {
        for later in [own.to_owned(), rollout::replacements(own)] {
            manifests.push(p.run_dir.join(later).join(MANIFEST));
        }
    }
    let cost = |path: &PathBuf| -> Option<StageCost> {
        // A stage that is not done, or whose manifest cannot be read, has no cost to tell.
        let manifest = Manifest::read(path).ok()?.ok()?;
        manifest.clock.finished.as_ref()?;
        let tokens = |name: &str| {
            let counted = manifest.counts.get(name);
            counted.and_then(serde_json::Value::as_u64)
        };
        Some(StageCost {
            seconds: manifest.clock.seconds,
            tokens_read: tokens("tokens_read"),
            tokens_generated: tokens("tokens_generated"),
            stage: manifest.stage,
        })
    };
    CostTable {
        stages: manifests.iter().filter_map(cost).collect(),
    }
}
