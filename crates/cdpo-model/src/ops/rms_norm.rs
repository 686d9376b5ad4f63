//! Root-mean-square normalisation: `y = x / sqrt(mean(x^2) + eps) * w`, row by row, and its backward.
//!
//! Goes in: `x` `[N, H]`, `w` `[H]`. Comes out: `y` `[N, H]`; backward `dx` `[N, H]` and, on request, `dw` `[H]`.

use candle_core::{D, Tensor};

use super::host::{HostSlice, accumulate, contiguous, is_host_f32, tensor};
use super::simd::{self, Isa, Kernel};
use crate::error::Result;

/// `y = x * r * w` with `r = 1 / sqrt(mean(x^2) + eps)` per row.
///
/// # Errors
/// If the shapes do not fit.
pub fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    if is_host_f32(x) { cpu::forward(x, w, eps) } else { composed::forward(x, w, eps) }
}

/// `dx = r * (dy * w) - x * r^3 * mean(dy * w * x)`; adds `sum over rows of dy * x * r` into `dw` if given.
///
/// # Errors
/// If the shapes do not fit.
pub fn backward(dy: &Tensor, x: &Tensor, w: &Tensor, eps: f64, dw: Option<&mut [f32]>) -> Result<Tensor> {
    if is_host_f32(x) {
        return cpu::backward(dy, x, w, eps, dw);
    }
    let (dx, dweight) = composed::backward(dy, x, w, eps)?;
    if let Some(dw) = dw {
        accumulate(dw, &dweight)?;
    }
    Ok(dx)
}

/// The CPU kernels.
pub(crate) mod cpu {
    use super::{HostSlice, Isa, Kernel, Result, Tensor, contiguous, simd, tensor};
    use rayon::prelude::*;

    /// One row forward.
    struct Row<'a> {
        y: &'a mut [f32],
        x: &'a [f32],
        w: &'a [f32],
        eps: f64,
    }

    impl Kernel for Row<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            let r = scale::<I>(self.x, self.eps);
            for ((y, &x), &w) in self.y.iter_mut().zip(self.x).zip(self.w) {
                *y = x * r * w;
            }
        }
    }

    /// `1 / sqrt(mean(x^2) + eps)`.
    #[inline(always)]
    fn scale<I: Isa>(x: &[f32], eps: f64) -> f32 {
        let mean = f64::from(simd::dot::<I>(x, x)) / x.len() as f64;
        (1.0 / (mean + eps).sqrt()) as f32
    }

    pub(crate) fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
        let (x, w) = (contiguous(x)?, contiguous(w)?);
        let (rows, width) = x.dims2()?;
        check(&w, width)?;
        let (xs, ws) = (HostSlice::new(&x)?, HostSlice::new(&w)?);
        let (xs, ws): (&[f32], &[f32]) = (&xs, &ws);
        let mut out = vec![0.0; rows * width];
        out.par_chunks_mut(width).zip(xs.par_chunks(width)).for_each(|(y, x)| simd::dispatch(Row { y, x, w: ws, eps }));
        tensor(out, (rows, width))
    }

    fn check(w: &Tensor, width: usize) -> Result<()> {
        if w.dims() == [width] {
            Ok(())
        } else {
            Err(crate::error::Error::Invalid(format!(
                "rms_norm: weight {:?} does not fit rows of {width}",
                w.dims()
            )))
        }
    }

    /// One row backward; `dw` is this worker's partial sum.
    struct BackRow<'a> {
        dx: &'a mut [f32],
        dy: &'a [f32],
        x: &'a [f32],
        w: &'a [f32],
        eps: f64,
    }

    impl Kernel for BackRow<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            let r = scale::<I>(self.x, self.eps);
            for ((g, &dy), &w) in self.dx.iter_mut().zip(self.dy).zip(self.w) {
                *g = dy * w;
            }
            let inner = simd::dot::<I>(self.dx, self.x);
            let c = -r * r * r * inner / self.x.len() as f32;
            for (g, &x) in self.dx.iter_mut().zip(self.x) {
                *g = I::mul_add(c, x, *g * r);
            }
        }
    }

    pub(crate) fn backward(dy: &Tensor, x: &Tensor, w: &Tensor, eps: f64, dw: Option<&mut [f32]>) -> Result<Tensor> {
        let (dy, x, w) = (contiguous(dy)?, contiguous(x)?, contiguous(w)?);
        let (rows, width) = x.dims2()?;
        check(&w, width)?;
        let (dys, xs, ws) = (HostSlice::new(&dy)?, HostSlice::new(&x)?, HostSlice::new(&w)?);
        let (dys, xs, ws): (&[f32], &[f32], &[f32]) = (&dys, &xs, &ws);
        let mut out = vec![0.0; rows * width];
        out.par_chunks_mut(width)
            .zip(dys.par_chunks(width))
            .zip(xs.par_chunks(width))
            .for_each(|((dx, dy), x)| simd::dispatch(BackRow { dx, dy, x, w: ws, eps }));
        if let Some(dw) = dw {
            for (dy, x) in dys.chunks(width).zip(xs.chunks(width)) {
                simd::dispatch(WeightRow { dw, dy, x, eps });
            }
        }
        tensor(out, (rows, width))
    }

    /// Adds one row's share of `dw`.
    struct WeightRow<'a> {
        dw: &'a mut [f32],
        dy: &'a [f32],
        x: &'a [f32],
        eps: f64,
    }

    impl Kernel for WeightRow<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            let r = scale::<I>(self.x, self.eps);
            for ((g, &dy), &x) in self.dw.iter_mut().zip(self.dy).zip(self.x) {
                *g = I::mul_add(dy, x * r, *g);
            }
        }
    }
}

/// The same on tensor operations, for any device and float type.
pub(crate) mod composed {
    use super::{D, Result, Tensor};

    /// `1 / sqrt(mean(x^2) + eps)`, `[N, 1]`.
    fn scale(x: &Tensor, eps: f64) -> Result<Tensor> {
        Ok((x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?)
    }

    pub(crate) fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
        Ok(x.broadcast_mul(&scale(x, eps)?)?.broadcast_mul(w)?)
    }

    /// `(dx, dw)`.
    pub(crate) fn backward(dy: &Tensor, x: &Tensor, w: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
        let r = scale(x, eps)?;
        let g = dy.broadcast_mul(w)?;
        let inner = (&g * x)?.mean_keepdim(D::Minus1)?;
        let cube = (r.sqr()? * &r)?;
        let dx = (g.broadcast_mul(&r)? - x.broadcast_mul(&(cube * inner)?)?)?;
        let dw = (dy * x)?.broadcast_mul(&r)?.sum(0)?;
        Ok((dx, dw))
    }
}
