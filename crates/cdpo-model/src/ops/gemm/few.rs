//! `x W^T` for few rows of `x` and a weight that is decoded as it is used: the time goes into decoding, and laying out a tile for a
//! kernel that is made for many rows would cost more than the product.
//!
//! An element has the bits that [`super::gemm`] gives: a sum over [`DEPTH`] elements at a time, each a chain of fused
//! multiply-adds in ascending order, added to what is there.

use std::ops::Range;

use super::MatRef;
use super::tiled::{DEPTH, Tiles, with_tile};
use crate::ops::simd::{self, Isa, Kernel, dispatch};

/// More rows go to the kernel for many.
const MOST: usize = 32;
/// Rows of the weight in a tile, which is `[DEPTH, WIDTH]`: two vectors.
const WIDTH: usize = 32;
/// Rows of `x` in a tile.
const ROWS: usize = 12;

/// Whether `rows` rows are few, on a machine where this pays.
pub(super) fn is_few(rows: usize) -> bool {
    rows <= MOST && simd::has_avx512()
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
                    let rows = row..(row + ROWS).min(x.rows);
                    let block = Block {
                        x: x.part(rows.clone(), depth.clone()),
                        tile: &tile[..depth.len() * WIDTH],
                        out: &mut out[row * width + first..],
                        width,
                        columns: columns.len(),
                        bias,
                        add: from > 0,
                    };
                    block.with_rows(rows.len());
                }
            }
        }
    });
}

/// `[16, depth]` to columns of `[depth, WIDTH]`.
fn transpose(decoded: &[f32], depth: usize, tile: &mut [f32]) {
    let whole = depth / 16 * 16;
    for k in (0..whole).step_by(16) {
        simd::transpose16(&decoded[k..], depth, &mut tile[k * WIDTH..], WIDTH);
    }
    for k in whole..depth {
        for row in 0..16 {
            tile[k * WIDTH + row] = decoded[row * depth + k];
        }
    }
}

/// Some rows of `x` against a tile of the weight, into `out` with `width` columns.
struct Block<'a> {
    x: MatRef<'a>,
    tile: &'a [f32],
    out: &'a mut [f32],
    width: usize,
    columns: usize,
    bias: Option<&'a [f32]>,
    add: bool,
}

impl Block<'_> {
    fn with_rows(self, rows: usize) {
        match rows {
            1 => dispatch(Rows::<1>(self)),
            2 => dispatch(Rows::<2>(self)),
            3 => dispatch(Rows::<3>(self)),
            4 => dispatch(Rows::<4>(self)),
            5 => dispatch(Rows::<5>(self)),
            6 => dispatch(Rows::<6>(self)),
            7 => dispatch(Rows::<7>(self)),
            8 => dispatch(Rows::<8>(self)),
            9 => dispatch(Rows::<9>(self)),
            10 => dispatch(Rows::<10>(self)),
            11 => dispatch(Rows::<11>(self)),
            _ => dispatch(Rows::<ROWS>(self)),
        }
    }
}

/// A block of `R` rows.
struct Rows<'a, const R: usize>(Block<'a>);

impl<const R: usize> Kernel for Rows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Block {
            x,
            tile,
            out,
            width,
            columns,
            bias,
            add,
        } = self.0;
        let (tile, _) = tile.as_chunks::<WIDTH>();
        let rows: [&[f32]; R] = std::array::from_fn(|i| &x.row(i)[..tile.len()]);
        let mut sums = [[[0.0f32; 16]; 2]; R];
        for (k, w) in tile.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let x = row[k];
                for half in 0..2 {
                    for i in 0..16 {
                        sums[half][i] = I::mul_add(x, w[16 * half + i], sums[half][i]);
                    }
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let out = &mut out[i * width..][..columns];
            let sums = sums.as_flattened();
            match (add, bias) {
                (true, _) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                (false, None) => out.copy_from_slice(&sums[..columns]),
                (false, Some(bias)) => {
                    for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                        *out = sum + bias;
                    }
                }
            }
        }
    }
}
