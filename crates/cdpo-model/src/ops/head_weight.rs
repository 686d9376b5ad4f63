//! Gradient of a trained head: the one place where the softmax over the vocabulary is computed again in the backward.
//!
//! For a loss with derivatives `g_r = d loss / d logp_r`, `d loss / d W = sum_r g_r (e_(y_r) - p_r) h_r^T`, `[V, H]`.

use candle_core::{D, Tensor};

use super::gemm::matmul_tn;
use super::head::host_weight_grad;
use super::host::{accumulate, is_host_f32};
use crate::error::Result;
use crate::weight::Weight;

/// Bytes of logits that exist at one time.
const CHUNK_BYTES: usize = 128 << 20;

/// Adds `d loss / d W` into `into` `[V, H]`, for hidden states `h` `[R, H]`, targets `[R]` and derivatives `dlogps` `[R]`.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn weight_grad(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    dlogps: &[f32],
    into: &mut [f32],
) -> Result<()> {
    if is_host_f32(h) {
        return host_weight_grad(h, w, targets, dlogps, into);
    }
    let (vocab, width) = w.shape();
    let rows = (CHUNK_BYTES / (vocab * size_of::<f32>())).max(1);
    for first in (0..targets.len()).step_by(rows) {
        let count = rows.min(targets.len() - first);
        let h = h.narrow(0, first, count)?.contiguous()?;
        let logits = w.times(&h)?;
        let e = logits
            .broadcast_sub(&logits.max_keepdim(D::Minus1)?)?
            .exp()?;
        let g = Tensor::from_slice(&dlogps[first..first + count], (count, 1), h.device())?
            .to_dtype(h.dtype())?;
        let factor = (g / e.sum_keepdim(D::Minus1)?)?.neg()?;
        accumulate(into, &matmul_tn(&e.broadcast_mul(&factor)?, &h)?)?;
        let host: Vec<Vec<f32>> = h.to_dtype(candle_core::DType::F32)?.to_vec2()?;
        for ((h, &target), g) in host.iter().zip(&targets[first..]).zip(&dlogps[first..]) {
            for (sum, h) in into[target as usize * width..][..width].iter_mut().zip(h) {
                *sum += g * h;
            }
        }
    }
    Ok(())
}
