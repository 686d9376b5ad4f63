//! Scalars and matrices from expressions.

use num_traits::One;

use super::atom::Atom;
use super::call::{call, logarithm};
use super::matrix::{self, Matrix};
use super::sum::Sum;
use super::value::Quantity;
use crate::budget::{self, STEP};
use crate::function::Function;
use crate::measure::Measure;
use crate::options::GradeOptions;
use crate::rational::ratio;
use crate::refusal::Refusal;
use crate::syntax::{Constant, Expr};

/// Why an expression has no normal form of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Refused(Refusal),
    /// It is well-formed, but not of that kind: a word in a sum, a set in a product.
    OfOtherKind,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Fault::Refused(refusal)
    }
}

/// A scalar or a matrix.
pub(crate) enum Computed {
    Scalar(Quantity),
    Matrix(Matrix),
}

/// The scalar that an expression denotes, with the upper signs of ± (`flip`: the lower).
pub(crate) fn scalar(expr: &Expr, flip: bool) -> Result<Sum, Fault> {
    quantity(expr, flip).map(|q| q.sum)
}

/// The scalar, with its unit and decimal places.
pub(crate) fn quantity(expr: &Expr, flip: bool) -> Result<Quantity, Fault> {
    match computed(expr, flip)? {
        Computed::Scalar(quantity) => Ok(quantity),
        Computed::Matrix(_) => Err(Fault::OfOtherKind),
    }
}

/// The canonical text of a scalar without signs of its own, as subscripts carry it.
pub(crate) fn plain_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Text(text) => Some(text.clone()),
        expr => scalar(expr, false).ok().map(|sum| sum.to_string()),
    }
}

pub(crate) fn computed(expr: &Expr, flip: bool) -> Result<Computed, Fault> {
    budget::spend(STEP)?;
    let sum = match expr {
        Expr::Number(value, places) => {
            let quantity = Quantity {
                places: *places,
                ..Quantity::bare(Sum::rational(value.clone()))
            };
            return Ok(Computed::Scalar(quantity));
        }
        Expr::Symbol(name) => Sum::symbol(name),
        Expr::Constant(constant) => Sum::atom(constant_atom(*constant)?),
        Expr::Neg(inner) => match computed(inner, flip)? {
            Computed::Scalar(q) => {
                return Ok(Computed::Scalar(Quantity {
                    sum: q.sum.negated(),
                    ..q
                }));
            }
            Computed::Matrix(m) => {
                return Ok(Computed::Matrix(matrix::scaled(&m, &Sum::integer(-1))?));
            }
        },
        Expr::Add(a, b) | Expr::Mixed(a, b) => return added(a, b, false, flip),
        Expr::Sub(a, b) => return added(a, b, true, flip),
        Expr::PlusMinus(a, b, lower_first) => {
            let minus = *lower_first != flip;
            if let Some(a) = a {
                return added(a, b, minus, flip);
            }
            let q = quantity(b, flip)?;
            let sum = if minus { q.sum.negated() } else { q.sum };
            return Ok(Computed::Scalar(Quantity { sum, ..q }));
        }
        Expr::Mul(a, b) => return multiplied(a, b, flip),
        Expr::Div(a, b) => return divided(a, b, flip),
        Expr::Power(base, exponent) => return raised(base, exponent, flip),
        Expr::Call(function, arguments) => called(*function, arguments, flip)?,
        Expr::Log(base, x) => logarithm(&scalar(base, flip)?, &scalar(x, flip)?)?,
        Expr::Apply(name, arguments) => {
            let keys: Result<Vec<String>, Fault> = arguments
                .iter()
                .map(|argument| {
                    super::answer::value_with(argument, flip)
                        .map(|v| v.key(&GradeOptions::default()))
                })
                .collect();
            Sum::atom(Atom::Opaque(format!("{name}({})", keys?.join(","))))
        }
        Expr::Degrees(inner) => {
            let q = quantity(inner, flip)?;
            return Ok(Computed::Scalar(Quantity {
                measure: Some(Measure::DEGREE),
                ..q
            }));
        }
        Expr::Unit(inner, unit) => match computed(inner, flip)? {
            Computed::Scalar(q) => {
                let measure = Measure::named(unit).or(q.measure);
                return Ok(Computed::Scalar(Quantity { measure, ..q }));
            }
            matrix @ Computed::Matrix(_) => return Ok(matrix),
        },
        Expr::Matrix(rows) => {
            let row = |row: &Vec<Expr>| {
                row.iter()
                    .map(|entry| scalar(entry, flip))
                    .collect::<Result<Vec<_>, _>>()
            };
            let rows: Result<Matrix, Fault> = rows.iter().map(row).collect();
            return Ok(Computed::Matrix(rows?));
        }
        Expr::Determinant(inner) => bars(inner, flip)?,
        _ => return Err(Fault::OfOtherKind),
    };
    Ok(Computed::Scalar(Quantity::bare(sum)))
}

/// The atom of a constant that is a number or infinite.
fn constant_atom(constant: Constant) -> Result<Atom, Fault> {
    Ok(match constant {
        Constant::Pi => Atom::Pi,
        Constant::E => Atom::E,
        Constant::I => Atom::I,
        Constant::Infinity => Atom::Infinity,
        Constant::Reals | Constant::Empty => return Err(Fault::OfOtherKind),
    })
}

/// A sum with the unit of either part; two different units make no sum.
fn joined(sum: Sum, a: Option<Measure>, b: Option<Measure>) -> Computed {
    Computed::Scalar(Quantity {
        measure: a.or(b),
        ..Quantity::bare(sum)
    })
}

/// Whether two whole numbers have a common factor.
fn is_unreduced(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (Expr::Number(a, None), Expr::Number(b, None)) if a.is_integer() && b.is_integer() => {
            b.is_one() || !num_integer::Integer::gcd(a.numer(), b.numer()).is_one()
        }
        _ => false,
    }
}

fn added(a: &Expr, b: &Expr, minus: bool, flip: bool) -> Result<Computed, Fault> {
    match (computed(a, flip)?, computed(b, flip)?) {
        (Computed::Scalar(a), Computed::Scalar(b)) => {
            if a.measure.is_some() && b.measure.is_some() && a.measure != b.measure {
                return Err(Fault::OfOtherKind);
            }
            if a.sum.infinite_sign().is_some() || b.sum.infinite_sign().is_some() {
                return Err(Refusal::Undefined.into());
            }
            let sum = if minus {
                a.sum.sub(&b.sum)?
            } else {
                a.sum.add(&b.sum)?
            };
            Ok(joined(sum, a.measure, b.measure))
        }
        (Computed::Matrix(a), Computed::Matrix(b)) => {
            let b = if minus {
                matrix::scaled(&b, &Sum::integer(-1))?
            } else {
                b
            };
            matrix::added(&a, &b)?
                .map(Computed::Matrix)
                .ok_or(Fault::OfOtherKind)
        }
        _ => Err(Fault::OfOtherKind),
    }
}

fn multiplied(a: &Expr, b: &Expr, flip: bool) -> Result<Computed, Fault> {
    match (computed(a, flip)?, computed(b, flip)?) {
        (Computed::Scalar(a), Computed::Scalar(b)) => {
            Ok(joined(a.sum.mul(&b.sum)?, a.measure, b.measure))
        }
        (Computed::Matrix(a), Computed::Matrix(b)) => matrix::product(&a, &b)?
            .map(Computed::Matrix)
            .ok_or(Fault::OfOtherKind),
        (Computed::Matrix(m), Computed::Scalar(q)) | (Computed::Scalar(q), Computed::Matrix(m)) => {
            Ok(Computed::Matrix(matrix::scaled(&m, &q.sum)?))
        }
    }
}

fn divided(a: &Expr, b: &Expr, flip: bool) -> Result<Computed, Fault> {
    let unreduced = is_unreduced(a, b);
    let (a, b) = (computed(a, flip)?, quantity(b, flip)?);
    match a {
        Computed::Scalar(a) => {
            let (sum, measure) = (a.sum.div(&b.sum)?, a.measure.or(b.measure));
            Ok(Computed::Scalar(Quantity {
                measure,
                unreduced,
                ..Quantity::bare(sum)
            }))
        }
        Computed::Matrix(m) => Ok(Computed::Matrix(matrix::scaled(&m, &b.sum.inverse()?)?)),
    }
}

/// A power: of a matrix, the square alone.
fn raised(base: &Expr, exponent: &Expr, flip: bool) -> Result<Computed, Fault> {
    let exponent = scalar(exponent, flip)?;
    match computed(base, flip)? {
        Computed::Scalar(q) => Ok(joined(q.sum.symbolic_power(&exponent)?, q.measure, None)),
        Computed::Matrix(m) if exponent == Sum::integer(2) => matrix::product(&m, &m)?
            .map(Computed::Matrix)
            .ok_or(Fault::OfOtherKind),
        Computed::Matrix(_) => Err(Fault::OfOtherKind),
    }
}

/// The value of a function; bars around a matrix are its determinant.
fn called(function: Function, arguments: &[Expr], flip: bool) -> Result<Sum, Fault> {
    if let (Function::Abs, [inner]) = (function, arguments) {
        return bars(inner, flip);
    }
    let arguments: Result<Vec<Sum>, Fault> = arguments
        .iter()
        .map(|argument| angle(function, argument, flip))
        .collect();
    Ok(call(function, arguments?)?)
}

/// What stands between bars: a matrix's determinant, or an absolute value.
fn bars(inner: &Expr, flip: bool) -> Result<Sum, Fault> {
    match computed(inner, flip)? {
        Computed::Matrix(m) => matrix::determinant(&m)?.ok_or(Fault::OfOtherKind),
        Computed::Scalar(q) => Ok(call(Function::Abs, vec![q.sum])?),
    }
}

/// An argument of a function; degrees become radians in a function of an angle.
fn angle(function: Function, argument: &Expr, flip: bool) -> Result<Sum, Fault> {
    let q = quantity(argument, flip)?;
    if function.takes_angle() && q.measure == Some(Measure::DEGREE) {
        return Ok(q.sum.mul(&Sum::atom(Atom::Pi))?.scaled(&ratio(1, 180))?);
    }
    Ok(q.sum)
}
