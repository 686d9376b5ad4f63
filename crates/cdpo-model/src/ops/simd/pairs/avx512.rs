//! The kernels of [`super`] by the instructions of AVX512_BF16.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_epi32, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_setzero_si512,
};

use super::{COLUMNS, Pairs};
use crate::ops::simd::tile::transpose_rows;

/// Whether this machine has the instructions.
pub(super) fn is_here() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// See [`super::product`], which measured the slices.
pub(super) fn product(
    left: Pairs<'_>,
    rows: usize,
    tiles: &[u32],
    count: usize,
    out: &mut [f32],
    width: usize,
    add: bool,
) {
    assert!(is_here(), "AVX512_BF16 was asked for where it is not");
    // SAFETY: the features are present.
    unsafe { product_here(left, rows, tiles, count, out, width, add) }
}

/// Rows of the left operand in a tile.
const ROWS: usize = 12;

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
fn product_here(
    left: Pairs<'_>,
    rows: usize,
    tiles: &[u32],
    count: usize,
    out: &mut [f32],
    width: usize,
    add: bool,
) {
    let tiles = tiles.chunks_exact(count * COLUMNS);
    for (first, tile) in (0..width).step_by(COLUMNS).zip(tiles) {
        let columns = COLUMNS.min(width - first);
        let mut from = 0;
        while from < rows {
            let (left, out) = (left.skip(from, 0), &mut out[from * width + first..]);
            from += match rows - from {
                ROWS.. => tile_product::<ROWS>(left, tile, count, out, (width, columns), add),
                8.. => tile_product::<8>(left, tile, count, out, (width, columns), add),
                4.. => tile_product::<4>(left, tile, count, out, (width, columns), add),
                2.. => tile_product::<2>(left, tile, count, out, (width, columns), add),
                _ => tile_product::<1>(left, tile, count, out, (width, columns), add),
            };
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn tile_product<const R: usize>(
    left: Pairs<'_>,
    tile: &[u32],
    count: usize,
    out: &mut [f32],
    (width, columns): (usize, usize),
    add: bool,
) -> usize {
    let whole = (1u64 << columns) - 1;
    let masks = [whole as u16, (whole >> 16) as u16];
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    if add {
        for (i, sums) in sums.iter_mut().enumerate() {
            for (half, sum) in sums.iter_mut().enumerate() {
                let from = out.as_ptr().wrapping_add(i * width + half * 16);
                // SAFETY: the elements under the mask are inside `out`, and no others are read.
                *sum = unsafe { _mm512_maskz_loadu_ps(masks[half], from) };
            }
        }
    }
    let mut lefts = [std::ptr::null::<u32>(); R];
    for (i, row) in lefts.iter_mut().enumerate() {
        *row = left.values[i * left.stride..][..count].as_ptr();
    }
    let tile = tile[..count * COLUMNS].as_ptr().cast::<i32>();
    for pair in 0..count {
        let at = pair * COLUMNS;
        // SAFETY: `pair < count`, for which all slices were just measured.
        let (low, high) = unsafe {
            (
                as_pairs(_mm512_loadu_epi32(tile.add(at))),
                as_pairs(_mm512_loadu_epi32(tile.add(at + 16))),
            )
        };
        for (sums, row) in sums.iter_mut().zip(lefts) {
            // SAFETY: as above.
            let x = as_pairs(_mm512_set1_epi32(unsafe { *row.add(pair) } as i32));
            sums[0] = _mm512_dpbf16_ps(sums[0], x, low);
            sums[1] = _mm512_dpbf16_ps(sums[1], x, high);
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (half, &sum) in sums.iter().enumerate() {
            let to = out.as_mut_ptr().wrapping_add(i * width + half * 16);
            // SAFETY: as for reading.
            unsafe { _mm512_mask_storeu_ps(to, masks[half], sum) };
        }
    }
    R
}

/// The same bits as sixteen pairs of bf16.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn as_pairs(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes, and every pattern is a value of either.
    unsafe { std::mem::transmute(bits) }
}

/// See [`super::pair_rows`].
pub(super) fn pair_rows(rows: &[&[u8]; 16], tile: &mut [u32], count: usize) {
    assert!(is_here(), "AVX512_BF16 was asked for where it is not");
    // SAFETY: the features are present.
    unsafe { pair_rows_here(rows, tile, count) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
fn pair_rows_here(rows: &[&[u8]; 16], tile: &mut [u32], count: usize) {
    for first in (0..count).step_by(16) {
        let mut vectors = [_mm512_setzero_si512(); 16];
        for (vector, row) in vectors.iter_mut().zip(rows) {
            let there = row.len().saturating_sub(4 * first).min(64);
            let mask = if there == 64 {
                u64::MAX
            } else {
                (1 << there) - 1
            };
            let from = row.as_ptr().wrapping_add(4 * first).cast();
            // SAFETY: the bytes under the mask are inside the row, and no others are read.
            *vector = unsafe { _mm512_maskz_loadu_epi8(mask, from) };
        }
        let to = tile[first * COLUMNS..][..15 * COLUMNS + 16].as_mut_ptr();
        // SAFETY: there is room for sixteen rows of 16, as was just measured.
        unsafe { transpose_rows(&vectors, to.cast(), COLUMNS) };
    }
}
