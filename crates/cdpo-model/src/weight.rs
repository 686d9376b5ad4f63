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
use crate::ops::gemm::bf16::Products;
use crate::ops::gemm::tiles::Tiles;
use crate::ops::gemm::{MatRef, matmul_nn, matmul_nt, matmul_packed};
use crate::ops::host::{HostSlice, contiguous, is_host_f32, tensor};
use crate::ops::simd;
use crate::source::EncodedMatrix;

mod encoded;
mod host;
mod stored;

use encoded::EncodedWeight;
pub(crate) use host::HostWeight;
use stored::Stored;

/// How a model's matrices are held in memory. It changes no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightForm {
    /// As `f32`: fastest for a small model; they can be trained.
    #[default]
    F32,
    /// As the file has them, in the pages that the system keeps of it, decoded a tile at a time whenever they are used. On
    /// the CPU; elsewhere as [`WeightForm::F32`].
    Stored,
}

/// How a model's matrices are held, and multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WeightOptions {
    /// How they are held.
    pub form: WeightForm,
    /// How exact products with them are. With [`Products::Fast`] a matrix that would be held as f32 is held as bf16, rounded if need be.
    pub products: Products,
}

impl From<WeightForm> for WeightOptions {
    fn from(form: WeightForm) -> Self {
        Self {
            form,
            products: Products::Exact,
        }
    }
}

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

    /// A frozen weight that stays encoded; it is on the CPU.
    ///
    /// # Errors
    /// If a value is not finite.
    pub(crate) fn encoded(
        name: impl Into<String>,
        matrix: EncodedMatrix,
        products: Products,
    ) -> Result<Self> {
        let name = name.into();
        matrix.check(&name)?;
        Ok(Self {
            name,
            shape: matrix.shape(),
            stored: Stored::Encoded(EncodedWeight::new(matrix, products)),
        })
    }

    /// A second weight of the same name over the same numbers, which are not copied: a head that is tied to the embedding.
    ///
    /// # Errors
    /// As [`Weight::values`].
    pub(crate) fn tied(&self) -> Result<Self> {
        if let Some(encoded) = self.stored.encoded() {
            return Ok(Self {
                name: self.name.clone(),
                shape: self.shape,
                stored: Stored::Encoded(encoded.clone()),
            });
        }
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
        if let Some(encoded) = self.stored.encoded() {
            let product = |x: MatRef<'_>| encoded.times(x, None);
            return self.encoded_product(x, product, self.shape.0);
        }
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
        if let Some(encoded) = self.stored.encoded() {
            let product = |dy: MatRef<'_>| encoded.back(dy);
            return self.encoded_product(dy, product, self.shape.1);
        }
        matmul_nn(dy, self.dense()?)
    }

    /// The rows `ids`, in their order: `[ids, in]`.
    ///
    /// # Errors
    /// If an id is beyond the rows, or the weight was packed for decoding only.
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        if let Some(encoded) = self.stored.encoded() {
            let (rows, width) = self.shape;
            if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
                return Err(Error::Invalid(format!(
                    "row {id} of weight `{}`, which has {rows}",
                    self.name
                )));
            }
            let values = simd::rows(ids.len(), width, |i, out| {
                encoded.row(ids[i] as usize, out);
            });
            return tensor(values, (ids.len(), width));
        }
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
        if let Some(encoded) = self.stored.encoded() {
            return tensor(encoded.values(&self.name)?, self.shape);
        }
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

    /// Packs the weight once for decoding; a no-op off the CPU and for a weight that stays as its file has it. With `keep_dense = false` the row-major copy is freed, and
    /// the weight can no longer be trained, merged or saved.
    ///
    /// # Errors
    /// If the dense form is gone or cannot be read.
    pub fn pack(&mut self, keep_dense: bool) -> Result<()> {
        self.stored.pack(keep_dense)
    }

    /// Whether [`Weight::pack`] has nothing left to do.
    pub(crate) fn is_packed(&self) -> bool {
        self.stored.packed().is_some() || self.is_encoded()
    }

    /// Whether it is held as its file has it.
    pub(crate) fn is_encoded(&self) -> bool {
        self.stored.encoded().is_some()
    }

    fn encoded_product(
        &self,
        x: &Tensor,
        product: impl FnOnce(MatRef<'_>) -> Result<Vec<f32>>,
        width: usize,
    ) -> Result<Tensor> {
        if !is_host_f32(x) {
            return Err(Error::Invalid(format!(
                "weight `{}` is used as its file has it, with f32 in host memory only; load the model as f32 for other devices \
                 and types",
                self.name
            )));
        }
        let x = contiguous(x)?;
        let (rows, cols) = x.dims2()?;
        let out = product(MatRef::new(&HostSlice::new(&x)?, rows, cols)?)?;
        tensor(out, (rows, width))
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
