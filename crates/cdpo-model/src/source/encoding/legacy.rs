//! GGML's older block types: 32 elements with one scale, and an offset in the `_1` forms.
//!
//! Element `j < 16` lies in the low half of byte `j`, element `j + 16` in its high half.

use super::half_at;

#[inline(always)]
pub(super) fn q4_0(block: &[u8; 18], y: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for j in 0..16 {
        let q = block[2 + j];
        y[j] = (i32::from(q & 0xf) - 8) as f32 * d;
        y[j + 16] = (i32::from(q >> 4) - 8) as f32 * d;
    }
}

#[inline(always)]
pub(super) fn q4_1(block: &[u8; 20], y: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for j in 0..16 {
        let q = block[4 + j];
        y[j] = f32::from(q & 0xf) * d + m;
        y[j + 16] = f32::from(q >> 4) * d + m;
    }
}

/// The fifth bits of the elements: bit `j` belongs to element `j`.
#[inline(always)]
fn fifth_bits<const N: usize>(block: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

#[inline(always)]
pub(super) fn q5_0(block: &[u8; 22], y: &mut [f32; 32]) {
    let d = half_at(block, 0);
    let high = fifth_bits(block, 2);
    for j in 0..16 {
        let q = u32::from(block[6 + j]);
        let low = (q & 0xf) | ((high >> j) & 1) << 4;
        let up = (q >> 4) | ((high >> (j + 16)) & 1) << 4;
        y[j] = (low as i32 - 16) as f32 * d;
        y[j + 16] = (up as i32 - 16) as f32 * d;
    }
}

#[inline(always)]
pub(super) fn q5_1(block: &[u8; 24], y: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    let high = fifth_bits(block, 4);
    for j in 0..16 {
        let q = u32::from(block[8 + j]);
        let low = (q & 0xf) | ((high >> j) & 1) << 4;
        let up = (q >> 4) | ((high >> (j + 16)) & 1) << 4;
        y[j] = low as f32 * d + m;
        y[j + 16] = up as f32 * d + m;
    }
}

#[inline(always)]
pub(super) fn q8_0(block: &[u8; 34], y: &mut [f32; 32]) {
    let d = half_at(block, 0);
    // By index: of an iterator the compiler makes thirty-two steps of one element each.
    for j in 0..32 {
        y[j] = f32::from(block[2 + j] as i8) * d;
    }
}
