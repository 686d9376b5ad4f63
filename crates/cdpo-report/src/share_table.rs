//! Shares of categories, counted here beside published ones (Tables 1 and 2 of the paper): counts and percentages in; a table out.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::grid::{Align, Grid};
use crate::interval::{Interval, wilson_95};
use crate::method_table::percent;

/// One share of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Of the total.
    #[serde(rename = "share")]
    pub fraction: f64,
    /// How many, where it was counted.
    pub count: Option<u64>,
    /// 95 % Wilson interval, where it was counted.
    pub interval: Option<Interval>,
}

/// One row: a data set, a model or a kind of error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareRow {
    /// Its name.
    pub name: String,
    /// All that was counted; none in a published row.
    pub total: Option<u64>,
    /// One for each category; none where nothing was published or counted.
    pub shares: Vec<Option<Share>>,
}

/// Rows of shares over the same categories.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ShareTable {
    /// What the rows are.
    pub title: String,
    /// The categories.
    pub categories: Vec<String>,
    /// The rows, in the order added.
    pub rows: Vec<ShareRow>,
}

impl ShareTable {
    /// A table without rows; `title` heads the column of names.
    pub fn new<S: Into<String>>(title: &str, categories: impl IntoIterator<Item = S>) -> Self {
        Self {
            title: title.into(),
            categories: categories.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a published row, in percent of the whole.
    ///
    /// # Errors
    /// [`Error::CategoryCount`] unless there is one for each category.
    pub fn published(&mut self, name: &str, percents: &[Option<f64>]) -> Result<()> {
        self.check(name, percents.len())?;
        let shares = percents.iter().map(|percent| {
            percent.map(|percent| Share {
                fraction: percent / 100.0,
                count: None,
                interval: None,
            })
        });
        self.rows.push(ShareRow {
            name: name.into(),
            total: None,
            shares: shares.collect(),
        });
        Ok(())
    }

    /// Appends a row of counts out of `total`; the categories need not cover it.
    ///
    /// # Errors
    /// [`Error::CategoryCount`] unless there is one for each category; [`Error::SuccessesExceedTrials`] for a count above `total`.
    pub fn counted(&mut self, name: &str, counts: &[u64], total: u64) -> Result<()> {
        self.check(name, counts.len())?;
        let share = |&count: &u64| -> Result<Option<Share>> {
            let interval = wilson_95(count, total)?;
            Ok((total > 0).then(|| Share {
                fraction: count as f64 / total as f64,
                count: Some(count),
                interval: Some(interval),
            }))
        };
        let shares = counts.iter().map(share).collect::<Result<_>>()?;
        self.rows.push(ShareRow {
            name: name.into(),
            total: Some(total),
            shares,
        });
        Ok(())
    }

    fn check(&self, name: &str, given: usize) -> Result<()> {
        if given == self.categories.len() {
            return Ok(());
        }
        Err(Error::CategoryCount {
            row: name.into(),
            given,
            expected: self.categories.len(),
        })
    }

    /// A Markdown table, in percent.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    fn grid(&self) -> Grid {
        let mut columns = vec![
            (self.title.clone(), Align::Left),
            ("n".into(), Align::Right),
        ];
        columns.extend(
            self.categories
                .iter()
                .map(|c| (format!("{c} %"), Align::Right)),
        );
        let mut grid = Grid::new(columns);
        for row in &self.rows {
            let total = row
                .total
                .map_or_else(String::new, |total| total.to_string());
            let mut cells = vec![row.name.clone(), total];
            cells.extend(row.shares.iter().map(|share| match share {
                None => "–".to_owned(),
                Some(Share {
                    fraction,
                    interval: None,
                    ..
                }) => percent(*fraction),
                Some(Share {
                    fraction,
                    interval: Some(i),
                    ..
                }) => {
                    format!(
                        "{} ({} – {})",
                        percent(*fraction),
                        percent(i.low),
                        percent(i.high)
                    )
                }
            }));
            grid.push(cells);
        }
        grid
    }
}
