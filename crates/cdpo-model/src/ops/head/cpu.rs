//! The head over `f32` slices.

use candle_core::Tensor;
use rayon::prelude::*;

use super::chunks::{Chunk, by_chunk};
use super::{Result, Standing, not_finite};
use crate::ops::gemm::{MatRef, Rhs, gemm};
use crate::ops::host::tensor;
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
    by_chunk([h], &w.on_host()?, targets, chunk_bytes, |chunk| {
        logps.extend(row_sums(chunk, false)?.sums.iter().map(|sum| sum.logp));
        Ok(())
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
    by_chunk([h], &w.on_host()?, targets, chunk_bytes, |chunk| {
        let reduced = row_sums(chunk, false)?;
        logps.extend(reduced.sums.iter().map(|sum| sum.logp));
        let rows = reduced.logits.par_chunks(vocab).zip(reduced.targets);
        standings.par_extend(rows.zip(&reduced.sums).map(|((row, &target), sum)| {
            let log_sum = f64::from(row[target as usize]) - f64::from(sum.logp);
            Standing::of(row, target, log_sum, best)
        }));
        Ok(())
    })?;
    Ok((logps, standings))
}

/// See [`super::token_logps_grad`].
pub(crate) fn token_logps_grad(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<(Vec<f32>, Tensor)> {
    let w = w.on_host()?.reversible()?;
    let (vocab, width) = w.shape();
    let rows = targets.len();
    let mut logps = Vec::with_capacity(rows);
    let mut grad = vec![0.0f32; rows * width];
    by_chunk([h], &w, targets, chunk_bytes, |chunk| {
        let grad = &mut grad[chunk.rows.start * width..chunk.rows.end * width];
        let Reduced {
            logits,
            targets,
            sums,
            ..
        } = row_sums(chunk, true)?;
        // sum_v e^(l_v - top) W[v]; dividing by the row's total here saves a pass over the logits.
        w.back_into(MatRef::new(logits, targets.len(), vocab)?, grad)?;
        grad.par_chunks_mut(width)
            .zip(targets)
            .zip(&sums)
            .try_for_each(|((g, &target), sum)| {
                let factor = (-1.0 / sum.total) as f32;
                w.with_row(target, |own| simd::dispatch(Combine { g, own, factor }))
            })?;
        logps.extend(sums.iter().map(|sum| sum.logp));
        Ok(())
    })?;
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
    let (vocab, width) = w.shape();
    by_chunk([h], &w.on_host()?, targets, chunk_bytes, |chunk| {
        let dlogps = &dlogps[chunk.rows.clone()];
        let Reduced {
            hidden,
            logits,
            targets,
            sums,
        } = row_sums(chunk, true)?;
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
        let errors = MatRef::new(logits, targets.len(), vocab)?;
        let hidden = MatRef::new(hidden, targets.len(), width)?;
        gemm(into, errors.t(), Rhs::Dense(hidden), 1.0, 1.0)
    })
}

/// A chunk whose rows are reduced.
struct Reduced<'a> {
    hidden: &'a [f32],
    logits: &'a mut [f32],
    targets: &'a [u32],
    sums: Vec<RowSum>,
}

/// What is left of a row of logits.
struct RowSum {
    /// `l_target - log sum_v e^(l_v)`.
    logp: f32,
    /// `sum_v e^(l_v - top)`.
    total: f64,
}

/// Reduces every row; with `keep`, the logits become `e^(l - top)`.
fn row_sums(chunk: Chunk<'_, 1>, keep: bool) -> Result<Reduced<'_>> {
    let Chunk {
        rows,
        targets,
        hidden: [hidden],
        logits: [logits],
    } = chunk;
    let vocab = logits.len() / targets.len();
    let sums = logits
        .par_chunks_mut(vocab)
        .zip(targets)
        .enumerate()
        .map(|(i, (logits, &target))| {
            let at = logits[target as usize];
            let (low, top, total) = simd::dispatch(Reduce { logits, keep });
            if !(low.is_finite() && top.is_finite() && total.is_finite()) {
                return Err(not_finite(rows.start + i, target));
            }
            Ok(RowSum {
                logp: (f64::from(at) - f64::from(top) - total.ln()) as f32,
                total,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Reduced {
        hidden,
        logits,
        targets,
        sums,
    })
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
