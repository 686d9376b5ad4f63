//! Figure 2: Pass@k of wrong responses that keep their critical token, and of those that go on from a replacement, beside the
//! paper's: replacement records in; the two curves out.

use cdpo_data::ReplacementRecord;
use serde::{Deserialize, Serialize};

use crate::bootstrap::bootstrap_mean;
use crate::error::{Error, Result};
use crate::grid::{Align, Grid};
use crate::interval::Interval;
use crate::method_table::percent;
use crate::pass_at_k::pass_at_k;

/// The paper's Pass@k without the critical token, in percent, by the labels of its figure: k, GSM8K, MATH500. With the token all are 0.
pub(crate) const PUBLISHED: [(u64, f64, f64); 7] = [
    (1, 30.5, 29.9),
    (2, 42.0, 40.5),
    (4, 54.1, 52.3),
    (8, 66.2, 64.7),
    (16, 77.8, 76.3),
    (32, 88.0, 85.3),
    (64, 95.0, 91.0),
];

/// One k.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReplacementPoint {
    /// Number of responses.
    pub k: u64,
    /// Pass@k of the rollouts that keep the critical token, averaged over trajectories; none if one has fewer than k.
    pub with: Option<f64>,
    /// Pass@k of the responses that replace it, averaged over trajectories.
    pub without: f64,
    /// 95 % bootstrap interval of `without` over trajectories.
    pub interval: Interval,
}

/// Both curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplacementCurve {
    /// Trajectories averaged over.
    pub trajectories: u64,
    /// The points, by k.
    pub points: Vec<ReplacementPoint>,
}

impl ReplacementCurve {
    /// The curves at k = 1, 2, 4, .. up to the fewest replacements that a record has, with intervals from `resamples` bootstrap
    /// draws over records.
    ///
    /// # Errors
    /// [`Error::Empty`] without records, replacements or resamples.
    pub fn of(
        records: &[ReplacementRecord],
        resamples: usize,
        draw: &mut impl FnMut() -> u64,
    ) -> Result<Self> {
        let most = records
            .iter()
            .map(|r| r.without.len() as u64)
            .min()
            .unwrap_or(0);
        if most == 0 {
            return Err(Error::Empty {
                what: "Pass@k of replacements",
            });
        }
        let mut points = Vec::new();
        for k in std::iter::successors(Some(1u64), |k| Some(2 * k)).take_while(|&k| k <= most) {
            let without: Vec<f64> = records
                .iter()
                .map(|r| pass_at_k(r.without.len() as u64, r.without_right().into(), k))
                .collect::<Result<_>>()?;
            let with: Option<Vec<f64>> = records
                .iter()
                .map(|r| pass_at_k(r.with_n.into(), r.with_right.into(), k).ok())
                .collect();
            points.push(ReplacementPoint {
                k,
                with: with.map(|values| mean(&values)),
                without: mean(&without),
                interval: bootstrap_mean(&without, resamples, 0.95, draw)?,
            });
        }
        Ok(Self {
            trajectories: records.len() as u64,
            points,
        })
    }

    /// A Markdown table, in percent, beside the paper's figures.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    fn grid(&self) -> Grid {
        let titles = [
            "k",
            "with %",
            "without %",
            "95 % interval",
            "paper, GSM8K",
            "paper, MATH500",
        ];
        let mut grid = Grid::new(titles.map(|title| (title, Align::Right)));
        for point in &self.points {
            let published = PUBLISHED.iter().find(|(k, ..)| *k == point.k);
            grid.push(vec![
                point.k.to_string(),
                point.with.map_or_else(|| "–".into(), percent),
                percent(point.without),
                format!(
                    "{} – {}",
                    percent(point.interval.low),
                    percent(point.interval.high)
                ),
                published.map_or_else(String::new, |p| format!("{:.1}", p.1)),
                published.map_or_else(String::new, |p| format!("{:.1}", p.2)),
            ]);
        }
        grid
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
