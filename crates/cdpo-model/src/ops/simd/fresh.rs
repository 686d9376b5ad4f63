//! Result buffers that are written once: memory from the allocator is not cleared as a whole beforehand.

use std::mem::MaybeUninit;

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
    fn a_buffer_that_was_not_filled_is_refused() {
        assert_eq!(filled(3, |slots| Ok(cleared(slots))).unwrap(), [0.0; 3]);
        assert!(filled(3, |slots| Ok(cleared(&mut slots[..2]))).is_err());
        assert!(filled(3, |slots| Ok(cleared(&mut slots[1..]))).is_err());
        assert!(filled(3, |_| Ok(&mut [])).is_err());
        assert!(filled(3, |_| Ok(Box::leak(Box::new([0.0; 3])))).is_err());
    }
}
