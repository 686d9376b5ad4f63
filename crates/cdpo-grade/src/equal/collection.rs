//! Equality of lists, sets, ratios and regions.

use std::cmp::Ordering;

use num_traits::{Signed, ToPrimitive};

use super::quantity::{self, same_sum};
use super::same;
use crate::eval::zero::order;
use crate::form::region::{End, Region};
use crate::form::sum::Sum;
use crate::form::value::{Quantity, Value};
use crate::options::GradeOptions;
use crate::syntax::Relation;

pub(super) fn in_order(a: &[Value], b: &[Value], options: &GradeOptions) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y, options))
}

/// Whether two collections hold equal items; as sets, or each as often as in the other.
pub(super) fn in_any_order(
    a: &[Value],
    b: &[Value],
    as_sets: bool,
    options: &GradeOptions,
) -> bool {
    let composite = |items: &[Value]| {
        items
            .iter()
            .all(|item| matches!(item, Value::Tuple(..) | Value::Set(_)))
    };
    if as_sets || (composite(a) && composite(b)) {
        let within = |x: &Value, items: &[Value]| items.iter().any(|y| same(x, y, options));
        return a.iter().all(|x| within(x, b)) && b.iter().all(|y| within(y, a));
    }
    if a.len() != b.len() {
        return false;
    }
    let mut left: Vec<&Value> = b.iter().collect();
    a.iter()
        .all(|x| match left.iter().position(|y| same(x, y, options)) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        })
}

pub(super) fn same_inequalities(a: &[(Relation, Sum)], b: &[(Relation, Sum)]) -> bool {
    a.len() == b.len()
        && a.iter().all(|(relation, sum)| {
            b.iter()
                .any(|(other, right)| relation == other && same_sum(sum, right))
        })
        && b.iter().all(|(relation, sum)| {
            a.iter()
                .any(|(other, left)| relation == other && same_sum(sum, left))
        })
}

pub(super) fn same_regions(a: &Region, b: &Region, options: &GradeOptions) -> bool {
    if let (Some(x), Some(y)) = (&a.variable, &b.variable)
        && x != y
    {
        return false;
    }
    let end = |x: &End, y: &End| {
        // Infinity belongs to no interval, whatever its bracket.
        let closed = x.closed == y.closed || x.at.infinite_sign().is_some();
        let quantity = |end: &End| Quantity {
            places: end.places,
            ..Quantity::bare(end.at.clone())
        };
        closed && (x.at == y.at || quantity::same(&quantity(x), &quantity(y), options))
    };
    a.parts.len() == b.parts.len()
        && a.parts
            .iter()
            .zip(&b.parts)
            .all(|(x, y)| end(&x.low, &y.low) && end(&x.high, &y.high))
}

/// Whether a ratio of two whole numbers reads as a time of day: the second between 10 and 59, or 0.
pub(super) fn is_time(terms: &[Sum]) -> bool {
    let number = |sum: &Sum| {
        sum.as_rational()
            .filter(|q| q.is_integer() && !q.is_negative())?
            .to_integer()
            .to_u32()
    };
    match terms {
        [hours, minutes] => {
            number(hours).is_some_and(|h| h <= 24)
                && number(minutes).is_some_and(|m| m == 0 || (10..60).contains(&m))
        }
        _ => false,
    }
}

/// Whether two ratios are proportional; two times of day have to be the same.
pub(super) fn same_ratios(a: &[Sum], b: &[Sum]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.iter().zip(b).all(|(x, y)| same_sum(x, y)) {
        return true;
    }
    if is_time(a) && is_time(b) {
        return false;
    }
    let zero = |x: &Sum| order(x, &Sum::zero()) == Some(Ordering::Equal);
    if a.iter().chain(b).any(zero) {
        return false;
    }
    let cross = |k: usize| Some(same_sum(&a[0].mul(&b[k]).ok()?, &b[0].mul(&a[k]).ok()?));
    (1..a.len()).all(|k| cross(k) == Some(true))
}
