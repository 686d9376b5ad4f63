//! Evaluation of scalars: exactly, in a prime field, and in high precision with error bounds. A normal form goes in;
//! whether it is zero comes out.

pub(crate) mod ball;
pub(crate) mod double;
pub(crate) mod elementary;
pub(crate) mod independent;
pub(crate) mod point;
pub(crate) mod residue;
pub(crate) mod scalar;
pub(crate) mod zero;
