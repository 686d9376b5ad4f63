//! The walk over rows of hidden states in chunks of bounded size, with each chunk's logits: what all CPU heads have in common.

use std::ops::Range;

use candle_core::Tensor;

use super::{Result, rows_per_chunk};
use crate::ops::gemm::MatRef;
use crate::ops::host::{HostSlice, contiguous};
use crate::weight::HostWeight;

/// Some rows under each of `M` models that share a head.
pub(super) struct Chunk<'a, const M: usize> {
    /// Which rows of the whole.
    pub(super) rows: Range<usize>,
    /// Their targets.
    pub(super) targets: &'a [u32],
    /// Their hidden states, `[rows, H]`.
    pub(super) hidden: [&'a [f32]; M],
    /// Their logits, `[rows, V]`, to work in.
    pub(super) logits: [&'a mut [f32]; M],
}

/// Hands every chunk of the rows of `hidden` (`[R, H]` each) and `targets` (`[R]`) to `take`, in order. All logits of a chunk
/// together fit `bytes`, unless one row alone is larger; their buffers are made once.
///
/// # Errors
/// If the shapes do not fit, and those of `take`.
pub(super) fn by_chunk<const M: usize>(
    hidden: [&Tensor; M],
    w: &HostWeight<'_>,
    targets: &[u32],
    bytes: usize,
    mut take: impl FnMut(Chunk<'_, M>) -> Result<()>,
) -> Result<()> {
    let hidden: Vec<Tensor> = hidden.into_iter().map(contiguous).collect::<Result<_>>()?;
    let slices: Vec<HostSlice<'_>> = hidden.iter().map(HostSlice::new).collect::<Result<_>>()?;
    let (vocab, width) = w.shape();
    let rows = targets.len();
    let step = rows_per_chunk(bytes / M.max(1), vocab).min(rows.max(1));
    let mut buffers: [Vec<f32>; M] = std::array::from_fn(|_| vec![0.0f32; step * vocab]);
    for start in (0..rows).step_by(step) {
        let count = step.min(rows - start);
        let here = start * width..(start + count) * width;
        let mut logits = buffers
            .each_mut()
            .map(|logits| &mut logits[..count * vocab]);
        for (slice, logits) in slices.iter().zip(&mut logits) {
            w.times_into(MatRef::new(&slice[here.clone()], count, width)?, logits)?;
        }
        take(Chunk {
            rows: start..start + count,
            targets: &targets[start..start + count],
            hidden: std::array::from_fn(|model| &slices[model][here.clone()]),
            logits,
        })?;
    }
    Ok(())
}
