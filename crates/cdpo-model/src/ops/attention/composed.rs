//! Forest attention composed of tensor-library calls, for any device and float type, with the forest as a mask.

use candle_core::{D, Tensor};

use super::{Attended, Heads, Pattern};
use crate::error::Result;
use crate::forest::TokenForest;

/// Additive mask `[N, N]`: 0 where the row's path holds the key, negative infinity elsewhere.
fn mask(forest: &TokenForest) -> Vec<f32> {
    let n = forest.rows();
    let mut mask = vec![f32::NEG_INFINITY; n * n];
    for (i, segment) in forest.segments().iter().enumerate() {
        let ancestors = forest.path(crate::SegmentId(i));
        for row in segment.rows() {
            for &a in &ancestors {
                let a = forest.segment(a);
                mask[row * n + a.first_row..row * n + a.rows().end.min(row + 1)].fill(0.0);
            }
        }
    }
    mask
}

fn mask_like(pattern: &Pattern, q: &Tensor) -> Result<Tensor> {
    if let Some(mask) = pattern.mask.get()
        && mask.dtype() == q.dtype()
        && mask.device().same_device(q.device())
    {
        return Ok(mask.clone());
    }
    let n = pattern.forest.rows();
    let made = Tensor::from_vec(mask(&pattern.forest), (n, n), q.device())?.to_dtype(q.dtype())?;
    let _ = pattern.mask.set(made.clone());
    Ok(made)
}

/// `[N, heads * dim]` to `[heads, N, dim]`.
fn by_head(x: &Tensor, heads: usize, dim: usize) -> Result<Tensor> {
    Ok(x.reshape((x.dim(0)?, heads, dim))?
        .transpose(0, 1)?
        .contiguous()?)
}

/// `[heads, N, dim]` to `[N, heads * dim]`.
fn by_row(x: &Tensor) -> Result<Tensor> {
    let (heads, n, dim) = x.dims3()?;
    Ok(x.transpose(0, 1)?.contiguous()?.reshape((n, heads * dim))?)
}

/// Each key/value head once per query head of its group: `[kv, N, dim]` to `[query, N, dim]`.
fn repeat(x: &Tensor, heads: Heads) -> Result<Tensor> {
    let (kv, n, dim) = x.dims3()?;
    let group = heads.query / kv;
    Ok(x.unsqueeze(1)?
        .expand((kv, group, n, dim))?
        .contiguous()?
        .reshape((heads.query, n, dim))?)
}

/// The transpose of [`repeat`]: sums a group's gradients.
fn sum_group(x: &Tensor, heads: Heads) -> Result<Tensor> {
    let (_, n, dim) = x.dims3()?;
    Ok(x.reshape((heads.kv, heads.query / heads.kv, n, dim))?
        .sum(1)?)
}

fn scores(q: &Tensor, k: &Tensor, mask: &Tensor, heads: Heads) -> Result<Tensor> {
    let scale = 1.0 / (heads.dim as f64).sqrt();
    Ok((q.matmul(&k.t()?)? * scale)?.broadcast_add(mask)?)
}

pub(super) fn forward(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    pattern: &Pattern,
    heads: Heads,
) -> Result<Attended> {
    masked(q, k, v, &mask_like(pattern, q)?, heads)
}

/// Attention of `N` query rows over `M` keys under an additive mask `[N, M]`.
pub(super) fn masked(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: &Tensor,
    heads: Heads,
) -> Result<Attended> {
    let q = by_head(q, heads.query, heads.dim)?;
    let k = repeat(&by_head(k, heads.kv, heads.dim)?, heads)?;
    let v = repeat(&by_head(v, heads.kv, heads.dim)?, heads)?;
    let s = scores(&q, &k, mask, heads)?;
    let top = s.max_keepdim(D::Minus1)?;
    let e = s.broadcast_sub(&top)?.exp()?;
    let sum = e.sum_keepdim(D::Minus1)?;
    let out = by_row(&e.broadcast_div(&sum)?.matmul(&v)?)?;
    let lse = (top + sum.log()?)?.squeeze(2)?.t()?.contiguous()?;
    Ok(Attended { out, lse })
}

pub(super) fn backward(
    dout: &Tensor,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    attended: &Attended,
    pattern: &Pattern,
    heads: Heads,
) -> Result<(Tensor, Tensor, Tensor)> {
    let scale = 1.0 / (heads.dim as f64).sqrt();
    let q = by_head(q, heads.query, heads.dim)?;
    let k = repeat(&by_head(k, heads.kv, heads.dim)?, heads)?;
    let v = repeat(&by_head(v, heads.kv, heads.dim)?, heads)?;
    let dout_heads = by_head(dout, heads.query, heads.dim)?;
    let lse = attended.lse.t()?.contiguous()?.unsqueeze(2)?;
    let p = scores(&q, &k, &mask_like(pattern, &q)?, heads)?
        .broadcast_sub(&lse)?
        .exp()?;
    let dv = p.t()?.contiguous()?.matmul(&dout_heads)?;
    let dp = dout_heads.matmul(&v.t()?.contiguous()?)?;
    let delta = (dp.clone() * &p)?.sum_keepdim(D::Minus1)?;
    let ds = ((dp.broadcast_sub(&delta)? * p)? * scale)?;
    let dq = ds.matmul(&k)?;
    let dk = ds.t()?.contiguous()?.matmul(&q)?;
    Ok((
        by_row(&dq)?,
        by_row(&sum_group(&dk, heads)?)?,
        by_row(&sum_group(&dv, heads)?)?,
    ))
}
