//! Linear layer with low-rank adapters: `y = x W^T + bias + sum_i scale_i (drop(x) A_i^T) B_i^T`, and its backward.
//!
//! Goes in: `x` `[N, in]`, `W` `[out, in]`, `bias` `[out]`, any number of adapters. Comes out: `y` `[N, out]`; backward `dx`
//! `[N, in]` on request, and gradients added into the slices given. A frozen weight's gradient is never computed.

use candle_core::Tensor;

use super::host::{HostSlice, accumulate, contiguous, is_host_f32, tensor};
use crate::error::{Error, Result};
use crate::weight::Weight;

mod composed;
mod cpu;
mod dropout;

pub use dropout::Dropout;

/// One adapter's pair of matrices at one linear layer (Hu et al. 2021, arXiv 2106.09685).
#[derive(Debug, Clone, Copy)]
pub struct LoraRef<'a> {
    /// `[r, in]`.
    pub a: &'a Tensor,
    /// `[out, r]`.
    pub b: &'a Tensor,
    /// Factor of the product, `alpha / r` (`alpha / sqrt(r)` for rank-stabilised adapters).
    pub scale: f32,
    /// Dropout on the adapter's input, if it is being trained with some.
    pub dropout: Option<Dropout<'a>>,
}

/// Where [`backward`] adds the gradient of one adapter.
#[derive(Debug)]
pub struct LoraGrads<'g> {
    /// Which of the adapters it is.
    pub index: usize,
    /// Gradient of `A`, `[r, in]`.
    pub a: &'g mut [f32],
    /// Gradient of `B`, `[out, r]`.
    pub b: &'g mut [f32],
}

/// Where [`backward`] adds parameter gradients; what is `None` is not computed.
#[derive(Debug, Default)]
pub struct LinearGrads<'g> {
    /// Gradient of the weight, `[out, in]`.
    pub weight: Option<&'g mut [f32]>,
    /// Gradient of the bias, `[out]`.
    pub bias: Option<&'g mut [f32]>,
    /// Gradient of one adapter.
    pub lora: Option<LoraGrads<'g>>,
}

impl<'g> From<LoraGrads<'g>> for LinearGrads<'g> {
    fn from(lora: LoraGrads<'g>) -> Self {
        Self {
            lora: Some(lora),
            ..Self::default()
        }
    }
}

/// `y = x W^T + bias + sum_i scale_i (drop(x) A_i^T) B_i^T`.
///
/// # Errors
/// If the shapes do not fit.
pub fn forward(
    x: &Tensor,
    w: &Weight,
    bias: Option<&Tensor>,
    lora: &[LoraRef<'_>],
) -> Result<Tensor> {
    if is_host_f32(x) {
        cpu::forward(x, w, bias, lora)
    } else {
        composed::forward(x, w, bias, lora)
    }
}

/// Gradients of [`forward`] for the upstream gradient `dy` `[N, out]`: parameter gradients are added into `grads`; returns
/// `dx` `[N, in]` if `need_dx`.
///
/// # Errors
/// If the shapes do not fit.
pub fn backward(
    dy: &Tensor,
    x: &Tensor,
    w: &Weight,
    lora: &[LoraRef<'_>],
    grads: LinearGrads<'_>,
    need_dx: bool,
) -> Result<Option<Tensor>> {
    if let Some(wanted) = &grads.lora
        && wanted.index >= lora.len()
    {
        return Err(Error::Invalid(format!(
            "linear: gradient of adapter {} wanted, {} given",
            wanted.index,
            lora.len()
        )));
    }
    if is_host_f32(x) {
        return cpu::backward(dy, x, w, lora, grads, need_dx);
    }
    if let Some(into) = grads.weight {
        accumulate(into, &composed::weight_grad(dy, x)?)?;
    }
    if let Some(into) = grads.bias {
        accumulate(into, &dy.sum(0)?)?;
    }
    if let Some(into) = grads.lora {
        let (da, db) = composed::lora_grads(dy, x, &lora[into.index])?;
        accumulate(into.a, &da)?;
        accumulate(into.b, &db)?;
    }
    need_dx
        .then(|| composed::input_grad(dy, x, w, lora))
        .transpose()
}

#[cfg(test)]
mod tests;
