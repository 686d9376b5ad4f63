//! A tile of a right operand, `[k, 32]`: made by transposing rows, and multiplied by few rows of a left operand.

/// Columns of a tile: two vectors.
pub(crate) const WIDTH: usize = 32;
/// Rows of a left operand at most.
pub(crate) const ROWS: usize = 12;

/// `sums[i][j] = sum over k of rows[i][k] * tile[k][j]`, each a chain of fused multiply-adds in ascending order; at most [`ROWS`] rows,
/// each as long as the tile.
///
/// # Panics
/// If a slice is too short.
pub(crate) fn row_sums(rows: &[&[f32]], tile: &[f32], sums: &mut [[f32; WIDTH]]) {
    let depth = tile.len() / WIDTH;
    assert!(rows.len() <= ROWS && sums.len() >= rows.len());
    assert!(rows.iter().all(|row| row.len() >= depth));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        macro_rules! by_count {
            ($($count:literal)*) => {
                match rows.len() {
                    // SAFETY: the feature is present, and all slices were just measured.
                    $($count => unsafe { row_sums_avx512::<$count>(rows, tile, sums) },)*
                    _ => {}
                }
            };
        }
        by_count!(1 2 3 4 5 6 7 8 9 10 11 12);
        return;
    }
    for (row, sums) in rows.iter().zip(sums) {
        sums.fill(0.0);
        for (x, w) in row.iter().zip(tile.as_chunks::<WIDTH>().0) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = x.mul_add(*w, *sum);
            }
        }
    }
}

/// # Safety
/// There are `R` rows and sums, and every row is as long as the tile.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn row_sums_avx512<const R: usize>(rows: &[&[f32]], tile: &[f32], out: &mut [[f32; WIDTH]]) {
    use std::arch::x86_64::{
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    let mut xs = [std::ptr::null::<f32>(); R];
    for (x, row) in xs.iter_mut().zip(rows) {
        *x = row.as_ptr();
    }
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    let depth = tile.len() / WIDTH;
    let mut w = tile.as_ptr();
    for k in 0..depth {
        // SAFETY: the caller's duty; `w` has `depth` rows of `WIDTH`.
        unsafe {
            let halves = [_mm512_loadu_ps(w), _mm512_loadu_ps(w.add(16))];
            for (sums, x) in sums.iter_mut().zip(xs) {
                let x = _mm512_set1_ps(*x.add(k));
                for (sum, half) in sums.iter_mut().zip(halves) {
                    *sum = _mm512_fmadd_ps(x, half, *sum);
                }
            }
            w = w.add(WIDTH);
        }
    }
    for (out, [low, high]) in out.iter_mut().zip(sums) {
        // SAFETY: each has room for `WIDTH`.
        unsafe {
            _mm512_storeu_ps(out.as_mut_ptr(), low);
            _mm512_storeu_ps(out.as_mut_ptr().add(16), high);
        }
    }
}

/// Writes the transpose of rows of 16, `stride` apart in `from`, to rows of 16, `width` apart in `to`.
///
/// # Panics
/// If a slice is too short.
#[inline]
pub(crate) fn transpose16(from: &[f32], stride: usize, to: &mut [f32], width: usize) {
    assert!(from.len() >= 15 * stride + 16 && to.len() >= 15 * width + 16);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature is present, and both slices were just measured.
        unsafe { transpose_f32(from.as_ptr(), stride, to.as_mut_ptr(), width) };
        return;
    }
    for i in 0..16 {
        for j in 0..16 {
            to[j * width + i] = from[i * stride + j];
        }
    }
}

/// # Safety
/// `from` has sixteen rows of 16, `stride` apart; `to` has room for as many, `width` apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn transpose_f32(from: *const f32, stride: usize, to: *mut f32, width: usize) {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_loadu_ps, _mm512_setzero_si512};
    let mut rows = [_mm512_setzero_si512(); 16];
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller's duty.
        *row = unsafe { _mm512_castps_si512(_mm512_loadu_ps(from.add(i * stride))) };
    }
    // SAFETY: the caller's duty.
    unsafe { transpose_rows(&rows, to.cast(), width) };
}

/// Writes the columns of sixteen rows of sixteen numbers of 32 bits to rows, `width` apart.
///
/// # Safety
/// `to` has room for sixteen rows of 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn transpose_rows(
    rows: &[std::arch::x86_64::__m512i; 16],
    to: *mut i32,
    width: usize,
) {
    use std::arch::x86_64::{
        _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_epi32, _mm512_unpackhi_epi32,
        _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };
    // Loops and no closures: a closure is compiled by itself, without the feature.
    // Columns `4 g + e` of rows `4 q .. 4 q + 4` in the g-th quarter of `fours[q][e]`.
    let mut fours = [[_mm512_setzero_si512(); 4]; 4];
    for (four, rows) in fours.iter_mut().zip(rows.as_chunks::<4>().0) {
        let [a, b, c, d] = *rows;
        let ab = _mm512_unpacklo_epi32(a, b);
        let ab_high = _mm512_unpackhi_epi32(a, b);
        let cd = _mm512_unpacklo_epi32(c, d);
        let cd_high = _mm512_unpackhi_epi32(c, d);
        *four = [
            _mm512_unpacklo_epi64(ab, cd),
            _mm512_unpackhi_epi64(ab, cd),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ];
    }
    let [q0, q1, q2, q3] = fours;
    for e in 0..4 {
        let (a, b, c, d) = (q0[e], q1[e], q2[e], q3[e]);
        // Quarters 0 and 2, and 1 and 3, of two.
        let even = _mm512_shuffle_i32x4::<0x88>(a, b);
        let odd = _mm512_shuffle_i32x4::<0xdd>(a, b);
        let next_even = _mm512_shuffle_i32x4::<0x88>(c, d);
        let next_odd = _mm512_shuffle_i32x4::<0xdd>(c, d);
        // SAFETY: the caller's duty.
        unsafe {
            let to = to.add(e * width);
            _mm512_storeu_epi32(to, _mm512_shuffle_i32x4::<0x88>(even, next_even));
            _mm512_storeu_epi32(
                to.add(8 * width),
                _mm512_shuffle_i32x4::<0xdd>(even, next_even),
            );
            _mm512_storeu_epi32(
                to.add(4 * width),
                _mm512_shuffle_i32x4::<0x88>(odd, next_odd),
            );
            _mm512_storeu_epi32(
                to.add(12 * width),
                _mm512_shuffle_i32x4::<0xdd>(odd, next_odd),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers have exact sums, so any wrong element shows.
    #[test]
    fn sums_are_of_every_row_and_column() {
        for (depth, count) in [(0, 1), (1, 3), (7, 12), (64, 5)] {
            let draw = |n: usize, by: usize| -> Vec<f32> {
                (0..n).map(|i| ((i * by) % 11) as f32 - 5.0).collect()
            };
            let (x, tile) = (draw(count * depth, 7), draw(depth * WIDTH, 5));
            let rows: Vec<&[f32]> = (0..count).map(|i| &x[i * depth..][..depth]).collect();
            let mut sums = [[f32::NAN; WIDTH]; ROWS];
            row_sums(&rows, &tile, &mut sums);
            for (i, sums) in sums.iter().enumerate() {
                for (j, &sum) in sums.iter().enumerate() {
                    if i >= count {
                        assert!(sum.is_nan());
                        continue;
                    }
                    let expected: f32 = (0..depth).map(|k| rows[i][k] * tile[k * WIDTH + j]).sum();
                    assert_eq!(sum, expected, "{depth} {count} {i} {j}");
                }
            }
        }
    }

    #[test]
    fn every_element_is_in_its_place() {
        for (stride, width) in [(16, 16), (20, 33)] {
            let from: Vec<f32> = (0..16 * stride).map(|i| i as f32).collect();
            let mut to = vec![-1.0; 16 * width];
            transpose16(&from, stride, &mut to, width);
            for (i, &value) in to.iter().enumerate() {
                let (row, column) = (i / width, i % width);
                let expected = if column < 16 {
                    column * stride + row
                } else {
                    usize::MAX
                };
                assert!(
                    value == expected as f32 || (column >= 16 && value == -1.0),
                    "{i}"
                );
            }
        }
    }
}
