//! A frozen matrix that stays encoded, with the kernel that multiplies by it.

use crate::error::Result;
use crate::ops::gemm::bf16::{self, Products};
use crate::ops::gemm::{MatRef, tiled};
use crate::source::EncodedMatrix;

/// `[out, in]`.
#[derive(Debug, Clone)]
pub(super) struct EncodedWeight {
    pub(super) matrix: EncodedMatrix,
    products: Products,
}

impl EncodedWeight {
    pub(super) fn new(matrix: EncodedMatrix, products: Products) -> Self {
        Self { matrix, products }
    }

    /// `x W^T`, with `bias` `[out]` added to every row: `[N, out]`.
    pub(super) fn times(&self, x: MatRef<'_>, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        if self.products.by_bf16() {
            bf16::times(x, &self.matrix, bias)
        } else {
            tiled::times(x, &self.matrix, bias)
        }
    }

    /// `out = x W^T`, `[N, out]`.
    pub(super) fn times_into(&self, x: MatRef<'_>, out: &mut [f32]) -> Result<()> {
        if self.products.by_bf16() {
            bf16::times_into(x, &self.matrix, out)
        } else {
            tiled::times_into(x, &self.matrix, out)
        }
    }

    /// `dy W`: `[N, in]`.
    pub(super) fn back(&self, dy: MatRef<'_>) -> Result<Vec<f32>> {
        if self.products.by_bf16() {
            bf16::back(dy, &self.matrix)
        } else {
            tiled::back(dy, &self.matrix)
        }
    }

    /// `out = dy W`, `[N, in]`.
    pub(super) fn back_into(&self, dy: MatRef<'_>, out: &mut [f32]) -> Result<()> {
        if self.products.by_bf16() {
            bf16::back_into(dy, &self.matrix, out)
        } else {
            tiled::back_into(dy, &self.matrix, out)
        }
    }
}
