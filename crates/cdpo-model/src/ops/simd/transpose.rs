//! The transpose of a block of sixteen by sixteen.

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
        unsafe { avx512(from.as_ptr(), stride, to.as_mut_ptr(), width) };
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
unsafe fn avx512(from: *const f32, stride: usize, to: *mut f32, width: usize) {
    use std::arch::x86_64::{
        __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_shuffle_f32x4,
        _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
        _mm512_unpacklo_ps,
    };
    // SAFETY: the caller's duty.
    let rows: [__m512; 16] =
        std::array::from_fn(|i| unsafe { _mm512_loadu_ps(from.add(i * stride)) });
    // Columns 4 g + e of rows 4 q .. 4 q + 4 in the g-th quarter of `fours[q][e]`.
    let fours: [[__m512; 4]; 4] = std::array::from_fn(|q| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| rows[4 * q + i]);
        let pd = |x: __m512| _mm512_castps_pd(x);
        let (ab, ab_high) = (pd(_mm512_unpacklo_ps(a, b)), pd(_mm512_unpackhi_ps(a, b)));
        let (cd, cd_high) = (pd(_mm512_unpacklo_ps(c, d)), pd(_mm512_unpackhi_ps(c, d)));
        [
            _mm512_unpacklo_pd(ab, cd),
            _mm512_unpackhi_pd(ab, cd),
            _mm512_unpacklo_pd(ab_high, cd_high),
            _mm512_unpackhi_pd(ab_high, cd_high),
        ]
        .map(|x| _mm512_castpd_ps(x))
    });
    let [q0, q1, q2, q3] = fours;
    for (e, (((a, b), c), d)) in q0.into_iter().zip(q1).zip(q2).zip(q3).enumerate() {
        // Quarters 0 and 2, and 1 and 3, of two.
        let (ab, ab_odd) = (
            _mm512_shuffle_f32x4::<0x88>(a, b),
            _mm512_shuffle_f32x4::<0xdd>(a, b),
        );
        let (cd, cd_odd) = (
            _mm512_shuffle_f32x4::<0x88>(c, d),
            _mm512_shuffle_f32x4::<0xdd>(c, d),
        );
        let columns = [
            (0, _mm512_shuffle_f32x4::<0x88>(ab, cd)),
            (8, _mm512_shuffle_f32x4::<0xdd>(ab, cd)),
            (4, _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd)),
            (12, _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd)),
        ];
        for (column, values) in columns {
            // SAFETY: the caller's duty.
            unsafe { _mm512_storeu_ps(to.add((column + e) * width), values) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
