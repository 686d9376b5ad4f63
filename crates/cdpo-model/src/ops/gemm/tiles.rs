//! A matrix that is made a tile at a time, as the kernels ask for it, and what they all check.

use std::cell::Cell;
use std::ops::Range;

use super::MatRef;
use crate::error::{Error, Result};

/// A matrix `[out, in]` that can be made by tiles.
pub(crate) trait Tiles: Sync {
    /// `(out, in)`.
    fn shape(&self) -> (usize, usize);

    /// Columns at which a tile can begin: multiples of this.
    fn column_step(&self) -> usize;

    /// Writes rows x columns into `tile`, row-major.
    fn tile(&self, rows: Range<usize>, columns: Range<usize>, tile: &mut [f32]);

    /// A row as bf16, little-endian, where that is how it is stored.
    fn half_row(&self, row: usize) -> Option<&[u8]>;

    /// Asks for the part of a later row that will follow in use.
    fn ask(&self, row: usize, columns: &Range<usize>);

    /// Writes part of a row into `out`, rounded to bf16, little-endian.
    fn halves(&self, row: usize, columns: Range<usize>, out: &mut [u8]);
}

/// Length of the part of `k` that the kernel sums up before it adds to the result.
pub(super) const DEPTH: usize = 256;
thread_local! {
    /// Scratch space for a tile. It is taken while it is in use: a thread that waits may begin another panel meanwhile.
    static TILE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Room for a tile of `len` elements, whatever they are.
pub(super) fn with_tile<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut tile = TILE.take();
    if tile.len() < len {
        tile.resize(len, 0.0);
    }
    let result = work(&mut tile[..len]);
    TILE.set(tile);
    result
}

/// Checks that a bias has an element for each column.
pub(super) fn check_bias(bias: Option<&[f32]>, columns: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.len() != columns => Err(Error::Invalid(format!(
            "a bias of {} elements for {columns} columns",
            bias.len()
        ))),
        _ => Ok(()),
    }
}

/// Checks that there is something to multiply, of the weight's width.
pub(super) fn check(a: MatRef<'_>, k: usize, n: usize) -> Result<()> {
    if a.cols == k && k > 0 {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "matrix product [{} x {}] . [{k} x {n}]",
        a.rows, a.cols
    )))
}
