//! The indivisible parts of a normal form.

use num_bigint::BigInt;

use super::sum::Sum;
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

/// The functions that have values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    /// The natural logarithm.
    Ln,
    /// A logarithm without a base: natural or decimal, as the answer it is compared with has it.
    Log,
    Exp,
    Abs,
    Floor,
    Ceil,
    Factorial,
    Binomial,
    Gcd,
    Lcm,
    Max,
    Min,
    Mod,
    Sign,
}

impl Function {
    /// The function of a name as LaTeX or plain text writes it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sin" => Self::Sin,
            "cos" => Self::Cos,
            "tan" => Self::Tan,
            "cot" => Self::Cot,
            "sec" => Self::Sec,
            "csc" | "cosec" => Self::Csc,
            "arcsin" | "asin" => Self::Arcsin,
            "arccos" | "acos" => Self::Arccos,
            "arctan" | "atan" => Self::Arctan,
            "sinh" => Self::Sinh,
            "cosh" => Self::Cosh,
            "tanh" => Self::Tanh,
            "ln" => Self::Ln,
            "log" | "lg" => Self::Log,
            "exp" => Self::Exp,
            "abs" => Self::Abs,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            "gcd" => Self::Gcd,
            "lcm" => Self::Lcm,
            "max" => Self::Max,
            "min" => Self::Min,
            "sgn" => Self::Sign,
            _ => return None,
        })
    }

    /// Whether its argument is an angle.
    pub(crate) fn takes_angle(self) -> bool {
        matches!(
            self,
            Self::Sin | Self::Cos | Self::Tan | Self::Cot | Self::Sec | Self::Csc
        )
    }
}

/// A product of powers of atoms, in the order of the atoms; the empty product is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Product(pub(crate) Vec<(Atom, Rational)>);
