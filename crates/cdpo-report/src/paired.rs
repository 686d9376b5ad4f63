//! McNemar's exact test: two methods on the same questions in, the counts of disagreement and a p-value out.

use serde::{Deserialize, Serialize};

/// How two methods, `first` and `second`, fared on the same questions, and the exact two-sided p-value of "neither is better".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Questions both answered right.
    pub both: u64,
    /// Questions only the first answered right.
    pub only_first: u64,
    /// Questions only the second answered right.
    pub only_second: u64,
    /// Questions neither answered right.
    pub neither: u64,
    /// Exact two-sided McNemar p-value.
    pub p_value: f64,
}

/// Compares two methods over pairs `(first right, second right)`, one for each question.
pub fn mcnemar(outcomes: impl IntoIterator<Item = (bool, bool)>) -> Paired {
    let (mut both, mut only_first, mut only_second, mut neither) = (0, 0, 0, 0);
    for outcome in outcomes {
        match outcome {
            (true, true) => both += 1,
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            (false, false) => neither += 1,
        }
    }
    Paired {
        both,
        only_first,
        only_second,
        neither,
        p_value: mcnemar_p_value(only_first, only_second),
    }
}

/// The exact two-sided p-value for `b` and `c` discordant pairs: under the null each falls to either side with probability 1/2,
/// so p = min(1, 2 P[Bin(b + c, 1/2) <= min(b, c)]). No discordant pair gives 1.
///
/// The tail is summed downwards from its largest term through the ratios C(n, i-1) / C(n, i) = i / (n - i + 1), all positive,
/// so the relative error stays within a few (b + c) roundings; p-values under the smallest f64 come out as 0.
pub fn mcnemar_p_value(b: u64, c: u64) -> f64 {
    let n = b + c;
    let k = b.min(c);
    if b == c {
        return 1.0;
    }
    let mut tail = 0.0;
    let mut term = 1.0;
    for i in (0..=k).rev() {
        tail += term;
        // The terms fall at least geometrically below the middle: what is left cannot change the sum.
        if term < tail * f64::EPSILON * 1e-3 {
            break;
        }
        term *= i as f64 / (n - i + 1) as f64;
    }
    (2.0 * fair_coin_mass(n, k) * tail).min(1.0)
}

/// C(n, k) / 2^n as a product of `k` ratios, the power of two kept apart so that nothing overflows or underflows on the way.
fn fair_coin_mass(n: u64, k: u64) -> f64 {
    const LIMIT: f64 = 1.157920892373162e77; // 2^256
    let mut mantissa = 1.0;
    let mut exponent = -i64::try_from(n).unwrap_or(i64::MAX);
    for i in 1..=k {
        mantissa *= (n - k + i) as f64 / i as f64;
        if mantissa > LIMIT {
            mantissa /= LIMIT;
            exponent += 256;
        }
    }
    scale_by_power_of_two(mantissa, exponent)
}

fn scale_by_power_of_two(mut value: f64, mut exponent: i64) -> f64 {
    while exponent < 0 && value > 0.0 {
        let step = exponent.max(-512);
        value *= 2f64.powi(step as i32);
        exponent -= step;
    }
    while exponent > 0 {
        let step = exponent.min(512);
        value *= 2f64.powi(step as i32);
        exponent -= step;
    }
    value
}
