//! Where a model comes from: a Hugging Face folder, a hub name or a GGUF file.
use crate::error::Result;
/// Weights by their Hugging Face names, in Hugging Face row order, as f32.
pub trait TensorSource: Sync {
    /// Whether the tensor `name` is there.
    fn contains(&self, name: &str) -> bool;
    /// The tensor `name` as row-major f32.
    ///
    /// # Errors
    /// A missing tensor, another shape than `shape`, or values that are not finite.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;
}
