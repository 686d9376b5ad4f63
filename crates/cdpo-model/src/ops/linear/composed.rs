//! The linear layer on tensor operations, for any device and float type.

use candle_core::Tensor;

use super::{LoraRef, Result};
use crate::ops::gemm::{matmul_nn, matmul_nt, matmul_tn};
use crate::weight::Weight;

/// See [`super::forward`].
pub(crate) fn forward(
    x: &Tensor,
    w: &Weight,
    bias: Option<&Tensor>,
    lora: &[LoraRef<'_>],
) -> Result<Tensor> {
    let mut y = w.times(x)?;
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    for lora in lora {
        let z = matmul_nt(&dropped(x, lora)?, lora.a)?;
        y = (y + (matmul_nt(&z, lora.b)? * f64::from(lora.scale))?)?;
    }
    Ok(y)
}

fn dropped(x: &Tensor, lora: &LoraRef<'_>) -> Result<Tensor> {
    match &lora.dropout {
        Some(dropout) => Ok((x * dropout.mask_like(x)?)?),
        None => Ok(x.clone()),
    }
}

/// `dW = dy^T x`.
pub(crate) fn weight_grad(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    matmul_tn(dy, x)
}

/// `(dA, dB)`: `dB = scale dy^T (drop(x) A^T)`, `dA = (scale dy B)^T drop(x)`.
pub(crate) fn lora_grads(dy: &Tensor, x: &Tensor, lora: &LoraRef<'_>) -> Result<(Tensor, Tensor)> {
    let x = dropped(x, lora)?;
    let dy = (dy * f64::from(lora.scale))?;
    let z = matmul_nt(&x, lora.a)?;
    let dz = matmul_nn(&dy, lora.b)?;
    Ok((matmul_tn(&dz, &x)?, matmul_tn(&dy, &z)?))
}

/// `dx = dy W + sum_i mask_i * (scale_i dy B_i A_i)`.
pub(crate) fn input_grad(
    dy: &Tensor,
    x: &Tensor,
    w: &Weight,
    lora: &[LoraRef<'_>],
) -> Result<Tensor> {
    let mut dx = w.back(dy)?;
    for lora in lora {
        let dz = (matmul_nn(dy, lora.b)? * f64::from(lora.scale))?;
        let mut through = matmul_nn(&dz, lora.a)?;
        if let Some(dropout) = &lora.dropout {
            through = (through * dropout.mask_like(x)?)?;
        }
        dx = (dx + through)?;
    }
    Ok(dx)
}
