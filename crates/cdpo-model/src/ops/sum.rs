//! Sums of tensors and scaled rows: where the residual stream and gradients are added up.
//!
//! Not the tensor library's own on the CPU: those run on a thread pool of its own whose threads wait by spinning, beside and against
//! the pool of all other kernels. On the small built-in model that was half of the processor time of a training step.

use candle_core::Tensor;

use super::host::{HostSlice, contiguous, is_host_f32, tensor};
use super::simd;
use crate::error::{Error, Result};

/// `x + y` of one shape.
///
/// # Errors
/// If the shapes differ.
pub(crate) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !is_host_f32(x) || !is_host_f32(y) {
        return Ok((x + y)?);
    }
    if x.dims() != y.dims() {
        return Err(Error::Invalid(format!(
            "sum: {:?} and {:?} are not of one shape",
            x.dims(),
            y.dims()
        )));
    }
    let (x, y) = (contiguous(x)?, contiguous(y)?);
    let (xs, ys) = (HostSlice::new(&x)?, HostSlice::new(&y)?);
    let width = x.dims().last().copied().unwrap_or(1).max(1);
    let sum = simd::rows(xs.len() / width, width, |row, out| {
        let at = row * width..(row + 1) * width;
        for ((out, x), y) in out.iter_mut().zip(&xs[at.clone()]).zip(&ys[at]) {
            *out = x + y;
        }
    });
    tensor(sum, x.shape().clone())
}

/// `x` `[R, H]` with row `r` times `factors[r]`.
///
/// # Errors
/// If there is not one factor a row.
pub(crate) fn scale_rows(x: &Tensor, factors: &[f32]) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if factors.len() != rows {
        return Err(Error::Invalid(format!(
            "{} factors for {rows} rows",
            factors.len()
        )));
    }
    if !is_host_f32(x) {
        let factors = Tensor::from_slice(factors, (rows, 1), x.device())?.to_dtype(x.dtype())?;
        return Ok(x.broadcast_mul(&factors)?);
    }
    let x = contiguous(x)?;
    let xs = HostSlice::new(&x)?;
    let scaled = simd::rows(rows, width, |row, out| {
        let factor = factors[row];
        for (out, x) in out.iter_mut().zip(&xs[row * width..]) {
            *out = x * factor;
        }
    });
    tensor(scaled, (rows, width))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Large enough to be split among threads.
    #[test]
    fn host_and_composed_results_have_the_same_bits() {
        let x = Tensor::rand(-1f32, 1.0, (700, 129), &Device::Cpu).unwrap();
        let y = Tensor::rand(-1f32, 1.0, (700, 129), &Device::Cpu).unwrap();
        let bits = |t: &Tensor| -> Vec<u32> {
            let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
            values.iter().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(&add(&x, &y).unwrap()), bits(&(&x + &y).unwrap()));
        let factors: Vec<f32> = (0..700).map(|i| i as f32 / 7.0 - 50.0).collect();
        let column = Tensor::from_slice(&factors, (700, 1), &Device::Cpu).unwrap();
        let composed = x.broadcast_mul(&column).unwrap();
        assert_eq!(bits(&scale_rows(&x, &factors).unwrap()), bits(&composed));
    }

    #[test]
    fn other_shapes_and_counts_are_refused_and_other_types_computed() {
        let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let t = x.t().unwrap();
        assert!(add(&x, &t).is_err() && scale_rows(&x, &[1.0]).is_err());
        let x = x.to_dtype(DType::F64).unwrap();
        assert_eq!(add(&x, &x).unwrap().dtype(), DType::F64);
    }
}
