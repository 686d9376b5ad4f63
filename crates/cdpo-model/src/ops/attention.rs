//! Forest attention with grouped queries: each row attends to its own path, itself included.
//!
//! Goes in: rotated queries `[N, query heads * dim]`, rotated keys and values `[N, kv heads * dim]` and the forest of the
//! `N` rows. Comes out: `[N, query heads * dim]` and, for the backward pass, the log-sum-exp of each row and head.
//! Query head `h` reads key/value head `h / (query heads / kv heads)`; scores are scaled by `1 / sqrt(dim)`.

mod composed;
mod forest;
pub(crate) mod lanes;
mod tile;

pub(crate) use tile::TILE;

use candle_core::Tensor;

use crate::error::Result;
use crate::forest::TokenForest;
use crate::ops::host::{HostSlice, contiguous, is_host_f32, tensor};

/// Head counts and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Query heads, a multiple of `kv`.
    pub(crate) query: usize,
    /// Key/value heads.
    pub(crate) kv: usize,
    /// Size of a head.
    pub(crate) dim: usize,
}

/// A forest's attention pattern, prepared once for all layers.
#[derive(Debug)]
pub(crate) struct Pattern {
    paths: forest::Paths,
    mask: std::sync::OnceLock<Tensor>,
    forest: TokenForest,
}

impl Pattern {
    /// Prepares the pattern of `forest`.
    pub(crate) fn new(forest: &TokenForest) -> Self {
        Self {
            paths: forest::Paths::new(forest),
            mask: std::sync::OnceLock::new(),
            forest: forest.clone(),
        }
    }
}

/// What [`backward`] needs besides the op's inputs.
#[derive(Debug, Clone)]
pub(crate) struct Attended {
    /// The output, `[N, query heads * dim]`.
    pub(crate) out: Tensor,
    /// Log-sum-exp of the scores, `[N, query heads]`.
    pub(crate) lse: Tensor,
}

/// Attention output and what its backward needs.
///
/// # Errors
/// If the shapes do not match the heads and the pattern.
pub(crate) fn forward(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    pattern: &Pattern,
    heads: Heads,
) -> Result<Attended> {
    if !is_host_f32(q) {
        return composed::forward(q, k, v, pattern, heads);
    }
    let rows = q.dim(0)?;
    let (q, k, v) = (contiguous(q)?, contiguous(k)?, contiguous(v)?);
    let (q, k, v) = (
        HostSlice::new(&q)?,
        HostSlice::new(&k)?,
        HostSlice::new(&v)?,
    );
    let (out, lse) = forest::forward(&q, &k, &v, &pattern.paths, heads);
    Ok(Attended {
        out: tensor(out, (rows, heads.query * heads.dim))?,
        lse: tensor(lse, (rows, heads.query))?,
    })
}

/// Attention of rows over any keys under an additive mask `[rows, keys]`, on any device.
pub(crate) fn masked(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: &Tensor,
    heads: Heads,
) -> Result<Tensor> {
    Ok(composed::masked(q, k, v, mask, heads)?.out)
}

/// Gradients `(dq, dk, dv)` of the inputs, given the gradient of the output.
///
/// # Errors
/// If the shapes do not match.
pub(crate) fn backward(
    dout: &Tensor,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    attended: &Attended,
    pattern: &Pattern,
    heads: Heads,
) -> Result<(Tensor, Tensor, Tensor)> {
    if !is_host_f32(q) {
        return composed::backward(dout, q, k, v, attended, pattern, heads);
    }
    let rows = q.dim(0)?;
    let (dout, q, k, v) = (
        contiguous(dout)?,
        contiguous(q)?,
        contiguous(k)?,
        contiguous(v)?,
    );
    let (dout, q, k, v) = (
        HostSlice::new(&dout)?,
        HostSlice::new(&q)?,
        HostSlice::new(&k)?,
        HostSlice::new(&v)?,
    );
    let (out, lse) = (
        HostSlice::new(&attended.out)?,
        HostSlice::new(&attended.lse)?,
    );
    let inputs = forest::AttentionActivations {
        q: &q,
        k: &k,
        v: &v,
        out: &out,
        lse: &lse,
    };
    let (dq, dk, dv) = forest::backward(&dout, inputs, &pattern.paths, heads);
    let narrow = heads.kv * heads.dim;
    Ok((
        tensor(dq, (rows, heads.query * heads.dim))?,
        tensor(dk, (rows, narrow))?,
        tensor(dv, (rows, narrow))?,
    ))
}

#[cfg(test)]
mod tests;
