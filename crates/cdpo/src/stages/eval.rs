//! The stages `eval-base` and `eval-METHOD`: greedy answers to the held-out questions.

use std::path::PathBuf;

use cdpo_data::artifact::StageDir;
use cdpo_data::{OnBadRow, jsonl};
use cdpo_grade::Grader;
use cdpo_report::{ConventionTable, Evaluation, MethodTable};
use cdpo_sample::ServerSettings;
use cdpo_train::Method;
use serde_json::{Value, json};

use super::generate::{self, Answerer, Generation, TRAJECTORIES};
use super::grading::{grade_all, outcomes};
use super::problems::{self, TEST};
use super::{conventions, train};
use crate::base_model::Trained;
use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::{Input, Questions, Responses, Stage};

/// The evaluation of a method, or of the base, which no seed changes.
pub(crate) fn id(method: Option<Method>) -> StageId {
    match method {
        None => StageId::shared("eval-base"),
        Some(method) => StageId::of_seed(format!("eval-{}", method.name())),
    }
}

/// The evaluations of a recipe.
pub(super) fn stages(recipe: &Recipe) -> Vec<Stage> {
    let rows = recipe.rows().into_iter();
    rows.map(|method| stage(recipe, method)).collect()
}

fn stage(recipe: &Recipe, method: Option<Method>) -> Stage {
    let mut reads = vec![Input::new("questions", problems::id(), TEST)];
    reads.extend(method.map(|method| train::input("adapter", recipe, method)));
    let server = recipe.eval.server.as_ref();
    Stage {
        reads,
        version: generate::version(train::makes_adapter(recipe, method), server),
        model: generate::model(server),
        demand: generate::demand(
            server,
            Responses {
                of: Questions::Test,
                n: 1,
                max_batch: recipe.eval.max_batch,
                adapters: method.map_or_else(Vec::new, |method| train::adapters(recipe, method)),
            },
        ),
        files: vec![TRAJECTORIES.into()],
        ..Stage::new(id(method), settings, move |run, dir| {
            answer(run, &Answers::of(run, method)?, dir)
        })
    }
}

pub(super) fn settings(run: &Run) -> Value {
    let settings = json!({
        "params": generate::evaluation_params(run),
        "prompt": run.prompt.settings(&run.vocabulary),
    });
    generate::with_server(settings, run.recipe.eval.server.as_ref())
}

/// Who answers the held-out questions.
pub(super) enum Answers {
    /// The local engine, with what was trained.
    Engine(Option<Trained>),
    /// Servers, with the adapter in this folder.
    Servers(ServerSettings, Option<PathBuf>),
}

impl Answers {
    /// The base, or what a method's stage made of it.
    pub(super) fn of(run: &Run, method: Option<Method>) -> anyhow::Result<Self> {
        if let Some(server) = &run.recipe.eval.server {
            let folder = |method| run.path(&train::id(method), train::result(&run.recipe, method));
            return Ok(Self::Servers(server.clone(), method.map(folder)));
        }
        let trained = method.map(|method| train::trained(run, method));
        Ok(Self::Engine(trained.transpose()?))
    }

    /// As a generation wants it.
    pub(super) fn answerer(&self, max_batch: usize) -> Answerer<'_> {
        match self {
            Self::Engine(trained) => Answerer::Engine(trained.as_ref(), max_batch),
            Self::Servers(settings, adapter) => Answerer::Servers(settings, adapter.as_deref()),
        }
    }
}

/// Answers the held-out questions greedily, with the base or what a training made of it.
pub(super) fn answer(
    run: &mut Run,
    answers: &Answers,
    dir: &mut StageDir,
) -> anyhow::Result<Value> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), TEST), OnBadRow::Fail)?;
    let wanted = Generation {
        problems: &problems,
        n: 1,
        params: generate::evaluation_params(run),
        by: answers.answerer(run.recipe.eval.max_batch),
    };
    let counts = generate::generate(run, dir, &wanted)?;
    // Said, not kept: another grader grades the same responses anew.
    let (answers, _) = jsonl::read(dir.path(TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(run.recipe.grade.clone());
    outcomes("answers", &grade_all(&grader, &problems, &answers)?);
    Ok(counts)
}

/// A table of one row: a finished evaluation's accuracy, by the recipe's grading.
pub(crate) fn accuracy(run: &Run, id: &StageId, name: &str) -> anyhow::Result<String> {
    let (problems, _) = jsonl::read(run.path(&problems::id(), TEST), OnBadRow::Fail)?;
    let (answers, _) = jsonl::read(run.path(id, TRAJECTORIES), OnBadRow::Fail)?;
    let grader = Grader::new(run.recipe.grade.clone());
    let graded = grade_all(&grader, &problems, &answers)?;
    let table = MethodTable::build(&[Evaluation::from_graded(name, &graded)?], &[])?;
    let mut beside = ConventionTable::default();
    conventions::add(&mut beside, &run.recipe, name, &problems, &answers)?;
    Ok(table.markdown() + &conventions::appended(&beside))
}
