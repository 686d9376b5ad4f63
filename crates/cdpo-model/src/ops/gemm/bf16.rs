//! Products of bf16 operands with f32 sums, by the part of the processor that is made for them.
//!
//! Goes in: activations or gradients in f32, which are rounded to bf16; a weight that is stored as bf16, or decoded and rounded to
//! it, a few rows at a time. Comes out: f32.
//!
//! The bits of an output row are a function of that row of the left operand and of the weight alone, as in [`super`]: every sum has
//! one order (`emulated.rs` writes it down), whatever rows and columns stand beside it and whichever thread makes it.

use std::cell::Cell;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::MatRef;
use super::tiled::{Tiles, check, check_bias};
use crate::error::Result;
use crate::ops::simd::pairs::{self, Columns};
use crate::ops::simd::{column_panels, column_panels_into};

mod packed;

use packed::Packed;

/// How exact the products with frozen weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Products {
    /// As exact as f32 sums of f32 products.
    #[default]
    Exact,
    /// Activations, gradients and weights are rounded to bf16 (eight bits of mantissa); sums are f32. The same as
    /// [`Products::Exact`] on a machine without instructions for it.
    Fast,
}

impl Products {
    /// The unit that makes them, if it is not the f32 kernel: part of what sets the bits of a result.
    pub fn unit(self) -> Option<&'static str> {
        self.by_bf16().then_some("avx512_bf16")
    }

    /// Whether they are products of bf16 on this machine.
    pub(crate) fn by_bf16(self) -> bool {
        self == Self::Fast && pairs::is_here()
    }
}

/// Rows of a weight that are in use together.
const GROUP: usize = 16;
/// Rows of a weight whose products [`back`] sums up before it adds to the result; even.
const DEPTH: usize = 256;
/// Least columns of a result that one thread makes.
const PANEL: usize = 64;
/// About how many bytes of the left operand are in use together: they stay in a core's second cache.
const LEFT_BYTES: usize = 384 << 10;

thread_local! {
    /// Scratch space for decoded rows; taken while it is in use.
    static ROWS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Scratch space for pairs of rows; taken while it is in use.
    static PAIRS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// `x W^T`, with `bias` `[out]` added to every row: `[N, out]`.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn times(x: MatRef<'_>, w: &impl Tiles, bias: Option<&[f32]>) -> Result<Vec<f32>> {
    let (out_features, in_features) = w.shape();
    check(x, in_features, out_features)?;
    check_bias(bias, out_features)?;
    let x = Packed::new(x);
    column_panels(x.rows, out_features, PANEL, |columns, out| {
        times_panel(&x, w, columns.clone(), out);
        if let Some(bias) = bias {
            let bias = &bias[columns];
            for out in out.chunks_exact_mut(bias.len()) {
                for (out, bias) in out.iter_mut().zip(bias) {
                    *out += bias;
                }
            }
        }
        Ok(())
    })
}

/// `out = x W^T`; what `out` held is not read.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn times_into(x: MatRef<'_>, w: &impl Tiles, out: &mut [f32]) -> Result<()> {
    let (out_features, in_features) = w.shape();
    check(x, in_features, out_features)?;
    let x = Packed::new(x);
    column_panels_into(out, x.rows, out_features, PANEL, |columns, out| {
        times_panel(&x, w, columns, out);
        Ok(())
    })
}

/// `dy W`: `[N, in]`.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn back(dy: MatRef<'_>, w: &impl Tiles) -> Result<Vec<f32>> {
    let (out_features, in_features) = w.shape();
    check(dy, out_features, in_features)?;
    let dy = Packed::new(dy);
    column_panels(dy.rows, in_features, back_columns(w), |columns, out| {
        back_panel(&dy, w, columns, out);
        Ok(())
    })
}

/// `out = dy W`; what `out` held is not read.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn back_into(dy: MatRef<'_>, w: &impl Tiles, out: &mut [f32]) -> Result<()> {
    let (out_features, in_features) = w.shape();
    check(dy, out_features, in_features)?;
    let dy = Packed::new(dy);
    column_panels_into(
        out,
        dy.rows,
        in_features,
        back_columns(w),
        |columns, out| {
            back_panel(&dy, w, columns, out);
            Ok(())
        },
    )
}

/// Columns of a panel of [`back`]: whole tiles of the kernel and whole blocks of the weight.
fn back_columns(w: &impl Tiles) -> usize {
    (2 * PANEL).next_multiple_of(w.column_step())
}

/// The columns `features` of `x W^T`, `[N, features]`.
fn times_panel(x: &Packed, w: &impl Tiles, features: Range<usize>, out: &mut [f32]) {
    let (_, k) = w.shape();
    let block = (LEFT_BYTES / (2 * k)).next_multiple_of(GROUP).max(GROUP);
    // Rows that are a power of two apart would meet in a few places of the cache.
    let stride = 2 * k + 64;
    let mut scratch = ROWS.take();
    scratch.resize(scratch.len().max(GROUP * stride), 0);
    for first in features.clone().step_by(GROUP) {
        let group = first..(first + GROUP).min(features.end);
        let count = group.len();
        let mut rows: [&[u8]; GROUP] = [&[]; GROUP];
        let room = scratch.chunks_exact_mut(stride);
        for ((row, room), slice) in group.zip(room).zip(&mut rows) {
            *slice = stored_or_decoded(w, row, 0..k, &mut room[..2 * k]);
        }
        for from in (0..x.rows).step_by(block) {
            pairs::dots(
                x.pairs().skip(from, 0),
                block.min(x.rows - from),
                &rows[..count],
                k,
                Columns {
                    values: &mut out[from * features.len()..],
                    width: features.len(),
                    first: first - features.start,
                },
            );
        }
    }
    ROWS.set(scratch);
}

/// The columns `columns` of `dy W`, `[N, columns]`.
fn back_panel(dy: &Packed, w: &impl Tiles, columns: Range<usize>, out: &mut [f32]) {
    let (rows, _) = w.shape();
    let bytes = 2 * columns.len();
    let mut scratch = ROWS.take();
    scratch.resize(scratch.len().max(2 * bytes), 0);
    let (first, second) = scratch.split_at_mut(bytes);
    let second = &mut second[..bytes];
    let mut tiles = PAIRS.take();
    let room = columns.len().next_multiple_of(pairs::COLUMNS) * DEPTH / 2;
    tiles.resize(tiles.len().max(room), 0);
    for from in (0..rows).step_by(DEPTH) {
        let count = DEPTH.min(rows - from).div_ceil(2);
        for pair in 0..count {
            let row = from + 2 * pair;
            let low = stored_or_decoded(w, row, columns.clone(), first);
            let high = if row + 1 < rows {
                stored_or_decoded(w, row + 1, columns.clone(), &mut *second)
            } else {
                second.fill(0);
                &*second
            };
            pairs::interleave(low, high, &mut tiles, pair, count);
        }
        pairs::outer(
            dy.pairs().skip(0, from / 2),
            dy.rows,
            &tiles,
            count,
            Columns {
                values: &mut *out,
                width: columns.len(),
                first: 0,
            },
            from > 0,
        );
    }
    PAIRS.set(tiles);
    ROWS.set(scratch);
}

/// Some columns of a row as bf16, little-endian: where they are stored, or decoded into `room`.
fn stored_or_decoded<'a>(
    w: &'a impl Tiles,
    row: usize,
    columns: Range<usize>,
    room: &'a mut [u8],
) -> &'a [u8] {
    if let Some(stored) = w.half_row(row) {
        return &stored[2 * columns.start..2 * columns.end];
    }
    w.halves(row, columns, room);
    room
}

#[cfg(test)]
mod emulated;
#[cfg(test)]
mod tests;
