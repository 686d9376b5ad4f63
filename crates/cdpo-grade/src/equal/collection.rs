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
    a.len() == b.len() && are_paired(a, b, options)
}

/// Whether each item of one collection has an equal partner of its own in the other, of the same length. Identical items
/// are partners; since equality is not transitive, the others are paired so that as many as possible have a partner.
fn are_paired(a: &[Value], b: &[Value], options: &GradeOptions) -> bool {
    let mut right: Vec<&Value> = b.iter().collect();
    let mut left: Vec<&Value> = Vec::new();
    for x in a {
        match right.iter().position(|y| *y == x) {
            Some(at) => {
                right.swap_remove(at);
            }
            None => left.push(x),
        }
    }
    let mut known: Vec<Option<bool>> = vec![None; left.len() * right.len()];
    let mut equal = |x: usize, y: usize| {
        *known[x * right.len() + y].get_or_insert_with(|| same(left[x], right[y], options))
    };
    let mut partner: Vec<Option<usize>> = vec![None; right.len()];
    (0..left.len()).all(|x| {
        // The shortest way from x over taken partners to one that is free.
        let mut reached_from: Vec<Option<usize>> = vec![None; right.len()];
        let mut queue = std::collections::VecDeque::from([x]);
        while let Some(from) = queue.pop_front() {
            for y in 0..right.len() {
                if reached_from[y].is_some() || !equal(from, y) {
                    continue;
                }
                reached_from[y] = Some(from);
                let Some(next) = partner[y] else {
                    reassign(&mut partner, &reached_from, y, x);
                    return true;
                };
                queue.push_back(next);
            }
        }
        false
    })
}

/// Gives each item on the way to the free partner `free` its new partner, back to `first`.
fn reassign(
    partner: &mut [Option<usize>],
    reached_from: &[Option<usize>],
    mut free: usize,
    first: usize,
) {
    while let Some(item) = reached_from[free] {
        let old = partner.iter().position(|p| *p == Some(item));
        partner[free] = Some(item);
        match old {
            Some(old) if item != first => free = old,
            _ => return,
        }
    }
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
