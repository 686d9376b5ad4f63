//! Dropout on an adapter's input: a pure function of the row's key, the module and the column, so that the forward, the
//! backward and a recomputed forward see the same mask without storing it.

use candle_core::{Device, Tensor};

use super::Result;
use crate::error::Error;
use crate::keyed::Key;
use crate::ops::simd::{self, Isa, Kernel};

/// Inverted dropout: an element becomes 0 with probability `p`, else it is divided by `1 - p`.
#[derive(Debug, Clone, Copy)]
pub struct Dropout<'a> {
    /// Probability of zero, in `[0, 1)`; kept to 32 bits.
    pub p: f32,
    /// One key per row (of seed, step, example and position): rows with equal keys have equal masks.
    pub row_keys: &'a [u64],
    /// Names the layer and projection.
    pub module: u64,
}

/// Columns whose factors are made together.
const BLOCK: usize = 16;

/// One row's mask.
#[derive(Clone, Copy)]
pub(crate) struct RowMask {
    base: u64,
    threshold: u32,
    keep: f32,
}

impl RowMask {
    /// Factors, 0 or `1 / (1 - p)`, of the 16 columns from `16 * block`.
    ///
    /// Eight 64-bit draws serve them: SplitMix64's finaliser of a counter that steps by the golden ratio from
    /// `Key(row key).with(module)`. Draw `8 * block + i` decides column `16 * block + i` by its low half and the column 8
    /// further by its high half; a column is dropped if its 32 bits are below `p * 2^32`.
    #[inline(always)]
    fn block(self, block: usize) -> [f32; BLOCK] {
        let mut factors = [self.keep; BLOCK];
        for i in 0..BLOCK / 2 {
            let counter = (block * (BLOCK / 2) + i) as u64;
            let mut z = self
                .base
                .wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            factors[i] = if (z as u32) < self.threshold {
                0.0
            } else {
                self.keep
            };
            factors[i + BLOCK / 2] = if ((z >> 32) as u32) < self.threshold {
                0.0
            } else {
                self.keep
            };
        }
        factors
    }

    /// `out += mask * x` over one row.
    pub(crate) fn add_masked(self, out: &mut [f32], x: &[f32]) {
        simd::dispatch(AddMasked { mask: self, out, x });
    }
}

/// See [`RowMask::add_masked`].
struct AddMasked<'a> {
    mask: RowMask,
    out: &'a mut [f32],
    x: &'a [f32],
}

impl Kernel for AddMasked<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (out, out_rest) = self.out.as_chunks_mut::<BLOCK>();
        let (x, x_rest) = self.x.as_chunks::<BLOCK>();
        let whole = x.len();
        for (block, (out, x)) in out.iter_mut().zip(x).enumerate() {
            let factors = self.mask.block(block);
            for i in 0..BLOCK {
                out[i] = I::mul_add(factors[i], x[i], out[i]);
            }
        }
        for ((out, x), factor) in out_rest.iter_mut().zip(x_rest).zip(self.mask.block(whole)) {
            *out = I::mul_add(factor, *x, *out);
        }
    }
}

impl Dropout<'_> {
    /// The mask of one row.
    pub(crate) fn row(&self, row: usize) -> RowMask {
        RowMask {
            base: Key::new(self.row_keys[row]).with(self.module).bits(),
            threshold: (f64::from(self.p) * 4_294_967_296.0) as u32,
            keep: 1.0 / (1.0 - self.p),
        }
    }

    /// Checks the probability and the number of keys.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        if !(0.0..1.0).contains(&self.p) {
            return Err(Error::Invalid(format!(
                "dropout probability {} is not in [0, 1)",
                self.p
            )));
        }
        if self.row_keys.len() != rows {
            return Err(Error::Invalid(format!(
                "dropout: {} row keys for {rows} rows",
                self.row_keys.len()
            )));
        }
        Ok(())
    }

    /// The mask as a tensor `[rows, columns]` like `x`.
    pub(crate) fn mask_like(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, columns) = x.dims2()?;
        self.check(rows)?;
        let ones = vec![1.0f32; columns];
        let mut values = vec![0.0f32; rows * columns];
        for (row, values) in values.chunks_mut(columns.max(1)).enumerate() {
            self.row(row).add_masked(values, &ones);
        }
        Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?
            .to_device(x.device())?
            .to_dtype(x.dtype())?)
    }
}
