//! Equality of answers in normal form.

mod collection;
mod quantity;

use crate::form::answer::{as_region, interval};
use crate::form::matrix::as_vector;
use crate::form::region::Region;
use crate::form::sum::Sum;
use crate::form::text::without_blanks;
use crate::form::value::Value;
use crate::options::GradeOptions;

use quantity::same_sum;

/// Whether two answers are equal; the same whichever comes first.
pub(crate) fn same(a: &Value, b: &Value, options: &GradeOptions) -> bool {
    one_way(a, b, options) || one_way(b, a, options)
}

/// Every rule with its sides in one order.
fn one_way(a: &Value, b: &Value, options: &GradeOptions) -> bool {
    let scalar = |sum: &Sum| Value::scalar(sum.clone());
    match (a, b) {
        (Value::Scalar(a), Value::Scalar(b)) => quantity::same(a, b, options),
        (
            Value::Named {
                name: n,
                value: v,
                equation: e,
            },
            Value::Named {
                name: m,
                value: w,
                equation: f,
            },
        ) => {
            (n == m && same(v, w, options))
                || matches!((e, f), (Some(e), Some(f)) if same_sum(e, f))
        }
        (
            Value::Named {
                equation: Some(e), ..
            },
            Value::Equation(f),
        ) => same_sum(e, f),
        (Value::Named { name, value, .. }, Value::Region(region)) if region.variable.is_some() => {
            region.variable.as_ref() == Some(name)
                && same(value, &Value::Region(unnamed(region)), options)
        }
        // A name before an answer may be left out, but not one before another kind of statement.
        (Value::Named { value, .. }, b) => {
            !matches!(b, Value::Equation(_)) && same(value, b, options)
        }
        (Value::Equation(a), Value::Equation(b)) => same_sum(a, b),
        (Value::Inequalities(a), Value::Inequalities(b)) => collection::same_inequalities(a, b),
        (Value::Based(a, base), Value::Based(b, other)) => base == other && same_digits(a, b),
        (Value::Text(a), Value::Text(b)) => same_text(a, b),
        // A single letter may stand as text or as a symbol.
        (Value::Text(text), Value::Scalar(q)) => {
            text.chars().count() == 1 && q.sum.to_string().eq_ignore_ascii_case(text)
        }
        (Value::Region(a), Value::Region(b)) => collection::same_regions(a, b, options),
        (Value::Region(a), Value::Tuple(open @ ('(' | '['), items, close)) => {
            interval(*open, items, *close).is_some_and(|b| collection::same_regions(a, &b, options))
        }
        (Value::Region(a), Value::Set(items)) => {
            !items.is_empty()
                && as_region(b).is_some_and(|b| collection::same_regions(a, &b, options))
                || (items.is_empty() && a.parts.is_empty())
        }
        (Value::Tuple(open, a, close), Value::Tuple(o, b, c)) => {
            let round =
                |open: &char, close: &char| matches!((open, close), ('(', ')') | ('<', '>'));
            ((open, close) == (o, c) || (round(open, close) && round(o, c)))
                && collection::in_order(a, b, options)
        }
        (Value::Matrix(a), Value::Matrix(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(x, y)| collection::in_order(x, y, options))
        }
        (Value::Matrix(rows), Value::Tuple('(' | '<', items, ')' | '>')) => {
            as_vector(rows).is_some_and(|vector| collection::in_order(&vector, items, options))
        }
        (Value::Set(a), Value::Set(b) | Value::List(b)) => {
            collection::in_any_order(a, b, true, options)
        }
        (Value::List(a), Value::List(b)) => {
            if options.ordered_lists {
                collection::in_order(a, b, options)
            } else {
                collection::in_any_order(a, b, false, options)
            }
        }
        (Value::List(a), Value::Tuple('(', b, ')')) => collection::in_order(a, b, options),
        (Value::Ratio(a, m), Value::Ratio(b, n)) => {
            (m.is_none() || n.is_none() || m == n) && collection::same_ratios(a, b)
        }
        (Value::Ratio(a, None), Value::Scalar(q)) => match a.as_slice() {
            [top, bottom] if !collection::is_time(a) => top
                .div(bottom)
                .is_ok_and(|sum| same(&scalar(&sum), &Value::Scalar(q.clone()), options)),
            _ => false,
        },
        _ => false,
    }
}

fn unnamed(region: &Region) -> Region {
    Region {
        variable: None,
        parts: region.parts.clone(),
    }
}

fn same_digits(a: &str, b: &str) -> bool {
    a.trim_start_matches('0') == b.trim_start_matches('0')
}

fn same_text(a: &str, b: &str) -> bool {
    a == b || (!a.contains('\\') && !b.contains('\\') && letters(a) == letters(b))
}

/// The text without case, blanks and punctuation.
fn letters(text: &str) -> String {
    let dress = |c: char| matches!(c, '(' | ')' | '.' | '\'' | '"' | '*' | '{' | '}');
    without_blanks(text, |c| !dress(c)).to_lowercase()
}
