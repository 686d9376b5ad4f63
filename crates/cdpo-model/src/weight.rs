//! A weight matrix, known by its products: what goes in are activations or gradients, what comes out is `x W^T`, `dy W` or
//! rows of `W`.
//!
//! Shape `[out, in]`, row-major, as in Hugging Face checkpoints. The form in which the numbers are held (`stored.rs`) is known
//! in this module alone: nobody else asks for a matrix, except to write it to a file or to replace it (`Weight::values`,
//! `Weight::set`). CPU kernels open a weight for a call (`Weight::on_host`) and work on slices; everything else takes
//! tensors. A weight knows its name; it is trained by a call if that call's gradient arena has an entry of that name, and
//! frozen otherwise.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::ops::gemm::{matmul_nn, matmul_nt, matmul_packed};
use crate::ops::host::is_host_f32;

mod host;
mod stored;

pub(crate) use host::HostWeight;
use stored::Stored;

/// One weight matrix `[out, in]`.
#[derive(Debug)]
pub struct Weight {
    name: String,
    shape: (usize, usize),
    stored: Stored,
}

/// A vector parameter (norm gain or bias) with its name.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) values: Tensor,
}

impl Weight {
    /// A weight without a name: it never receives a gradient.
    ///
    /// # Errors
    /// If the tensor is not a matrix.
    pub fn frozen(values: Tensor) -> Result<Self> {
        Self::named("", values)
    }

    /// A weight whose gradient goes to the arena entry `name`, where there is one.
    ///
    /// # Errors
    /// If the tensor is not a matrix.
    pub(crate) fn named(name: impl Into<String>, values: Tensor) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            shape: values.dims2()?,
            stored: Stored::dense(values)?,
        })
    }

    /// A second weight of the same name over the same numbers, which are not copied: a head that is tied to the embedding.
    ///
    /// # Errors
    /// As [`Weight::values`].
    pub(crate) fn tied(&self) -> Result<Self> {
        Self::named(self.name.clone(), self.values()?)
    }

    /// The Hugging Face name; empty if there is none.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `(out, in)`.
    pub(crate) fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// `x W^T` for `x` `[N, in]`: `[N, out]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(crate) fn times(&self, x: &Tensor) -> Result<Tensor> {
        match self.stored.packed() {
            Some(packed) if is_host_f32(x) => matmul_packed(x, packed),
            _ => matmul_nt(x, self.dense()?),
        }
    }

    /// `dy W` for `dy` `[N, out]`: `[N, in]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the weight was packed for decoding only.
    pub(crate) fn back(&self, dy: &Tensor) -> Result<Tensor> {
        matmul_nn(dy, self.dense()?)
    }

    /// The rows `ids`, in their order: `[ids, in]`.
    ///
    /// # Errors
    /// If an id is beyond the rows, or the weight was packed for decoding only.
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let dense = self.dense()?;
        let ids = Tensor::from_slice(ids, ids.len(), dense.device())?;
        Ok(dense.index_select(&ids, 0)?)
    }

    /// Opens the weight for the CPU kernels of one call.
    ///
    /// # Errors
    /// If its numbers are not `f32` in host memory.
    pub(crate) fn on_host(&self) -> Result<HostWeight<'_>> {
        HostWeight::new(self)
    }

    /// The whole matrix, row-major, to merge into it or to save it.
    ///
    /// # Errors
    /// If it was packed for decoding only.
    pub(crate) fn values(&self) -> Result<Tensor> {
        self.dense().cloned()
    }

    /// Replaces the values (an optimizer step or a merge); a packed form is dropped.
    ///
    /// # Errors
    /// If the shape differs.
    pub(crate) fn set(&mut self, values: Tensor) -> Result<()> {
        if values.dims2()? != self.shape {
            return Err(Error::Invalid(format!(
                "weight `{}` of shape {:?} cannot become {:?}",
                self.name,
                self.shape,
                values.dims()
            )));
        }
        self.stored = Stored::dense(values)?;
        Ok(())
    }

    /// Packs the weight once for decoding; a no-op off the CPU. With `keep_dense = false` the row-major copy is freed, and
    /// the weight can no longer be trained, merged or saved.
    ///
    /// # Errors
    /// If the dense form is gone or cannot be read.
    pub fn pack(&mut self, keep_dense: bool) -> Result<()> {
        self.stored.pack(keep_dense)
    }

    /// Whether [`Weight::pack`] has packed it.
    pub(crate) fn is_packed(&self) -> bool {
        self.stored.packed().is_some()
    }

    /// The row-major matrix.
    fn dense(&self) -> Result<&Tensor> {
        self.stored.rows().ok_or_else(|| self.packed_only())
    }

    fn packed_only(&self) -> Error {
        Error::Invalid(format!(
            "weight `{}` was packed for decoding only; load the model again to train, merge or save it",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests;
