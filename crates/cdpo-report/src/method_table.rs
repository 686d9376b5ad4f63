//! The table of a comparison: evaluations of several methods on the same questions in; accuracy with 95 % intervals and paired
//! tests against chosen baselines out, as Markdown, plain text, CSV or JSON.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::bootstrap::mean_interval;
use crate::error::{Error, Result};
use crate::evaluation::{Accuracy, Evaluation};
use crate::grid::{Align, Grid};
use crate::interval::Interval;
use crate::paired::Paired;

/// A method against one baseline, on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// The baseline's name.
    pub baseline: String,
    /// The method's accuracy less the baseline's, a fraction.
    pub difference: f64,
    /// 95 % bootstrap interval of the difference, over questions.
    pub interval: Interval,
    /// Agreement counts (first = the method, second = the baseline) and the exact p-value.
    #[serde(flatten)]
    pub paired: Paired,
}

/// One method's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodRow {
    /// The method's name.
    pub method: String,
    /// Counts and accuracy.
    #[serde(flatten)]
    pub accuracy: Accuracy,
    /// Comparisons with the baselines other than the method itself.
    pub versus: Vec<Versus>,
}

impl MethodRow {
    /// The comparison with a baseline; none with itself.
    fn against(&self, baseline: &str) -> Option<&Versus> {
        self.versus
            .iter()
            .find(|versus| versus.baseline == baseline)
    }
}

/// Methods x accuracy, with paired tests against the baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodTable {
    /// Baselines, in order of their columns.
    pub baselines: Vec<String>,
    /// One row for each method, in the order given.
    pub rows: Vec<MethodRow>,
}

impl MethodTable {
    /// Compares every evaluation with every baseline (named among the evaluations).
    ///
    /// # Errors
    /// [`Error::DuplicateMethod`] for two rows of one name, [`Error::UnknownBaseline`] for a baseline that is no row,
    /// [`Error::NotPaired`] if two of them answered different questions.
    pub fn build(evaluations: &[Evaluation], baselines: &[&str]) -> Result<Self> {
        let mut names = HashSet::new();
        for evaluation in evaluations {
            if !names.insert(evaluation.method()) {
                return Err(Error::DuplicateMethod(evaluation.method().to_owned()));
            }
        }
        let mut others = Vec::with_capacity(baselines.len());
        for &baseline in baselines {
            let found = evaluations
                .iter()
                .find(|evaluation| evaluation.method() == baseline);
            others.push(found.ok_or_else(|| {
                Error::UnknownBaseline {
                    baseline: baseline.to_owned(),
                    methods: evaluations
                        .iter()
                        .map(Evaluation::method)
                        .collect::<Vec<_>>()
                        .join(", "),
                }
            })?);
        }
        let mut rows = Vec::with_capacity(evaluations.len());
        for evaluation in evaluations {
            let accuracy = evaluation.accuracy();
            let mut versus = Vec::new();
            for other in others
                .iter()
                .filter(|other| other.method() != evaluation.method())
            {
                versus.push(Versus {
                    baseline: other.method().to_owned(),
                    difference: accuracy.accuracy - other.accuracy().accuracy,
                    interval: difference(&evaluation.pairs_with(other)?)?,
                    paired: evaluation.against(other)?,
                });
            }
            rows.push(MethodRow {
                method: evaluation.method().to_owned(),
                accuracy,
                versus,
            });
        }
        Ok(Self {
            baselines: baselines
                .iter()
                .map(|&baseline| baseline.to_owned())
                .collect(),
            rows,
        })
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        self.display_grid().markdown()
    }

    /// An aligned table for a terminal.
    pub fn plain(&self) -> String {
        self.display_grid().plain()
    }

    /// Comma-separated values: fractions at full precision, one line for each method.
    pub fn csv(&self) -> String {
        self.data_grid().csv()
    }

    /// Indented JSON, which [`serde_json::from_str`] reads back.
    ///
    /// # Errors
    /// [`Error::Json`] if a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn display_grid(&self) -> Grid {
        let mut columns: Vec<(String, Align)> = vec![("method".into(), Align::Left)];
        for title in [
            "questions",
            "correct",
            "wrong",
            "unparsed",
            "accuracy %",
            "95 % interval",
        ] {
            columns.push((title.into(), Align::Right));
        }
        for baseline in &self.baselines {
            columns.push((format!("vs {baseline}"), Align::Right));
            columns.push(("p".into(), Align::Right));
        }
        let mut grid = Grid::new(columns);
        for row in &self.rows {
            let Accuracy {
                questions,
                correct,
                wrong,
                unparsed,
                accuracy,
                interval,
            } = row.accuracy;
            let mut cells = vec![
                row.method.clone(),
                questions.to_string(),
                correct.to_string(),
                wrong.to_string(),
                unparsed.to_string(),
                percent(accuracy),
                format!("{} – {}", percent(interval.low), percent(interval.high)),
            ];
            for baseline in &self.baselines {
                match row.against(baseline) {
                    Some(versus) => {
                        let Paired {
                            only_first,
                            only_second,
                            p_value,
                            ..
                        } = versus.paired;
                        cells.push(format!(
                            "{} ({only_first}:{only_second})",
                            signed_points(versus.difference)
                        ));
                        cells.push(p_value_text(p_value));
                    }
                    None => cells.extend(["–".into(), "–".into()]),
                }
            }
            grid.push(cells);
        }
        grid
    }

    fn data_grid(&self) -> Grid {
        let mut titles: Vec<String> = [
            "method",
            "questions",
            "correct",
            "wrong",
            "unparsed",
            "accuracy",
            "low_95",
            "high_95",
        ]
        .map(str::to_owned)
        .to_vec();
        for baseline in &self.baselines {
            for field in [
                "difference",
                "only_method",
                "only_baseline",
                "p",
                "low_95",
                "high_95",
            ] {
                titles.push(format!("{field}_vs_{baseline}"));
            }
        }
        let mut grid = Grid::new(titles.into_iter().map(|title| (title, Align::Right)));
        for row in &self.rows {
            let Accuracy {
                questions,
                correct,
                wrong,
                unparsed,
                accuracy,
                interval,
            } = row.accuracy;
            let mut cells = vec![row.method.clone()];
            cells.extend([questions, correct, wrong, unparsed].map(|count| count.to_string()));
            cells.extend([accuracy, interval.low, interval.high].map(|share| share.to_string()));
            for baseline in &self.baselines {
                match row.against(baseline) {
                    Some(versus) => {
                        let Paired {
                            only_first,
                            only_second,
                            p_value,
                            ..
                        } = versus.paired;
                        cells.push(versus.difference.to_string());
                        cells.extend([only_first, only_second].map(|count| count.to_string()));
                        cells.push(p_value.to_string());
                        let Interval { low, high } = versus.interval;
                        cells.extend([low, high].map(|share| share.to_string()));
                    }
                    None => cells.extend(std::iter::repeat_n(String::new(), 6)),
                }
            }
            grid.push(cells);
        }
        grid
    }
}

/// The bootstrap interval of the mean difference of paired outcomes; the width 0 without pairs.
fn difference(pairs: &[(bool, bool)]) -> Result<Interval> {
    let values: Vec<f64> = pairs
        .iter()
        .map(|&(first, second)| f64::from(u8::from(first)) - f64::from(u8::from(second)))
        .collect();
    if values.is_empty() {
        return Ok(Interval {
            low: 0.0,
            high: 0.0,
        });
    }
    mean_interval(&values)
}

/// A fraction in percent with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

/// A difference of fractions in percentage points, always signed.
pub(crate) fn signed_points(difference: f64) -> String {
    let text = format!("{:+.1}", difference * 100.0);
    if text == "-0.0" { "+0.0".into() } else { text }
}

/// Three decimals, or two significant digits below 0.001.
pub(crate) fn p_value_text(p: f64) -> String {
    if p >= 0.001 {
        format!("{p:.3}")
    } else {
        format!("{p:.1e}")
    }
}
