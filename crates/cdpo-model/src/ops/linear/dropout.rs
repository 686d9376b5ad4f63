//! Dropout on an adapter's input: a pure function of the row's key, the module and the column, so that the forward, the
//! backward and a recomputed forward see the same mask without storing it.

use candle_core::{Device, Tensor};

use super::Result;
use crate::error::Error;
use crate::keyed::Key;

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

/// One row's mask: two columns share the 64 bits of one counter-based draw.
#[derive(Clone, Copy)]
pub(crate) struct RowMask {
    base: u64,
    threshold: u32,
    keep: f32,
}

impl RowMask {
    /// Factors (0 or `1 / (1 - p)`) of columns `2 * pair` and `2 * pair + 1`.
    ///
    /// The draw is SplitMix64's finaliser of a counter stepping by the golden ratio from `Key(row).with(module)`; a
    /// column is dropped if its 32 bits are below `p * 2^32`.
    #[inline(always)]
    pub(crate) fn pair(self, pair: u64) -> [f32; 2] {
        let mut z = self.base.wrapping_add(pair.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let factor = |bits: u32| if bits < self.threshold { 0.0 } else { self.keep };
        [factor(z as u32), factor((z >> 32) as u32)]
    }

    /// The factor of every column of a row, in order.
    pub(crate) fn factors(self, columns: usize) -> impl Iterator<Item = f32> {
        (0..columns.div_ceil(2) as u64).flat_map(move |pair| self.pair(pair)).take(columns)
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
            return Err(Error::Invalid(format!("dropout probability {} is not in [0, 1)", self.p)));
        }
        if self.row_keys.len() != rows {
            return Err(Error::Invalid(format!("dropout: {} row keys for {rows} rows", self.row_keys.len())));
        }
        Ok(())
    }

    /// The mask as a tensor `[rows, columns]` like `x`.
    pub(crate) fn mask_like(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, columns) = x.dims2()?;
        self.check(rows)?;
        let values: Vec<f32> = (0..rows).flat_map(|row| self.row(row).factors(columns)).collect();
        Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?.to_device(x.device())?.to_dtype(x.dtype())?)
    }
}
