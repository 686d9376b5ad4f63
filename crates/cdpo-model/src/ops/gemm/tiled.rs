//! Products with a matrix that is made a tile at a time, in scratch space that is reused: it is never there as a whole.
//!
//! A product has the bits that [`super::gemm`] gives with the whole matrix: tiles end where the kernel's own blocks of `k`
//! do, and a column's sums do not depend on the other columns.

use std::ops::Range;

use super::tiles::{DEPTH, Tiles, check, check_bias, with_tile};
use super::{MatRef, Rhs, accumulate, few};
use crate::error::{Error, Result};
use crate::ops::simd::{column_panels, column_panels_into};

/// Least columns of the result that one thread makes.
const PANEL: usize = 128;

/// `x W^T`, with `bias` `[out]` added to every row: `[N, out]`.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn times(x: MatRef<'_>, w: &impl Tiles, bias: Option<&[f32]>) -> Result<Vec<f32>> {
    let (out_features, in_features) = w.shape();
    check(x, in_features, out_features)?;
    check_bias(bias, out_features)?;
    if few::is_few(x.rows) {
        return column_panels(x.rows, out_features, PANEL, |columns, out| {
            let bias = bias.map(|bias| &bias[columns.clone()]);
            few::times_panel(x, w, bias, columns, out);
            Ok(())
        });
    }
    one_row_as_two(x, out_features, |x| {
        column_panels(x.rows, out_features, PANEL, |columns, out| {
            times_panel(x, w, bias, columns, out)
        })
    })
}

/// `out = x W^T`; what `out` held is not read.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn times_into(x: MatRef<'_>, w: &impl Tiles, out: &mut [f32]) -> Result<()> {
    let (out_features, in_features) = w.shape();
    check(x, in_features, out_features)?;
    if few::is_few(x.rows) {
        return column_panels_into(out, x.rows, out_features, PANEL, |columns, out| {
            few::times_panel(x, w, None, columns, out);
            Ok(())
        });
    }
    if x.rows == 1 {
        return replace(out, &times(x, w, None)?);
    }
    column_panels_into(out, x.rows, out_features, PANEL, |columns, out| {
        times_panel(x, w, None, columns, out)
    })
}

/// `dy W`: `[N, in]`.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn back(dy: MatRef<'_>, w: &impl Tiles) -> Result<Vec<f32>> {
    let (out_features, in_features) = w.shape();
    check(dy, out_features, in_features)?;
    let panel = PANEL.next_multiple_of(w.column_step());
    one_row_as_two(dy, in_features, |dy| {
        column_panels(dy.rows, in_features, panel, |columns, out| {
            back_panel(dy, w, columns, out)
        })
    })
}

/// `out = dy W`; what `out` held is not read.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn back_into(dy: MatRef<'_>, w: &impl Tiles, out: &mut [f32]) -> Result<()> {
    let (out_features, in_features) = w.shape();
    check(dy, out_features, in_features)?;
    if dy.rows == 1 {
        return replace(out, &back(dy, w)?);
    }
    let panel = PANEL.next_multiple_of(w.column_step());
    column_panels_into(out, dy.rows, in_features, panel, |columns, out| {
        back_panel(dy, w, columns, out)
    })
}

/// The columns `features` of `x W^T`, `[N, features]`.
fn times_panel(
    x: MatRef<'_>,
    w: &impl Tiles,
    bias: Option<&[f32]>,
    features: Range<usize>,
    out: &mut [f32],
) -> Result<()> {
    let bias = bias.map(|bias| &bias[features.clone()]);
    let n = features.len();
    with_tile(n * DEPTH.min(x.cols), |scratch| {
        for from in (0..x.cols).step_by(DEPTH) {
            let depth = from..(from + DEPTH).min(x.cols);
            let tile = &mut scratch[..n * depth.len()];
            w.tile(features.clone(), depth.clone(), tile);
            let b = MatRef::new(tile, n, depth.len())?.t();
            let bias = bias.filter(|_| from == 0);
            accumulate(out, x.columns(depth), Rhs::Dense(b), bias, from > 0)?;
        }
        Ok(())
    })
}

/// The columns `features` of `dy W`, `[N, features]`.
fn back_panel(
    dy: MatRef<'_>,
    w: &impl Tiles,
    features: Range<usize>,
    out: &mut [f32],
) -> Result<()> {
    let n = features.len();
    with_tile(n * DEPTH.min(dy.cols), |scratch| {
        for from in (0..dy.cols).step_by(DEPTH) {
            let depth = from..(from + DEPTH).min(dy.cols);
            let tile = &mut scratch[..n * depth.len()];
            w.tile(depth.clone(), features.clone(), tile);
            let b = MatRef::new(tile, depth.len(), n)?;
            accumulate(out, dy.columns(depth), Rhs::Dense(b), None, from > 0)?;
        }
        Ok(())
    })
}

fn replace(out: &mut [f32], row: &[f32]) -> Result<()> {
    if out.len() != row.len() {
        return Err(Error::Invalid(format!(
            "{} elements are no room for a row of {}",
            out.len(),
            row.len()
        )));
    }
    out.copy_from_slice(row);
    Ok(())
}

/// One row is computed as the first of two equal ones, as in [`super::gemm`].
fn one_row_as_two(
    a: MatRef<'_>,
    width: usize,
    work: impl FnOnce(MatRef<'_>) -> Result<Vec<f32>>,
) -> Result<Vec<f32>> {
    if a.rows != 1 {
        return work(a);
    }
    let two = [a.data, a.data].concat();
    let mut out = work(MatRef::new(&two, 2, a.cols)?)?;
    out.truncate(width);
    Ok(out)
}
