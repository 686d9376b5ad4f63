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

/// One row's mask.
#[derive(Clone, Copy)]
pub(crate) struct RowMask {
    low: u32,
    high: u32,
    threshold: u32,
    keep: f32,
}

impl RowMask {
    /// Factor of a column: 0 if its 32 random bits are below `p * 2^32`, else `1 / (1 - p)`.
    ///
    /// The bits come from a multiply-and-shift mixer of the column, keyed with both halves of
    /// `Key(row key).with(module)`: one 32-bit lane an element, so that a loop over columns vectorises.
    #[inline(always)]
    fn factor(self, column: u32) -> f32 {
        let mut z = column.wrapping_mul(0x9e37_79b9) ^ self.low;
        z = (z ^ (z >> 16)).wrapping_mul(0x7feb_352d) ^ self.high;
        z = (z ^ (z >> 15)).wrapping_mul(0x846c_a68b);
        z ^= z >> 16;
        if z < self.threshold { 0.0 } else { self.keep }
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
        for (column, (out, &x)) in (0u32..).zip(self.out.iter_mut().zip(self.x)) {
            *out = I::mul_add(self.mask.factor(column), x, *out);
        }
    }
}

impl Dropout<'_> {
    /// The mask of one row.
    pub(crate) fn row(&self, row: usize) -> RowMask {
        let bits = Key::new(self.row_keys[row]).with(self.module).bits();
        RowMask {
            low: bits as u32,
            high: (bits >> 32) as u32,
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
