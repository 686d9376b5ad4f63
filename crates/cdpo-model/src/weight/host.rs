//! A weight that is open for the CPU kernels of one call: products of slices, into buffers that the caller keeps.
//!
//! A product takes the whole matrix: one that is held encoded is decoded inside, a tile at a time.

use super::Weight;
use super::encoded::EncodedWeight;
use crate::error::Result;
use crate::ops::gemm::{MatRef, PackedB, Rhs, gemm, product};
use crate::ops::host::HostSlice;

/// See [`Weight::on_host`].
pub(crate) struct HostWeight<'a> {
    weight: &'a Weight,
    encoded: Option<&'a EncodedWeight>,
    packed: Option<&'a PackedB>,
    dense: Option<HostSlice<'a>>,
}

impl<'a> HostWeight<'a> {
    pub(super) fn new(weight: &'a Weight) -> Result<Self> {
        Ok(Self {
            weight,
            encoded: weight.stored.encoded(),
            packed: weight.stored.packed(),
            dense: weight.stored.rows().map(HostSlice::new).transpose()?,
        })
    }

    /// `(out, in)`.
    pub(crate) fn shape(&self) -> (usize, usize) {
        self.weight.shape
    }

    /// Itself, if it can be used by a reverse pass: [`HostWeight::back`] and [`HostWeight::with_row`] give no error then.
    ///
    /// # Errors
    /// If the weight was packed for decoding only.
    pub(crate) fn reversible(self) -> Result<Self> {
        if self.encoded.is_none() {
            self.matrix()?;
        }
        Ok(self)
    }

    /// `x W^T`, with `bias` `[out]` added to every row: `[N, out]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(crate) fn times(&self, x: MatRef<'_>, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        match self.encoded {
            Some(encoded) => encoded.times(x, bias),
            None => product(x, self.transposed()?, 1.0, bias),
        }
    }

    /// `out = x W^T`, `[N, out]`; what `out` held is not read.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(crate) fn times_into(&self, x: MatRef<'_>, out: &mut [f32]) -> Result<()> {
        match self.encoded {
            Some(encoded) => encoded.times_into(x, out),
            None => gemm(out, x, self.transposed()?, 1.0, 0.0),
        }
    }

    /// `dy W`: `[N, in]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the weight was packed for decoding only.
    pub(crate) fn back(&self, dy: MatRef<'_>) -> Result<Vec<f32>> {
        match self.encoded {
            Some(encoded) => encoded.back(dy),
            None => product(dy, Rhs::Dense(self.matrix()?), 1.0, None),
        }
    }

    /// `out = dy W`, `[N, in]`; what `out` held is not read.
    ///
    /// # Errors
    /// As [`HostWeight::back`].
    pub(crate) fn back_into(&self, dy: MatRef<'_>, out: &mut [f32]) -> Result<()> {
        match self.encoded {
            Some(encoded) => encoded.back_into(dy, out),
            None => gemm(out, dy, Rhs::Dense(self.matrix()?), 1.0, 0.0),
        }
    }

    /// What `take` makes of row `id`, `[in]`.
    ///
    /// # Errors
    /// If the weight was packed for decoding only.
    pub(crate) fn with_row<T>(&self, id: u32, take: impl FnOnce(&[f32]) -> T) -> Result<T> {
        let width = self.weight.shape.1;
        if let Some(encoded) = self.encoded {
            let mut row = vec![0.0; width];
            encoded.row(id as usize, &mut row);
            return Ok(take(&row));
        }
        Ok(take(&self.dense()?[id as usize * width..][..width]))
    }

    /// `W^T` as the right operand of a product.
    fn transposed(&self) -> Result<Rhs<'_>> {
        Ok(match self.packed {
            Some(packed) => Rhs::Packed(packed),
            None => Rhs::Dense(self.matrix()?.t()),
        })
    }

    /// `W`.
    fn matrix(&self) -> Result<MatRef<'_>> {
        let (out_features, in_features) = self.weight.shape;
        MatRef::new(self.dense()?, out_features, in_features)
    }

    fn dense(&self) -> Result<&[f32]> {
        self.dense
            .as_deref()
            .ok_or_else(|| self.weight.packed_only())
    }
}
