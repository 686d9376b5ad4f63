//! Whether a normal form is zero.
//!
//! Exactly, where the form decides (sums of rational multiples of roots and of powers of π and i do); as an identity
//! in a prime field; else in high precision at random points. Forms are said to be zero only on evidence at every point
//! tried:
//! - another constant whose value is zero to within its error bound, that bound being below 10^-18 of the largest term
//!   (values carry about 30 digits: constants that agree to 27 digits and are no sums of roots are taken for equal);
//! - a form with symbols that is zero in that sense at [`POINTS`] points where it has a value. Points are drawn from a
//!   grid of 2^40 values a symbol, so an identity that fails on all but a share `d / 2^40` of a symbol's values is
//!   taken for true with probability at most `(d / 2^40)^4`.

use std::cmp::Ordering;

use super::point::Point;
use super::{independent, residue, scalar};
use crate::form::atom::Atom;
use crate::form::sum::Sum;
use crate::function::Function;

/// How many points a form with symbols must be zero at.
pub(crate) const POINTS: usize = 4;
/// How many points are tried.
const TRIES: u64 = 24;
/// The error, as a share of the largest term, up to which a value is evidence.
const EVIDENCE: f64 = 1e-18;

/// Whether `sum` is zero, as far as can be shown.
pub(crate) fn is_zero(sum: &Sum) -> bool {
    if sum.is_zero() {
        return true;
    }
    if sum.as_rational().is_some() || independent::is_independent(sum) {
        return false;
    }
    let nested = any_atom(sum, &|atom| matches!(atom, Atom::Sum(_)));
    if nested && (0..2).all(|seed| residue::value(sum, seed) == Some(0)) {
        return true;
    }
    if residue::decides(sum)
        && (!nested || (0..2).any(|seed| residue::value(sum, seed).is_some_and(|v| v != 0)))
    {
        return false;
    }
    let logs = any_atom(sum, &|atom| matches!(atom, Atom::Call(Function::Log, _)));
    zero_at_points(sum, false) || (logs && zero_at_points(sum, true))
}

fn zero_at_points(sum: &Sum, decimal_log: bool) -> bool {
    if is_constant(sum) {
        return zero_at(
            sum,
            Point {
                seed: 0,
                complex: true,
                decimal_log,
            },
        ) == Some(true);
    }
    let imaginary = any_atom(sum, &|atom| *atom == Atom::I);
    for complex in [false, true] {
        if imaginary && !complex {
            continue;
        }
        let mut zeros = 0;
        for seed in 0..TRIES {
            match zero_at(
                sum,
                Point {
                    seed,
                    complex,
                    decimal_log,
                },
            ) {
                Some(true) => zeros += 1,
                Some(false) => return false,
                None => {}
            }
            if zeros == POINTS {
                return true;
            }
        }
        if zeros > 0 {
            return false;
        }
    }
    false
}

/// Whether the value at a point is zero; `None` if there is none or it is too inexact to tell.
fn zero_at(sum: &Sum, point: Point) -> Option<bool> {
    let (value, size) = scalar::value(sum, point)?;
    if !value.may_be_zero() {
        return Some(false);
    }
    (value.error <= EVIDENCE * size).then_some(true)
}

/// Whether a form holds no symbol and no unknown function.
pub(crate) fn is_constant(sum: &Sum) -> bool {
    !any_atom(sum, &|atom| match atom {
        Atom::Symbol(_) | Atom::Opaque(_) => true,
        Atom::Call(function, _) => {
            matches!(
                function,
                Function::Factorial
                    | Function::Binomial
                    | Function::Gcd
                    | Function::Lcm
                    | Function::Mod
            )
        }
        _ => false,
    })
}

/// Whether some atom of a form, at any depth, satisfies a test.
pub(crate) fn any_atom(sum: &Sum, test: &dyn Fn(&Atom) -> bool) -> bool {
    sum.0
        .keys()
        .flat_map(|product| &product.0)
        .any(|(atom, _)| {
            test(atom)
                || match atom {
                    Atom::Power(base, exponent) => any_atom(base, test) || any_atom(exponent, test),
                    Atom::Call(_, arguments) => {
                        arguments.iter().any(|argument| any_atom(argument, test))
                    }
                    Atom::Sum(inner) => any_atom(inner, test),
                    _ => false,
                }
        })
}

/// The order of two real constants; `None` if they are not, or are too close to tell apart.
pub(crate) fn order(a: &Sum, b: &Sum) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_rational(), b.as_rational()) {
        return Some(a.cmp(&b));
    }
    let (left, right) = (
        a.infinite_sign().unwrap_or(0),
        b.infinite_sign().unwrap_or(0),
    );
    if left != 0 || right != 0 {
        return Some(left.cmp(&right));
    }
    let difference = a.sub(b).ok()?;
    if difference.is_zero() {
        return Some(Ordering::Equal);
    }
    let value = scalar::constant(&difference)?;
    if value.may_be_zero() {
        return is_zero(&difference).then_some(Ordering::Equal);
    }
    Some(if value.re.is_negative() {
        Ordering::Less
    } else {
        Ordering::Greater
    })
}
