//! Attention of a run of packed rows over their own key paths, tile by tile.
//!
//! Goes in: rotated queries, and a [`Keys`] that knows which keys each row sees. Comes out: the attention output and the
//! log-sum-exp of each row and head. Rows whose paths share a tile fold it together as one small matrix product.

use rayon::prelude::*;

use super::Heads;
use super::tile::{TILE, accumulate, scores, softmax_step};
use crate::ops::simd::{self, Isa, Kernel};

/// A tile of one key/value head in the layouts that the kernels read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// Keys, transposed: `[head_dim, TILE]`.
    pub(crate) keys: &'a [f32],
    /// Values: `[TILE, head_dim]`.
    pub(crate) values: &'a [f32],
}

/// Where a tile is assembled.
#[derive(Debug, Default)]
pub(crate) struct TileBuffer {
    pub(crate) keys: Vec<f32>,
    pub(crate) values: Vec<f32>,
}

/// Which keys the rows of a packed call see. Tile `slot` of a row holds the positions `slot * TILE ..`.
pub(crate) trait Keys: Sync {
    /// Keys visible to the row: its position plus one.
    fn visible(&self, row: usize) -> usize;
    /// Rows with equal numbers see the same tile at `slot`.
    fn tile_id(&self, row: usize, slot: usize) -> u64;
    /// The tile of `row` at `slot` under a key/value head. What lies past the path's end must be finite.
    fn tile<'a>(
        &'a self,
        row: usize,
        slot: usize,
        head: usize,
        buffer: &'a mut TileBuffer,
    ) -> Tile<'a>;
}

/// Output `[rows, query heads * dim]` and log-sum-exp `[rows, query heads]` of all rows, the runs `(first row, rows)` in
/// parallel. The runs are consecutive and cover all rows; how the rows are cut does not change a bit of the result.
pub(crate) fn attend(
    heads: Heads,
    q: &[f32],
    keys: &impl Keys,
    runs: &[(usize, usize)],
) -> (Vec<f32>, Vec<f32>) {
    let width = heads.query * heads.dim;
    let rows = q.len() / width;
    let mut out = vec![0.0; rows * width];
    let mut lse = vec![0.0; rows * heads.query];
    let mut tasks = Vec::with_capacity(runs.len());
    let (mut out_rest, mut lse_rest) = (out.as_mut_slice(), lse.as_mut_slice());
    for &(first, count) in runs {
        let (out, out_tail) = out_rest.split_at_mut(count * width);
        let (lse, lse_tail) = lse_rest.split_at_mut(count * heads.query);
        (out_rest, lse_rest) = (out_tail, lse_tail);
        tasks.push(ForwardRows {
            heads,
            first,
            queries: &q[first * width..][..count * width],
            keys,
            out,
            lse,
        });
    }
    tasks.into_par_iter().for_each(simd::dispatch);
    (out, lse)
}

/// Attention of the rows `first .. first + out.len() / (heads.query * heads.dim)`.
struct ForwardRows<'a, K> {
    heads: Heads,
    /// First packed row.
    first: usize,
    /// Queries of these rows, `[rows, query heads * dim]`.
    queries: &'a [f32],
    keys: &'a K,
    /// `[rows, query heads * dim]`.
    out: &'a mut [f32],
    /// `[rows, query heads]`.
    lse: &'a mut [f32],
}

impl<K: Keys> Kernel for ForwardRows<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Heads { query, kv, dim } = self.heads;
        let (group, width) = (query / kv, query * dim);
        let rows = self.queries.len() / width;
        let lanes = rows * group;
        let scale = 1.0 / (dim as f32).sqrt();
        let mut buffer = TileBuffer::default();
        let mut q = vec![0.0f32; lanes * dim];
        let mut acc = vec![0.0f32; lanes * dim];
        let mut weights = vec![0.0f32; lanes * TILE];
        let mut max = vec![0.0f32; lanes];
        let mut sum = vec![0.0f32; lanes];
        let slots = (0..rows)
            .map(|r| self.keys.visible(self.first + r).div_ceil(TILE))
            .max()
            .unwrap_or(0);

        for head in 0..kv {
            // The queries of a row's group lie side by side, and so do its lanes.
            for r in 0..rows {
                let from = &self.queries[r * width + head * group * dim..][..group * dim];
                for (q, x) in q[r * group * dim..].iter_mut().zip(from) {
                    *q = x * scale;
                }
            }
            acc.fill(0.0);
            max.fill(f32::NEG_INFINITY);
            sum.fill(0.0);
            for slot in 0..slots {
                let mut r = 0;
                while r < rows {
                    let row = self.first + r;
                    if self.keys.visible(row) <= slot * TILE {
                        r += 1;
                        continue;
                    }
                    let id = self.keys.tile_id(row, slot);
                    let run = (r + 1..rows)
                        .take_while(|&o| {
                            self.keys.visible(self.first + o) > slot * TILE
                                && self.keys.tile_id(self.first + o, slot) == id
                        })
                        .count()
                        + 1;
                    let tile = self.keys.tile(row, slot, head, &mut buffer);
                    let (from, count) = (r * group, run * group);
                    scores::<I>(&q[from * dim..], tile.keys, &mut weights, count, dim);
                    let mut longest = 0;
                    for lane in 0..count {
                        let visible =
                            (self.keys.visible(row + lane / group) - slot * TILE).min(TILE);
                        longest = longest.max(visible);
                        let at = from + lane;
                        let Some(weights) = weights[lane * TILE..].first_chunk_mut::<TILE>() else {
                            return;
                        };
                        let acc = &mut acc[at * dim..(at + 1) * dim];
                        softmax_step::<I>(weights, visible, &mut max[at], &mut sum[at], acc);
                    }
                    accumulate::<I>(
                        &weights,
                        TILE,
                        tile.values,
                        &mut acc[from * dim..],
                        count,
                        longest,
                        dim,
                    );
                    r += run;
                }
            }
            for lane in 0..lanes {
                let (r, h) = (lane / group, head * group + lane % group);
                let inverse = 1.0 / sum[lane];
                let out = &mut self.out[r * width + h * dim..][..dim];
                for (o, a) in out.iter_mut().zip(&acc[lane * dim..]) {
                    *o = a * inverse;
                }
                self.lse[r * query + h] = max[lane] + sum[lane].ln();
            }
        }
    }
}
