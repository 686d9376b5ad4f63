//! Wilson score intervals: successes and trials in, an interval for the true proportion out.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The 97.5 % point of the standard normal distribution: the half-width of a 95 % interval in standard errors.
const Z_95: f64 = 1.959963984540054;

/// A closed interval on the line; proportions are fractions of one, not percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The Wilson score interval (Wilson 1927, no continuity correction) for `successes` of `trials`, `z` standard errors wide
/// on each side: the proportions p with |p̂ - p| <= z sqrt(p (1 - p) / n).
///
/// With no trials nothing is known and the interval is [0, 1]. The ends are exactly 0 and 1 where every trial failed or
/// succeeded.
///
/// # Errors
/// [`Error::SuccessesExceedTrials`] if `successes > trials`.
fn wilson(successes: u64, trials: u64, z: f64) -> Result<Interval> {
    if successes > trials {
        return Err(Error::SuccessesExceedTrials { successes, trials });
    }
    if trials == 0 {
        return Ok(Interval {
            low: 0.0,
            high: 1.0,
        });
    }
    let n = trials as f64;
    let share = successes as f64 / n;
    let z2 = z * z;
    let centre = share + z2 / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    let low = if successes == 0 {
        0.0
    } else {
        ((centre - half) / scale).max(0.0)
    };
    let high = if successes == trials {
        1.0
    } else {
        ((centre + half) / scale).min(1.0)
    };
    Ok(Interval { low, high })
}

/// The 95 % Wilson interval of `successes` in `trials`.
///
/// # Errors
/// If there are more successes than trials.
pub fn wilson_95(successes: u64, trials: u64) -> Result<Interval> {
    wilson(successes, trials, Z_95)
}
