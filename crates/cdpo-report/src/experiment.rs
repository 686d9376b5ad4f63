//! The table of an experiment, in the shape of the paper's Table 3: methods down; models under data sets, with averages, across.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::grid::{Align, Grid};
use crate::method_table::percent;
use crate::seeds::{Cell, SeedRow, SeedTable, accuracies_csv};

/// One data set and model, all methods and seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The data set.
    pub dataset: String,
    /// The base model.
    pub model: String,
    /// The methods on it.
    pub table: SeedTable,
}

/// Methods x data sets x models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentTable {
    /// Methods in the order they first come.
    pub methods: Vec<String>,
    /// One block for each data set and model that was evaluated; a data set's models stand together.
    pub blocks: Vec<Block>,
}

impl ExperimentTable {
    /// Groups the cells by data set and model. A baseline that a block lacks is left out of that block's comparisons.
    ///
    /// # Errors
    /// As [`SeedTable::build`].
    pub fn build(cells: &[Cell], baselines: &[&str]) -> Result<Self> {
        let mut methods: Vec<String> = Vec::new();
        let mut datasets: Vec<&str> = Vec::new();
        for cell in cells {
            if !methods.contains(&cell.method) {
                methods.push(cell.method.clone());
            }
            if !datasets.contains(&cell.dataset.as_str()) {
                datasets.push(&cell.dataset);
            }
        }
        let mut blocks = Vec::new();
        for dataset in datasets {
            let of_dataset = || cells.iter().filter(|cell| cell.dataset == dataset);
            let mut models: Vec<&str> = Vec::new();
            for cell in of_dataset() {
                if !models.contains(&cell.model.as_str()) {
                    models.push(&cell.model);
                }
            }
            for model in models {
                let of_block = || of_dataset().filter(|cell| cell.model == model);
                let known: Vec<&str> = baselines
                    .iter()
                    .copied()
                    .filter(|name| of_block().any(|cell| cell.method == *name))
                    .collect();
                blocks.push(Block {
                    dataset: dataset.to_owned(),
                    model: model.to_owned(),
                    table: SeedTable::build(of_block(), &known)?,
                });
            }
        }
        Ok(Self { methods, blocks })
    }

    /// The method's row in a block.
    pub fn row<'t>(&self, method: &str, block: &'t Block) -> Option<&'t SeedRow> {
        block.table.rows.iter().find(|row| row.method == method)
    }

    /// The mean over a data set's models of a method's mean accuracy, a fraction; none unless the method was evaluated on all.
    pub fn average(&self, method: &str, dataset: &str) -> Option<f64> {
        let of_dataset = self.blocks.iter().filter(|b| b.dataset == dataset);
        let means: Option<Vec<f64>> = of_dataset
            .map(|block| self.row(method, block).map(|row| row.spread.mean))
            .collect();
        let means = means.filter(|means| !means.is_empty())?;
        Some(means.iter().sum::<f64>() / means.len() as f64)
    }

    /// A Markdown table: accuracy in percent, with its standard deviation over the seeds if there are several; the best of each
    /// column in bold.
    pub fn markdown(&self) -> String {
        self.grid(|text| format!("**{text}**")).markdown()
    }

    /// An aligned table for a terminal, the best of each column marked `*`.
    pub fn plain(&self) -> String {
        self.grid(|text| format!("{text}*")).plain()
    }

    /// Comma-separated values at full precision, a line for each method, data set, model and seed.
    pub fn csv(&self) -> String {
        let blocks = self.blocks.iter();
        accuracies_csv(
            ["dataset", "model"],
            blocks.map(|block| ([block.dataset.as_str(), &block.model], &block.table)),
        )
    }

    /// Indented JSON with every block's comparisons, which [`serde_json::from_str`] reads back.
    ///
    /// # Errors
    /// [`crate::Error::Json`] if a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn grid(&self, mark: impl Fn(&str) -> String) -> Grid {
        let mut columns = vec![("method".to_owned(), Align::Left)];
        let mut values: Vec<Vec<Option<(f64, String)>>> = Vec::new();
        let mut dataset: Option<&str> = None;
        let average = |dataset: &str| {
            let text = |mean| (mean, percent(mean));
            let averages = self.methods.iter();
            averages
                .map(|method| self.average(method, dataset).map(text))
                .collect::<Vec<_>>()
        };
        for block in &self.blocks {
            if let Some(before) = dataset.filter(|before| *before != block.dataset) {
                columns.push((format!("{before} avg"), Align::Right));
                values.push(average(before));
            }
            dataset = Some(&block.dataset);
            columns.push((format!("{} {}", block.dataset, block.model), Align::Right));
            let of_row = |row: &SeedRow| {
                let mean = percent(row.spread.mean);
                let text = match row.spread.deviation {
                    Some(deviation) => format!("{mean} ± {}", percent(deviation)),
                    None => mean,
                };
                (row.spread.mean, text)
            };
            let methods = self.methods.iter();
            values.push(
                methods
                    .map(|method| self.row(method, block).map(of_row))
                    .collect(),
            );
        }
        if let Some(last) = dataset {
            columns.push((format!("{last} avg"), Align::Right));
            values.push(average(last));
        }
        let mut grid = Grid::new(columns);
        for (i, method) in self.methods.iter().enumerate() {
            let mut cells = vec![method.clone()];
            for column in &values {
                let others = column.iter().flatten().map(|(mean, _)| *mean);
                let best = others.fold(f64::NEG_INFINITY, f64::max);
                cells.push(match &column[i] {
                    None => "–".into(),
                    Some((mean, text)) if *mean == best && self.methods.len() > 1 => mark(text),
                    Some((_, text)) => text.clone(),
                });
            }
            grid.push(cells);
        }
        grid
    }
}
