//! The bootstrap over questions: one value for each question in, a percentile interval of their mean out.

use crate::error::{Error, Result};
use crate::interval::Interval;

/// Draws behind each interval of a table.
pub const RESAMPLES: usize = 10_000;

/// A small generator for resampling: SplitMix64 (Steele, Lea and Flood 2014), i.e. a counter stepping by the golden ratio and mixed.
/// The i-th draw is a pure function of (seed, i); for statistics only, not for keys or secrets.
#[derive(Debug, Clone)]
pub struct CounterDraws {
    state: u64,
}

impl CounterDraws {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The 95 % interval of a mean over questions in a table, always from the same draws.
pub(crate) fn mean_interval(values: &[f64]) -> Result<Interval> {
    let mut draws = CounterDraws::new(0);
    bootstrap_mean(values, RESAMPLES, 0.95, &mut || draws.draw())
}

/// The percentile bootstrap interval of the mean of `values` (one a question): `resamples` times as many questions are drawn
/// with replacement from `draw` (uniform 64-bit words), and the interval holds the middle `confidence` of the resampled means,
/// each end interpolated linearly between order statistics.
///
/// For a paired difference pass the per-question differences; for Pass@k the per-question estimates.
///
/// # Errors
/// [`Error::Empty`] without values or resamples; [`Error::Confidence`] unless 0 < confidence < 1.
pub fn bootstrap_mean(
    values: &[f64],
    resamples: usize,
    confidence: f64,
    draw: &mut impl FnMut() -> u64,
) -> Result<Interval> {
    if values.is_empty() || resamples == 0 {
        return Err(Error::Empty {
            what: "the bootstrap",
        });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::Confidence(confidence));
    }
    let n = values.len() as u64;
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| (0..n).map(|_| values[below(n, draw) as usize]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Interval {
        low: quantile(&means, tail),
        high: quantile(&means, 1.0 - tail),
    })
}

/// A uniform integer in 0..n by multiply-and-shift with rejection (Lemire 2019): exactly uniform.
fn below(n: u64, draw: &mut impl FnMut() -> u64) -> u64 {
    let reject_under = n.wrapping_neg() % n;
    loop {
        let wide = u128::from(draw()) * u128::from(n);
        if wide as u64 >= reject_under {
            return (wide >> 64) as u64;
        }
    }
}

/// The `q` quantile of ascending `sorted`, linear between order statistics (the default of NumPy and R).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let low = place.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}
