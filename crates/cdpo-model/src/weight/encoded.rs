//! A frozen matrix that stays encoded, with the kernel that multiplies by it.

use half::bf16;

use crate::error::Result;
use crate::ops::gemm::bf16::{Kernel, Products};
use crate::ops::gemm::{MatRef, tiled};
use crate::source::EncodedMatrix;

/// `[out, in]`.
#[derive(Debug, Clone)]
pub(super) struct EncodedWeight {
    pub(super) matrix: EncodedMatrix,
    /// `None` for the f32 kernel.
    kernel: Option<Kernel>,
}

impl EncodedWeight {
    pub(super) fn new(matrix: EncodedMatrix, products: Products) -> Self {
        let kernel = products.kernel();
        Self { matrix, kernel }
    }

    /// Row `id` as products see it, `[in]`: rounded where they are of rounded weights, so that a row does not depend on how the matrix is
    /// held.
    pub(super) fn row(&self, id: usize, out: &mut [f32]) {
        self.matrix.row(id, 0..out.len(), out);
        if self.kernel.is_some_and(Kernel::rounds) {
            round(out);
        }
    }

    /// The whole matrix as products see it, row-major.
    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>> {
        let mut values = self.matrix.read(name)?;
        if self.kernel.is_some_and(Kernel::rounds) {
            round(&mut values);
        }
        Ok(values)
    }

    /// `x W^T`, with `bias` `[out]` added to every row: `[N, out]`.
    pub(super) fn times(&self, x: MatRef<'_>, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        match self.kernel {
            Some(kernel) => kernel.times(x, &self.matrix, bias),
            None => tiled::times(x, &self.matrix, bias),
        }
    }

    /// `out = x W^T`, `[N, out]`.
    pub(super) fn times_into(&self, x: MatRef<'_>, out: &mut [f32]) -> Result<()> {
        match self.kernel {
            Some(kernel) => kernel.times_into(x, &self.matrix, out),
            None => tiled::times_into(x, &self.matrix, out),
        }
    }

    /// `dy W`: `[N, in]`.
    pub(super) fn back(&self, dy: MatRef<'_>) -> Result<Vec<f32>> {
        match self.kernel {
            Some(kernel) => kernel.back(dy, &self.matrix),
            None => tiled::back(dy, &self.matrix),
        }
    }

    /// `out = dy W`, `[N, in]`.
    pub(super) fn back_into(&self, dy: MatRef<'_>, out: &mut [f32]) -> Result<()> {
        match self.kernel {
            Some(kernel) => kernel.back_into(dy, &self.matrix, out),
            None => tiled::back_into(dy, &self.matrix, out),
        }
    }
}

/// To the nearest bf16.
fn round(values: &mut [f32]) {
    for x in values {
        *x = bf16::from_f32(*x).to_f32();
    }
}
