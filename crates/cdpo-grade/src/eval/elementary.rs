//! Elementary functions of double-double reals, right to a few units of rounding.

use super::double::Double;

impl Double {
    /// e to the power of it; overflows to infinity, underflows to zero.
    pub(crate) fn exp(self) -> Double {
        let x = self.to_f64();
        if x > 690.0 {
            return Double::from(f64::INFINITY);
        }
        if x < -690.0 {
            return Double::ZERO;
        }
        let k = (x / std::f64::consts::LN_2).round();
        let r = (self - Double::LN_2 * Double::from(k)).scaled(-4);
        let mut term = Double::ONE;
        let mut sum = Double::ZERO;
        for n in 1..=18 {
            term = term * r / Double::from(f64::from(n));
            sum = sum + term;
        }
        // (1 + s)^2 - 1 = 2s + s^2 keeps the low bits while squaring.
        for _ in 0..4 {
            sum = sum.scaled(1) + sum * sum;
        }
        (Double::ONE + sum).scaled(k as i32)
    }

    /// The natural logarithm of a positive number.
    pub(crate) fn ln(self) -> Double {
        let start = Double::from(self.to_f64().ln());
        start + (self * (-start).exp() - Double::ONE)
    }

    /// Sine and cosine.
    pub(crate) fn sin_cos(self) -> (Double, Double) {
        let half_pi = Double::PI.scaled(-1);
        let k = (self.to_f64() / half_pi.to_f64()).round();
        let r = self - half_pi * Double::from(k);
        let square = r * r;
        let series = |mut term: Double, first: i32| {
            let mut sum = term;
            for n in 0..14 {
                let a = f64::from(first + 2 * n);
                term = -(term * square) / Double::from(a * (a + 1.0));
                sum = sum + term;
            }
            sum
        };
        let (sin, cos) = (series(r, 2), series(Double::ONE, 1));
        match k.rem_euclid(4.0) as u8 {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        }
    }

    /// The angle of the point `(x, y)`, `self` being y.
    pub(crate) fn atan2(self, x: Double) -> Double {
        let start = Double::from(self.to_f64().atan2(x.to_f64()));
        let (sin, cos) = start.sin_cos();
        let delta = (self * cos - x * sin) / (x * cos + self * sin);
        start + delta - delta * delta * delta / Double::from(3.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rational::Rational;

    fn close(a: Double, b: Double) {
        let error = (a - b).abs().to_f64() / b.abs().to_f64().max(1.0);
        assert!(
            error < 64.0 * Double::UNIT,
            "{a:?} {b:?} differ by {error:e}"
        );
    }

    #[test]
    fn constants_are_the_nearest_doubles() {
        close(Double::ONE.exp(), Double::E);
        close(Double::from(2.0).ln(), Double::LN_2);
        close(Double::ZERO.atan2(Double::from(-1.0)), Double::PI);
        close(Double::ONE.atan2(Double::ONE).scaled(2), Double::PI);
    }

    #[test]
    fn functions_invert_each_other_to_the_last_bits() {
        for n in 1..60 {
            let x = Double::of_rational(&Rational::new((7 * n - 200).into(), 31.into()))
                .expect("in range");
            close(x.exp().ln(), x);
            let (sin, cos) = x.sin_cos();
            close(sin * sin + cos * cos, Double::ONE);
            let (sin2, _) = x.scaled(1).sin_cos();
            close(sin2, (sin * cos).scaled(1));
            let positive = x.abs();
            close(positive.sqrt() * positive.sqrt(), positive);
        }
    }
}
