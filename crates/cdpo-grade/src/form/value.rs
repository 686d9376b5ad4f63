//! Answers in normal form.

use std::fmt::Write;

use super::region::Region;
use super::sum::Sum;
use crate::measure::Measure;
use crate::options::GradeOptions;
use crate::syntax::Relation;

/// What an answer says, computed as far as exact rules go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(Quantity),
    /// Digits in a base other than ten.
    Based(String, u32),
    /// Items in order between brackets: a point, a vector, or an interval.
    Tuple(char, Vec<Value>, char),
    /// Items in any order, each counted once.
    Set(Vec<Value>),
    /// Items in any order.
    List(Vec<Value>),
    /// A set of real numbers.
    Region(Region),
    Matrix(Vec<Vec<Value>>),
    /// A name and what it equals; with the equation that says so, where both sides are scalars.
    Named {
        name: String,
        value: Box<Value>,
        equation: Option<Sum>,
    },
    /// The left side less the right, cleared of denominators and common factors.
    Equation(Sum),
    /// Inequalities that are not solved: each a difference that is below zero (or at most, or not, zero).
    Inequalities(Vec<(Relation, Sum)>),
    Ratio(Vec<Sum>, Option<Measure>),
    /// Words, or mathematics outside the grammar, compared as written.
    Text(String),
}

/// A number or expression with what was said about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) sum: Sum,
    /// The decimal places, if it was written as a decimal.
    pub(crate) places: Option<u32>,
    /// The measure of its unit, if that is known.
    pub(crate) measure: Option<Measure>,
    /// Whether it was written as a quotient of whole numbers that is not in lowest terms.
    pub(crate) unreduced: bool,
}

impl Quantity {
    pub(crate) fn bare(sum: Sum) -> Self {
        Quantity {
            sum,
            places: None,
            measure: None,
            unreduced: false,
        }
    }
}

impl Value {
    pub(crate) fn scalar(sum: Sum) -> Self {
        Value::Scalar(Quantity::bare(sum))
    }

    /// The canonical text: equal texts mean equal answers under the options.
    pub(crate) fn key(&self, options: &GradeOptions) -> String {
        let keys = |items: &[Value]| -> Vec<String> {
            items.iter().map(|item| item.key(options)).collect()
        };
        let join = |items: &[Value]| keys(items).join(",");
        let sorted = |items: &[Value]| {
            let mut keys = keys(items);
            keys.sort();
            keys
        };
        match self {
            Value::Scalar(q) => {
                let unreduced = options.require_simplified && q.unreduced;
                let mut key = q.sum.to_string();
                if unreduced {
                    key.push_str(" unreduced");
                }
                if let Some(measure) = q.measure {
                    let _ = write!(key, " {}", measure.name());
                }
                key
            }
            Value::Based(digits, base) => format!("{digits}_{base}"),
            Value::Tuple(open, items, close) => format!("{open}{}{close}", join(items)),
            Value::Set(items) => {
                let mut keys = sorted(items);
                keys.dedup();
                format!("{{{}}}", keys.join(","))
            }
            Value::List(items) if options.ordered_lists => keys(items).join(", "),
            Value::List(items) => sorted(items).join(", "),
            Value::Region(region) => region.to_string(),
            Value::Matrix(rows) => {
                let rows: Vec<String> = rows.iter().map(|row| join(row)).collect();
                format!("[{}]", rows.join(";"))
            }
            Value::Named { name, value, .. } => format!("{name}={}", value.key(options)),
            Value::Equation(sum) => format!("0={sum}"),
            Value::Inequalities(parts) => {
                let mut keys: Vec<String> = parts
                    .iter()
                    .map(|(r, sum)| format!("{sum}{}0", r.sign()))
                    .collect();
                keys.sort();
                keys.join(" & ")
            }
            Value::Ratio(terms, measure) => {
                let terms = terms
                    .iter()
                    .map(Sum::to_string)
                    .collect::<Vec<_>>()
                    .join(":");
                measure.map_or(terms.clone(), |m| format!("{terms} {}", m.name()))
            }
            Value::Text(text) => format!("\"{text}\""),
        }
    }
}

impl Relation {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::Approximately => "~",
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
            Relation::Unequal => "!=",
            Relation::In => " in ",
            Relation::Other(sign) => sign,
        }
    }
}
