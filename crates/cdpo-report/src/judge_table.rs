//! Signals judged by where they rank the true critical token: rankings of the same responses by several signals in; means with
//! intervals, as a table, out.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{CounterDraws, bootstrap_mean};
use crate::error::{Error, Result};
use crate::grid::{Align, Grid};
use crate::interval::Interval;
use crate::method_table::percent;
use crate::ranking::Ranking;

/// A mean over responses with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The interval, responses resampled.
    pub interval: Interval,
}

/// One signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeRow {
    /// The signal's name.
    pub signal: String,
    /// Chance that the true token ranks first.
    pub top_1: Estimate,
    /// Chance that it is among the first three.
    pub top_3: Estimate,
    /// Chance that it is among the first tenth.
    pub top_tenth: Estimate,
    /// Mean reciprocal rank.
    pub reciprocal_rank: Estimate,
    /// The first row's reciprocal rank less this one's, response by response; none in the first row.
    pub reciprocal_rank_lead: Option<Estimate>,
    /// Mean area under the ROC curve over the responses of two tokens and more.
    pub auc: Option<Estimate>,
    /// The first row's area less this one's, response by response; none in the first row.
    pub auc_lead: Option<Estimate>,
}

/// All signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeTable {
    /// Responses ranked.
    pub responses: u64,
    /// Their mean number of tokens.
    pub mean_tokens: f64,
    /// The signals, in the order given.
    pub rows: Vec<JudgeRow>,
}

impl JudgeTable {
    /// Averages each signal's rankings, the same responses in the same order for every signal. Every interval comes from the same
    /// `resamples` draws of responses, those of `seed`, so that rows can be compared.
    ///
    /// # Errors
    /// [`Error::Empty`] without signals, responses or resamples; [`Error::UnequalRows`] if a signal ranked other responses.
    pub fn build(signals: &[(String, Vec<Ranking>)], resamples: usize, seed: u64) -> Result<Self> {
        let Some((_, first)) = signals.first() else {
            return Err(Error::Empty {
                what: "a comparison of signals",
            });
        };
        let estimate = |values: &[f64]| -> Result<Estimate> {
            let mut draws = CounterDraws::new(seed);
            Ok(Estimate {
                interval: bootstrap_mean(values, resamples, 0.95, &mut || draws.draw())?,
                mean: values.iter().sum::<f64>() / values.len() as f64,
            })
        };
        let mut rows = Vec::with_capacity(signals.len());
        for (i, (signal, rankings)) in signals.iter().enumerate() {
            let same = |(a, b): (&Ranking, &Ranking)| a.tokens == b.tokens;
            if rankings.len() != first.len() || !rankings.iter().zip(first).all(same) {
                return Err(Error::UnequalRows {
                    left: signals[0].0.clone(),
                    right: signal.clone(),
                });
            }
            let of = |measure: fn(&Ranking) -> f64| {
                estimate(&rankings.iter().map(measure).collect::<Vec<_>>())
            };
            let areas: Vec<f64> = rankings.iter().filter_map(|r| r.auc).collect();
            let rank_leads: Vec<f64> = first
                .iter()
                .zip(rankings)
                .map(|(first, own)| first.reciprocal_rank - own.reciprocal_rank)
                .collect();
            let leads: Vec<f64> = first
                .iter()
                .zip(rankings)
                .filter_map(|(first, own)| Some(first.auc? - own.auc?))
                .collect();
            let some = |values: &[f64]| (!values.is_empty()).then(|| estimate(values)).transpose();
            rows.push(JudgeRow {
                signal: signal.clone(),
                top_1: of(|r| r.top_1)?,
                top_3: of(|r| r.top_3)?,
                top_tenth: of(|r| r.top_tenth)?,
                reciprocal_rank: of(|r| r.reciprocal_rank)?,
                reciprocal_rank_lead: if i == 0 { None } else { some(&rank_leads)? },
                auc: some(&areas)?,
                auc_lead: if i == 0 { None } else { some(&leads)? },
            });
        }
        Ok(Self {
            responses: first.len() as u64,
            mean_tokens: first.iter().map(|r| r.tokens as f64).sum::<f64>() / first.len() as f64,
            rows,
        })
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    fn grid(&self) -> Grid {
        let first = self.rows.first().map_or("", |row| row.signal.as_str());
        let mut columns = vec![("signal".to_owned(), Align::Left)];
        for title in ["top-1 %", "top-3 %", "top tenth %", "MRR"] {
            columns.push((title.to_owned(), Align::Right));
        }
        columns.push((format!("MRR of {first}, less this"), Align::Right));
        columns.push(("AUC".to_owned(), Align::Right));
        columns.push((format!("AUC of {first}, less this"), Align::Right));
        let mut grid = Grid::new(columns);
        let share = |e: &Estimate| {
            let (low, high) = (percent(e.interval.low), percent(e.interval.high));
            format!("{} ({low} – {high})", percent(e.mean))
        };
        let number = |e: Option<&Estimate>| {
            e.map_or_else(String::new, |e| {
                format!(
                    "{:.3} ({:.3} – {:.3})",
                    e.mean, e.interval.low, e.interval.high
                )
            })
        };
        for row in &self.rows {
            let mut cells = vec![row.signal.clone()];
            cells.extend([&row.top_1, &row.top_3, &row.top_tenth].map(share));
            cells.push(number(Some(&row.reciprocal_rank)));
            cells.push(number(row.reciprocal_rank_lead.as_ref()));
            cells.push(number(row.auc.as_ref()));
            cells.push(number(row.auc_lead.as_ref()));
            grid.push(cells);
        }
        grid
    }
}
