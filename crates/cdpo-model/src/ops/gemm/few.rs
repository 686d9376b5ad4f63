//! `x W^T` for few rows of `x` and a weight that is decoded as it is used: the time goes into decoding, and laying out a tile for a
//! kernel that is made for many rows would cost more than the product.
//!
//! An element has the bits that [`super::gemm`] gives: a sum over [`DEPTH`] elements at a time, each a chain of fused
//! multiply-adds in ascending order, added to what is there.

use std::ops::Range;

use super::MatRef;
use super::tiles::{DEPTH, Tiles, with_tile};
use crate::ops::simd::has_avx512;
use crate::ops::simd::tile::{ROWS, WIDTH, row_sums, transpose16};

/// More rows go to the kernel for many.
const MOST: usize = 32;

/// Whether `rows` rows are few, on a machine where this pays.
pub(super) fn is_few(rows: usize) -> bool {
    rows <= MOST && has_avx512()
}

/// The columns `features` of `x W^T`, `[N, features]`; `bias` has an element for each.
pub(super) fn times_panel(
    x: MatRef<'_>,
    w: &impl Tiles,
    bias: Option<&[f32]>,
    features: Range<usize>,
    out: &mut [f32],
) {
    let width = features.len();
    with_tile(DEPTH * (16 + WIDTH), |scratch| {
        let (decoded, tile) = scratch.split_at_mut(16 * DEPTH);
        for first in (0..width).step_by(WIDTH) {
            let columns = first..(first + WIDTH).min(width);
            for from in (0..x.cols).step_by(DEPTH) {
                let depth = from..(from + DEPTH).min(x.cols);
                for (half, at) in columns.clone().step_by(16).enumerate() {
                    let rows = features.start + at..features.start + (at + 16).min(columns.end);
                    let decoded = &mut decoded[..16 * depth.len()];
                    w.tile(
                        rows.clone(),
                        depth.clone(),
                        &mut decoded[..rows.len() * depth.len()],
                    );
                    transpose(decoded, depth.len(), &mut tile[16 * half..]);
                }
                let bias = bias
                    .filter(|_| from == 0)
                    .map(|bias| &bias[columns.clone()]);
                for row in (0..x.rows).step_by(ROWS) {
                    let count = ROWS.min(x.rows - row);
                    let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
                    for (i, slice) in rows[..count].iter_mut().enumerate() {
                        *slice = &x.row(row + i)[depth.clone()];
                    }
                    let mut sums = [[0.0; WIDTH]; ROWS];
                    row_sums(&rows[..count], &tile[..depth.len() * WIDTH], &mut sums);
                    for (i, sums) in sums[..count].iter().enumerate() {
                        let out = &mut out[(row + i) * width..][columns.clone()];
                        put(sums, bias, from > 0, out);
                    }
                }
            }
        }
    });
}

/// Adds sums to what is there, or puts them there with a bias.
fn put(sums: &[f32; WIDTH], bias: Option<&[f32]>, add: bool, out: &mut [f32]) {
    match (add, bias) {
        (true, _) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
        (false, None) => out.copy_from_slice(&sums[..out.len()]),
        (false, Some(bias)) => {
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                *out = sum + bias;
            }
        }
    }
}

/// `[16, depth]` to columns of `[depth, WIDTH]`.
fn transpose(decoded: &[f32], depth: usize, tile: &mut [f32]) {
    let whole = depth / 16 * 16;
    for k in (0..whole).step_by(16) {
        transpose16(&decoded[k..], depth, &mut tile[k * WIDTH..], WIDTH);
    }
    for k in whole..depth {
        for row in 0..16 {
            tile[k * WIDTH + row] = decoded[row * depth + k];
        }
    }
}
