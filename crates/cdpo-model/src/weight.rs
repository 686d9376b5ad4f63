//! A linear layer's weight, behind one interface whether it is frozen, packed for decoding or trained.
//!
//! Shape `[out, in]`, row-major, as in Hugging Face checkpoints; a layer computes `x W^T`.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::ops::gemm::PackedB;

/// One weight matrix `[out, in]`.
#[derive(Debug)]
pub struct Weight {
    shape: (usize, usize),
    dense: Option<Tensor>,
    packed: Option<PackedB>,
    trainable: Option<String>,
}

impl Weight {
    /// A weight that receives no gradient.
    ///
    /// # Errors
    /// If the tensor is not a matrix.
    pub fn frozen(dense: Tensor) -> Result<Self> {
        Ok(Self { shape: dense.dims2()?, dense: Some(dense), packed: None, trainable: None })
    }

    /// A weight whose gradient goes to the arena entry `name`.
    ///
    /// # Errors
    /// If the tensor is not a matrix.
    pub fn trainable(name: impl Into<String>, dense: Tensor) -> Result<Self> {
        Ok(Self { trainable: Some(name.into()), ..Self::frozen(dense)? })
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
            Error::Invalid("this weight was packed for decoding only; load the model again to train or save it".into())
        })
    }

    /// The form packed for row-deterministic products, if [`Weight::pack`] made it.
    pub fn packed(&self) -> Option<&PackedB> {
        self.packed.as_ref()
    }

    /// Arena name of the gradient, if the weight is trained.
    pub fn trainable_name(&self) -> Option<&str> {
        self.trainable.as_deref()
    }

    /// Packs the weight once for products whose rows do not depend on the batch; a no-op off the CPU. With
    /// `keep_dense = false` the row-major copy is freed, and the weight can no longer be trained, merged or saved.
    ///
    /// # Errors
    /// If the dense form is gone or cannot be read.
    pub fn pack(&mut self, keep_dense: bool) -> Result<()> {
        let dense = self.dense()?;
        if !dense.device().is_cpu() {
            return Ok(());
        }
        if self.packed.is_none() {
            self.packed = Some(PackedB::new(dense)?);
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
            return Err(Error::Invalid(format!("a weight of shape {:?} cannot become {:?}", self.shape, dense.dims())));
        }
        self.packed = None;
        self.dense = Some(dense);
        Ok(())
    }
}
