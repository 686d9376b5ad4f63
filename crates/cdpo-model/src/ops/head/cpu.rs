//! The head over `f32` slices.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Result, Standing, not_finite, rows_per_chunk};
use crate::ops::gemm::{MatRef, Rhs, gemm};
use crate::ops::host::{HostSlice, contiguous, tensor};
use crate::ops::simd::{self, Isa, Kernel, LANES};
use crate::weight::Weight;

/// See [`super::token_logps`].
pub(crate) fn token_logps(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<Vec<f32>> {
    let mut logps = Vec::with_capacity(targets.len());
    by_chunk(h, w, targets, chunk_bytes, &mut |_, _, sums| {
        logps.extend(sums.iter().map(|sum| sum.logp));
    })?;
    Ok(logps)
}

/// See [`super::token_standings`].
pub(crate) fn token_standings(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    best: usize,
    chunk_bytes: usize,
) -> Result<(Vec<f32>, Vec<Standing>)> {
    let (vocab, _) = w.shape();
    let mut logps = Vec::with_capacity(targets.len());
    let mut standings = Vec::with_capacity(targets.len());
    by_chunk(h, w, targets, chunk_bytes, &mut |logits, targets, sums| {
        logps.extend(sums.iter().map(|sum| sum.logp));
        let rows = logits.par_chunks(vocab).zip(targets).zip(sums);
        standings.par_extend(rows.map(|((row, &target), sum)| {
            let log_sum = f64::from(row[target as usize]) - f64::from(sum.logp);
            Standing::of(row, target, log_sum, best)
        }));
    })?;
    Ok((logps, standings))
}

/// Takes a chunk's logits `[N, V]`, targets `[N]` and reduced rows `[N]`.
type TakeChunk<'a> = dyn FnMut(&[f32], &[u32], &[RowSum]) + 'a;

/// Hands every chunk's logits with its targets and reduced rows to `take`, in order.
fn by_chunk(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
    take: &mut TakeChunk<'_>,
) -> Result<()> {
    let h = contiguous(h)?;
    let (rows, width) = h.dims2()?;
    let (vocab, _) = w.shape();
    let hs = HostSlice::new(&h)?;
    let dense = if w.packed().is_none() {
        Some(contiguous(w.dense()?)?)
    } else {
        None
    };
    let ws = dense.as_ref().map(HostSlice::new).transpose()?;
    let rhs = rhs(w, ws.as_deref(), vocab, width)?;
    let chunk = rows_per_chunk(chunk_bytes, vocab).min(rows.max(1));
    let mut logits = vec![0.0f32; chunk * vocab];
    for start in (0..rows).step_by(chunk) {
        let count = chunk.min(rows - start);
        let targets = &targets[start..start + count];
        let logits = &mut logits[..count * vocab];
        gemm(
            logits,
            MatRef::new(&hs[start * width..][..count * width], count, width)?,
            rhs,
            1.0,
            0.0,
        )?;
        let sums = row_sums(logits, vocab, targets, start, false)?;
        take(logits, targets, &sums);
    }
    Ok(())
}

/// See [`super::token_logps_grad`].
pub(crate) fn token_logps_grad(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<(Vec<f32>, Tensor)> {
    let h = contiguous(h)?;
    let (rows, width) = h.dims2()?;
    let (vocab, _) = w.shape();
    let hs = HostSlice::new(&h)?;
    let dense = contiguous(w.dense()?)?;
    let ws = HostSlice::new(&dense)?;
    let ws: &[f32] = &ws;
    let rhs = rhs(w, Some(ws), vocab, width)?;
    let chunk = rows_per_chunk(chunk_bytes, vocab).min(rows.max(1));
    let mut logits = vec![0.0f32; chunk * vocab];
    let mut logps = Vec::with_capacity(rows);
    let mut grad = vec![0.0f32; rows * width];
    for start in (0..rows).step_by(chunk) {
        let count = chunk.min(rows - start);
        let targets = &targets[start..start + count];
        let logits = &mut logits[..count * vocab];
        gemm(
            logits,
            MatRef::new(&hs[start * width..][..count * width], count, width)?,
            rhs,
            1.0,
            0.0,
        )?;
        let sums = row_sums(logits, vocab, targets, start, true)?;
        // sum_v e^(l_v - top) W[v]; dividing by the row's total here saves a pass over the logits.
        let grad = &mut grad[start * width..][..count * width];
        gemm(
            grad,
            MatRef::new(logits, count, vocab)?,
            Rhs::Dense(MatRef::new(ws, vocab, width)?),
            1.0,
            0.0,
        )?;
        grad.par_chunks_mut(width)
            .zip(targets)
            .zip(&sums)
            .for_each(|((g, &target), sum)| {
                let factor = (-1.0 / sum.total) as f32;
                let own = &ws[target as usize * width..][..width];
                simd::dispatch(Combine { g, own, factor });
            });
        logps.extend(sums.iter().map(|sum| sum.logp));
    }
    Ok((logps, tensor(grad, (rows, width))?))
}

/// See [`super::weight_grad`].
pub(crate) fn weight_grad(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    dlogps: &[f32],
    into: &mut [f32],
    chunk_bytes: usize,
) -> Result<()> {
    let h = contiguous(h)?;
    let (rows, width) = h.dims2()?;
    let (vocab, _) = w.shape();
    let hs = HostSlice::new(&h)?;
    let dense = if w.packed().is_none() {
        Some(contiguous(w.dense()?)?)
    } else {
        None
    };
    let ws = dense.as_ref().map(HostSlice::new).transpose()?;
    let rhs = rhs(w, ws.as_deref(), vocab, width)?;
    let chunk = rows_per_chunk(chunk_bytes, vocab).min(rows.max(1));
    let mut logits = vec![0.0f32; chunk * vocab];
    for start in (0..rows).step_by(chunk) {
        let count = chunk.min(rows - start);
        let logits = &mut logits[..count * vocab];
        let hidden = MatRef::new(&hs[start * width..][..count * width], count, width)?;
        gemm(logits, hidden, rhs, 1.0, 0.0)?;
        let (targets, dlogps) = (
            &targets[start..start + count],
            &dlogps[start..start + count],
        );
        let sums = row_sums(logits, vocab, targets, start, true)?;
        // g_r (e_(y_r) - p_r), in the place of e^(l - top).
        logits
            .par_chunks_mut(vocab)
            .zip(targets)
            .zip(dlogps.par_iter().zip(&sums))
            .for_each(|((e, &target), (&g, sum))| {
                simd::dispatch(Scale {
                    x: e,
                    factor: (-f64::from(g) / sum.total) as f32,
                });
                e[target as usize] += g;
            });
        let errors = MatRef::new(logits, count, vocab)?;
        gemm(into, errors.t(), Rhs::Dense(hidden), 1.0, 1.0)?;
    }
    Ok(())
}

pub(super) fn rhs<'a>(
    w: &'a Weight,
    dense: Option<&'a [f32]>,
    vocab: usize,
    width: usize,
) -> Result<Rhs<'a>> {
    Ok(match w.packed() {
        Some(packed) => Rhs::Packed(packed),
        None => Rhs::Dense(MatRef::new(dense.unwrap_or_default(), vocab, width)?.t()),
    })
}

/// What is left of a row of logits.
struct RowSum {
    /// `l_target - log sum_v e^(l_v)`.
    logp: f32,
    /// `sum_v e^(l_v - top)`.
    total: f64,
}

/// Reduces every row; with `keep`, the logits become `e^(l - top)`.
fn row_sums(
    logits: &mut [f32],
    vocab: usize,
    targets: &[u32],
    first: usize,
    keep: bool,
) -> Result<Vec<RowSum>> {
    logits
        .par_chunks_mut(vocab)
        .zip(targets)
        .enumerate()
        .map(|(i, (logits, &target))| {
            let at = logits[target as usize];
            let (low, top, total) = simd::dispatch(Reduce { logits, keep });
            if !(low.is_finite() && top.is_finite() && total.is_finite()) {
                return Err(not_finite(first + i, target));
            }
            Ok(RowSum {
                logp: (f64::from(at) - f64::from(top) - total.ln()) as f32,
                total,
            })
        })
        .collect()
}

/// Smallest and largest logit and `sum e^(l - largest)`, summed in blocks whose totals are added in `f64`. A NaN makes the
/// sum NaN.
struct Reduce<'a> {
    logits: &'a mut [f32],
    keep: bool,
}

/// Logits per block of the sum.
const BLOCK: usize = 32 * LANES;

impl Kernel for Reduce<'_> {
    type Output = (f32, f32, f64);

    #[inline(always)]
    fn run<I: Isa>(self) -> (f32, f32, f64) {
        let (low, top) = (simd::min(self.logits), simd::max(self.logits));
        let mut total = 0.0f64;
        for block in self.logits.chunks_mut(BLOCK) {
            let mut sums = [0.0f32; LANES];
            let (chunks, rest) = block.as_chunks_mut::<LANES>();
            for chunk in chunks {
                let mut e = [0.0f32; LANES];
                for i in 0..LANES {
                    e[i] = simd::exp::<I>(chunk[i] - top);
                    sums[i] += e[i];
                }
                if self.keep {
                    *chunk = e;
                }
            }
            for (i, l) in rest.iter_mut().enumerate() {
                let e = simd::exp::<I>(*l - top);
                sums[i] += e;
                if self.keep {
                    *l = e;
                }
            }
            total += f64::from(simd::fold(sums));
        }
        (low, top, total)
    }
}

/// `g = own + factor * g`.
struct Combine<'a> {
    g: &'a mut [f32],
    own: &'a [f32],
    factor: f32,
}

impl Kernel for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (g, &own) in self.g.iter_mut().zip(self.own) {
            *g = I::mul_add(self.factor, *g, own);
        }
    }
}

/// `x *= factor`.
struct Scale<'a> {
    x: &'a mut [f32],
    factor: f32,
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for x in self.x {
            *x *= self.factor;
        }
    }
}
