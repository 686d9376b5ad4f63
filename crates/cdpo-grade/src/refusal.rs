//! Why a text is not read.

use std::fmt;

/// The bound that a text oversteps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is left once delimiters and blanks are taken off.
    Empty,
    /// The text is longer than [`MAX_LEN`] bytes.
    TooLong,
    /// Brackets or commands nest deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A number, power, polynomial or list grows beyond what is computed.
    TooBig,
    /// Braces do not match.
    Unbalanced,
    /// A control character such as NUL.
    Control,
    /// Something without a value, such as a division by zero.
    Undefined,
}

/// Answers beyond this many bytes are not read.
pub const MAX_LEN: usize = 4096;
/// Answers that nest deeper than this are not read.
pub const MAX_DEPTH: usize = 96;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Empty => f.write_str("it is empty"),
            Refusal::TooLong => write!(f, "it is longer than {MAX_LEN} bytes"),
            Refusal::TooDeep => write!(f, "it nests deeper than {MAX_DEPTH} levels"),
            Refusal::TooBig => {
                f.write_str("its numbers, powers or lists are too big to compute with")
            }
            Refusal::Unbalanced => f.write_str("its braces do not match"),
            Refusal::Control => f.write_str("it holds a control character"),
            Refusal::Undefined => f.write_str("it has no value (a division by zero)"),
        }
    }
}

impl std::error::Error for Refusal {}
