//! Result buffers that are written once: memory from the allocator is not cleared as a whole beforehand.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};

/// Elements below which a piece of work is not split among threads.
const PIECE: usize = 8192;

/// `rows * width` elements: `fill(row, out)` makes each row, rows in parallel. `out` comes as zeros, cleared just before
/// and thus in the cache.
pub(crate) fn rows(rows: usize, width: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let len = rows * width;
    let mut buffer = Vec::with_capacity(len);
    if len > 0 {
        buffer.spare_capacity_mut()[..len]
            .par_chunks_mut(width)
            .with_min_len(PIECE.div_ceil(width))
            .enumerate()
            .for_each(|(row, out)| fill(row, cleared(out)));
    }
    // SAFETY: the loop visited every chunk of the first `len` elements (a panic would not get here), and `cleared`
    // initialised it.
    unsafe { buffer.set_len(len) };
    buffer
}

/// As [`rows`], with two results of one shape.
pub(crate) fn row_pairs(
    rows: usize,
    width: usize,
    fill: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let len = rows * width;
    let (mut first, mut second) = (Vec::with_capacity(len), Vec::with_capacity(len));
    if len > 0 {
        first.spare_capacity_mut()[..len]
            .par_chunks_mut(width)
            .zip(second.spare_capacity_mut()[..len].par_chunks_mut(width))
            .with_min_len(PIECE.div_ceil(width))
            .enumerate()
            .for_each(|(row, (a, b))| fill(row, cleared(a), cleared(b)));
    }
    // SAFETY: as in `rows`, for both.
    unsafe {
        first.set_len(len);
        second.set_len(len);
    }
    (first, second)
}

/// `len` elements written by `fill`, which hands back the slice it was given, now initialised.
///
/// # Errors
/// Those of `fill`, and [`Error::Invalid`] if it hands back anything else.
pub(crate) fn filled(
    len: usize,
    fill: impl for<'a> FnOnce(&'a mut [MaybeUninit<f32>]) -> Result<&'a mut [f32]>,
) -> Result<Vec<f32>> {
    let mut buffer = Vec::with_capacity(len);
    let slots = &mut buffer.spare_capacity_mut()[..len];
    let start = slots.as_ptr().cast::<f32>();
    let written = fill(slots)?;
    if written.as_ptr() != start || written.len() != len {
        return Err(Error::Invalid(format!(
            "a kernel wrote {} of {len} elements",
            written.len()
        )));
    }
    // SAFETY: a `&mut [f32]` to exactly these elements exists, so they are initialised.
    unsafe { buffer.set_len(len) };
    Ok(buffer)
}

/// `[rows, width]`, row-major, made in panels of `panel` columns, panels in parallel: `fill(columns, out)` makes a panel in
/// a buffer `[rows, columns]` of its own, from which it is copied to its place. What the buffer holds before is not to be read.
///
/// # Errors
/// Those of `fill`.
pub(crate) fn column_panels(
    rows: usize,
    width: usize,
    panel: usize,
    fill: impl Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync,
) -> Result<Vec<f32>> {
    let len = rows
        .checked_mul(width)
        .ok_or_else(|| too_large(rows, width))?;
    let mut buffer = Vec::with_capacity(len);
    let target = PanelTarget {
        start: buffer.as_mut_ptr(),
        len,
    };
    write_panels(&target, rows, width, panel, fill)?;
    // SAFETY: every panel was written, and together they are all of the elements, for which there is room.
    unsafe { buffer.set_len(len) };
    Ok(buffer)
}

/// As [`column_panels`], into a buffer that is there.
///
/// # Errors
/// Those of `fill`, and [`Error::Invalid`] if `out` is no `[rows, width]`.
pub(crate) fn column_panels_into(
    out: &mut [f32],
    rows: usize,
    width: usize,
    panel: usize,
    fill: impl Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync,
) -> Result<()> {
    if Some(out.len()) != rows.checked_mul(width) {
        return Err(Error::Invalid(format!(
            "{} elements are no room for a result of {rows} x {width}",
            out.len()
        )));
    }
    let target = PanelTarget {
        start: out.as_mut_ptr(),
        len: out.len(),
    };
    write_panels(&target, rows, width, panel, fill)
}

fn too_large(rows: usize, width: usize) -> Error {
    Error::Invalid(format!(
        "a matrix of {rows} x {width} has too many elements"
    ))
}

/// Where threads write columns of one matrix, each columns of its own: room for `len` elements that nobody else uses.
struct PanelTarget {
    start: *mut f32,
    len: usize,
}

// SAFETY: `write_panels` alone uses it, and gives every element to one thread.
unsafe impl Sync for PanelTarget {}

fn write_panels(
    target: &PanelTarget,
    rows: usize,
    width: usize,
    panel: usize,
    fill: impl Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync,
) -> Result<()> {
    assert_eq!(rows.checked_mul(width), Some(target.len), "room for all");
    if target.len == 0 {
        return Ok(());
    }
    (0..width.div_ceil(panel))
        .into_par_iter()
        .try_for_each(|index| {
            let columns = index * panel..((index + 1) * panel).min(width);
            let n = columns.len();
            let mut scratch = PANEL.take();
            scratch.resize(scratch.len().max(rows * n), 0.0);
            let result = fill(columns.clone(), &mut scratch[..rows * n]);
            if result.is_ok() {
                for (row, from) in scratch[..rows * n].chunks_exact(n).enumerate() {
                    // SAFETY: `row < rows` and `columns` lies in `0..width`, so that these `n` elements lie inside the target's
                    // `rows * width`, and no other panel has them.
                    unsafe {
                        let to = target.start.add(row * width + columns.start);
                        std::ptr::copy_nonoverlapping(from.as_ptr(), to, n);
                    }
                }
            }
            PANEL.set(scratch);
            result
        })
}

thread_local! {
    /// A panel before it is copied to its place; taken while it is in use.
    static PANEL: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Zeros in `slots`.
fn cleared(slots: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    slots.fill(MaybeUninit::new(0.0));
    // SAFETY: every element was just written.
    unsafe { &mut *(std::ptr::from_mut::<[MaybeUninit<f32>]>(slots) as *mut [f32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_filled_once_and_comes_as_zeros() {
        for (count, width) in [(0, 5), (5, 0), (1, 1), (3, 7), (5000, 3), (2, 20_000)] {
            let fill = |row: usize, out: &mut [f32]| {
                for (i, v) in out.iter_mut().enumerate() {
                    *v += (row * width + i) as f32;
                }
            };
            let expected: Vec<f32> = (0..count * width).map(|i| i as f32).collect();
            assert_eq!(rows(count, width, fill), expected);
            let both = row_pairs(count, width, |row, a, b| {
                fill(row, a);
                fill(row, b);
            });
            assert_eq!(both, (expected.clone(), expected));
        }
    }

    #[test]
    fn panels_lie_in_their_places() {
        for (count, width, panel) in [(0, 5, 2), (3, 0, 2), (1, 1, 4), (3, 7, 2), (4, 300, 128)] {
            let fill = |columns: Range<usize>, out: &mut [f32]| {
                for (row, out) in out.chunks_exact_mut(columns.len()).enumerate() {
                    for (column, v) in columns.clone().zip(out) {
                        *v = (row * width + column) as f32;
                    }
                }
                Ok(())
            };
            let expected: Vec<f32> = (0..count * width).map(|i| i as f32).collect();
            assert_eq!(column_panels(count, width, panel, fill).unwrap(), expected);
            let mut out = vec![f32::NAN; count * width];
            column_panels_into(&mut out, count, width, panel, fill).unwrap();
            assert_eq!(out, expected);
        }
        let refuse = |_: Range<usize>, _: &mut [f32]| Err(Error::Invalid("no".into()));
        assert!(column_panels(2, 2, 1, refuse).is_err());
        assert!(column_panels_into(&mut [0.0; 3], 2, 2, 1, |_, _| Ok(())).is_err());
    }

    #[test]
    fn a_buffer_that_was_not_filled_is_refused() {
        assert_eq!(filled(3, |slots| Ok(cleared(slots))).unwrap(), [0.0; 3]);
        assert!(filled(3, |slots| Ok(cleared(&mut slots[..2]))).is_err());
        assert!(filled(3, |slots| Ok(cleared(&mut slots[1..]))).is_err());
        assert!(filled(3, |_| Ok(&mut [])).is_err());
        assert!(filled(3, |_| Ok(Box::leak(Box::new([0.0; 3])))).is_err());
    }
}
