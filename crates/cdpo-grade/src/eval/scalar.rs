//! The value of a normal form at a point, with its error.

use num_traits::{One, Signed, ToPrimitive, Zero};

use super::ball::Ball;
use super::double::Double;
use super::point::Point;
use crate::budget;
use crate::form::atom::Atom;
use crate::form::sum::Sum;
use crate::function::Function;
use crate::rational::Rational;

/// The value of `sum`, and the size of its largest term; `None` where it has no value.
pub(crate) fn value(sum: &Sum, point: Point) -> Option<(Ball, f64)> {
    budget::spend(4 * sum.0.len()).ok()?;
    let mut total = Ball::ZERO;
    let mut size = 0f64;
    for (product, coefficient) in &sum.0 {
        let mut term = Ball::real(Double::of_rational(coefficient)?);
        for (atom, exponent) in &product.0 {
            term = (term * power_of_atom(atom, exponent, point)?).checked()?;
        }
        size = size.max(term.magnitude());
        total = total + term;
    }
    Some((total.checked()?, size))
}

fn of(sum: &Sum, point: Point) -> Option<Ball> {
    value(sum, point).map(|(ball, _)| ball)
}

fn power_of_atom(atom: &Atom, exponent: &Rational, point: Point) -> Option<Ball> {
    let base = match atom {
        Atom::I if exponent.is_one() => return Some(Ball::I),
        Atom::I => {
            let angle = Ball::real(Double::of_rational(exponent)? * Double::PI.scaled(-1));
            return (angle * Ball::I).exp();
        }
        Atom::Power(base, inner) => {
            let exponent = of(inner, point)? * Ball::real(Double::of_rational(exponent)?);
            let base = of(base, point)?;
            if base.is_real() && base.re.is_negative() && !point.complex {
                return None;
            }
            return (base.ln()? * exponent).exp();
        }
        Atom::Integer(n) => Ball::real(Double::of_integer(n)?),
        Atom::Pi => Ball::real(Double::PI),
        Atom::E => Ball::real(Double::E),
        Atom::Infinity => return None,
        Atom::Symbol(_) | Atom::Opaque(_) => point.value(atom),
        Atom::Call(function, arguments) => call(*function, arguments, point)?,
        Atom::Sum(inner) => of(inner, point)?,
    };
    power(base, exponent, point)
}

fn power(base: Ball, exponent: &Rational, point: Point) -> Option<Ball> {
    if exponent.is_one() {
        return Some(base);
    }
    if let Some(n) = exponent
        .is_integer()
        .then(|| exponent.numer().abs().to_u32().filter(|&n| n < 4096))
        .flatten()
    {
        let power = base.power(n)?;
        return if exponent.is_negative() {
            power.inverse()
        } else {
            Some(power)
        };
    }
    if base.may_be_zero() {
        let exactly = base.magnitude() == 0.0 && base.error == 0.0 && exponent.is_positive();
        return exactly.then_some(Ball::ZERO);
    }
    let real = base.im == Double::ZERO;
    let exponent_ball = Ball::real(Double::of_rational(exponent)?);
    if real && base.re.is_negative() {
        if num_integer::Integer::is_odd(exponent.denom()) {
            let size = ((-base).ln()? * exponent_ball).exp()?;
            return Some(if num_integer::Integer::is_odd(exponent.numer()) {
                -size
            } else {
                size
            });
        }
        if !point.complex {
            return None;
        }
    }
    if real && !base.re.is_negative() && exponent.denom().to_u8() == Some(2) {
        let odd = exponent.numer().abs().to_u32().filter(|&n| n < 4096)?;
        let power = base.sqrt()?.power(odd)?;
        return if exponent.is_negative() {
            power.inverse()
        } else {
            Some(power)
        };
    }
    (base.ln()? * exponent_ball).exp()
}

fn call(function: Function, arguments: &[Sum], point: Point) -> Option<Ball> {
    if matches!(
        function,
        Function::Factorial | Function::Binomial | Function::Gcd | Function::Lcm | Function::Mod
    ) {
        // Functions of integers: unknown values that depend on nothing but their arguments.
        return Some(point.value(&(function, arguments)));
    }
    let x = of(arguments.first()?, point)?;
    match function {
        Function::Sin => sin_cos(x).map(|(sin, _)| sin),
        Function::Cos => sin_cos(x).map(|(_, cos)| cos),
        Function::Tan => sin_cos(x).and_then(|(sin, cos)| Some(sin * cos.inverse()?)),
        Function::Cot => sin_cos(x).and_then(|(sin, cos)| Some(cos * sin.inverse()?)),
        Function::Sec => sin_cos(x).and_then(|(_, cos)| cos.inverse()),
        Function::Csc => sin_cos(x).and_then(|(sin, _)| sin.inverse()),
        Function::Arcsin => arc(x, Double::atan2),
        Function::Arccos => arc(x, |x, other| other.atan2(x)),
        Function::Arctan => {
            if !x.is_real() {
                return None;
            }
            x.mapped(x.re.atan2(Double::ONE), Double::ZERO, 1.0)
        }
        Function::Sinh => exponentials(x).map(|(a, b)| halve(a - b)),
        Function::Cosh => exponentials(x).map(|(a, b)| halve(a + b)),
        Function::Tanh => exponentials(x).and_then(|(a, b)| Some((a - b) * (a + b).inverse()?)),
        Function::Exp => x.exp(),
        Function::Log if point.decimal_log => {
            Some(logarithm(x, point)? * Ball::real(Double::from(10.0)).ln()?.inverse()?)
        }
        Function::Ln | Function::Log => logarithm(x, point),
        Function::Abs => Some(x.abs()),
        Function::Floor => step(x, f64::floor),
        Function::Ceil => step(x, f64::ceil),
        Function::Sign if x.is_real() && !x.may_be_zero() => {
            Some(Ball::real(Double::from(x.re.to_f64().signum())))
        }
        Function::Max | Function::Min => {
            let mut best = x;
            for argument in &arguments[1..] {
                let next = of(argument, point)?;
                if !next.is_real() || !best.is_real() || (next - best).may_be_zero() {
                    return None;
                }
                if (function == Function::Max) == (next.re > best.re) {
                    best = next;
                }
            }
            Some(best)
        }
        _ => None,
    }
}

fn logarithm(x: Ball, point: Point) -> Option<Ball> {
    if !point.complex && x.re.is_negative() {
        None
    } else {
        x.ln()
    }
}

fn halve(x: Ball) -> Ball {
    x * Ball::real(Double::from(0.5))
}

fn exponentials(x: Ball) -> Option<(Ball, Ball)> {
    Some((x.exp()?, (-x).exp()?))
}

fn sin_cos(x: Ball) -> Option<(Ball, Ball)> {
    if x.magnitude() > 1e8 {
        return None;
    }
    if x.im == Double::ZERO {
        let (sin, cos) = x.re.sin_cos();
        let x = Ball {
            error: x.error + x.magnitude() * 8.0 * Double::UNIT,
            ..x
        };
        return Some((
            x.mapped(sin, Double::ZERO, 1.0)?,
            x.mapped(cos, Double::ZERO, 1.0)?,
        ));
    }
    let (a, b) = exponentials(x * Ball::I)?;
    Some((halve((a - b) * -Ball::I), halve(a + b)))
}

/// arcsin and arccos by the angle of `(x, sqrt(1 - x²))`.
fn arc(x: Ball, angle: impl Fn(Double, Double) -> Double) -> Option<Ball> {
    if !x.is_real() || x.re.to_f64().abs() > 1.0 {
        return None;
    }
    let other = ((Double::ONE - x.re) * (Double::ONE + x.re)).sqrt();
    let slope = 1.0 / (other.to_f64() - x.error.sqrt()).max(1e-12);
    x.mapped(angle(x.re, other), Double::ZERO, slope)
}

fn step(x: Ball, step: impl Fn(f64) -> f64) -> Option<Ball> {
    if !x.is_real() || x.magnitude() > 1e14 {
        return None;
    }
    let near = x.re.round()? as f64;
    let distance = (x.re - Double::from(near)).abs().to_f64();
    (distance > x.error && distance > 1e-15).then(|| Ball::real(Double::from(step(x.re.to_f64()))))
}

/// The real value of a constant, if it has one.
pub(crate) fn constant(sum: &Sum) -> Option<Ball> {
    if let Some(q) = sum.as_rational() {
        return Some(if q.is_zero() {
            Ball::ZERO
        } else {
            Ball::real(Double::of_rational(&q)?)
        });
    }
    let point = Point {
        seed: 0,
        complex: true,
        decimal_log: false,
    };
    super::zero::is_constant(sum)
        .then(|| of(sum, point))
        .flatten()
        .filter(|ball| ball.is_real())
}
