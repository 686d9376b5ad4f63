//! Log-probability head: `log softmax(h W^T)[target]` per row, and its gradient with respect to the hidden state.
//!
//! Goes in: hidden states `h` `[R, H]` of the rows that have a target, `W` `[V, H]`, one target id per row. Comes out:
//! `token_logps` `[R]` and `d logp_r / d h_r = W[y_r] - sum_v p_v W[v]` `[R, H]`: linear in the one upstream scalar of the
//! row, so that the backward of any loss over log-probabilities is a scaling of rows. Rows go in chunks of bounded
//! size; no `[R, V]` tensor exists.

use candle_core::Tensor;

use super::host::is_host_f32;
use crate::error::{Error, Result};
use crate::weight::Weight;

mod chunks;
mod composed;
mod cpu;
mod divergence;
mod standing;

pub(crate) use divergence::{Divergence, token_logps_kl_grad};
pub use standing::Standing;

/// Bytes of logits that exist at one time: long enough for a weight to be worth reading (and, if it is not packed
/// already, packing) once for every chunk, short enough to be reused from near memory.
const CHUNK_BYTES: usize = 64 << 20;

/// Log-probability of `targets[r]` under `softmax(h_r W^T)`, for each row.
///
/// # Errors
/// If the shapes do not fit, a target is beyond the vocabulary, or a logit is not finite (the message names the row).
pub fn token_logps(h: &Tensor, w: &Weight, targets: &[u32]) -> Result<Vec<f32>> {
    check(h, w, targets)?;
    if !is_host_f32(h) {
        return composed::token_logps(h, w, targets, CHUNK_BYTES);
    }
    cpu::token_logps(h, w, targets, CHUNK_BYTES)
}

/// As [`token_logps`], the same bits, with where each target stands: its rank, and the `best` most probable other tokens.
///
/// # Errors
/// As [`token_logps`].
pub(crate) fn token_standings(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    best: usize,
) -> Result<(Vec<f32>, Vec<Standing>)> {
    check(h, w, targets)?;
    if is_host_f32(h) {
        cpu::token_standings(h, w, targets, best, CHUNK_BYTES)
    } else {
        composed::token_standings(h, w, targets, best, CHUNK_BYTES)
    }
}

/// As [`token_logps`], with `d logp_r / d h_r` `[R, H]`.
///
/// # Errors
/// As [`token_logps`], and if the weight's dense form is gone.
pub fn token_logps_grad(h: &Tensor, w: &Weight, targets: &[u32]) -> Result<(Vec<f32>, Tensor)> {
    check(h, w, targets)?;
    if is_host_f32(h) {
        cpu::token_logps_grad(h, w, targets, CHUNK_BYTES)
    } else {
        composed::token_logps_grad(h, w, targets, CHUNK_BYTES)
    }
}

/// The host `f32` kernel of [`super::head_weight::weight_grad`]: adds `sum_r g_r (e_(y_r) - p_r) h_r^T` into `into` `[V, H]`.
///
/// # Errors
/// As [`token_logps`], and if there are not as many derivatives as targets or `into` has another size.
pub(crate) fn host_weight_grad(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    dlogps: &[f32],
    into: &mut [f32],
) -> Result<()> {
    check(h, w, targets)?;
    if dlogps.len() != targets.len() {
        return Err(Error::Invalid(format!(
            "head: {} derivatives for {} targets",
            dlogps.len(),
            targets.len()
        )));
    }
    cpu::weight_grad(h, w, targets, dlogps, into, CHUNK_BYTES)
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
        Some(row) => Err(Error::Invalid(format!(
            "head: target {} of row {row} is beyond the vocabulary of {vocab}",
            targets[row]
        ))),
        None => Ok(()),
    }
}

/// Rows of a vocabulary whose logits exist at one time.
pub(crate) fn rows_at_once(vocab: usize) -> usize {
    rows_per_chunk(CHUNK_BYTES, vocab)
}

/// Rows whose logits fit the budget, at least one. More than a few hundred rows win nothing, unless their logits are small
/// enough to stay in near memory.
fn rows_per_chunk(bytes: usize, vocab: usize) -> usize {
    const ENOUGH: usize = 160;
    const NEAR_BYTES: usize = 4 << 20;
    let row = vocab.max(1) * size_of::<f32>();
    (bytes / row).min(ENOUGH.max(NEAR_BYTES / row)).max(1)
}

fn not_finite(row: usize, target: u32) -> Error {
    Error::NotFinite(format!(
        "a logit of row {row} (target {target}); look for a diverged adapter or a damaged head or checkpoint"
    ))
}

#[cfg(test)]
mod tests;
