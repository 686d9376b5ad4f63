//! Functions of normal forms: exact values where a rule gives one, an atom otherwise.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::atom::Atom;
use super::sum::Sum;
use crate::budget;
use crate::function::Function;
use crate::rational::{Rational, charge, factors, integer, ratio};
use crate::refusal::Refusal;

/// The value of a function.
pub(crate) fn call(function: Function, arguments: Vec<Sum>) -> Result<Sum, Refusal> {
    let numbers: Option<Vec<Rational>> = arguments.iter().map(Sum::as_rational).collect();
    let exact = match (arguments.as_slice(), &numbers) {
        ([x], _) if function == Function::Exp => Some(Sum::atom(Atom::E).symbolic_power(x)?),
        ([x], _) if function.takes_angle() => angle_function(function, x)?,
        ([x], _)
            if matches!(
                function,
                Function::Arcsin | Function::Arccos | Function::Arctan
            ) =>
        {
            arc_function(function, x)?
        }
        ([_], Some(q)) => number_function(function, &q[0])?,
        ([x], None) => symbolic_function(function, x)?,
        (_, Some(q)) => several_numbers(function, q)?,
        _ => None,
    };
    Ok(exact.unwrap_or_else(|| Sum::atom(Atom::Call(function, sorted(function, arguments)))))
}

/// The logarithm to a base.
pub(crate) fn logarithm(base: &Sum, x: &Sum) -> Result<Sum, Refusal> {
    call(Function::Ln, vec![x.clone()])?.div(&call(Function::Ln, vec![base.clone()])?)
}

fn sorted(function: Function, mut arguments: Vec<Sum>) -> Vec<Sum> {
    if matches!(
        function,
        Function::Gcd | Function::Lcm | Function::Max | Function::Min
    ) {
        arguments.sort();
    }
    arguments
}

fn number_function(function: Function, q: &Rational) -> Result<Option<Sum>, Refusal> {
    Ok(match function {
        Function::Abs => Some(Sum::rational(q.abs())),
        Function::Floor => Some(Sum::rational(q.floor())),
        Function::Ceil => Some(Sum::rational(q.ceil())),
        Function::Sign => Some(Sum::rational(q.signum())),
        Function::Factorial => factorial(q)?,
        Function::Ln | Function::Log if q.is_zero() => return Err(Refusal::Undefined),
        Function::Ln | Function::Log if q.is_positive() => Some(logarithm_of_number(function, q)?),
        Function::Arcsin | Function::Arctan | Function::Sinh | Function::Tanh if q.is_zero() => {
            Some(Sum::zero())
        }
        _ => None,
    })
}

fn symbolic_function(function: Function, x: &Sum) -> Result<Option<Sum>, Refusal> {
    match function {
        Function::Ln => {
            // ln(e^q) = q.
            let (Some((product, coefficient)), true) = (x.as_monomial(), x.as_rational().is_none())
            else {
                return Ok(None);
            };
            match product.0.as_slice() {
                [(Atom::E, exponent)] if coefficient.is_one() => {
                    Ok(Some(Sum::rational(exponent.clone())))
                }
                _ => Ok(None),
            }
        }
        Function::Abs if x.leads_negative() => call(Function::Abs, vec![x.negated()]).map(Some),
        _ => Ok(None),
    }
}

fn several_numbers(function: Function, q: &[Rational]) -> Result<Option<Sum>, Refusal> {
    let integers = q.iter().all(Rational::is_integer);
    if matches!(function, Function::Mod | Function::Gcd | Function::Lcm) {
        charge(q.iter().map(|q| q.numer().bits() + q.denom().bits()).sum())?;
    }
    let value = match (function, q) {
        (Function::Binomial, [n, k]) => return binomial(n, k),
        (Function::Max, _) => q.iter().max().cloned(),
        (Function::Min, _) => q.iter().min().cloned(),
        (Function::Mod, [a, b]) if !b.is_zero() => Some(a - (a / b).floor() * b),
        (Function::Gcd, _) if integers => q
            .iter()
            .map(|n| n.numer().clone())
            .reduce(|a, b| a.gcd(&b))
            .map(Rational::from_integer),
        (Function::Lcm, _) if integers => q
            .iter()
            .map(|n| n.numer().clone())
            .reduce(|a, b| a.lcm(&b))
            .map(Rational::from_integer),
        _ => None,
    };
    Ok(value.map(Sum::rational))
}

const MAX_FACTORIAL: u32 = 2000;

fn factorial(q: &Rational) -> Result<Option<Sum>, Refusal> {
    if !q.is_integer() || q.is_negative() {
        return Ok(None);
    }
    let n = q
        .to_integer()
        .to_u32()
        .filter(|&n| n <= MAX_FACTORIAL)
        .ok_or(Refusal::TooBig)?;
    budget::spend(n as usize)?;
    let product = (2..=n).fold(BigInt::one(), |product, k| product * k);
    Ok(Some(Sum::rational(Rational::from_integer(product))))
}

fn binomial(n: &Rational, k: &Rational) -> Result<Option<Sum>, Refusal> {
    if !n.is_integer() || !k.is_integer() || n.is_negative() || k.is_negative() {
        return Ok(None);
    }
    if k > n {
        return Ok(Some(Sum::zero()));
    }
    let k = k
        .clone()
        .min(n - k)
        .to_integer()
        .to_u32()
        .filter(|&k| k <= MAX_FACTORIAL)
        .ok_or(Refusal::TooBig)?;
    budget::spend(k as usize)?;
    let n = n.to_integer();
    if n.bits() > 256 {
        return Err(Refusal::TooBig);
    }
    let value = (0..k).fold(BigInt::one(), |value, j| value * (&n - j) / (j + 1));
    Ok(Some(Sum::rational(Rational::from_integer(value))))
}

/// ln of a positive number as a sum over its primes.
fn logarithm_of_number(function: Function, q: &Rational) -> Result<Sum, Refusal> {
    let mut sum = Sum::zero();
    for (part, sign) in [(q.numer(), 1), (q.denom(), -1)] {
        for (prime, count) in factors(part)? {
            let prime = Sum::rational(Rational::from_integer(prime));
            let log = Sum::atom(Atom::Call(function, vec![prime]));
            sum = sum.add(&log.scaled(&integer(sign * i64::from(count)))?)?;
        }
    }
    Ok(sum)
}

/// Trigonometric functions at multiples of π/4 and π/6.
fn angle_function(function: Function, x: &Sum) -> Result<Option<Sum>, Refusal> {
    let turns = if x.is_zero() {
        Rational::zero()
    } else {
        match x.as_monomial().map(|(p, q)| (p.0.as_slice(), q)) {
            Some(([(Atom::Pi, exponent)], q)) if exponent.is_one() => q.clone(),
            _ => return Ok(None),
        }
    };
    let (Some(sin), Some(cos)) = (sine(&turns)?, sine(&(&turns + ratio(1, 2)))?) else {
        return Ok(None);
    };
    let (top, bottom) = match function {
        Function::Sin => (sin, Sum::one()),
        Function::Cos => (cos, Sum::one()),
        Function::Tan => (sin, cos),
        Function::Cot => (cos, sin),
        Function::Sec => (Sum::one(), cos),
        Function::Csc => (Sum::one(), sin),
        _ => return Ok(None),
    };
    top.div(&bottom).map(Some)
}

/// The angle whose sine, cosine or tangent is one of the exact values at multiples of π/4 and π/6.
fn arc_function(function: Function, x: &Sum) -> Result<Option<Sum>, Refusal> {
    for (n, d) in [(0, 1), (1, 6), (1, 4), (1, 3), (1, 2)] {
        for sign in [1, -1] {
            let turns = ratio(sign * n, d);
            let Some(sine) = sine(&turns)? else { continue };
            let found = match function {
                Function::Arctan => {
                    let cosine = self::sine(&(&turns + ratio(1, 2)))?.unwrap_or_default();
                    !cosine.is_zero() && sine.div(&cosine)? == *x
                }
                _ => sine == *x,
            };
            if found {
                let turns = if function == Function::Arccos {
                    ratio(1, 2) - turns
                } else {
                    turns
                };
                return Sum::atom(Atom::Pi).scaled(&turns).map(Some);
            }
        }
    }
    Ok(None)
}

/// sin(π t) for t a multiple of 1/4 or 1/6.
fn sine(t: &Rational) -> Result<Option<Sum>, Refusal> {
    let t = t - (t / integer(2)).floor() * integer(2);
    let (t, sign) = if t >= integer(1) {
        (t - integer(1), -1)
    } else {
        (t, 1)
    };
    let t = if t > ratio(1, 2) { integer(1) - t } else { t };
    // sin² of the angle.
    let square = [(0, 1, 0), (1, 6, 1), (1, 4, 2), (1, 3, 3), (1, 2, 4)]
        .into_iter()
        .find(|&(n, d, _)| t == ratio(n, d))
        .map(|(_, _, quarters)| ratio(quarters, 4));
    let Some(square) = square else {
        return Ok(None);
    };
    if square.is_zero() {
        return Ok(Some(Sum::zero()));
    }
    super::power::power_of_rational(&square, &ratio(1, 2))?
        .scaled(&integer(sign))
        .map(Some)
}
