//! A linear layer's weight, behind one interface whether it is frozen, packed for decoding or trained.
//!
//! Shape `[out, in]`, row-major, as in Hugging Face checkpoints; a layer computes `x W^T`. A weight knows its name;
//! it is trained by a call if that call's gradient arena has an entry of that name, and frozen otherwise.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::ops::gemm::PackedB;
use crate::ops::host::{HostSlice, contiguous, is_host_f32};

/// One weight matrix `[out, in]`.
#[derive(Debug)]
pub struct Weight {
    name: String,
    shape: (usize, usize),
    dense: Option<Tensor>,
    packed: Option<PackedB>,
}

impl Weight {
    /// A weight without a name: it never receives a gradient.
    ///
    /// # Errors
    /// If the tensor is not a matrix.
    pub fn frozen(dense: Tensor) -> Result<Self> {
        Self::named("", dense)
    }

    /// A weight whose gradient goes to the arena entry `name`, where there is one.
    ///
    /// # Errors
    /// If the tensor is not a matrix.
    pub fn named(name: impl Into<String>, dense: Tensor) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            shape: dense.dims2()?,
            dense: Some(dense),
            packed: None,
        })
    }

    /// The Hugging Face name; empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `(out, in)`.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// The row-major matrix `[out, in]`.
    ///
    /// # Errors
    /// If only the packed form was kept.
    pub fn dense(&self) -> Result<&Tensor> {
        self.dense.as_ref().ok_or_else(|| {
            Error::Invalid(format!(
                "weight `{}` was packed for decoding only; load the model again to train, merge or save it",
                self.name
            ))
        })
    }

    /// The form packed for row-deterministic products, if [`Weight::pack`] made it.
    pub fn packed(&self) -> Option<&PackedB> {
        self.packed.as_ref()
    }

    /// Packs the weight once for decoding; a no-op off the CPU. With `keep_dense = false` the row-major copy is freed, and
    /// the weight can no longer be trained, merged or saved.
    ///
    /// # Errors
    /// If the dense form is gone or cannot be read.
    pub fn pack(&mut self, keep_dense: bool) -> Result<()> {
        if self.packed.is_none() {
            let dense = self.dense()?;
            if !is_host_f32(dense) {
                return Ok(());
            }
            let dense = contiguous(dense)?;
            let packed = PackedB::transposed(&HostSlice::new(&dense)?, self.shape.0, self.shape.1)?;
            self.packed = Some(packed);
        }
        if !keep_dense {
            self.dense = None;
        }
        Ok(())
    }

    /// Replaces the values (an optimizer step or a merge); a packed form is dropped.
    ///
    /// # Errors
    /// If the shape differs.
    pub fn set(&mut self, dense: Tensor) -> Result<()> {
        if dense.dims2()? != self.shape {
            return Err(Error::Invalid(format!(
                "weight `{}` of shape {:?} cannot become {:?}",
                self.name,
                self.shape,
                dense.dims()
            )));
        }
        self.packed = None;
        self.dense = Some(dense);
        Ok(())
    }
}
