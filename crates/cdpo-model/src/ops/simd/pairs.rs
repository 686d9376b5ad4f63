//! Products of bf16 numbers with f32 sums, by instructions that take them in pairs, and what makes pairs.
//!
//! Goes in: rows of bf16. Comes out: f32. A product of two bf16 is exact in f32, and every sum is rounded to it; numbers below the
//! smallest normal one count as 0. `ops/gemm/bf16/emulated.rs` is the order of the sums of each unit.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// Pairs of which a tile has a multiple.
pub(crate) const STEP: usize = 16;
/// Columns of a tile.
pub(crate) const COLUMNS: usize = 32;

/// What multiplies bf16 on a processor.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Vectors of sixteen pairs.
    Avx512,
    /// Tiles of sixteen rows of sixteen pairs.
    Amx,
}

impl Unit {
    /// The fastest of this machine.
    pub(crate) fn here() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            // Weights are laid out by AVX-512 for both.
            if !avx512::is_here() {
                return None;
            }
            Some(if amx::is_here() {
                Self::Amx
            } else {
                Self::Avx512
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            None
        }
    }
}

/// Rows of pairs of bf16, the first of a pair in the lower half: row `i` begins at `i * stride`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pairs<'a> {
    pub(crate) values: &'a [u32],
    pub(crate) stride: usize,
}

impl Pairs<'_> {
    /// Without the first `rows` rows and the first `pairs` pairs of every row.
    pub(crate) fn skip(self, rows: usize, pairs: usize) -> Self {
        Self {
            values: &self.values[rows * self.stride + pairs..],
            ..self
        }
    }

    /// Whether `rows` rows of `pairs` pairs are there.
    fn holds(&self, rows: usize, pairs: usize) -> bool {
        rows == 0 || self.values.len() >= (rows - 1) * self.stride + pairs
    }
}

/// `out[i][c] = sum over p of left[i][p] . tiles[p][c]` for `rows` rows of `left` and the `width` columns of `out`, row-major.
///
/// A tile is `[count, COLUMNS]` pairs, `count` a multiple of [`STEP`]; pairs beyond the matrix are zeros on both sides. With `add` the
/// sums go on from what `out` holds.
///
/// # Panics
/// If the machine has no such unit, or a slice is too short.
#[allow(clippy::too_many_arguments)]
pub(crate) fn product(
    unit: Unit,
    left: Pairs<'_>,
    rows: usize,
    tiles: &[u32],
    count: usize,
    out: &mut [f32],
    width: usize,
    add: bool,
) {
    assert!(count > 0 && count.is_multiple_of(STEP) && left.holds(rows, count));
    assert!(tiles.len() >= width.div_ceil(COLUMNS) * count * COLUMNS);
    assert!(out.len() >= rows * width);
    #[cfg(target_arch = "x86_64")]
    match unit {
        Unit::Avx512 => avx512::product(left, rows, tiles, count, out, width, add),
        Unit::Amx => amx::product(left, rows, tiles, count, out, width, add),
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("{unit:?} {add}");
}

/// Half a tile out of sixteen rows of bf16, little-endian, that need not be aligned: a row becomes a column of pairs, and a row that
/// ends before `count` pairs goes on with zeros. `tile` begins at the half's first column.
///
/// # Panics
/// As [`product`].
pub(crate) fn pair_rows(rows: &[&[u8]; 16], tile: &mut [u32], count: usize) {
    #[cfg(target_arch = "x86_64")]
    avx512::pair_rows(rows, tile, count);
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("{rows:?} {tile:?} {count}");
}

/// Two rows of bf16, little-endian, as pairs, in tiles as [`product`] takes them: row `pair` of each tile of `pairs` rows.
pub(crate) fn interleave(low: &[u8], high: &[u8], tiles: &mut [u32], pair: usize, pairs: usize) {
    super::dispatch(Interleave {
        low,
        high,
        tiles,
        pair,
        pairs,
    });
}

struct Interleave<'a> {
    low: &'a [u8],
    high: &'a [u8],
    tiles: &'a mut [u32],
    pair: usize,
    pairs: usize,
}

impl super::Kernel for Interleave<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: super::Isa>(self) {
        let (low, high) = (self.low.as_chunks::<2>().0, self.high.as_chunks::<2>().0);
        let tiles = self.tiles.chunks_exact_mut(self.pairs * COLUMNS);
        for ((low, high), tile) in low.chunks(COLUMNS).zip(high.chunks(COLUMNS)).zip(tiles) {
            let out = &mut tile[self.pair * COLUMNS..][..COLUMNS];
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                *out = u32::from(u16::from_le_bytes(*low))
                    | u32::from(u16::from_le_bytes(*high)) << 16;
            }
            out[low.len()..].fill(0);
        }
    }
}

/// `x` rounded to the nearest bf16, to the even one of two; NaN stays NaN.
#[inline(always)]
pub(crate) fn rounded(x: f32) -> u16 {
    let bits = x.to_bits();
    let up = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    if x.is_nan() { 0x7fc0 } else { up }
}

/// `from` as f32, which changes no value.
pub(crate) fn widened(from: &[u16], to: &mut [f32]) {
    super::dispatch(Widen { from, to });
}

struct Widen<'a> {
    from: &'a [u16],
    to: &'a mut [f32],
}

impl super::Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: super::Isa>(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = f32::from_bits(u32::from(*from) << 16);
        }
    }
}

/// Rounds a row to pairs; an odd last element stands with a zero.
pub(crate) fn round_pairs(from: &[f32], to: &mut [u32]) {
    super::dispatch(RoundPairs { from, to });
}

struct RoundPairs<'a> {
    from: &'a [f32],
    to: &'a mut [u32],
}

impl super::Kernel for RoundPairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: super::Isa>(self) {
        let (pairs, rest) = self.from.as_chunks::<2>();
        for (to, [low, high]) in self.to.iter_mut().zip(pairs) {
            *to = u32::from(rounded(*low)) | u32::from(rounded(*high)) << 16;
        }
        if let [last] = rest {
            self.to[pairs.len()] = u32::from(rounded(*last));
        }
    }
}

/// As [`round_pairs`], and leaves in `from` what rounding took away.
pub(crate) fn split_pairs(from: &mut [f32], to: &mut [u32]) {
    round_pairs(from, to);
    super::dispatch(TakeRounded { from });
}

struct TakeRounded<'a> {
    from: &'a mut [f32],
}

impl super::Kernel for TakeRounded<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: super::Isa>(self) {
        for x in self.from {
            let taken = f32::from_bits(u32::from(rounded(*x)) << 16);
            // Nothing is left of what is not finite.
            *x = if x.is_finite() && taken.is_finite() {
                *x - taken
            } else {
                0.0
            };
        }
    }
}

/// Rounds a row to bf16, little-endian.
pub(crate) fn round_bytes(from: &[f32], to: &mut [u8]) {
    super::dispatch(RoundBytes { from, to });
}

struct RoundBytes<'a> {
    from: &'a [f32],
    to: &'a mut [u8],
}

impl super::Kernel for RoundBytes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: super::Isa>(self) {
        for (to, from) in self.to.as_chunks_mut::<2>().0.iter_mut().zip(self.from) {
            *to = rounded(*from).to_le_bytes();
        }
    }
}
