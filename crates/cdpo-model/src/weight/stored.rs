//! The forms in which a weight's numbers are held.

use candle_core::Tensor;

use crate::error::Result;
use crate::ops::gemm::PackedB;
use crate::ops::host::{HostSlice, is_host_f32};

use super::encoded::EncodedWeight;

/// A matrix `[out, in]` in at least one form.
#[derive(Debug)]
pub(super) enum Stored {
    /// Row-major and contiguous, on any device.
    Dense(Tensor),
    /// Packed for row-deterministic products `x W^T` on the CPU; the row-major form is there if it was kept.
    Packed {
        packed: PackedB,
        dense: Option<Tensor>,
    },
    /// As its file has it, on the CPU. Nothing of it changes.
    Encoded(EncodedWeight),
}

impl Stored {
    /// The row-major form of `values`.
    pub(super) fn dense(values: Tensor) -> Result<Self> {
        Ok(Self::Dense(if values.is_contiguous() {
            values
        } else {
            values.contiguous()?
        }))
    }

    /// The row-major form, if it is there.
    pub(super) fn rows(&self) -> Option<&Tensor> {
        match self {
            Self::Dense(dense) => Some(dense),
            Self::Packed { dense, .. } => dense.as_ref(),
            Self::Encoded(_) => None,
        }
    }

    /// The packed form, if it is there.
    pub(super) fn packed(&self) -> Option<&PackedB> {
        match self {
            Self::Dense(_) | Self::Encoded(_) => None,
            Self::Packed { packed, .. } => Some(packed),
        }
    }

    /// The encoded form, if it is the one.
    pub(super) fn encoded(&self) -> Option<&EncodedWeight> {
        match self {
            Self::Encoded(weight) => Some(weight),
            _ => None,
        }
    }

    /// See [`super::Weight::pack`].
    pub(super) fn pack(&mut self, keep_dense: bool) -> Result<()> {
        match self {
            Self::Dense(dense) if is_host_f32(dense) => {
                let (out_features, in_features) = dense.dims2()?;
                let packed =
                    PackedB::transposed(&HostSlice::new(dense)?, out_features, in_features)?;
                let dense = keep_dense.then(|| dense.clone());
                *self = Self::Packed { packed, dense };
            }
            Self::Packed { dense, .. } if !keep_dense => *dense = None,
            _ => {}
        }
        Ok(())
    }
}
