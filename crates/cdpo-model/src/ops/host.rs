//! Borrowed views of tensors that live in host memory as contiguous `f32`: what the CPU kernels of this module work on.

use candle_core::{CpuStorage, DType, Device, Shape, Storage, StorageRef, Tensor};

use crate::error::{Error, Result};

/// Whether a tensor is served by the CPU kernels (`f32` in host memory); everything else takes the composed path.
pub(crate) fn is_host_f32(tensor: &Tensor) -> bool {
    tensor.dtype() == DType::F32 && tensor.device().is_cpu()
}

/// A contiguous `f32` tensor in host memory, borrowed as a slice. Holds the tensor's read lock while it lives.
pub(crate) struct HostSlice<'a> {
    storage: StorageRef<'a>,
    start: usize,
    end: usize,
}

impl<'a> HostSlice<'a> {
    /// Borrows `tensor`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tensor is not a contiguous `f32` tensor in host memory; make it one with
    /// [`contiguous`] first.
    pub(crate) fn new(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else {
            return Err(Error::Invalid(format!(
                "a CPU kernel got a tensor of shape {:?} that is not contiguous",
                tensor.dims()
            )));
        };
        match &*storage {
            Storage::Cpu(CpuStorage::F32(_)) => Ok(Self {
                storage,
                start,
                end,
            }),
            _ => Err(Error::Invalid(format!(
                "a CPU kernel got a tensor of {:?} on {:?}; it works on f32 in host memory",
                tensor.dtype(),
                tensor.device().location()
            ))),
        }
    }
}

impl std::ops::Deref for HostSlice<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.end],
            // `new` admits nothing else.
            _ => &[],
        }
    }
}

/// `tensor` itself, or a contiguous copy.
pub(crate) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.contiguous()?)
}

/// A host tensor of `values`.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape.into(), &Device::Cpu)?)
}

/// Adds `values` (any device, any float type) into `into`, element by element.
///
/// # Errors
/// [`Error::Invalid`] if the lengths differ.
pub(crate) fn accumulate(into: &mut [f32], values: &Tensor) -> Result<()> {
    let values = contiguous(&values.to_device(&Device::Cpu)?.to_dtype(DType::F32)?)?;
    let values = HostSlice::new(&values)?;
    if values.len() != into.len() {
        return Err(Error::Invalid(format!(
            "a gradient of {} elements does not fit a slice of {}",
            values.len(),
            into.len()
        )));
    }
    for (sum, value) in into.iter_mut().zip(values.iter()) {
        *sum += value;
    }
    Ok(())
}
