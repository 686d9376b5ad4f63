//! GGML's k-quants: 256 elements in groups of 16 or 32, each group with a small integer scale (and offset) times one
//! f16 scale (and offset) of the block.

use super::half_at;

/// Bytes: scales 16, quants 64, d 2, dmin 2. Sixteen groups of 16; a scale byte is scale | offset << 4.
#[inline(always)]
pub(super) fn q2_k(block: &[u8; 84], y: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for group in 0..16 {
        let (half, shift, side) = (group / 8, (group / 2 % 4) * 2, group % 2);
        let scale = d * f32::from(block[group] & 0xf);
        let offset = dmin * f32::from(block[group] >> 4);
        let from = 16 + half * 32 + side * 16;
        for l in 0..16 {
            y[group * 16 + l] = scale * f32::from((block[from + l] >> shift) & 3) - offset;
        }
    }
}

/// Bytes: high bits 32, quants 64, scales 12, d 2. A scale has six bits: four in the first eight bytes, two in the last four.
#[inline(always)]
pub(super) fn q3_k(block: &[u8; 110], y: &mut [f32; 256]) {
    let d = half_at(block, 108);
    let packed = &block[96..108];
    for group in 0..16 {
        let (half, step, side) = (group / 8, group / 2 % 4, group % 2);
        let low = if group < 8 {
            packed[group] & 0xf
        } else {
            packed[group - 8] >> 4
        };
        let high = (packed[8 + group % 4] >> (2 * (group / 4))) & 3;
        let scale = d * (i32::from(low | high << 4) - 32) as f32;
        let (quants, bit) = (32 + half * 32 + side * 16, half * 4 + step);
        for l in 0..16 {
            let low = i32::from((block[quants + l] >> (2 * step)) & 3);
            let set = i32::from((block[side * 16 + l] >> bit) & 1);
            y[group * 16 + l] = scale * (low + 4 * set - 4) as f32;
        }
    }
}

/// The six-bit scale and offset of group `j` of eight, from the twelve packed bytes of Q4_K and Q5_K.
#[inline(always)]
fn scale_and_offset(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, offset) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (
            packed[j + 4] & 0xf | (packed[j - 4] >> 6) << 4,
            packed[j + 4] >> 4 | (packed[j] >> 6) << 4,
        )
    };
    (f32::from(scale), f32::from(offset))
}

/// Bytes: d 2, dmin 2, scales 12, quants 128. Two groups of 32 share 32 bytes, low halves first.
#[inline(always)]
pub(super) fn q4_k(block: &[u8; 144], y: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for pair in 0..4 {
        let quants = &block[16 + pair * 32..][..32];
        for side in 0..2 {
            let (scale, offset) = scale_and_offset(&block[4..16], 2 * pair + side);
            let (scale, offset) = (d * scale, dmin * offset);
            for (y, &q) in y[pair * 64 + side * 32..][..32].iter_mut().zip(quants) {
                *y = scale * f32::from((q >> (4 * side)) & 0xf) - offset;
            }
        }
    }
}

/// Bytes: d 2, dmin 2, scales 12, fifth bits 32, quants 128. As Q4_K; bit `group` of byte `l` is element `l`'s fifth.
#[inline(always)]
pub(super) fn q5_k(block: &[u8; 176], y: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    let high = &block[16..48];
    for pair in 0..4 {
        let quants = &block[48 + pair * 32..][..32];
        for side in 0..2 {
            let group = 2 * pair + side;
            let (scale, offset) = scale_and_offset(&block[4..16], group);
            let (scale, offset) = (d * scale, dmin * offset);
            for ((y, &q), &h) in y[group * 32..][..32].iter_mut().zip(quants).zip(high) {
                let value = (q >> (4 * side)) & 0xf | ((h >> group) & 1) << 4;
                *y = scale * f32::from(value) - offset;
            }
        }
    }
}

/// Bytes: low bits 128, high bits 64, scales 16 (signed), d 2. Sixteen groups of 16, centred on 32.
#[inline(always)]
pub(super) fn q6_k(block: &[u8; 210], y: &mut [f32; 256]) {
    let d = half_at(block, 208);
    for half in 0..2 {
        let low = &block[half * 64..][..64];
        let high = &block[128 + half * 32..][..32];
        for quarter in 0..4 {
            let low = &low[quarter % 2 * 32..][..32];
            let out = &mut y[half * 128 + quarter * 32..][..32];
            for side in 0..2 {
                let scale = d * f32::from(block[192 + half * 8 + quarter * 2 + side] as i8);
                for l in side * 16..side * 16 + 16 {
                    let value = (low[l] >> (4 * (quarter / 2))) & 0xf
                        | ((high[l] >> (2 * quarter)) & 3) << 4;
                    out[l] = scale * (i32::from(value) - 32) as f32;
                }
            }
        }
    }
}
