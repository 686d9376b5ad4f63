//! The kernels of [`super`] by the instructions of AVX512_BF16.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm_add_ps, _mm_storeu_ps, _mm256_add_ps, _mm256_castps256_ps128,
    _mm256_extractf128_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd,
    _mm512_castps512_ps256, _mm512_dpbf16_ps, _mm512_extractf32x8_ps, _mm512_loadu_epi8,
    _mm512_loadu_epi32, _mm512_mask_storeu_ps, _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_ps,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{COLUMNS, Columns, Pairs, STEP};

/// Whether this machine has the instructions.
pub(super) fn is_here() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// See [`super::dots`].
pub(super) fn dots(x: Pairs<'_>, rows: usize, w: &[&[u8]], k: usize, out: Columns<'_>) {
    assert!(is_here(), "AVX512_BF16 was asked for where it is not");
    assert!(x.holds(rows, k.next_multiple_of(STEP) / 2));
    assert!(w.iter().all(|w| w.len() == 2 * k));
    // SAFETY: the features are present.
    unsafe { dots_here(x, rows, w, k, out) }
}

/// Rows of `x` and rows of `w` of a tile.
const TILE: (usize, usize) = (6, 4);

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
fn dots_here(
    x: Pairs<'_>,
    rows: usize,
    w: &[&[u8]],
    k: usize,
    Columns {
        values,
        width,
        first,
    }: Columns<'_>,
) {
    for (group, w) in w.chunks(TILE.1).enumerate() {
        // Missing rows are the first one again; their sums are not written.
        let four: [&[u8]; 4] = std::array::from_fn(|j| *w.get(j).unwrap_or(&w[0]));
        for from in (0..rows).step_by(TILE.0) {
            let count = TILE.0.min(rows - from);
            let x = x.skip(from, 0);
            let mut tile = [[0.0; 4]; TILE.0];
            match count {
                1 => dots_tile::<1>(x, four, k, &mut tile),
                2 => dots_tile::<2>(x, four, k, &mut tile),
                3 => dots_tile::<3>(x, four, k, &mut tile),
                4 => dots_tile::<4>(x, four, k, &mut tile),
                5 => dots_tile::<5>(x, four, k, &mut tile),
                _ => dots_tile::<6>(x, four, k, &mut tile),
            }
            for (i, sums) in tile[..count].iter().enumerate() {
                values[(from + i) * width + first + group * TILE.1..][..w.len()]
                    .copy_from_slice(&sums[..w.len()]);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn dots_tile<const R: usize>(x: Pairs<'_>, w: [&[u8]; 4], k: usize, out: &mut [[f32; 4]; 6]) {
    let mut sums = [[_mm512_setzero_ps(); 4]; R];
    let (steps, rest) = (k / STEP, k % STEP);
    let xs: [*const i8; R] = std::array::from_fn(|i| x.values[i * x.stride..].as_ptr().cast());
    let ws = w.map(|w| w.as_ptr().cast::<i8>());
    for step in 0..steps {
        let at = step * STEP;
        // SAFETY: `dots` checked that every row has `k` elements, and `at + STEP <= k`.
        let w = ws.map(|w| unsafe { as_pairs(_mm512_loadu_epi8(w.add(2 * at))) });
        for (sums, x) in sums.iter_mut().zip(xs) {
            // SAFETY: as above.
            let x = unsafe { as_pairs(_mm512_loadu_epi8(x.add(2 * at))) };
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = _mm512_dpbf16_ps(*sum, x, w);
            }
        }
    }
    if rest > 0 {
        let (at, mask) = (steps * STEP, (1u64 << (2 * rest)) - 1);
        // SAFETY: the elements under the mask are inside the rows, and no others are read.
        let w = ws.map(|w| unsafe { as_pairs(_mm512_maskz_loadu_epi8(mask, w.add(2 * at))) });
        for (sums, x) in sums.iter_mut().zip(xs) {
            // SAFETY: as above.
            let x = unsafe { as_pairs(_mm512_maskz_loadu_epi8(mask, x.add(2 * at))) };
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = _mm512_dpbf16_ps(*sum, x, w);
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(sums) {
        let sums = totals(sums);
        // SAFETY: there is room for four.
        unsafe { _mm_storeu_ps(out.as_mut_ptr(), sums) };
    }
}

/// The sums of the sixteen lanes of each of four vectors, always in the same order.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn totals([a, b, c, d]: [__m512; 4]) -> std::arch::x86_64::__m128 {
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
    let four = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    let two = _mm256_add_ps(
        _mm512_castps512_ps256(four),
        _mm512_extractf32x8_ps::<1>(four),
    );
    _mm_add_ps(_mm256_castps256_ps128(two), _mm256_extractf128_ps::<1>(two))
}

/// See [`super::outer`].
pub(super) fn outer(
    dy: Pairs<'_>,
    rows: usize,
    w: &[u32],
    count: usize,
    out: Columns<'_>,
    add: bool,
) {
    assert!(is_here(), "AVX512_BF16 was asked for where it is not");
    assert!(dy.holds(rows, count));
    assert!(w.len() >= out.width.div_ceil(COLUMNS) * count * COLUMNS);
    assert!(out.values.len() >= rows * out.width);
    // SAFETY: the features are present.
    unsafe { outer_here(dy, rows, w, count, out, add) }
}

/// Rows of `dy` of a tile of `outer`.
const OUTER_ROWS: usize = 12;

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
fn outer_here(
    dy: Pairs<'_>,
    rows: usize,
    w: &[u32],
    count: usize,
    Columns { values, width, .. }: Columns<'_>,
    add: bool,
) {
    let tiles = w.chunks_exact(count * COLUMNS);
    for (first, w) in (0..width).step_by(COLUMNS).zip(tiles) {
        let columns = COLUMNS.min(width - first);
        let mut from = 0;
        while from < rows {
            let (dy, out) = (dy.skip(from, 0), &mut values[from * width + first..]);
            from += match rows - from {
                OUTER_ROWS.. => outer_tile::<12>(dy, w, count, out, (width, columns), add),
                6.. => outer_tile::<6>(dy, w, count, out, (width, columns), add),
                3.. => outer_tile::<3>(dy, w, count, out, (width, columns), add),
                _ => outer_tile::<1>(dy, w, count, out, (width, columns), add),
            };
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn outer_tile<const R: usize>(
    dy: Pairs<'_>,
    w: &[u32],
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
    let dys: [*const u32; R] =
        std::array::from_fn(|i| dy.values[i * dy.stride..][..count].as_ptr());
    let w = w[..count * COLUMNS].as_ptr().cast::<i32>();
    for pair in 0..count {
        let at = pair * COLUMNS;
        // SAFETY: `pair < count`, for which all slices were just measured.
        let w = [0, 16].map(|half| unsafe { as_pairs(_mm512_loadu_epi32(w.add(at + half))) });
        for (sums, dy) in sums.iter_mut().zip(dys) {
            // SAFETY: as above.
            let dy = as_pairs(_mm512_set1_epi32(unsafe { *dy.add(pair) } as i32));
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = _mm512_dpbf16_ps(*sum, dy, w);
            }
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
