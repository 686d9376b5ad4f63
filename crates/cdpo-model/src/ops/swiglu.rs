//! SwiGLU: `y = silu(gate) * up` with `silu(g) = g / (1 + e^-g)`, element by element, and its backward.
//!
//! Goes in: `gate` and `up` of one shape. Comes out: `y` of that shape; backward `(dgate, dup)`.

use candle_core::Tensor;

use super::host::{HostSlice, contiguous, is_host_f32, tensor};
use super::simd::{self, Isa, Kernel};
use crate::error::Result;

/// `y = silu(gate) * up`.
///
/// # Errors
/// If the shapes differ.
pub fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if is_host_f32(gate) { cpu::forward(gate, up) } else { composed::forward(gate, up) }
}

/// `(dgate, dup)`: with `s = 1 / (1 + e^-gate)`, `dup = dy * gate * s`, `dgate = dy * up * s * (1 + gate * (1 - s))`.
///
/// # Errors
/// If the shapes differ.
pub fn backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
    if is_host_f32(gate) { cpu::backward(dy, gate, up) } else { composed::backward(dy, gate, up) }
}

/// The CPU kernels.
pub(crate) mod cpu {
    use super::{HostSlice, Isa, Kernel, Result, Tensor, contiguous, simd, tensor};
    use crate::error::Error;
    use rayon::prelude::*;

    /// Elements per parallel piece.
    const PIECE: usize = 4096;

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
                *y = g * u / (1.0 + simd::exp::<I>(-g));
            }
        }
    }

    fn check(a: &Tensor, b: &Tensor) -> Result<()> {
        if a.dims() == b.dims() {
            Ok(())
        } else {
            Err(Error::Invalid(format!("swiglu: shapes {:?} and {:?} differ", a.dims(), b.dims())))
        }
    }

    pub(crate) fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        check(gate, up)?;
        let (gate, up) = (contiguous(gate)?, contiguous(up)?);
        let (gs, us) = (HostSlice::new(&gate)?, HostSlice::new(&up)?);
        let (gs, us): (&[f32], &[f32]) = (&gs, &us);
        let mut out = vec![0.0; gs.len()];
        out.par_chunks_mut(PIECE)
            .zip(gs.par_chunks(PIECE))
            .zip(us.par_chunks(PIECE))
            .for_each(|((y, gate), up)| simd::dispatch(Forward { y, gate, up }));
        tensor(out, gate.shape())
    }

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

    pub(crate) fn backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
        check(gate, up)?;
        check(dy, up)?;
        let (dy, gate, up) = (contiguous(dy)?, contiguous(gate)?, contiguous(up)?);
        let (ds, gs, us) = (HostSlice::new(&dy)?, HostSlice::new(&gate)?, HostSlice::new(&up)?);
        let (ds, gs, us): (&[f32], &[f32], &[f32]) = (&ds, &gs, &us);
        let (mut dgate, mut dup) = (vec![0.0; gs.len()], vec![0.0; gs.len()]);
        dgate
            .par_chunks_mut(PIECE)
            .zip(dup.par_chunks_mut(PIECE))
            .zip(ds.par_chunks(PIECE).zip(gs.par_chunks(PIECE)).zip(us.par_chunks(PIECE)))
            .for_each(|((dgate, dup), ((dy, gate), up))| simd::dispatch(Backward { dgate, dup, dy, gate, up }));
        Ok((tensor(dgate, gate.shape())?, tensor(dup, gate.shape())?))
    }
}

/// The same on tensor operations, for any device and float type.
pub(crate) mod composed {
    use super::{Result, Tensor};

    fn sigmoid(x: &Tensor) -> Result<Tensor> {
        Ok((x.neg()?.exp()? + 1.0)?.recip()?)
    }

    pub(crate) fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        Ok(((gate * sigmoid(gate)?)? * up)?)
    }

    /// `(dgate, dup)`.
    pub(crate) fn backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
        let s = sigmoid(gate)?;
        let d = (dy * &s)?;
        let slope = ((gate * (1.0 - &s)?)? + 1.0)?;
        Ok((((&d * up)? * slope)?, (&d * gate)?))
    }
}
