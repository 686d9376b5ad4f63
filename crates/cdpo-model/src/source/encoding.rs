//! How a tensor's elements lie in a file, and their conversion to f32.
//!
//! Goes in: whole rows of encoded blocks. Comes out: f32, row-major, checked to be finite.

// A decoder must be part of the function that is compiled for an instruction set.
#![allow(clippy::inline_always)]

use half::{bf16, f16};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ops::simd::{Isa, Kernel, dispatch};

mod kquants;
mod legacy;

/// An element encoding of safetensors or GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

impl Encoding {
    pub(crate) const ALL: [(u32, Self, &'static str); 13] = [
        (0, Self::F32, "F32"),
        (1, Self::F16, "F16"),
        (30, Self::Bf16, "BF16"),
        (2, Self::Q4_0, "Q4_0"),
        (3, Self::Q4_1, "Q4_1"),
        (6, Self::Q5_0, "Q5_0"),
        (7, Self::Q5_1, "Q5_1"),
        (8, Self::Q8_0, "Q8_0"),
        (10, Self::Q2K, "Q2_K"),
        (11, Self::Q3K, "Q3_K"),
        (12, Self::Q4K, "Q4_K"),
        (13, Self::Q5K, "Q5_K"),
        (14, Self::Q6K, "Q6_K"),
    ];

    /// The encoding with GGML's type number `id`.
    pub(crate) fn from_ggml(id: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(n, ..)| *n == id)
            .map(|&(_, e, _)| e)
    }

    /// The names of all encodings, for messages.
    pub(crate) fn known() -> String {
        Self::ALL.map(|(_, _, name)| name).join(", ")
    }

    /// Elements of a block and bytes it takes.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q2K => (256, 84),
            Self::Q3K => (256, 110),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    /// Bytes of `elements` elements; `None` if they are no whole number of blocks or overflow.
    pub(crate) fn bytes(self, elements: usize) -> Option<usize> {
        let (len, size) = self.block();
        if elements.is_multiple_of(len) {
            (elements / len).checked_mul(size)
        } else {
            None
        }
    }

    /// Decodes whole blocks. `src` and `dst` have matching lengths, as [`Self::bytes`] says.
    pub(crate) fn decode(self, src: &[u8], dst: &mut [f32]) {
        debug_assert_eq!(Some(src.len()), self.bytes(dst.len()));
        dispatch(Decode {
            encoding: self,
            src,
            dst,
        });
    }

    /// Whether every element of whole blocks is finite. Blocks of integers are, if their scales are.
    pub(crate) fn all_finite(self, src: &[u8]) -> bool {
        src.par_chunks(PIECE * self.block().1).all(|src| {
            dispatch(AllFinite {
                encoding: self,
                src,
            })
        })
    }

    /// Where the f16 scales of a block begin.
    pub(super) fn scales(self) -> &'static [usize] {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => &[],
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q2K => &[80, 82],
            Self::Q3K => &[108],
            Self::Q6K => &[208],
        }
    }
}

/// Applies a block decoder to each block. A macro, because a decoder that is handed over as a function is compiled by itself, for the
/// baseline; sizes are the decoder's, so that its indices are checked once.
macro_rules! blocks {
    ($src:expr, $dst:expr, $decode:path) => {
        for (x, y) in $src.as_chunks().0.iter().zip($dst.as_chunks_mut().0) {
            $decode(x, y);
        }
    };
}

/// See [`Encoding::decode`].
struct Decode<'a> {
    encoding: Encoding,
    src: &'a [u8],
    dst: &'a mut [f32],
}

impl Kernel for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { encoding, src, dst } = self;
        match encoding {
            Encoding::F32 => {
                for (y, x) in dst.iter_mut().zip(src.as_chunks::<4>().0) {
                    *y = f32::from_le_bytes(*x);
                }
            }
            Encoding::F16 => {
                for (y, x) in dst.iter_mut().zip(src.as_chunks::<2>().0) {
                    *y = widened(u16::from_le_bytes(*x));
                }
            }
            Encoding::Bf16 => {
                for (y, x) in dst.iter_mut().zip(src.as_chunks::<2>().0) {
                    *y = bf16::from_le_bytes(*x).to_f32();
                }
            }
            Encoding::Q4_0 => blocks!(src, dst, legacy::q4_0),
            Encoding::Q4_1 => blocks!(src, dst, legacy::q4_1),
            Encoding::Q5_0 => blocks!(src, dst, legacy::q5_0),
            Encoding::Q5_1 => blocks!(src, dst, legacy::q5_1),
            Encoding::Q8_0 => blocks!(src, dst, legacy::q8_0),
            Encoding::Q2K => blocks!(src, dst, kquants::q2_k),
            Encoding::Q3K => blocks!(src, dst, kquants::q3_k),
            Encoding::Q4K => blocks!(src, dst, kquants::q4_k),
            Encoding::Q5K => blocks!(src, dst, kquants::q5_k),
            Encoding::Q6K => blocks!(src, dst, kquants::q6_k),
        }
    }
}

/// See [`Encoding::all_finite`].
struct AllFinite<'a> {
    encoding: Encoding,
    src: &'a [u8],
}

impl Kernel for AllFinite<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<I: Isa>(self) -> bool {
        let halves = |mask: u16| {
            let numbers = self.src.as_chunks::<2>().0.iter();
            numbers.fold(true, |ok, x| ok & (u16::from_le_bytes(*x) & mask != mask))
        };
        match self.encoding {
            Encoding::F32 => {
                const EXPONENT: u32 = 0x7f80_0000;
                let numbers = self.src.as_chunks::<4>().0.iter();
                numbers.fold(true, |ok, x| {
                    ok & (u32::from_le_bytes(*x) & EXPONENT != EXPONENT)
                })
            }
            Encoding::Bf16 => halves(0x7f80),
            Encoding::F16 => halves(0x7c00),
            blocks => {
                let scales = blocks.scales();
                self.src.chunks_exact(blocks.block().1).all(|block| {
                    let finite =
                        |&at: &usize| f16::from_le_bytes([block[at], block[at + 1]]).is_finite();
                    scales.iter().all(finite)
                })
            }
        }
    }
}

/// The f16 at bytes `at` and `at + 1` of a block. The library's own conversion asks for the processor's features every time.
#[inline(always)]
fn half_at<const N: usize>(block: &[u8; N], at: usize) -> f32 {
    widened(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// The value of an f16, exactly.
#[inline(always)]
fn widened(half: u16) -> f32 {
    // The exponent's bias of f32 over that of f16; f16's subnormal numbers become f32's on the way.
    const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
    const INFINITE: u32 = 0x7f80_0000;
    let half = u32::from(half);
    let finite = (f32::from_bits((half & 0x7fff) << 13) * REBIAS).to_bits();
    let special = if half & 0x7c00 == 0x7c00 { INFINITE } else { 0 };
    f32::from_bits(finite | special | (half & 0x8000) << 16)
}

/// About how many elements one parallel piece decodes.
const PIECE: usize = 1 << 16;

/// The matrix `[rows, row_len]`, decoded in parallel: `decode(row, out)` makes each row.
///
/// # Errors
/// An element that is not finite, with its place; `name` is the tensor's.
pub(crate) fn decode_rows(
    name: &str,
    (rows, row_len): (usize, usize),
    decode: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Vec<f32>> {
    let mut out = vec![0.0f32; rows * row_len];
    if out.is_empty() {
        return Ok(out);
    }
    let rows_a_piece = (PIECE / row_len).max(1);
    out.par_chunks_mut(rows_a_piece * row_len)
        .enumerate()
        .try_for_each(|(piece, dst)| {
            for (i, y) in dst.chunks_exact_mut(row_len).enumerate() {
                decode(piece * rows_a_piece + i, y);
            }
            // One pass without a branch while the piece is still in cache; the place is looked up only on failure.
            let all_finite = dst.iter().fold(true, |ok, x| {
                ok & (x.to_bits() & 0x7f80_0000 != 0x7f80_0000)
            });
            if all_finite {
                return Ok(());
            }
            let at = dst.iter().position(|x| !x.is_finite()).unwrap_or(0);
            let (row, column) = (piece * rows_a_piece + at / row_len, at % row_len);
            Err(Error::tensor(
                name,
                format!(
                    "element [{row}, {column}] is {}: the weights are damaged; get the file again",
                    dst[at]
                ),
            ))
        })?;
    Ok(out)
}

#[cfg(test)]
mod tests;
