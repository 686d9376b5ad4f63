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
    /// Rounds every element of `x`, which is row-major, or cuts it into `parts`: the nearest bf16, the one nearest to what remains,
    /// and so on. Three are the whole f32, unless they are too small for bf16.
    pub(super) fn new(x: MatRef<'_>, parts: usize) -> Self {
        let line = LINE / size_of::<u32>();
        // One line more than a row needs: rows a power of two apart would meet in a few places of the cache.
        let stride = x.cols.div_ceil(2).next_multiple_of(pairs::STEP) + line;
        let mut values = vec![0; parts * x.rows * stride + line];
        let start = values.as_ptr().align_offset(LINE).min(line);
        let mut rows = values[start..].chunks_exact_mut(stride);
        let mut rest = Vec::new();
        for part in 0..parts {
            for (i, row) in x.row_slices().enumerate() {
                let to = rows.next().unwrap_or_default();
                if parts == 1 {
                    pairs::round_pairs(row, to);
                    continue;
                }
                if part == 0 {
                    rest.extend_from_slice(row);
                }
                pairs::split_pairs(&mut rest[i * x.cols..][..x.cols], to);
            }
        }
        Self {
            values,
            start,
            stride,
            rows: x.rows,
        }
    }

    /// One of its parts, the largest first.
    pub(super) fn part(&self, part: usize) -> Pairs<'_> {
        Pairs {
            values: &self.values[self.start + part * self.rows * self.stride..],
            stride: self.stride,
        }
    }
}
