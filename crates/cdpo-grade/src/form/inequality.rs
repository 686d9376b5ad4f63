//! Inequalities solved for their variable, and equations in normal form.

use std::collections::BTreeMap;

use num_traits::{Signed, Zero};

use super::answer::sole_variable;
use super::atom::{Atom, Product};
use super::build::{Fault, scalar};
use super::name::name;
use super::region::{Interval, Region, infinity};
use super::sum::Sum;
use super::value::Value;
use crate::eval::scalar::constant;
use crate::eval::zero::is_constant;
use crate::function::Function;
use crate::rational::Rational;
use crate::refusal::Refusal;
use crate::syntax::{Expr, Relation};

/// A chain of inequalities: the region of its variable if it is linear in one, else its differences.
pub(crate) fn solved(first: &Expr, chain: &[(Relation, Expr)], flip: bool) -> Result<Value, Fault> {
    let mut sums = vec![scalar(first, flip)?];
    for (_, expr) in chain {
        sums.push(scalar(expr, flip)?);
    }
    let mut differences = Vec::new();
    for (n, (relation, _)) in chain.iter().enumerate() {
        let (left, right) = (&sums[n], &sums[n + 1]);
        let infinite = left.infinite_sign().is_some() || right.infinite_sign().is_some();
        let sub = |a: &Sum, b: &Sum| {
            if infinite {
                Err(Fault::OfOtherKind)
            } else {
                Ok(a.sub(b)?)
            }
        };
        differences.push(match relation {
            Relation::Less | Relation::AtMost => (*relation, sub(left, right)?),
            Relation::Greater => (Relation::Less, sub(right, left)?),
            Relation::AtLeast => (Relation::AtMost, sub(right, left)?),
            Relation::Unequal => (Relation::Unequal, sub(left, right)?),
            _ => return Err(Fault::OfOtherKind),
        });
    }
    let mut region: Option<Region> = None;
    for (relation, difference) in &differences {
        let next = solve(*relation, difference)?;
        region = match (region, next) {
            (_, None) => {
                region = None;
                break;
            }
            (None, Some(next)) => Some(next),
            (Some(region), Some(next)) if region.variable == next.variable => {
                region.intersection(&next)
            }
            _ => None,
        };
        if region.is_none() {
            break;
        }
    }
    if let Some(mut region) = region {
        // f(x) is named by its letter, as in equations.
        let applied = |expr: &&Expr| matches!(expr, Expr::Apply(..));
        if let Some(name) = std::iter::once(first)
            .chain(chain.iter().map(|(_, e)| e))
            .find(applied)
            .and_then(name)
        {
            region.variable = Some(name);
        }
        return Ok(Value::Region(region));
    }
    let normal = differences.into_iter().map(|(relation, sum)| {
        let mut content = sum.content()?;
        if relation == Relation::Unequal && sum.leads_negative() {
            content = -content;
        }
        Ok((relation, sum.scaled(&content.recip())?))
    });
    normal.collect::<Result<_, _>>().map(Value::Inequalities)
}

/// The solution of `difference < 0` (or ≤, ≠) where that is linear in one variable.
fn solve(relation: Relation, difference: &Sum) -> Result<Option<Region>, Fault> {
    let Some(variable) = sole_variable(difference) else {
        return Ok(None);
    };
    let Some((slope, offset)) = linear(difference, &variable) else {
        return Ok(None);
    };
    let Some(sign) = constant(&slope).filter(|ball| !ball.may_be_zero()) else {
        return Ok(None);
    };
    let root = offset.negated().div(&slope)?;
    let closed = relation == Relation::AtMost;
    let part = match relation {
        Relation::Unequal => {
            let Some(region) = outside(&root) else {
                return Ok(None);
            };
            return unfold(region, &variable);
        }
        _ if sign.re.is_negative() => Interval::new(root, closed, infinity(1), false),
        _ => Interval::new(infinity(-1), false, root, closed),
    };
    unfold(Region::new(None, vec![part]), &variable)
}

fn outside(point: &Sum) -> Option<Region> {
    Region::new(None, vec![Interval::point(point.clone())]).complement()
}

/// The region of the symbol behind a variable: itself, or the argument of an absolute value.
fn unfold(region: Region, variable: &Atom) -> Result<Option<Region>, Fault> {
    match variable {
        Atom::Symbol(name) | Atom::Opaque(name) => Ok(Some(Region {
            variable: Some(name.clone()),
            ..region
        })),
        Atom::Call(Function::Abs, arguments) => {
            let [inner] = arguments.as_slice() else {
                return Ok(None);
            };
            let half_line = Region::new(
                None,
                vec![Interval::new(Sum::zero(), true, infinity(1), false)],
            );
            let Some(sizes) = region.intersection(&half_line) else {
                return Ok(None);
            };
            let Some(symbol) = sole_variable(inner).filter(|atom| matches!(atom, Atom::Symbol(_)))
            else {
                return Ok(None);
            };
            let Some((slope, offset)) = linear(inner, &symbol) else {
                return Ok(None);
            };
            let mirrored = affine(&sizes, &Sum::integer(-1), &Sum::zero())?;
            let values = sizes.union(&mirrored);
            // inner = slope · x + offset, hence x = (inner - offset) / slope.
            let solved = affine(&values, &slope.inverse()?, &offset.negated().div(&slope)?)?;
            unfold(solved, &symbol)
        }
        _ => Ok(None),
    }
}

/// The image of a region under `x ↦ slope · x + offset`.
fn affine(region: &Region, slope: &Sum, offset: &Sum) -> Result<Region, Fault> {
    let negative = constant(slope).ok_or(Fault::OfOtherKind)?.re.is_negative();
    let image = |at: &Sum| -> Result<Sum, Fault> {
        match at.infinite_sign() {
            Some(sign) => Ok(infinity(i64::from(if negative { -sign } else { sign }))),
            None => Ok(at.mul(slope)?.add(offset)?),
        }
    };
    let mut parts = Vec::new();
    for part in &region.parts {
        let (a, b) = if negative {
            (&part.high, &part.low)
        } else {
            (&part.low, &part.high)
        };
        parts.push(Interval::new(
            image(&a.at)?,
            a.closed,
            image(&b.at)?,
            b.closed,
        ));
    }
    Ok(Region::new(region.variable.clone(), parts))
}

/// `sum` as slope · variable + offset with constants for both.
fn linear(sum: &Sum, variable: &Atom) -> Option<(Sum, Sum)> {
    let (mut slope, mut offset) = (Sum::zero(), Sum::zero());
    for (product, coefficient) in &sum.0 {
        let single = |product: Product| Sum([(product, coefficient.clone())].into());
        match product.0.iter().position(|(atom, _)| atom == variable) {
            None => offset = offset.add(&single(product.clone())).ok()?,
            Some(at) => {
                let mut rest = product.clone();
                let (_, exponent) = rest.0.remove(at);
                if !num_traits::One::is_one(&exponent) {
                    return None;
                }
                slope = slope.add(&single(rest)).ok()?;
            }
        }
    }
    (is_constant(&slope) && is_constant(&offset) && !slope.is_zero()).then_some((slope, offset))
}

/// Several regions of one variable as one: joined if they are apart, else met.
pub(crate) fn joined(items: &[Value]) -> Option<Region> {
    let mut regions = items.iter().map(|item| match item {
        Value::Region(region) if region.variable.is_some() => Some(region.clone()),
        _ => None,
    });
    let first = regions.next()??;
    let mut all = first;
    for region in regions {
        let region = region?;
        if region.variable != all.variable {
            return None;
        }
        let both = all.intersection(&region)?;
        all = if both.parts.is_empty() {
            all.union(&region)
        } else {
            both
        };
    }
    (items.len() > 1).then_some(all)
}

/// The left side less the right of an equation, without denominators and common factors, its first term positive.
pub(crate) fn normal_equation(difference: &Sum) -> Result<Sum, Refusal> {
    let mut sum = difference.clone();
    // The least powers of what can stand in a denominator.
    for _ in 0..8 {
        let mut least: BTreeMap<&Atom, &Rational> = BTreeMap::new();
        for (atom, exponent) in sum.0.keys().flat_map(|product| &product.0) {
            let divides = matches!(atom, Atom::Symbol(_) | Atom::Opaque(_) | Atom::Sum(_));
            if divides && exponent.is_negative() && exponent.is_integer() {
                let entry = least.entry(atom).or_insert(exponent);
                *entry = (*entry).min(exponent);
            }
        }
        let Some((atom, exponent)) = least.into_iter().next() else {
            break;
        };
        let (atom, by) = (atom.clone(), -exponent.clone());
        sum = times_power(&sum, &atom, &by)?;
    }
    let mut content = sum.content()?;
    if sum.leads_negative() {
        content = -content;
    }
    sum.scaled(&content.recip())
}

/// The product with a power of an atom, sums among the atoms multiplied out.
fn times_power(sum: &Sum, atom: &Atom, by: &Rational) -> Result<Sum, Refusal> {
    let mut total = Sum::zero();
    for (product, coefficient) in &sum.0 {
        let mut rest = product.clone();
        let own = match rest.0.iter().position(|(a, _)| a == atom) {
            Some(at) => rest.0.remove(at).1,
            None => Rational::zero(),
        };
        let exponent = own + by;
        let rest = Sum([(rest, coefficient.clone())].into());
        let factor = match atom {
            _ if exponent.is_zero() => Sum::one(),
            Atom::Sum(inner) if exponent.is_positive() => inner.power(&exponent)?,
            atom => Sum::power_of_atom(atom.clone(), exponent),
        };
        total = total.add(&rest.mul(&factor)?)?;
    }
    Ok(total)
}
