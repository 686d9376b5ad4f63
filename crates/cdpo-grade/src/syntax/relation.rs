//! Equations, inequalities and membership; unions of sets; ratios.

use super::input::{
    Input, Parsed, attempt, blanks, deeper, fail, link, peek, peek_command, take, take_any,
    take_command,
};
use super::operator::expression;
use super::{Expr, Relation, unit};
use crate::rational::integer;

/// A chain of relations.
pub(super) fn relation(input: &mut Input<'_>) -> Parsed<Expr> {
    take_any(input, &["approx"]);
    let first = quantity(input)?;
    let mut chain = Vec::new();
    while let Some(relation) = sign(input) {
        chain.push((relation, deeper(input, quantity)?));
    }
    Ok(if chain.is_empty() {
        first
    } else {
        Expr::Relation(Box::new(first), chain)
    })
}

fn sign(input: &mut Input<'_>) -> Option<Relation> {
    let signs = [
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("!=", Relation::Unequal),
        ("==", Relation::Equal),
        (":=", Relation::Equal),
        ("=", Relation::Equal),
        ("<", Relation::Less),
        (">", Relation::Greater),
    ];
    match peek(input)? {
        '\\' => {
            let name = peek_command(input)?;
            let relation = named(name)?;
            take_command(input, name);
            Some(relation)
        }
        '<' | '>' | '!' | '=' | ':' => signs
            .into_iter()
            .find(|(text, _)| take(input, text))
            .map(|(_, relation)| relation),
        _ => None,
    }
}

/// The relation that a command denotes.
pub(super) fn named(name: &str) -> Option<Relation> {
    Some(match name {
        "le" | "leq" | "leqslant" => Relation::AtMost,
        "ge" | "geq" | "geqslant" => Relation::AtLeast,
        "lt" => Relation::Less,
        "gt" => Relation::Greater,
        "ne" | "neq" => Relation::Unequal,
        "approx" | "sim" => Relation::Approximately,
        "in" => Relation::In,
        "to" | "rightarrow" => Relation::Other("\\to"),
        "equiv" => Relation::Other("\\equiv"),
        "cong" => Relation::Other("\\cong"),
        "implies" | "Rightarrow" | "Longrightarrow" => Relation::Other("\\implies"),
        _ => return None,
    })
}

/// A sum, set or ratio, and its unit.
fn quantity(input: &mut Input<'_>) -> Parsed<Expr> {
    let mut value = expression(input)?;
    if take_ratio_sign(input) {
        let mut terms = vec![value];
        loop {
            terms.push(expression(input)?);
            if !take_ratio_sign(input) {
                break;
            }
        }
        value = Expr::Ratio(terms);
    }
    loop {
        let union = |input: &mut Input<'_>| {
            blanks(input);
            take_any(input, &["cup"]).is_some() || letter_union(input)
        };
        if union(input) {
            link(input)?;
            value = Expr::Union(Box::new(value), Box::new(expression(input)?));
        } else if take_any(input, &["cap"]).is_some() {
            link(input)?;
            value = Expr::Intersection(Box::new(value), Box::new(expression(input)?));
        } else if take_any(input, &["setminus", "backslash"]).is_some() {
            link(input)?;
            value = Expr::Without(Box::new(value), Box::new(expression(input)?));
        } else {
            break;
        }
    }
    while let Some(unit) = attempt(input, unit::unit) {
        value = with_unit(input, value, &unit)?;
    }
    Ok(value)
}

/// A value with its unit; "5 million dollars" are 5000000 of them.
fn with_unit(input: &mut Input<'_>, value: Expr, unit: &str) -> Parsed<Expr> {
    let (first, rest) = unit.split_once(' ').unwrap_or((unit, ""));
    let Some(magnitude) = unit::magnitude(first) else {
        return Ok(Expr::Unit(Box::new(value), unit.to_owned()));
    };
    link(input)?;
    let times = |value: Box<Expr>| {
        Box::new(Expr::Mul(
            value,
            Box::new(Expr::Number(integer(magnitude), None)),
        ))
    };
    let value = match value {
        // $5 million.
        Expr::Unit(value, currency) => Expr::Unit(times(value), currency),
        value => *times(Box::new(value)),
    };
    if rest.is_empty() {
        Ok(value)
    } else {
        with_unit(input, value, rest)
    }
}

fn take_ratio_sign(input: &mut Input<'_>) -> bool {
    if peek(input) != Some(':')
        || input.input.trim_start().starts_with(":=")
        || input.state.bars > 0
    {
        return false;
    }
    take(input, ":")
}

/// The letter U between two intervals.
fn letter_union(input: &mut Input<'_>) -> bool {
    attempt(input, |input| {
        if take(input, "U") && matches!(peek(input), Some('(' | '[' | '\\')) {
            Ok(())
        } else {
            fail()
        }
    })
    .is_some()
}
