//! Reading the questions, each file once: what the run works on is a copy in the run's folder.

use cdpo_data::artifact::StageDir;
use cdpo_data::problems::{self, ReadOptions};
use cdpo_data::{Problem, jsonl};
use serde_json::json;

use super::{Finished, TEST, TRAIN};
use crate::pipeline::Pipeline;
use crate::{builtin, talk};

pub(super) fn run(p: &Pipeline, dir: &StageDir) -> anyhow::Result<Finished> {
    let data = &p.recipe.data;
    let mut counts = serde_json::Map::new();
    let train = (&data.train, TRAIN, 0, data.train_limit);
    let test = (&data.test, TEST, p.recipe.eval.skip, p.recipe.eval.limit);
    let files = if data.pairs.is_some() {
        vec![test]
    } else {
        vec![train, test]
    };
    let outputs: Vec<&str> = files.iter().map(|(_, file, ..)| *file).collect();
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
            talk::warn(format_args!(
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
    Ok(Finished::new(&outputs, counts.into()))
}
