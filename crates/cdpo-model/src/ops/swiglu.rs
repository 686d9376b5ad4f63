//! SwiGLU: `y = silu(gate) * up` with `silu(g) = g / (1 + e^-g)`, element by element, and its backward.
//!
//! Goes in: `gate` and `up` of one shape. Comes out: `y` of that shape; backward `(dgate, dup)`.

use candle_core::Tensor;

use super::host::{HostSlice, contiguous, is_host_f32, tensor};
use super::simd::{self, Isa, Kernel};
use crate::error::{Error, Result};

/// `y = silu(gate) * up`.
///
/// # Errors
/// If the shapes differ.
pub fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if is_host_f32(gate) {
        cpu::forward(gate, up)
    } else {
        composed::forward(gate, up)
    }
}

/// `(dgate, dup)`: with `s = 1 / (1 + e^-gate)`, `dup = dy * gate * s`, `dgate = dy * up * s * (1 + gate * (1 - s))`.
///
/// # Errors
/// If the shapes differ.
pub fn backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
    if is_host_f32(gate) {
        cpu::backward(dy, gate, up)
    } else {
        composed::backward(dy, gate, up)
    }
}

/// The CPU kernels.
mod cpu {
    use super::{Error, HostSlice, Isa, Kernel, Result, Tensor, contiguous, simd, tensor};

    /// Some elements of `y`.
    struct Forward<'a> {
        y: &'a mut [f32],
        gate: &'a [f32],
        up: &'a [f32],
    }

    impl Kernel for Forward<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            for ((y, &g), &u) in self.y.iter_mut().zip(self.gate).zip(self.up) {
                *y = g / (1.0 + simd::exp::<I>(-g)) * u;
            }
        }
    }

    /// Some elements of both gradients.
    struct Backward<'a> {
        dgate: &'a mut [f32],
        dup: &'a mut [f32],
        dy: &'a [f32],
        gate: &'a [f32],
        up: &'a [f32],
    }

    impl Kernel for Backward<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            let out = self.dgate.iter_mut().zip(self.dup.iter_mut());
            let given = self.dy.iter().zip(self.gate).zip(self.up);
            for ((dgate, dup), ((&dy, &g), &u)) in out.zip(given) {
                let s = 1.0 / (1.0 + simd::exp::<I>(-g));
                let d = dy * s;
                *dup = d * g;
                *dgate = d * u * I::mul_add(g, 1.0 - s, 1.0);
            }
        }
    }

    /// Rows and width of tensors that must have one shape.
    fn check(given: &[&Tensor]) -> Result<(usize, usize)> {
        if let Some(other) = given.iter().find(|t| t.dims() != given[0].dims()) {
            return Err(Error::Invalid(format!(
                "swiglu: shapes {:?} and {:?} differ",
                given[0].dims(),
                other.dims()
            )));
        }
        let count = given[0].elem_count();
        let width = given[0].dims().last().copied().unwrap_or(1);
        Ok((count / width.max(1), width))
    }

    pub(super) fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        let (rows, width) = check(&[gate, up])?;
        let (gate, up) = (contiguous(gate)?, contiguous(up)?);
        let (gates, ups) = (HostSlice::new(&gate)?, HostSlice::new(&up)?);
        let (gates, ups): (&[f32], &[f32]) = (&gates, &ups);
        let out = simd::rows(rows, width, |row, y| {
            let at = row * width..(row + 1) * width;
            simd::dispatch(Forward {
                y,
                gate: &gates[at.clone()],
                up: &ups[at],
            });
        });
        tensor(out, gate.shape())
    }

    pub(super) fn backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
        let (rows, width) = check(&[gate, up, dy])?;
        let (dy, gate, up) = (contiguous(dy)?, contiguous(gate)?, contiguous(up)?);
        let (dys, gates, ups) = (
            HostSlice::new(&dy)?,
            HostSlice::new(&gate)?,
            HostSlice::new(&up)?,
        );
        let (dys, gates, ups): (&[f32], &[f32], &[f32]) = (&dys, &gates, &ups);
        let (dgate, dup) = simd::row_pairs(rows, width, |row, dgate, dup| {
            let at = row * width..(row + 1) * width;
            let (dy, gate, up) = (&dys[at.clone()], &gates[at.clone()], &ups[at]);
            simd::dispatch(Backward {
                dgate,
                dup,
                dy,
                gate,
                up,
            });
        });
        Ok((tensor(dgate, gate.shape())?, tensor(dup, gate.shape())?))
    }
}

/// The same on tensor operations, for any device and float type.
mod composed {
    use super::{Result, Tensor};

    fn sigmoid(x: &Tensor) -> Result<Tensor> {
        Ok((x.neg()?.exp()? + 1.0)?.recip()?)
    }

    pub(super) fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        Ok(((gate * sigmoid(gate)?)? * up)?)
    }

    /// `(dgate, dup)`.
    pub(super) fn backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
        let s = sigmoid(gate)?;
        let d = (dy * &s)?;
        let slope = ((gate * (1.0 - &s)?)? + 1.0)?;
        Ok((((&d * up)? * slope)?, (&d * gate)?))
    }
}

#[cfg(test)]
mod tests;
