//! The hot path: a small set of operations, each with its forward and hand-written backward.
//!
//! On CPU in `f32` an op takes the tensors' slices and runs its own kernel; everywhere else (other devices, `f64` in
//! tests) it is composed of tensor-library calls. Both have one signature, and tests hold them to each other.

// A kernel must be inlined into the function that is compiled for the instruction set at hand: see `simd`.
#![allow(clippy::inline_always)]

pub(crate) mod attention;
pub mod gemm;
pub mod head;
pub(crate) mod head_weight;
pub(crate) mod host;
pub mod linear;
#[cfg(test)]
pub(crate) mod oracle;
pub mod rms_norm;
pub mod rotary;
pub(crate) mod simd;
pub(crate) mod sum;
pub mod swiglu;
