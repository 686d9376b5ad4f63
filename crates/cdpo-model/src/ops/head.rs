//! Log-probability head: `log softmax(h W^T)[target]` per row, and its gradient with respect to the hidden state.
//!
//! Goes in: hidden states `h` `[R, H]` of the rows that have a target, `W` `[V, H]`, one target id per row. Comes out:
//! `token_logps` `[R]` and `d logp_r / d h_r = W[y_r] - sum_v p_v W[v]` `[R, H]`. Rows go in chunks of bounded size; no
//! `[R, V]` tensor exists.

use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

use super::gemm::{MatRef, Rhs, gemm, matmul_nn, matmul_nt};
use super::host::{HostSlice, contiguous, is_host_f32, tensor};
use crate::error::{Error, Result};
use crate::weight::Weight;

/// Bytes of logits that exist at one time.
const CHUNK_BYTES: usize = 128 << 20;

/// Log-probability of `targets[r]` under `softmax(h_r W^T)`, for each row.
///
/// # Errors
/// If the shapes do not fit, a target is beyond the vocabulary, or a logit is not finite (the message names the row).
pub fn token_logps(h: &Tensor, w: &Weight, targets: &[u32]) -> Result<Vec<f32>> {
    check(h, w, targets)?;
    if is_host_f32(h) {
        return Ok(cpu(h, w, targets, false)?.0);
    }
    Ok(composed(h, w.dense()?, targets, false)?.0)
}

/// As [`token_logps`], with `d logp_r / d h_r` `[R, H]`.
///
/// # Errors
/// As [`token_logps`].
pub fn token_logps_grad(h: &Tensor, w: &Weight, targets: &[u32]) -> Result<(Vec<f32>, Tensor)> {
    check(h, w, targets)?;
    let (logps, grad) =
        if is_host_f32(h) { cpu(h, w, targets, true)? } else { composed(h, w.dense()?, targets, true)? };
    match grad {
        Some(grad) => Ok((logps, grad)),
        None => Ok((logps, h.zeros_like()?)),
    }
}

fn check(h: &Tensor, w: &Weight, targets: &[u32]) -> Result<()> {
    let (rows, width) = h.dims2()?;
    let (vocab, in_features) = w.shape();
    if rows != targets.len() || width != in_features {
        return Err(Error::Invalid(format!(
            "head: hidden states [{rows}, {width}] do not fit {} targets and a head [{vocab}, {in_features}]",
            targets.len()
        )));
    }
    match targets.iter().position(|&t| t as usize >= vocab) {
        Some(row) => {
            Err(Error::Invalid(format!("head: target {} of row {row} is beyond the vocabulary of {vocab}", targets[row])))
        }
        None => Ok(()),
    }
}

fn cpu(h: &Tensor, w: &Weight, targets: &[u32], with_grad: bool) -> Result<(Vec<f32>, Option<Tensor>)> {
    let h = contiguous(h)?;
    let (rows, width) = h.dims2()?;
    let (vocab, _) = w.shape();
    let hs = HostSlice::new(&h)?;
    let dense = if with_grad || w.packed().is_none() { Some(contiguous(w.dense()?)?) } else { None };
    let ws = dense.as_ref().map(HostSlice::new).transpose()?;
    let chunk = (CHUNK_BYTES / 4 / vocab.max(1)).max(1).min(rows.max(1));
    let mut logits = vec![0.0f32; chunk * vocab];
    let mut logps = vec![0.0f32; rows];
    let mut grad = if with_grad { vec![0.0f32; rows * width] } else { Vec::new() };
    for start in (0..rows).step_by(chunk) {
        let count = chunk.min(rows - start);
        let logits = &mut logits[..count * vocab];
        let x = MatRef::new(&hs[start * width..(start + count) * width], count, width)?;
        let rhs = match (w.packed(), &ws) {
            (Some(packed), _) => Rhs::Packed(packed),
            (None, Some(ws)) => Rhs::Dense(MatRef::new(ws, vocab, width)?.t()),
            (None, None) => return Err(Error::Invalid("head: weight has no values".into())),
        };
        gemm(logits, x, rhs, 1.0, 0.0)?;
        logps[start..start + count]
            .par_iter_mut()
            .zip(logits.par_chunks_mut(vocab))
            .enumerate()
            .try_for_each(|(i, (logp, row))| {
                let target = targets[start + i] as usize;
                let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let at = row[target];
                let total: f64 = row.iter().map(|&l| f64::from((l - top).exp())).sum();
                if !total.is_finite() || !top.is_finite() {
                    return Err(Error::NotFinite(format!("a logit of row {} (target {target})", start + i)));
                }
                *logp = (f64::from(at - top) - total.ln()) as f32;
                if with_grad {
                    let inverse = 1.0 / total;
                    for l in row.iter_mut() {
                        *l = (f64::from((*l - top).exp()) * inverse) as f32;
                    }
                }
                Ok(())
            })?;
        if let (true, Some(ws)) = (with_grad, &ws) {
            let out = &mut grad[start * width..(start + count) * width];
            for (g, &target) in out.chunks_mut(width).zip(&targets[start..]) {
                g.copy_from_slice(&ws[target as usize * width..(target as usize + 1) * width]);
            }
            gemm(out, MatRef::new(logits, count, vocab)?, Rhs::Dense(MatRef::new(ws, vocab, width)?), -1.0, 1.0)?;
        }
    }
    let grad = if with_grad { Some(tensor(grad, (rows, width))?) } else { None };
    Ok((logps, grad))
}

/// The same on tensor operations, for any device and float type.
pub(crate) fn composed(
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
    with_grad: bool,
) -> Result<(Vec<f32>, Option<Tensor>)> {
    let (logps, grad) = composed_tensors(h, w, targets, with_grad)?;
    let logps = logps.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
    Ok((logps, grad))
}

/// [`composed`] with the log-probabilities left in the float type of `h`.
pub(crate) fn composed_tensors(
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
    with_grad: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let (rows, _) = h.dims2()?;
    let (vocab, _) = w.dims2()?;
    let chunk = (CHUNK_BYTES / 4 / vocab.max(1)).max(1);
    let (mut logps, mut grads) = (Vec::new(), Vec::new());
    for start in (0..rows).step_by(chunk) {
        let count = chunk.min(rows - start);
        let logits = matmul_nt(&h.narrow(0, start, count)?, w)?;
        let ids = Tensor::new(&targets[start..start + count], h.device())?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
        let e = shifted.exp()?;
        let total = e.sum_keepdim(D::Minus1)?;
        let at = shifted.gather(&ids.unsqueeze(1)?, 1)?;
        let logp = (at - total.log()?)?.squeeze(1)?;
        let host = logp.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
        if let Some(i) = host.iter().position(|l| !l.is_finite()) {
            return Err(Error::NotFinite(format!("a logit of row {} (target {})", start + i, targets[start + i])));
        }
        logps.push(logp);
        if with_grad {
            let p = e.broadcast_div(&total)?;
            grads.push((w.index_select(&ids, 0)? - matmul_nn(&p, w)?)?);
        }
    }
    if logps.is_empty() {
        let empty = Tensor::zeros(0, h.dtype(), h.device())?;
        return Ok((empty, with_grad.then(|| h.zeros_like()).transpose()?));
    }
    let grads = if with_grad { Some(Tensor::cat(&grads, 0)?) } else { None };
    Ok((Tensor::cat(&logps, 0)?, grads))
}
