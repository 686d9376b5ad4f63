//! The left operand of a product, rounded to bf16.

use rayon::prelude::*;

use crate::ops::gemm::MatRef;
use crate::ops::simd::pairs::{self, Pairs};

/// Bytes that a vector load takes, and to which rows are aligned.
const LINE: usize = 64;
/// Elements below which rows are not split among threads.
const PIECE: usize = 1 << 15;

/// Rows of bf16, in pairs, each beginning at a cache line; the parts of a row stand side by side.
pub(super) struct Packed {
    values: Vec<u32>,
    start: usize,
    /// Pairs from a part to the next, and parts of a row.
    stride: usize,
    parts: usize,
    pub(super) rows: usize,
}

impl Packed {
    /// Rounds every element of `x`, which is row-major, or cuts it into `parts`: the nearest bf16, the one nearest to what remains,
    /// and so on. Three are the whole f32, unless they are too small for bf16. Rows are made in parallel.
    pub(super) fn new(x: MatRef<'_>, parts: usize) -> Self {
        let line = LINE / size_of::<u32>();
        // One line more than a row needs: rows a power of two apart would meet in a few places of the cache.
        let stride = x.cols.div_ceil(2).next_multiple_of(pairs::STEP) + line;
        let mut values = vec![0; parts * x.rows * stride + line];
        let start = values.as_ptr().align_offset(LINE).min(line);
        values[start..]
            .par_chunks_exact_mut(parts * stride)
            .with_min_len(PIECE.div_ceil(x.cols))
            .enumerate()
            .take(x.rows)
            .for_each(|(i, to)| {
                if parts == 1 {
                    return pairs::round_pairs(x.row(i), to);
                }
                let mut rest = x.row(i).to_vec();
                for to in to.chunks_exact_mut(stride) {
                    pairs::split_pairs(&mut rest, to);
                }
            });
        Self {
            values,
            start,
            stride,
            parts,
            rows: x.rows,
        }
    }

    /// One of its parts, the largest first.
    pub(super) fn part(&self, part: usize) -> Pairs<'_> {
        Pairs {
            values: &self.values[self.start + part * self.stride..],
            stride: self.parts * self.stride,
        }
    }
}
