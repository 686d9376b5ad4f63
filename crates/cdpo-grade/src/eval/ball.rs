//! Complex numbers with a bound on their error.

use std::ops::{Add, Mul, Neg, Sub};

use super::double::Double;

/// The disc of complex numbers within `error` of `re + i im`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ball {
    pub(crate) re: Double,
    pub(crate) im: Double,
    pub(crate) error: f64,
}

/// The rounding of one operation, with room for the few operations inside a complex one.
const ROUNDING: f64 = 8.0 * Double::UNIT;
/// The rounding of one elementary function.
const FUNCTION_ROUNDING: f64 = 512.0 * Double::UNIT;

impl Ball {
    /// A real number known to rounding.
    pub(crate) fn real(x: Double) -> Self {
        Ball {
            re: x,
            im: Double::ZERO,
            error: x.to_f64().abs() * ROUNDING,
        }
    }

    pub(crate) const I: Ball = Ball {
        re: Double::ZERO,
        im: Double::ONE,
        error: 0.0,
    };
    pub(crate) const ONE: Ball = Ball {
        re: Double::ONE,
        im: Double::ZERO,
        error: 0.0,
    };
    pub(crate) const ZERO: Ball = Ball {
        re: Double::ZERO,
        im: Double::ZERO,
        error: 0.0,
    };

    /// The absolute value of the centre.
    pub(crate) fn magnitude(self) -> f64 {
        self.re.to_f64().hypot(self.im.to_f64())
    }

    /// Whether the imaginary part may be zero.
    pub(crate) fn is_real(self) -> bool {
        self.im.to_f64().abs() <= self.error
    }

    /// Whether zero lies in the disc.
    pub(crate) fn may_be_zero(self) -> bool {
        self.magnitude() <= self.error
    }

    fn bounded(re: Double, im: Double, error: f64) -> Option<Self> {
        let ball = Ball { re, im, error };
        (re.is_finite() && im.is_finite() && error.is_finite() && ball.magnitude() < 1e250)
            .then_some(ball)
    }

    /// The value of a function whose derivative is at most `slope` over the disc.
    pub(crate) fn mapped(self, re: Double, im: Double, slope: f64) -> Option<Self> {
        let magnitude = re.to_f64().hypot(im.to_f64());
        Self::bounded(
            re,
            im,
            self.error * slope * 1.01 + magnitude * FUNCTION_ROUNDING + 1e-300,
        )
    }

    /// One over it; `None` if it may be zero.
    pub(crate) fn inverse(self) -> Option<Self> {
        let square = self.re * self.re + self.im * self.im;
        let magnitude = self.magnitude();
        if magnitude <= 2.0 * self.error || magnitude < 1e-140 {
            return None;
        }
        let error = self.error / (magnitude * (magnitude - self.error)) + ROUNDING / magnitude;
        Self::bounded(self.re / square, -self.im / square, error)
    }

    /// The modulus, as a real number.
    pub(crate) fn abs(self) -> Self {
        let re = if self.im == Double::ZERO {
            self.re.abs()
        } else {
            (self.re * self.re + self.im * self.im).sqrt()
        };
        Ball {
            re,
            im: Double::ZERO,
            error: self.error + re.to_f64() * ROUNDING,
        }
    }

    /// e to the power of it.
    pub(crate) fn exp(self) -> Option<Self> {
        let size = self.re.exp();
        let (sin, cos) = if self.im == Double::ZERO {
            (Double::ZERO, Double::ONE)
        } else {
            self.im.sin_cos()
        };
        let growth = size.to_f64() * (1.0 + self.error).min(2.0);
        let argument = self.magnitude() * Double::UNIT * 8.0;
        Ball {
            error: self.error + argument,
            ..self
        }
        .mapped(size * cos, size * sin, growth)
    }

    /// The principal logarithm; `None` if it may be zero or lies across the branch cut.
    pub(crate) fn ln(self) -> Option<Self> {
        let magnitude = self.magnitude();
        if magnitude <= 4.0 * self.error || magnitude < 1e-140 {
            return None;
        }
        if self.im == Double::ZERO && !self.re.is_negative() {
            let ln = self.re.ln();
            return self.mapped(ln, Double::ZERO, 2.0 / magnitude);
        }
        if self.re.is_negative() && self.is_real() && self.im != Double::ZERO {
            return None;
        }
        let ln = (self.re * self.re + self.im * self.im).ln().scaled(-1);
        self.mapped(ln, self.im.atan2(self.re), 2.0 / magnitude)
    }

    /// A natural power, by squaring.
    pub(crate) fn power(self, mut n: u32) -> Option<Self> {
        let mut base = self;
        let mut result = Ball::ONE;
        while n > 0 {
            if n & 1 == 1 {
                result = (result * base).checked()?;
            }
            n >>= 1;
            if n > 0 {
                base = (base * base).checked()?;
            }
        }
        Some(result)
    }

    pub(crate) fn checked(self) -> Option<Self> {
        Self::bounded(self.re, self.im, self.error)
    }

    /// The principal square root.
    pub(crate) fn sqrt(self) -> Option<Self> {
        if self.is_real() && !self.re.is_negative() && self.im == Double::ZERO {
            let root = self.re.sqrt();
            let size = root.to_f64();
            let error = if size > 0.0 {
                (self.error / size).min(self.error.sqrt())
            } else {
                self.error.sqrt()
            };
            return Self::bounded(root, Double::ZERO, error + size * ROUNDING);
        }
        Some(self.ln()?.halved()).and_then(Ball::exp)
    }

    fn halved(self) -> Self {
        Ball {
            re: self.re.scaled(-1),
            im: self.im.scaled(-1),
            error: self.error / 2.0,
        }
    }
}

impl Neg for Ball {
    type Output = Self;
    fn neg(self) -> Self {
        Ball {
            re: -self.re,
            im: -self.im,
            error: self.error,
        }
    }
}

impl Add for Ball {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (re, im) = (self.re + other.re, self.im + other.im);
        let size = self.magnitude() + other.magnitude();
        Ball {
            re,
            im,
            error: self.error + other.error + size * Double::UNIT,
        }
    }
}

impl Sub for Ball {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Ball {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.magnitude(), other.magnitude());
        let error = a * other.error + b * self.error + self.error * other.error + a * b * ROUNDING;
        if self.im == Double::ZERO && other.im == Double::ZERO {
            return Ball {
                re: self.re * other.re,
                im: Double::ZERO,
                error,
            };
        }
        let re = self.re * other.re - self.im * other.im;
        let im = self.re * other.im + self.im * other.re;
        Ball { re, im, error }
    }
}
