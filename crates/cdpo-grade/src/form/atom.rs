//! The indivisible parts of a normal form.

use num_bigint::BigInt;

use super::sum::Sum;
use crate::function::Function;
use crate::rational::Rational;

/// A factor that no exact rule takes apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Atom {
    /// An integer above one, under a power between zero and one.
    Integer(BigInt),
    /// The imaginary unit; the power `e` of it means `exp(i π e / 2)`.
    I,
    Pi,
    E,
    Infinity,
    /// A variable, with its subscript and accents.
    Symbol(String),
    /// A base under an exponent that is not a number; its power `r` means `base^(r · exponent)`.
    Power(Box<Sum>, Box<Sum>),
    /// A known function of its arguments.
    Call(Function, Vec<Sum>),
    /// Something known only by its canonical text: `f(x)`, a sum over an index.
    Opaque(String),
    /// A sum of several terms under a power that is not expanded.
    Sum(Box<Sum>),
}

/// A product of powers of atoms, in the order of the atoms; the empty product is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Product(pub(crate) Vec<(Atom, Rational)>);
