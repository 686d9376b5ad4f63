//! Several seeds of one run: the tables of all go in, one of means and spreads comes out.

use cdpo_data::{Graded, OnBadRow, jsonl};
use cdpo_report::Evaluation;
use cdpo_report::seeds::{Cell, SeedTable};
use cdpo_train::Method;

use crate::files;
use crate::run::Run;
use crate::stages::table;

/// Every evaluation of every seed of a finished run. The base model's stands once: no seed changes it.
pub(crate) fn cells(run: &Run, dataset: &str, model: &str) -> anyhow::Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for (i, &seed) in run.seeds.iter().enumerate() {
        let folder = run.home_of(seed).join(table::id().name);
        for method in run.recipe.rows() {
            if method.is_none() && i > 0 {
                continue;
            }
            let name = method.map_or("base", Method::name);
            let path = folder.join(table::graded_file(method));
            let (graded, _): (Vec<Graded>, _) = jsonl::read(path, OnBadRow::Fail)?;
            cells.push(Cell {
                method: name.to_owned(),
                dataset: dataset.to_owned(),
                model: model.to_owned(),
                seed,
                evaluation: Evaluation::from_graded(name, &graded)?,
            });
        }
    }
    Ok(cells)
}

/// Takes the table of an earlier run with several seeds out of the run's folder.
pub(crate) fn remove(run: &Run) -> anyhow::Result<()> {
    for file in ["seeds.md", "seeds.csv", "seeds.json"] {
        match std::fs::remove_file(run.dir.join(file)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(cdpo_data::Error::io(run.dir.join(file), "remove", e).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes `seeds.md`, `seeds.csv` and `seeds.json` into the run's folder and returns the Markdown.
pub(crate) fn write(run: &Run) -> anyhow::Result<String> {
    let cells = cells(run, "data", "model")?;
    let table = SeedTable::build(&cells, &run.recipe.baselines())?;
    let markdown = table.markdown();
    for (file, text) in [
        ("seeds.md", markdown.clone()),
        ("seeds.csv", table.csv()),
        ("seeds.json", table.json()?),
    ] {
        files::write(&run.dir.join(file), text.as_bytes())?;
    }
    Ok(markdown)
}
