//! Answers from expressions: names, lists, sets and relations around scalars.

use super::atom::Atom;
use super::build::{Computed, Fault, computed, scalar};
use super::inequality;
use super::name::name;
use super::region::{Interval, Region};
use super::sum::Sum;
use super::value::{Quantity, Value};
use crate::budget::{self, STEP};
use crate::eval::zero::is_constant;
use crate::function::Function;
use crate::measure::Measure;
use crate::syntax::{Constant, Expr, Relation};

/// The answer that an expression denotes.
pub(crate) fn value(expr: &Expr) -> Result<Value, Fault> {
    let mut values = values(expr)?;
    Ok(if values.len() == 1 {
        values.remove(0)
    } else {
        Value::List(values)
    })
}

/// The one or, under ±, two answers that an expression denotes.
fn values(expr: &Expr) -> Result<Vec<Value>, Fault> {
    match expr {
        Expr::List(groups) => return list(groups).map(|list| vec![list]),
        Expr::Set(items) => return items_of(items).map(|items| vec![Value::Set(items)]),
        Expr::Relation(first, chain) if has_either(expr) => {
            // x = a ± b names a list.
            if let [(Relation::Equal | Relation::Approximately, right)] = chain.as_slice()
                && let Some(name) = name(first)
                && !has_either(first)
            {
                let value = Box::new(value(right)?);
                return Ok(vec![Value::Named {
                    name,
                    value,
                    equation: None,
                }]);
            }
        }
        _ => {}
    }
    if !has_either(expr) {
        return Ok(vec![value_with(expr, false)?]);
    }
    let (upper, lower) = (value_with(expr, false)?, value_with(expr, true)?);
    Ok(if upper == lower {
        vec![upper]
    } else {
        vec![upper, lower]
    })
}

fn items_of(items: &[Expr]) -> Result<Vec<Value>, Fault> {
    let mut all = Vec::new();
    for item in items {
        all.extend(values(item)?);
    }
    Ok(all)
}

fn list(groups: &[Vec<Expr>]) -> Result<Value, Fault> {
    let two_levels = groups.iter().any(|group| group.len() > 1);
    if two_levels {
        let tuple = |group: &Vec<Expr>| Ok(Value::Tuple('(', items_of(group)?, ')'));
        return groups
            .iter()
            .map(tuple)
            .collect::<Result<Vec<_>, Fault>>()
            .map(Value::List);
    }
    let mut items = Vec::new();
    for group in groups {
        items.extend(items_of(group)?);
    }
    // x = 1, 2, 3 names the list.
    if let [Value::Named { name, value, .. }, rest @ ..] = items.as_slice()
        && !matches!(**value, Value::List(_))
        && rest.iter().all(|item| {
            !matches!(
                item,
                Value::Named { .. } | Value::Equation(_) | Value::Region(_)
            )
        })
        && !rest.is_empty()
    {
        let mut list = vec![(**value).clone()];
        list.extend_from_slice(rest);
        return Ok(Value::Named {
            name: name.clone(),
            value: Box::new(Value::List(list)),
            equation: None,
        });
    }
    // x < 1 or x > 3 is one region; x > 1 and x < 3 too.
    if let Some(region) = inequality::joined(&items) {
        return Ok(Value::Region(region));
    }
    Ok(Value::List(items))
}

/// Whether ± stands in an expression.
fn has_either(expr: &Expr) -> bool {
    match expr {
        Expr::PlusMinus(..) => true,
        Expr::Number(..)
        | Expr::Based(..)
        | Expr::Symbol(_)
        | Expr::Constant(_)
        | Expr::Text(_)
        | Expr::List(_)
        | Expr::Set(_) => false,
        Expr::Add(a, b)
        | Expr::Sub(a, b)
        | Expr::Mul(a, b)
        | Expr::Div(a, b)
        | Expr::Power(a, b)
        | Expr::Mixed(a, b)
        | Expr::Log(a, b)
        | Expr::Builder(a, b)
        | Expr::Union(a, b)
        | Expr::Intersection(a, b)
        | Expr::Without(a, b) => has_either(a) || has_either(b),
        Expr::Neg(a) | Expr::Degrees(a) | Expr::Unit(a, _) | Expr::Determinant(a) => has_either(a),
        Expr::Call(_, items)
        | Expr::Apply(_, items)
        | Expr::Fence(_, items, _)
        | Expr::Ratio(items) => items.iter().any(has_either),
        Expr::Matrix(rows) => rows.iter().flatten().any(has_either),
        Expr::Relation(first, chain) => {
            has_either(first) || chain.iter().any(|(_, expr)| has_either(expr))
        }
    }
}

/// The answer with the upper signs of ±, or the lower.
pub(crate) fn value_with(expr: &Expr, flip: bool) -> Result<Value, Fault> {
    budget::spend(STEP)?;
    Ok(match expr {
        Expr::Based(digits, base) => Value::Based(digits.clone(), *base),
        Expr::Neg(inner) if matches!(**inner, Expr::Based(..)) => match value_with(inner, flip)? {
            Value::Based(digits, base) => Value::Based(format!("-{digits}"), base),
            other => other,
        },
        Expr::Text(text) => super::text::value(text),
        Expr::Constant(Constant::Reals) => Value::Region(Region::all()),
        Expr::Constant(Constant::Empty) => Value::Set(Vec::new()),
        Expr::Fence(open, items, close) => {
            let items: Result<Vec<Value>, Fault> =
                items.iter().map(|item| value_with(item, flip)).collect();
            let items = items?;
            let mixed = (*open == '(') != (*close == ')');
            if mixed && items.len() == 2 {
                let region = interval(*open, &items, *close).ok_or(Fault::OfOtherKind)?;
                return Ok(Value::Region(region));
            }
            Value::Tuple(*open, items, *close)
        }
        Expr::Set(_) | Expr::List(_) => value(expr)?,
        Expr::Union(a, b) => {
            let (a, b) = regions(a, b, flip)?;
            Value::Region(a.union(&b))
        }
        Expr::Intersection(a, b) => {
            let (a, b) = regions(a, b, flip)?;
            Value::Region(a.intersection(&b).ok_or(Fault::OfOtherKind)?)
        }
        Expr::Without(a, b) => {
            let outside = region(b, flip)?.complement().ok_or(Fault::OfOtherKind)?;
            Value::Region(
                region(a, flip)?
                    .intersection(&outside)
                    .ok_or(Fault::OfOtherKind)?,
            )
        }
        Expr::Builder(_, condition) => match value(condition)? {
            Value::Region(region) => Value::Region(region),
            Value::Named { value, .. } => Value::Set(vec![*value]),
            _ => return Err(Fault::OfOtherKind),
        },
        Expr::Ratio(terms) => {
            let terms: Result<Vec<Sum>, Fault> =
                terms.iter().map(|term| scalar(term, flip)).collect();
            Value::Ratio(terms?, None)
        }
        Expr::Unit(inner, unit) => match value_with(inner, flip)? {
            Value::Scalar(q) => Value::Scalar(Quantity {
                measure: Measure::named(unit).or(q.measure),
                ..q
            }),
            Value::Ratio(terms, measure) => Value::Ratio(terms, Measure::named(unit).or(measure)),
            other => other,
        },
        Expr::Relation(first, chain) => relation(first, chain, flip)?,
        Expr::Matrix(rows) => {
            let row = |row: &Vec<Expr>| row.iter().map(|entry| value_with(entry, flip)).collect();
            Value::Matrix(rows.iter().map(row).collect::<Result<_, Fault>>()?)
        }
        _ => match computed(expr, flip)? {
            Computed::Scalar(quantity) => Value::Scalar(quantity),
            Computed::Matrix(rows) => Value::Matrix(
                rows.into_iter()
                    .map(|row| row.into_iter().map(Value::scalar).collect())
                    .collect(),
            ),
        },
    })
}

/// An interval from its bracketed ends.
pub(crate) fn interval(open: char, items: &[Value], close: char) -> Option<Region> {
    let [Value::Scalar(low), Value::Scalar(high)] = items else {
        return None;
    };
    let mut part = Interval::new(low.sum.clone(), open == '[', high.sum.clone(), close == ']');
    (part.low.places, part.high.places) = (low.places, high.places);
    Some(Region::new(None, vec![part]))
}

/// An answer as a set of real numbers.
pub(crate) fn as_region(value: &Value) -> Option<Region> {
    match value {
        Value::Region(region) => Some(region.clone()),
        Value::Tuple(open @ ('(' | '['), items, close) => interval(*open, items, *close),
        Value::Set(items) => {
            let point = |item: &Value| match item {
                Value::Scalar(q) => Some(Interval::point(q.sum.clone())),
                _ => None,
            };
            Some(Region::new(
                None,
                items.iter().map(point).collect::<Option<_>>()?,
            ))
        }
        Value::Named { value, .. } => as_region(value),
        _ => None,
    }
}

fn region(expr: &Expr, flip: bool) -> Result<Region, Fault> {
    as_region(&value_with(expr, flip)?).ok_or(Fault::OfOtherKind)
}

/// Two regions, of one variable if both name one.
fn regions(a: &Expr, b: &Expr, flip: bool) -> Result<(Region, Region), Fault> {
    let (a, b) = (region(a, flip)?, region(b, flip)?);
    match (&a.variable, &b.variable) {
        (Some(x), Some(y)) if x != y => Err(Fault::OfOtherKind),
        _ => Ok((a, b)),
    }
}

fn relation(first: &Expr, chain: &[(Relation, Expr)], flip: bool) -> Result<Value, Fault> {
    if chain
        .iter()
        .all(|(relation, _)| matches!(relation, Relation::Equal | Relation::Approximately))
    {
        return equation(first, chain, flip);
    }
    if let [(Relation::In, set)] = chain {
        let name = name(first).ok_or(Fault::OfOtherKind)?;
        let set = value_with(set, flip)?;
        return Ok(match as_region(&set) {
            Some(region) if !matches!(set, Value::Set(_)) => Value::Region(Region {
                variable: Some(name),
                ..region
            }),
            _ => Value::Named {
                name,
                value: Box::new(set),
                equation: None,
            },
        });
    }
    inequality::solved(first, chain, flip)
}

/// A chain of equalities: what it names, what it computes, or the equation itself.
fn equation(first: &Expr, chain: &[(Relation, Expr)], flip: bool) -> Result<Value, Fault> {
    // An approximation says less than what stands in front of it, except for x ≈ 3.
    let named_first = name(first).is_some();
    let exact = chain
        .iter()
        .position(|(relation, _)| *relation == Relation::Approximately)
        .unwrap_or(chain.len());
    let exact = if exact == 0 && named_first {
        chain.len()
    } else {
        exact
    };
    let parts: Vec<&Expr> = std::iter::once(first)
        .chain(chain[..exact].iter().map(|(_, expr)| expr))
        .collect();
    let (Some(last), true) = (parts.last().copied(), parts.len() > 1) else {
        return value_with(first, flip);
    };
    let value = value_with(last, flip);
    if let Some(name) = name(first) {
        let equation = match (parts.len(), scalar(first, flip), scalar(last, flip)) {
            (2, Ok(a), Ok(b)) => Some(inequality::normal_equation(&a.sub(&b)?)?),
            _ => None,
        };
        return Ok(Value::Named {
            name,
            value: Box::new(value?),
            equation,
        });
    }
    // 5 = x names x too; 3 + 2 = 5 is a computation of 5.
    let sums: Result<Vec<Sum>, Fault> = parts.iter().map(|part| scalar(part, flip)).collect();
    let Ok(sums) = sums else { return value };
    let constants = sums.iter().all(is_constant);
    if constants {
        return value;
    }
    if let Some(name) = parts.iter().find_map(|part| name(part)) {
        let (at_end, constant) = (super::name::name(last).is_some(), is_constant(&sums[0]));
        if at_end && constant {
            return Ok(Value::Named {
                name,
                value: Box::new(value_with(first, flip)?),
                equation: None,
            });
        }
        if parts.len() > 2 && sums.last().is_some_and(is_constant) {
            return Ok(Value::Named {
                name,
                value: Box::new(value?),
                equation: None,
            });
        }
    }
    match sums.as_slice() {
        [a, b] => Ok(Value::Equation(inequality::normal_equation(&a.sub(b)?)?)),
        _ => Err(Fault::OfOtherKind),
    }
}

/// The sole symbol or unknown function of a form, if its degree is one and nothing else holds it.
pub(crate) fn sole_variable(sum: &Sum) -> Option<Atom> {
    let mut found: Option<&Atom> = None;
    for product in sum.0.keys() {
        for (atom, _) in &product.0 {
            let variable = match atom {
                Atom::Symbol(_) | Atom::Opaque(_) => true,
                Atom::Call(Function::Abs, arguments) => !arguments.iter().all(is_constant),
                other => {
                    if !is_constant(&Sum::atom(other.clone())) {
                        return None;
                    }
                    false
                }
            };
            if variable && found.is_some_and(|f| f != atom) {
                return None;
            }
            if variable {
                found = Some(atom);
            }
        }
    }
    found.cloned()
}
