//! Root-mean-square normalisation: `y = x / sqrt(mean(x^2) + eps) * w`, row by row, and its backward.
//!
//! Goes in: `x` `[N, H]`, `w` `[H]`. Comes out: `y` `[N, H]`; backward `dx` `[N, H]` and, on request, `dw` `[H]`.

use candle_core::{D, Tensor};

use super::host::{HostSlice, accumulate, contiguous, is_host_f32, tensor};
use super::simd::{self, Isa, Kernel};
use crate::error::{Error, Result};

/// `y = x * r * w` with `r = 1 / sqrt(mean(x^2) + eps)` per row.
///
/// # Errors
/// If the shapes do not fit.
pub fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    if is_host_f32(x) {
        cpu::forward(x, w, eps)
    } else {
        composed::forward(x, w, eps)
    }
}

/// `dx = r * (dy * w) - x * r^3 * mean(dy * w * x)`; adds `sum over rows of dy * x * r` into `dw` if given.
///
/// # Errors
/// If the shapes do not fit.
pub fn backward(
    dy: &Tensor,
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    dw: Option<&mut [f32]>,
) -> Result<Tensor> {
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
mod cpu {
    use super::{Error, HostSlice, Isa, Kernel, Result, Tensor, contiguous, simd, tensor};

    /// `1 / sqrt(mean(x^2) + eps)`.
    #[inline(always)]
    fn scale<I: Isa>(x: &[f32], eps: f64) -> f32 {
        let mean = f64::from(simd::dot::<I>(x, x)) / x.len() as f64;
        (1.0 / (mean + eps).sqrt()) as f32
    }

    /// One row of `y`.
    struct Forward<'a> {
        y: &'a mut [f32],
        x: &'a [f32],
        w: &'a [f32],
        eps: f64,
    }

    impl Kernel for Forward<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            let r = scale::<I>(self.x, self.eps);
            for ((y, &x), &w) in self.y.iter_mut().zip(self.x).zip(self.w) {
                *y = x * r * w;
            }
        }
    }

    /// One row of `dx`.
    struct Backward<'a> {
        dx: &'a mut [f32],
        dy: &'a [f32],
        x: &'a [f32],
        w: &'a [f32],
        eps: f64,
    }

    impl Kernel for Backward<'_> {
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

    /// One row's share of `dw`, added.
    struct WeightGrad<'a> {
        dw: &'a mut [f32],
        dy: &'a [f32],
        x: &'a [f32],
        eps: f64,
    }

    impl Kernel for WeightGrad<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            let r = scale::<I>(self.x, self.eps);
            for ((g, &dy), &x) in self.dw.iter_mut().zip(self.dy).zip(self.x) {
                *g = I::mul_add(dy, x * r, *g);
            }
        }
    }

    fn check(x: &Tensor, w: &Tensor) -> Result<(usize, usize)> {
        let (rows, width) = x.dims2()?;
        if width > 0 && w.dims() == [width] {
            Ok((rows, width))
        } else {
            Err(Error::Invalid(format!(
                "rms_norm: weight {:?} does not fit rows of {width}",
                w.dims()
            )))
        }
    }

    pub(super) fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
        let (rows, width) = check(x, w)?;
        let (x, w) = (contiguous(x)?, contiguous(w)?);
        let (xs, w) = (HostSlice::new(&x)?, HostSlice::new(&w)?);
        let (xs, w): (&[f32], &[f32]) = (&xs, &w);
        let out = simd::rows(rows, width, |row, y| {
            simd::dispatch(Forward {
                y,
                x: &xs[row * width..][..width],
                w,
                eps,
            });
        });
        tensor(out, (rows, width))
    }

    pub(super) fn backward(
        dy: &Tensor,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
        dw: Option<&mut [f32]>,
    ) -> Result<Tensor> {
        let (rows, width) = check(x, w)?;
        if dy.dims() != x.dims() {
            return Err(Error::Invalid(format!(
                "rms_norm: dy {:?} does not fit x {:?}",
                dy.dims(),
                x.dims()
            )));
        }
        let (dy, x, w) = (contiguous(dy)?, contiguous(x)?, contiguous(w)?);
        let (dys, xs, w) = (
            HostSlice::new(&dy)?,
            HostSlice::new(&x)?,
            HostSlice::new(&w)?,
        );
        let (dys, xs, w): (&[f32], &[f32], &[f32]) = (&dys, &xs, &w);
        let out = simd::rows(rows, width, |row, dx| {
            let at = row * width..(row + 1) * width;
            simd::dispatch(Backward {
                dx,
                dy: &dys[at.clone()],
                x: &xs[at],
                w,
                eps,
            });
        });
        if let Some(dw) = dw {
            if dw.len() != width {
                return Err(Error::Invalid(format!(
                    "rms_norm: dw has {} elements, not {width}",
                    dw.len()
                )));
            }
            for (dy, x) in dys.chunks(width).zip(xs.chunks(width)) {
                simd::dispatch(WeightGrad { dw, dy, x, eps });
            }
        }
        tensor(out, (rows, width))
    }
}

/// The same on tensor operations, for any device and float type.
mod composed {
    use super::{D, Result, Tensor};

    /// `1 / sqrt(mean(x^2) + eps)`, `[N, 1]`.
    fn scale(x: &Tensor, eps: f64) -> Result<Tensor> {
        Ok((x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?)
    }

    pub(super) fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
        Ok(x.broadcast_mul(&scale(x, eps)?)?.broadcast_mul(w)?)
    }

    /// `(dx, dw)`.
    pub(super) fn backward(
        dy: &Tensor,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
    ) -> Result<(Tensor, Tensor)> {
        let r = scale(x, eps)?;
        let g = dy.broadcast_mul(w)?;
        let inner = (&g * x)?.mean_keepdim(D::Minus1)?;
        let cube = (r.sqr()? * &r)?;
        let dx = (g.broadcast_mul(&r)? - x.broadcast_mul(&(cube * inner)?)?)?;
        let dw = (dy * x)?.broadcast_mul(&r)?.sum(0)?;
        Ok((dx, dw))
    }
}

#[cfg(test)]
mod tests;
