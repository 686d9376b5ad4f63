//! Random first values of a model, as the weights of a file would be.

use cdpo_model::Key;
use cdpo_model::source::TensorSource;

/// Matrices are normal with standard deviation `std`, those that write into the residual stream divided by
/// `sqrt(2 * layers)`; norms are 1. Each value is a pure function of the key, the tensor's name and its place.
pub(super) struct Fresh {
    pub(super) key: Key,
    pub(super) std: f64,
    pub(super) layers: usize,
}

impl TensorSource for Fresh {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> cdpo_model::Result<Vec<f32>> {
        let count = shape.iter().product::<usize>() as u64;
        if shape.len() == 1 {
            return Ok(vec![1.0; count as usize]);
        }
        let residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
        let std = if residual {
            self.std / (2.0 * self.layers as f64).sqrt()
        } else {
            self.std
        };
        let key = self.key.with_str(name);
        Ok((0..count)
            .map(|i| (std * normal(key.with(i))) as f32)
            .collect())
    }
}

/// A standard normal value (Box and Muller 1958).
fn normal(key: Key) -> f64 {
    let radius = (-2.0 * (1.0 - key.with(0).unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * key.with(1).unit()).cos()
}
