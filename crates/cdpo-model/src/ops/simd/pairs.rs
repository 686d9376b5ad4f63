//! Products of bf16 numbers with f32 sums, by instructions that take them in pairs, and what makes pairs.
//!
//! Goes in: rows of bf16. Comes out: f32. A step of the unit takes two pairs: `sum + a1 b1`, rounded, then `+ a0 b0`, rounded; a
//! product of two bf16 is exact; numbers below the smallest normal one count as 0. `ops/gemm/bf16/emulated.rs` is the order of all sums.

#[cfg(target_arch = "x86_64")]
mod avx512;

/// Elements of a row that one step takes.
pub(crate) const STEP: usize = 32;
/// Columns of one tile of [`outer`].
pub(crate) const COLUMNS: usize = 32;

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

/// Whether this machine has such instructions.
pub(crate) fn is_here() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        avx512::is_here()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Some columns of a row-major matrix: those from `first` of `width`.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) first: usize,
}

/// `out[i][j] = x_i . w_j` for `rows` rows of `x`.
///
/// The rows of `x` have `k` elements, and something up to a multiple of [`STEP`]; those of `w` have `k`, little-endian, and need not be
/// aligned.
///
/// # Panics
/// If the machine has no such instructions, or a slice is too short.
pub(crate) fn dots(x: Pairs<'_>, rows: usize, w: &[&[u8]], k: usize, out: Columns<'_>) {
    #[cfg(target_arch = "x86_64")]
    avx512::dots(x, rows, w, k, out);
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("{:?}", (x, rows, w, k, out));
}

/// `out[i][c] = sum over r of dy[i][r] w[r][c]` for `rows` rows of `dy` and all columns of `out`, over `2 * count` rows of `w`.
///
/// `w` has tiles of [`COLUMNS`] columns, each `[count, COLUMNS]`: two rows' elements of one column are a pair. With `add` the sums go on
/// from what `out` holds.
///
/// # Panics
/// As [`dots`].
pub(crate) fn outer(
    dy: Pairs<'_>,
    rows: usize,
    w: &[u32],
    count: usize,
    out: Columns<'_>,
    add: bool,
) {
    #[cfg(target_arch = "x86_64")]
    avx512::outer(dy, rows, w, count, out, add);
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("{:?}", (dy, rows, w, count, out, add));
}

/// Two rows of bf16, little-endian, as pairs, in tiles as [`outer`] takes them: row `pair` of each tile of `pairs` rows.
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
