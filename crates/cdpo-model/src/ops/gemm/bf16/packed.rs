//! The left operand of a product, rounded to bf16.

use crate::ops::gemm::MatRef;
use crate::ops::simd::pairs::{self, Pairs};

/// Bytes that a vector load takes, and to which rows are aligned.
const LINE: usize = 64;

/// Rows of bf16, in pairs, each beginning at a cache line.
pub(super) struct Packed {
    values: Vec<u32>,
    start: usize,
    stride: usize,
    pub(super) rows: usize,
}

impl Packed {
    /// Rounds every element of `x`, which is row-major.
    pub(super) fn new(x: MatRef<'_>) -> Self {
        let line = LINE / size_of::<u32>();
        // One line more than a row needs: rows a power of two apart would meet in a few places of the cache.
        let stride = x.cols.next_multiple_of(pairs::STEP) / 2 + line;
        let mut values = vec![0; x.rows * stride + line];
        let start = values.as_ptr().align_offset(LINE).min(line);
        let rows = values[start..].chunks_exact_mut(stride);
        for (row, to) in x.row_slices().zip(rows) {
            pairs::round_pairs(row, to);
        }
        Self {
            values,
            start,
            stride,
            rows: x.rows,
        }
    }

    /// All of it.
    pub(super) fn pairs(&self) -> Pairs<'_> {
        Pairs {
            values: &self.values[self.start..],
            stride: self.stride,
        }
    }
}
