//! Rotary position embedding in the half-split convention of Hugging Face: dimension `i` of a head pairs with
//! `i + d / 2` and turns by `position * inv_freq[i]`.
//!
//! Goes in: `x` `[N, heads * d]` and one position per row. Comes out: the turned `x`. The inverse turn is the transpose of
//! a rotation, hence also the backward.

use candle_core::{Device, Tensor};

use super::host::{HostSlice, contiguous, is_host_f32, tensor};
use super::simd::{self, Isa, Kernel};
use crate::config::ModelConfig;
use crate::error::{Error, Result};

/// Cosines and sines of every position, computed in `f64` and kept in `f32`.
#[derive(Debug, Clone)]
pub struct Rotary {
    half: usize,
    positions: usize,
    /// `[positions, d / 2]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    /// Tables for positions `0..positions` of a model, its frequency scaling applied.
    pub(crate) fn new(config: &ModelConfig, positions: usize) -> Self {
        let factor = config.rope_attention_factor();
        Self::scaled(&config.rope_inv_freq(), factor, positions)
    }

    /// Tables for the angles `position * inv_freq[i]`, with `d = 2 * inv_freq.len()`.
    pub fn from_inv_freq(inv_freq: &[f64], positions: usize) -> Self {
        Self::scaled(inv_freq, 1.0, positions)
    }

    /// As [`Rotary::from_inv_freq`], with cosines and sines times `factor`: the turn is then also a stretch, and the inverse turn with
    /// the same stretch is still its transpose, hence its backward.
    fn scaled(inv_freq: &[f64], factor: f64, positions: usize) -> Self {
        let angle = (0..positions).flat_map(|p| inv_freq.iter().map(move |f| p as f64 * f));
        let (sin, cos) = angle
            .map(|a| ((factor * a.sin()) as f32, (factor * a.cos()) as f32))
            .unzip();
        Self {
            half: inv_freq.len(),
            positions,
            cos,
            sin,
        }
    }

    /// Turns `x` `[N, heads * d]`, row `n` by `positions[n]`; `inverse` turns back.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes do not fit, [`Error::Context`] if a position is beyond the tables.
    pub fn apply(
        &self,
        x: &Tensor,
        heads: usize,
        positions: &[u32],
        inverse: bool,
    ) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        if rows != positions.len() || width != heads * 2 * self.half {
            return Err(Error::Invalid(format!(
                "rotary: {rows} rows of {width} do not fit {} positions and {heads} heads of {}",
                positions.len(),
                2 * self.half
            )));
        }
        if let Some(p) = positions.iter().find(|&&p| p as usize >= self.positions) {
            return Err(Error::Context(format!(
                "position {p} is beyond the model's {} positions",
                self.positions
            )));
        }
        if is_host_f32(x) {
            self.cpu(x, positions, inverse)
        } else {
            self.composed(x, heads, positions, inverse)
        }
    }

    fn cpu(&self, x: &Tensor, positions: &[u32], inverse: bool) -> Result<Tensor> {
        let x = contiguous(x)?;
        let (rows, width) = x.dims2()?;
        let xs = HostSlice::new(&x)?;
        let xs: &[f32] = &xs;
        let sign = if inverse { -1.0 } else { 1.0 };
        let out = simd::rows(rows, width, |row, y| {
            let at = positions[row] as usize * self.half..(positions[row] as usize + 1) * self.half;
            let (cos, sin) = (&self.cos[at.clone()], &self.sin[at]);
            simd::dispatch(Turn {
                y,
                x: &xs[row * width..][..width],
                cos,
                sin,
                sign,
            });
        });
        tensor(out, (rows, width))
    }

    fn composed(
        &self,
        x: &Tensor,
        heads: usize,
        positions: &[u32],
        inverse: bool,
    ) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let gather = |table: &[f32], sign: f32| -> Result<Tensor> {
            let values: Vec<f32> = positions
                .iter()
                .flat_map(|&p| &table[p as usize * self.half..(p as usize + 1) * self.half])
                .map(|v| sign * v)
                .collect();
            let values = Tensor::from_vec(values, (rows, 1, self.half), &Device::Cpu)?;
            Ok(values.to_device(x.device())?.to_dtype(x.dtype())?)
        };
        let cos = gather(&self.cos, 1.0)?;
        let sin = gather(&self.sin, if inverse { -1.0 } else { 1.0 })?;
        let x = x.reshape((rows, heads, 2, self.half))?;
        let (x0, x1) = (
            x.narrow(2, 0, 1)?.squeeze(2)?,
            x.narrow(2, 1, 1)?.squeeze(2)?,
        );
        let y0 = (x0.broadcast_mul(&cos)? - x1.broadcast_mul(&sin)?)?;
        let y1 = (x1.broadcast_mul(&cos)? + x0.broadcast_mul(&sin)?)?;
        Ok(Tensor::stack(&[y0, y1], 2)?.reshape((rows, width))?)
    }
}

/// One row, all of its heads; `sign` -1 turns back.
struct Turn<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    sign: f32,
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let half = self.cos.len();
        for (y, x) in self
            .y
            .chunks_exact_mut(2 * half)
            .zip(self.x.chunks_exact(2 * half))
        {
            let (y0, y1) = y.split_at_mut(half);
            let (x0, x1) = x.split_at(half);
            let out = y0.iter_mut().zip(y1);
            let turn = self.cos.iter().zip(self.sin);
            for (((y0, y1), (&x0, &x1)), (&cos, &sin)) in out.zip(x0.iter().zip(x1)).zip(turn) {
                let sin = self.sign * sin;
                *y0 = I::mul_add(x0, cos, -(x1 * sin));
                *y1 = I::mul_add(x1, cos, x0 * sin);
            }
        }
    }
}

#[cfg(test)]
mod tests;
