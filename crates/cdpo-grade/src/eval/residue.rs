//! Evaluation in the field of integers modulo 2^61 - 1, every atom standing for an independent random residue.
//!
//! A form that is zero there at several random points is zero as an identity between its atoms, hence zero: by
//! Schwartz and Zippel the chance of an error is at most (degree / 2^61) per point.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

use crate::budget;
use crate::form::atom::Atom;
use crate::form::sum::Sum;
use crate::rational::{Rational, integer};

const P: u64 = (1 << 61) - 1;

fn mul(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    let folded = (wide as u64 & P) + (wide >> 61) as u64;
    if folded >= P { folded - P } else { folded }
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul(result, base);
        }
        base = mul(base, base);
        exponent >>= 1;
    }
    result
}

fn of_integer(n: &BigInt) -> u64 {
    let rest = n % P;
    let rest = if rest.is_negative() { rest + P } else { rest };
    rest.to_u64().unwrap_or(0)
}

fn of_rational(q: &Rational) -> Option<u64> {
    let bottom = of_integer(q.denom());
    (bottom != 0).then(|| mul(of_integer(q.numer()), power(bottom, P - 2)))
}

/// The value of a form at the random point `seed`; `None` where it has none, or holds roots of sums.
/// A root of an atom is taken for a power of an unknown too.
pub(crate) fn value(sum: &Sum, seed: u64) -> Option<u64> {
    budget::spend(sum.0.len()).ok()?;
    let mut total = 0u64;
    for (product, coefficient) in &sum.0 {
        let mut term = of_rational(coefficient)?;
        for (atom, exponent) in &product.0 {
            // The residue of an atom stands for its twelfth root, so that the usual roots are powers of it.
            let (base, unit) = match atom {
                Atom::Sum(inner) => (value(inner, seed)?, 1),
                atom => (super::point::hash(atom, seed) % P, 12),
            };
            let exponent = exponent * integer(unit);
            if !exponent.is_integer() {
                return None;
            }
            let size = (exponent.numer().abs() % (P - 1)).to_u64()?;
            let raised = power(base, size);
            let raised = match (exponent.is_negative(), base) {
                (true, 0) => return None,
                (true, _) => power(raised, P - 2),
                (false, _) => raised,
            };
            term = mul(term, raised);
        }
        total += term;
        if total >= P {
            total -= P;
        }
    }
    Some(total)
}

/// Whether nothing but symbols, functions unknown here, and sums of these stands in a form, so that it is zero only
/// if it is zero as an identity.
pub(crate) fn decides(sum: &Sum) -> bool {
    sum.0.keys().flat_map(|p| &p.0).all(|(atom, exponent)| {
        exponent.is_integer()
            && match atom {
                Atom::Symbol(_) | Atom::Opaque(_) => true,
                Atom::Sum(inner) => decides(inner),
                _ => false,
            }
    })
}
