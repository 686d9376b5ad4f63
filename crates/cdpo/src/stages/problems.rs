//! The stage `problems`: each file of questions is read once; what the run works on is a copy in the run's folder.

use std::path::Path;

use cdpo_data::artifact::{StageDir, hash_file};
use cdpo_data::problems::{self, ReadOptions};
use cdpo_data::{Problem, jsonl};
use serde_json::{Value, json};

use crate::recipe::Recipe;
use crate::run::{Run, StageId};
use crate::stage::Stage;
use crate::{builtin, messages};

/// The training questions.
pub(crate) const TRAIN: &str = "train.jsonl";
/// The held-out questions.
pub(crate) const TEST: &str = "test.jsonl";

pub(crate) fn id() -> StageId {
    StageId::shared("problems")
}

pub(super) fn stage(recipe: &Recipe) -> Stage {
    Stage {
        sources: Box::new(|run| {
            let data = &run.recipe.data;
            let mut sources = vec![("test".to_owned(), source_of(&data.test)?)];
            if data.pairs.is_none() {
                sources.push(("train".to_owned(), source_of(&data.train)?));
            }
            Ok(sources)
        }),
        files: if recipe.data.pairs.is_some() {
            vec![TEST.into()]
        } else {
            vec![TRAIN.into(), TEST.into()]
        },
        ..Stage::new(id(), settings, |run, dir| work(run, dir))
    }
}

fn settings(run: &Run) -> Value {
    let recipe = &run.recipe;
    json!({
        "format": recipe.data.format,
        "columns": recipe.data.columns,
        "train_limit": recipe.data.train_limit.filter(|_| recipe.data.pairs.is_none()),
        "eval_skip": recipe.eval.skip,
        "eval_limit": recipe.eval.limit,
        "on_bad_row": recipe.data.on_bad_row,
    })
}

/// What identifies the questions' source: a file's hash, or a built-in generator's name and version.
fn source_of(path: &Path) -> anyhow::Result<String> {
    Ok(match builtin::name(path) {
        Some(name) => format!("{name} {}", cdpo_data::wordmath::VERSION),
        None => hash_file(path)?,
    })
}

fn work(run: &Run, dir: &StageDir) -> anyhow::Result<Value> {
    let data = &run.recipe.data;
    let mut counts = serde_json::Map::new();
    let train = (&data.train, TRAIN, 0, data.train_limit);
    let test = (
        &data.test,
        TEST,
        run.recipe.eval.skip,
        run.recipe.eval.limit,
    );
    let files = if data.pairs.is_some() {
        vec![test]
    } else {
        vec![train, test]
    };
    for (path, file, skip, limit) in files {
        if let Some(name) = builtin::name(path) {
            let problems = builtin::problems(name, file == TEST, skip, limit)?;
            counts.insert(
                file.trim_end_matches(".jsonl").to_owned(),
                json!({ "questions": problems.len(), "skipped_rows": 0 }),
            );
            jsonl::write_sorted(dir.path(file), problems)?;
            continue;
        }
        let options = ReadOptions {
            format: data.format,
            columns: data.columns.clone(),
            limit: limit.map(|n| n.saturating_add(skip)),
            on_bad_row: data.on_bad_row,
        };
        let (mut problems, skipped): (Vec<Problem>, _) = problems::read(path, &options)?;
        if problems.len() <= skip {
            anyhow::bail!(
                "{}: there are no questions in it{}",
                path.display(),
                if skip > 0 {
                    " after those that eval.skip leaves out"
                } else {
                    ""
                }
            );
        }
        problems.drain(..skip);
        if skipped.count() > 0 {
            messages::warn(format_args!(
                "{} rows are skipped:\n{skipped}",
                skipped.count()
            ));
        }
        counts.insert(
            file.trim_end_matches(".jsonl").to_owned(),
            json!({ "questions": problems.len(), "skipped_rows": skipped.count() }),
        );
        jsonl::write_sorted(dir.path(file), problems)?;
    }
    Ok(counts.into())
}
