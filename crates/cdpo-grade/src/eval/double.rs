//! Double-double reals: an unevaluated sum of two `f64` with about 106 bits.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use crate::rational::Rational;

/// A real number `hi + lo` with `|lo| <= ulp(hi) / 2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Double {
    hi: f64,
    lo: f64,
}

/// The exact sum of two `f64` as a rounded value and its error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let bb = s - a;
    (s, (a - (s - bb)) + (b - bb))
}

/// The exact product of two `f64` as a rounded value and its error (Dekker, Veltkamp).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |x: f64| {
        let c = 134_217_729.0 * x;
        let high = c - (c - x);
        (high, x - high)
    };
    let p = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
}

impl Double {
    pub(crate) const ZERO: Double = Double { hi: 0.0, lo: 0.0 };
    pub(crate) const ONE: Double = Double { hi: 1.0, lo: 0.0 };
    /// The unit of rounding that error bounds count in: every operation here is right to within `UNIT`, relatively.
    pub(crate) const UNIT: f64 = 1.0 / (1u128 << 101) as f64;
    pub(crate) const PI: Double = Double {
        hi: std::f64::consts::PI,
        lo: 1.2246467991473532e-16,
    };
    pub(crate) const LN_2: Double = Double {
        hi: std::f64::consts::LN_2,
        lo: 2.3190468138462996e-17,
    };
    pub(crate) const E: Double = Double {
        hi: std::f64::consts::E,
        lo: 1.4456468917292502e-16,
    };

    fn new(hi: f64, lo: f64) -> Self {
        let s = hi + lo;
        Double {
            hi: s,
            lo: lo - (s - hi),
        }
    }

    /// The nearest `f64`.
    pub(crate) fn to_f64(self) -> f64 {
        self.hi
    }

    pub(crate) fn is_finite(self) -> bool {
        self.hi.is_finite() && self.lo.is_finite()
    }

    pub(crate) fn is_negative(self) -> bool {
        self.hi < 0.0
    }

    pub(crate) fn abs(self) -> Self {
        if self.hi < 0.0 { -self } else { self }
    }

    /// Multiplies by a power of two, exactly.
    pub(crate) fn scaled(self, exponent: i32) -> Self {
        let half = exponent / 2;
        let (a, b) = (2f64.powi(half), 2f64.powi(exponent - half));
        Double {
            hi: self.hi * a * b,
            lo: self.lo * a * b,
        }
    }

    /// The square root of a number that is not negative.
    pub(crate) fn sqrt(self) -> Self {
        if self.hi <= 0.0 {
            return Self::ZERO;
        }
        let root = self.hi.sqrt();
        let (square, error) = two_product(root, root);
        let rest = (self.hi - square) - error + self.lo;
        let first = Double::new(root, rest / (2.0 * root));
        // One Newton step in full width.
        (first + self / first).scaled(-1)
    }

    /// The integer nearest to it, if that fits an `i64`.
    pub(crate) fn round(self) -> Option<i64> {
        let whole = self.hi.round();
        if whole.abs() > 9e15 {
            return None;
        }
        let rest = (self.hi - whole) + self.lo;
        Some(whole as i64 + rest.round() as i64)
    }

    /// The value of an integer, rounded; `None` beyond the range of `f64`.
    pub(crate) fn of_integer(n: &BigInt) -> Option<Self> {
        let bits = n.bits();
        if bits > 1000 {
            return None;
        }
        let hi = n.to_f64()?;
        if bits <= 53 {
            return Some(Double { hi, lo: 0.0 });
        }
        let rest = n - num_traits::FromPrimitive::from_f64(hi).unwrap_or_else(BigInt::zero);
        Some(Double::new(hi, rest.to_f64()?))
    }

    /// The value of a rational, rounded; large numerators and denominators are shifted first.
    pub(crate) fn of_rational(q: &Rational) -> Option<Self> {
        let shift = |n: &BigInt| n.abs().bits().saturating_sub(400);
        let (down, up) = (shift(q.numer()), shift(q.denom()));
        let exponent = i32::try_from(down as i64 - up as i64)
            .ok()
            .filter(|e| e.abs() < 500)?;
        let top = Self::of_integer(&(q.numer() >> down))?;
        let bottom = Self::of_integer(&(q.denom() >> up))?;
        let value = (top / bottom).scaled(exponent);
        value.is_finite().then_some(value)
    }
}

impl From<f64> for Double {
    fn from(x: f64) -> Self {
        Double { hi: x, lo: 0.0 }
    }
}

impl Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        Double {
            hi: -self.hi,
            lo: -self.lo,
        }
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (s, e) = two_sum(self.hi, other.hi);
        let (t, f) = two_sum(self.lo, other.lo);
        let first = Double::new(s, e + t);
        Double::new(first.hi, first.lo + f)
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let (p, e) = two_product(self.hi, other.hi);
        Double::new(p, e + (self.hi * other.lo + self.lo * other.hi))
    }
}

impl Div for Double {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        let rest = self - other * Double::from(first);
        let second = rest.hi / other.hi;
        let rest = rest - other * Double::from(second);
        let quotient = Double::new(first, second);
        Double::new(quotient.hi, quotient.lo + rest.hi / other.hi)
    }
}

impl PartialOrd for Double {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.hi.partial_cmp(&other.hi) {
            Some(Ordering::Equal) => self.lo.partial_cmp(&other.lo),
            order => order,
        }
    }
}
