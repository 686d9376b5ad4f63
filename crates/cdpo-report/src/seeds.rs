//! Several seeds of the same comparison: evaluations by method and seed in; mean, spread and paired comparisons over all seeds
//! out.

use std::collections::BTreeMap;

use cdpo_grade::Outcome;
use serde::{Deserialize, Serialize};

use crate::bootstrap::mean_interval;
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;
use crate::grid::{Align, Grid};
use crate::interval::Interval;
use crate::method_table::{p_value_text, percent, signed_points};
use crate::sign_flip::sign_flip_p_value;

/// One evaluation of an experiment: a method, trained with one seed on one model, on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The method.
    pub method: String,
    /// The data set.
    pub dataset: String,
    /// The base model.
    pub model: String,
    /// The seed of sampling and training.
    pub seed: u64,
    /// One answer to each question.
    pub evaluation: Evaluation,
}

/// A method's accuracy over its seeds; fractions of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Accuracy by seed, in the seeds' order.
    pub accuracies: Vec<(u64, f64)>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n - 1 in the denominator); none with one seed.
    pub deviation: Option<f64>,
    /// 95 % bootstrap interval of the mean, over questions: what another test set of this size might have given.
    pub interval: Interval,
}

/// A method against a baseline over all seeds, paired by question (and by seed, if the baseline has several).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PooledVersus {
    /// The baseline.
    pub baseline: String,
    /// Mean accuracy less the baseline's, a fraction.
    pub difference: f64,
    /// 95 % bootstrap interval of the difference, over questions, the seeds of a question kept together.
    pub interval: Interval,
    /// Question-seed pairs that only the method answered right.
    pub only_method: u64,
    /// Question-seed pairs that only the baseline answered right.
    pub only_baseline: u64,
    /// Exact two-sided p-value of the sign-flip test over questions (`sign_flip_p_value`).
    pub p_value: f64,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedRow {
    /// The method.
    pub method: String,
    /// Questions of the test set.
    pub questions: u64,
    /// Accuracy over the seeds.
    #[serde(flatten)]
    pub spread: Spread,
    /// Comparisons with the baselines other than the method itself.
    pub versus: Vec<PooledVersus>,
}

/// Methods over several seeds, on one data set and model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedTable {
    /// Baselines, in order of their columns.
    pub baselines: Vec<String>,
    /// One row for each method, in the order they first come.
    pub rows: Vec<SeedRow>,
}

impl SeedTable {
    /// Groups evaluations of one data set and model by method, and compares each with the baselines. A method with a single
    /// evaluation (the base model, which no seed changes) is compared with every seed of the other.
    ///
    /// # Errors
    /// [`Error::UnknownBaseline`] for a baseline without an evaluation; [`Error::DuplicateMethod`] if a method has a seed twice;
    /// [`Error::SeedMissing`] if a baseline of several seeds lacks one of a method's; [`Error::NotPaired`] if two evaluations
    /// are of different questions; [`Error::Empty`] without questions.
    pub fn build<'c>(
        cells: impl IntoIterator<Item = &'c Cell>,
        baselines: &[&str],
    ) -> Result<Self> {
        let mut methods: Vec<(&str, BTreeMap<u64, &Evaluation>)> = Vec::new();
        for cell in cells {
            let at = methods.iter().position(|(name, _)| *name == cell.method);
            let at = at.unwrap_or_else(|| {
                methods.push((&cell.method, BTreeMap::new()));
                methods.len() - 1
            });
            let seeds = &mut methods[at].1;
            if seeds.insert(cell.seed, &cell.evaluation).is_some() {
                return Err(Error::DuplicateMethod(format!(
                    "{} with seed {}",
                    cell.method, cell.seed
                )));
            }
        }
        let mut others = Vec::with_capacity(baselines.len());
        for &baseline in baselines {
            let found = methods.iter().find(|(name, _)| *name == baseline);
            others.push(found.ok_or_else(|| {
                let names: Vec<&str> = methods.iter().map(|(name, _)| *name).collect();
                Error::UnknownBaseline {
                    baseline: baseline.to_owned(),
                    methods: names.join(", "),
                }
            })?);
        }
        let mut rows = Vec::with_capacity(methods.len());
        for (method, seeds) in &methods {
            let versus = others
                .iter()
                .filter(|(name, _)| name != method)
                .map(|(name, theirs)| versus(method, seeds, name, theirs))
                .collect::<Result<_>>()?;
            rows.push(SeedRow {
                method: (*method).to_owned(),
                questions: seeds
                    .values()
                    .next()
                    .map_or(0, |evaluation| evaluation.outcomes().len() as u64),
                spread: spread(method, seeds)?,
                versus,
            });
        }
        Ok(Self {
            baselines: baselines.iter().map(|&name| name.to_owned()).collect(),
            rows,
        })
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    /// An aligned table for a terminal.
    pub fn plain(&self) -> String {
        self.grid().plain()
    }

    /// Comma-separated values at full precision, a line for each method and seed.
    pub fn csv(&self) -> String {
        accuracies_csv([], [([], self)])
    }

    /// Indented JSON, which [`serde_json::from_str`] reads back.
    ///
    /// # Errors
    /// [`Error::Json`] if a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn grid(&self) -> Grid {
        let mut columns: Vec<(String, Align)> = vec![("method".into(), Align::Left)];
        for title in ["questions", "seeds", "mean %", "± sd", "95 % interval"] {
            columns.push((title.into(), Align::Right));
        }
        for baseline in &self.baselines {
            columns.push((format!("vs {baseline}"), Align::Right));
            columns.push(("95 % interval".into(), Align::Right));
            columns.push(("p".into(), Align::Right));
        }
        let mut grid = Grid::new(columns);
        for row in &self.rows {
            let mut cells = vec![
                row.method.clone(),
                row.questions.to_string(),
                row.spread.accuracies.len().to_string(),
                percent(row.spread.mean),
                row.spread.deviation.map_or_else(|| "–".into(), percent),
                format!(
                    "{} – {}",
                    percent(row.spread.interval.low),
                    percent(row.spread.interval.high)
                ),
            ];
            for baseline in &self.baselines {
                match row.versus.iter().find(|v| v.baseline == *baseline) {
                    Some(v) => cells.extend([
                        signed_points(v.difference),
                        format!(
                            "{} – {}",
                            signed_points(v.interval.low),
                            signed_points(v.interval.high)
                        ),
                        p_value_text(v.p_value),
                    ]),
                    None => cells.extend(["–".into(), "–".into(), "–".into()]),
                }
            }
            grid.push(cells);
        }
        grid
    }
}

/// Comma-separated accuracies at full precision, a line for each method and seed of each table. `labels` are columns after the
/// method's; each table comes with its texts for them.
pub(crate) fn accuracies_csv<'t, const N: usize>(
    labels: [&str; N],
    tables: impl IntoIterator<Item = ([&'t str; N], &'t SeedTable)>,
) -> String {
    let titles = ["method"].into_iter().chain(labels);
    let titles = titles.chain(["seed", "questions", "accuracy"]);
    let mut grid = Grid::new(titles.map(|title| (title, Align::Right)));
    for (texts, table) in tables {
        for row in &table.rows {
            for (seed, accuracy) in &row.spread.accuracies {
                let mut cells = vec![row.method.clone()];
                cells.extend(texts.map(str::to_owned));
                cells.extend([seed.to_string(), row.questions.to_string()]);
                cells.push(accuracy.to_string());
                grid.push(cells);
            }
        }
    }
    grid.csv()
}

/// Right answers of each question over the seeds, in the order of the first seed's questions.
fn right_by_question(method: &str, seeds: &BTreeMap<u64, &Evaluation>) -> Result<Vec<u64>> {
    let first = seeds
        .values()
        .next()
        .ok_or(Error::Empty { what: "a mean" })?;
    let mut counts: Vec<u64> = vec![0; first.outcomes().len()];
    for (seed, evaluation) in seeds {
        let pairs = first.pairs_with(evaluation).map_err(|e| match e {
            Error::NotPaired {
                left, problem_id, ..
            } => Error::NotPaired {
                left,
                right: format!("{method} with seed {seed}"),
                problem_id,
            },
            other => other,
        })?;
        for (count, (_, right)) in counts.iter_mut().zip(pairs) {
            *count += u64::from(right);
        }
    }
    Ok(counts)
}

fn spread(method: &str, seeds: &BTreeMap<u64, &Evaluation>) -> Result<Spread> {
    let accuracies: Vec<(u64, f64)> = seeds
        .iter()
        .map(|(seed, evaluation)| (*seed, evaluation.accuracy().accuracy))
        .collect();
    let n = accuracies.len() as f64;
    let mean = accuracies.iter().map(|(_, a)| a).sum::<f64>() / n;
    let squares: f64 = accuracies.iter().map(|(_, a)| (a - mean).powi(2)).sum();
    let shares: Vec<f64> = right_by_question(method, seeds)?
        .into_iter()
        .map(|right| right as f64 / n)
        .collect();
    Ok(Spread {
        mean,
        deviation: (accuracies.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
        interval: mean_interval(&shares)?,
        accuracies,
    })
}

/// Which evaluation is compared with which: those of the same seed, or, where one side has a single one, that with all.
fn match_seeds<'e>(
    method: &str,
    seeds: &BTreeMap<u64, &'e Evaluation>,
    baseline: &str,
    theirs: &BTreeMap<u64, &'e Evaluation>,
) -> Result<Vec<(&'e Evaluation, &'e Evaluation)>> {
    let single = |side: &BTreeMap<u64, &'e Evaluation>| {
        (side.len() == 1).then(|| side.values().next().copied())?
    };
    if let Some(own) = single(seeds) {
        return Ok(theirs.values().map(|other| (own, *other)).collect());
    }
    let matched = seeds.iter().map(|(seed, own)| {
        let other = single(theirs).or_else(|| theirs.get(seed).copied());
        let other = other.ok_or_else(|| Error::SeedMissing {
            method: method.to_owned(),
            baseline: baseline.to_owned(),
            seed: *seed,
        })?;
        Ok((*own, other))
    });
    matched.collect()
}

fn versus(
    method: &str,
    seeds: &BTreeMap<u64, &Evaluation>,
    baseline: &str,
    theirs: &BTreeMap<u64, &Evaluation>,
) -> Result<PooledVersus> {
    let mut by_question: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut only_method, mut only_baseline, mut pairs) = (0, 0, 0u64);
    let matched = match_seeds(method, seeds, baseline, theirs)?;
    for (evaluation, other) in &matched {
        let outcomes = evaluation.pairs_with(other)?;
        for ((id, outcome), (_, right)) in evaluation.outcomes().iter().zip(outcomes) {
            let own = *outcome == Outcome::Correct;
            only_method += u64::from(own && !right);
            only_baseline += u64::from(!own && right);
            pairs += 1;
            *by_question.entry(id).or_default() += i64::from(own) - i64::from(right);
        }
    }
    let differences: Vec<i64> = by_question.into_values().collect();
    let n = matched.len() as f64;
    let shares: Vec<f64> = differences.iter().map(|&d| d as f64 / n).collect();
    Ok(PooledVersus {
        baseline: baseline.to_owned(),
        difference: (only_method as f64 - only_baseline as f64) / pairs.max(1) as f64,
        interval: mean_interval(&shares)?,
        only_method,
        only_baseline,
        p_value: sign_flip_p_value(&differences),
    })
}
