//! Products of bf16 operands with f32 sums, by the part of the processor that is made for them.
//!
//! Goes in: activations or gradients in f32, which are rounded to bf16 or taken as the sum of three; a weight that is stored as bf16,
//! or decoded and rounded to it, a tile at a time. Comes out: f32.
//!
//! The bits of an output row are a function of that row of the left operand and of the weight alone, as in [`super`]: every sum has
//! one order (`emulated.rs` writes it down), whatever rows and columns stand beside it and whichever thread makes it.

use std::cell::Cell;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::MatRef;
use super::tiles::{Tiles, check, check_bias};
use crate::error::Result;
use crate::ops::simd::pairs::{self, Unit};
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
    /// What makes them, if it is not the f32 kernel: part of what sets the bits of a result.
    pub fn unit(self) -> Option<&'static str> {
        Some(match self.kernel()?.unit {
            Unit::Amx => "amx_bf16",
            Unit::Avx512 => "avx512_bf16",
        })
    }

    /// What makes products with weights, if it is not the f32 kernel.
    ///
    /// Three parts by [`Unit::Amx`] have the error of f32 with bf16 weights, too (`tests.rs`), but nobody has timed them: exact products
    /// stay with the f32 kernel.
    pub(crate) fn kernel(self) -> Option<Kernel> {
        match self {
            Self::Fast => Unit::here().map(|unit| Kernel { unit, parts: 1 }),
            Self::Exact => None,
        }
    }
}

/// A way to multiply by bf16 weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    unit: Unit,
    /// Of how many bf16 numbers a number of the left operand is the sum: of 1 it is the nearest, of 3 it is the sum exactly.
    parts: usize,
}

/// Length of the part of `k` that is laid out at a time; even.
const DEPTH: usize = 256;
/// Least columns of a result that one thread makes.
const PANEL: usize = 64;

thread_local! {
    /// Scratch space for decoded rows; taken while it is in use.
    static ROWS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Scratch space for tiles; taken while it is in use.
    static TILES: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

impl Kernel {
    /// Whether it takes operands rounded, not whole.
    pub(crate) fn rounds(self) -> bool {
        self.parts == 1
    }

    /// `x W^T`, with `bias` `[out]` added to every row: `[N, out]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(crate) fn times(
        self,
        x: MatRef<'_>,
        w: &impl Tiles,
        bias: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        let (out_features, in_features) = w.shape();
        check(x, in_features, out_features)?;
        check_bias(bias, out_features)?;
        let x = Packed::new(x, self.parts);
        column_panels(x.rows, out_features, PANEL, |columns, out| {
            self.times_panel(&x, w, columns.clone(), out);
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
    pub(crate) fn times_into(self, x: MatRef<'_>, w: &impl Tiles, out: &mut [f32]) -> Result<()> {
        let (out_features, in_features) = w.shape();
        check(x, in_features, out_features)?;
        let x = Packed::new(x, self.parts);
        column_panels_into(out, x.rows, out_features, PANEL, |columns, out| {
            self.times_panel(&x, w, columns, out);
            Ok(())
        })
    }

    /// `dy W`: `[N, in]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(crate) fn back(self, dy: MatRef<'_>, w: &impl Tiles) -> Result<Vec<f32>> {
        let (out_features, in_features) = w.shape();
        check(dy, out_features, in_features)?;
        let dy = Packed::new(dy, self.parts);
        column_panels(dy.rows, in_features, back_columns(w), |columns, out| {
            self.back_panel(&dy, w, columns, out);
            Ok(())
        })
    }

    /// `out = dy W`; what `out` held is not read.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(crate) fn back_into(self, dy: MatRef<'_>, w: &impl Tiles, out: &mut [f32]) -> Result<()> {
        let (out_features, in_features) = w.shape();
        check(dy, out_features, in_features)?;
        let dy = Packed::new(dy, self.parts);
        column_panels_into(
            out,
            dy.rows,
            in_features,
            back_columns(w),
            |columns, out| {
                self.back_panel(&dy, w, columns, out);
                Ok(())
            },
        )
    }

    /// The columns `features` of `x W^T`, `[N, features]`.
    fn times_panel(self, x: &Packed, w: &impl Tiles, features: Range<usize>, out: &mut [f32]) {
        let (_, k) = w.shape();
        with_scratch(16 * 2 * DEPTH, features.len(), |room, tiles| {
            for from in (0..k).step_by(DEPTH) {
                let depth = from..(from + DEPTH).min(k);
                let count = depth.len().div_ceil(2).next_multiple_of(pairs::STEP);
                let halves = tiles.chunks_exact_mut(count * pairs::COLUMNS);
                for (first, tile) in features.clone().step_by(pairs::COLUMNS).zip(halves) {
                    for half in 0..2 {
                        let first = first + 16 * half;
                        let rows = first..(first + 16).min(features.end);
                        let mut slices: [&[u8]; 16] = [&[]; 16];
                        let rooms = room.chunks_exact_mut(2 * DEPTH);
                        for ((row, room), slice) in rows.zip(rooms).zip(&mut slices) {
                            let room = &mut room[..2 * depth.len()];
                            *slice = stored_or_decoded(w, row, depth.clone(), room);
                        }
                        pairs::pair_rows(&slices, &mut tile[16 * half..], count);
                    }
                }
                self.add(x, from, tiles, count, out, features.len());
            }
        });
    }

    /// The columns `columns` of `dy W`, `[N, columns]`.
    fn back_panel(self, dy: &Packed, w: &impl Tiles, columns: Range<usize>, out: &mut [f32]) {
        let (rows, _) = w.shape();
        let bytes = 2 * columns.len();
        with_scratch(2 * bytes, columns.len(), |room, tiles| {
            let (first, second) = room.split_at_mut(bytes);
            for from in (0..rows).step_by(DEPTH) {
                let count = DEPTH.min(rows - from).div_ceil(2);
                let count = count.next_multiple_of(pairs::STEP);
                for pair in 0..count {
                    let row = from + 2 * pair;
                    let of = |row: usize, room| -> &[u8] {
                        if row < rows {
                            stored_or_decoded(w, row, columns.clone(), room)
                        } else {
                            room.fill(0);
                            room
                        }
                    };
                    let (low, high) = (of(row, first), of(row + 1, second));
                    pairs::interleave(low, high, tiles, pair, count);
                }
                self.add(dy, from, tiles, count, out, columns.len());
            }
        });
    }

    /// Adds the products with `count` pairs of the weight, from element `from` of `k` on; the first ones replace what `out` held.
    fn add(
        self,
        left: &Packed,
        from: usize,
        tiles: &[u32],
        count: usize,
        out: &mut [f32],
        width: usize,
    ) {
        // Small parts first.
        for part in (0..self.parts).rev() {
            let add = from > 0 || part + 1 < self.parts;
            let pairs = left.part(part).skip(0, from / 2);
            pairs::product(self.unit, pairs, left.rows, tiles, count, out, width, add);
        }
    }
}

/// Columns of a panel of `dy W`: whole tiles of the kernel and whole blocks of the weight.
fn back_columns(w: &impl Tiles) -> usize {
    PANEL.next_multiple_of(w.column_step())
}

/// Room for `bytes` bytes of rows, and for the tiles of `columns` columns of at most [`DEPTH`] elements.
fn with_scratch(bytes: usize, columns: usize, work: impl FnOnce(&mut [u8], &mut [u32])) {
    let (mut rows, mut tiles) = (ROWS.take(), TILES.take());
    let room = columns.next_multiple_of(pairs::COLUMNS) * DEPTH / 2;
    rows.resize(rows.len().max(bytes), 0);
    tiles.resize(tiles.len().max(room), 0);
    work(&mut rows[..bytes], &mut tiles[..room]);
    ROWS.set(rows);
    TILES.set(tiles);
}

/// Some columns of a row as bf16, little-endian: where they are stored, or decoded into `room`.
fn stored_or_decoded<'a>(
    w: &'a impl Tiles,
    row: usize,
    columns: Range<usize>,
    room: &'a mut [u8],
) -> &'a [u8] {
    w.ask(row, &columns);
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
