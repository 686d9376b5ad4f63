//! The grammar of answers: LaTeX or plain text goes in, an expression tree comes out.

mod command;
mod environment;
mod fence;
mod function;
mod group;
mod input;
mod list;
mod numeral;
mod operator;
mod relation;
pub(crate) mod surface;
mod symbol;
mod unicode;
pub(crate) mod unit;

pub(crate) use unicode::digit;

use crate::function::Function;
use crate::rational::Rational;
use crate::refusal::Refusal;

/// How an answer is read where conventions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// Whether a comma may be the decimal mark: `2,5` is 5/2.
    pub(crate) decimal_comma: bool,
}

/// What an answer says, before any of it is computed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    /// A number, and its decimal places if it was written with a decimal point.
    Number(Rational, Option<u32>),
    /// Digits in a base other than ten.
    Based(String, u32),
    Symbol(String),
    Constant(Constant),
    Add(Box<Expr>, Box<Expr>),
    Sub(Box<Expr>, Box<Expr>),
    /// The first and the second, with either sign between them; `true` for ∓.
    PlusMinus(Option<Box<Expr>>, Box<Expr>, bool),
    Neg(Box<Expr>),
    Mul(Box<Expr>, Box<Expr>),
    Div(Box<Expr>, Box<Expr>),
    Power(Box<Expr>, Box<Expr>),
    /// A whole number and a proper fraction.
    Mixed(Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Log(Box<Expr>, Box<Expr>),
    /// An unknown function, or a sum or limit, of arguments in order.
    Apply(String, Vec<Expr>),
    Degrees(Box<Expr>),
    /// A quantity and its unit as written.
    Unit(Box<Expr>, String),
    /// Items between brackets, as in tuples and intervals.
    Fence(char, Vec<Expr>, char),
    Set(Vec<Expr>),
    /// Elements with a condition: `{x | x > 3}` as the element and the condition.
    Builder(Box<Expr>, Box<Expr>),
    /// Items of a list, in groups where it has two levels.
    List(Vec<Vec<Expr>>),
    Matrix(Vec<Vec<Expr>>),
    Determinant(Box<Expr>),
    Relation(Box<Expr>, Vec<(Relation, Expr)>),
    Union(Box<Expr>, Box<Expr>),
    Intersection(Box<Expr>, Box<Expr>),
    Without(Box<Expr>, Box<Expr>),
    Ratio(Vec<Expr>),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constant {
    Pi,
    E,
    I,
    Infinity,
    Reals,
    Empty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Relation {
    Equal,
    Approximately,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Unequal,
    In,
    /// `\to`, `\equiv` and others that are only compared as written.
    Other(&'static str),
}

/// The canonical text of an expression as a subscript, so that `a_{1+n}` and `a_{n+1}` are one name; `None` if it has none.
pub(crate) type SubscriptText = fn(&Expr) -> Option<String>;

/// Reads a cleaned text; `Ok(None)` if it does not follow the grammar.
pub(crate) fn parse(
    surface: &str,
    reading: Reading,
    subscript: SubscriptText,
) -> Result<Option<Expr>, Refusal> {
    let mut input = input::start(surface, reading, subscript);
    let parsed = list::answer(&mut input);
    match (input.state.refusal, parsed) {
        (Some(refusal), _) => Err(refusal),
        (None, Ok(expr)) => Ok(Some(expr)),
        (None, Err(_)) => Ok(None),
    }
}
