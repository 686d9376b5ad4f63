//! Where one true token stands among a response's tokens when they are ranked by a signal: values and the true place in; the
//! ranking's measures out.
//!
//! A higher value ranks first. Equal values are taken in random order and every measure is its exact expectation over that order,
//! so that a constant signal is the random baseline, and no signal gains or loses by the order of the tokens.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The measures of one response.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Tokens ranked, T.
    pub tokens: u64,
    /// Chance that the true token ranks first.
    pub top_1: f64,
    /// Chance that it is among the first three.
    pub top_3: f64,
    /// Chance that it is among the first ceil(T / 10).
    pub top_tenth: f64,
    /// Expectation of 1 / rank.
    pub reciprocal_rank: f64,
    /// The share of the other tokens that rank below it, equal ones counted half: the area under the ROC curve, U / (T - 1)
    /// with the statistic U of Mann and Whitney (1947). None if there is no other token.
    pub auc: Option<f64>,
}

/// Ranks the true token, `values[truth]` (from 0), among `values`.
///
/// # Errors
/// [`Error::Empty`] without values; [`Error::NoSuchToken`] if `truth` is beyond them; [`Error::NotANumber`] for a NaN among them.
pub fn rank(values: &[f64], truth: usize) -> Result<Ranking> {
    if values.is_empty() {
        return Err(Error::Empty { what: "a ranking" });
    }
    let &own = values.get(truth).ok_or(Error::NoSuchToken {
        index: truth,
        tokens: values.len(),
    })?;
    if let Some(index) = values.iter().position(|value| value.is_nan()) {
        return Err(Error::NotANumber { index });
    }
    let above = values.iter().filter(|&&value| value > own).count();
    let equal = values.iter().filter(|&&value| value == own).count();
    let others = values.len() - 1;
    // The rank is uniform on above + 1 ..= above + equal.
    let within = |first: usize| first.saturating_sub(above).min(equal) as f64 / equal as f64;
    let reciprocal: f64 = (above + 1..=above + equal)
        .map(|rank| 1.0 / rank as f64)
        .sum();
    let below = others - above - (equal - 1);
    Ok(Ranking {
        tokens: values.len() as u64,
        top_1: within(1),
        top_3: within(3),
        top_tenth: within(values.len().div_ceil(10)),
        reciprocal_rank: reciprocal / equal as f64,
        auc: (others > 0).then(|| (below as f64 + (equal - 1) as f64 / 2.0) / others as f64),
    })
}
