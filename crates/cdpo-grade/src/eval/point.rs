//! Random points, drawn by content: the same symbol has the same value at the same point on every run.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::ball::Ball;
use super::double::Double;

/// A hash of something and the number of a point.
pub(crate) fn hash(of: &impl Hash, seed: u64) -> u64 {
    // DefaultHasher::new has fixed keys.
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    of.hash(&mut hasher);
    hasher.finish()
}

/// A point at which symbols have real values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) seed: u64,
    /// Whether roots and logarithms of negative numbers have complex values here; otherwise they have none.
    pub(crate) complex: bool,
    /// What `log` without a base means here.
    pub(crate) decimal_log: bool,
}

impl Point {
    /// The value of a symbol or an unknown function: positive at every other point, of either sign at the rest.
    pub(crate) fn value(self, of: &impl Hash) -> Ball {
        let bits = hash(of, self.seed);
        // 40 random bits: a size between 1/4 and 4, spread evenly in its logarithm by way of a square.
        let unit = (bits >> 24) as f64 / (1u64 << 40) as f64;
        let size = 0.25 + 0.35 * unit + 3.4 * unit * unit;
        let negative = self.seed % 2 == 1 && bits & 1 == 1;
        Ball::real(Double::from(if negative { -size } else { size }))
    }
}
