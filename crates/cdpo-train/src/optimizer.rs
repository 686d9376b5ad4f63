//! AdamW and gradient clipping on flat arenas.
//!
//! Goes in: parameters, gradients, a learning rate. Comes out: parameters and moments, changed in place. Element-wise
//! and split in fixed blocks, so the result does not depend on the number of threads.

use cdpo_model::Arena;
use rayon::prelude::*;

/// Elements per parallel block; also the unit of the norm's partial sums.
const BLOCK: usize = 1 << 15;

/// AdamW's constants (Loshchilov & Hutter 2019, arXiv 1711.05101), with PyTorch's meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWSettings {
    /// Decay of the first moment, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root of the second moment, `> 0`.
    pub epsilon: f64,
    /// Decoupled weight decay, `>= 0`. Matrices only: vectors (biases, norms) are never decayed.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// Moments and step count of AdamW.
///
/// Step `k` (from 1) with gradient `g` and learning rate `lr`:
///
/// ```text
/// w <- w (1 - lr * weight_decay)                    (matrices)
/// m <- m + (1 - beta1) (g - m)
/// v <- beta2 v + (1 - beta2) g^2
/// w <- w - lr / (1 - beta1^k) * m / ( sqrt(v) / sqrt(1 - beta2^k) + epsilon )
/// ```
#[derive(Debug, Clone)]
pub struct AdamW {
    settings: AdamWSettings,
    /// First moment, of the parameters' layout.
    pub m: Arena,
    /// Second moment, of the parameters' layout.
    pub v: Arena,
    /// Steps taken.
    pub steps: u64,
}

impl AdamW {
    /// Zero moments for parameters of the layout of `params`.
    pub fn new(settings: AdamWSettings, params: &Arena) -> Self {
        let zeros = || Arena::zeros(params.layout().clone());
        Self {
            settings,
            m: zeros(),
            v: zeros(),
            steps: 0,
        }
    }

    /// Changes `params` by one step along `grads`.
    ///
    /// # Panics
    /// If the arenas differ in length.
    pub fn step(&mut self, params: &mut Arena, grads: &Arena, learning_rate: f64) {
        assert_eq!(
            params.data.len(),
            grads.data.len(),
            "parameters and gradients are of one layout"
        );
        self.steps += 1;
        let s = self.settings;
        let exponent = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction1 = 1.0 - s.beta1.powi(exponent);
        let correction2 = (1.0 - s.beta2.powi(exponent)).sqrt() as f32;
        let step_size = (learning_rate / correction1) as f32;
        let (keep1, beta2, keep2) = (
            (1.0 - s.beta1) as f32,
            s.beta2 as f32,
            (1.0 - s.beta2) as f32,
        );
        let epsilon = s.epsilon as f32;

        let layout = params.layout().clone();
        for entry in layout.entries() {
            let decay = if entry.shape.len() >= 2 {
                (1.0 - learning_rate * s.weight_decay) as f32
            } else {
                1.0
            };
            let range = entry.offset..entry.offset + entry.len();
            let blocks = params.data[range.clone()]
                .par_chunks_mut(BLOCK)
                .zip(grads.data[range.clone()].par_chunks(BLOCK))
                .zip(self.m.data[range.clone()].par_chunks_mut(BLOCK))
                .zip(self.v.data[range].par_chunks_mut(BLOCK));
            blocks.for_each(|(((w, g), m), v)| {
                for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                    *m += keep1 * (g - *m);
                    *v = *v * beta2 + keep2 * g * g;
                    let denominator = v.sqrt() / correction2 + epsilon;
                    *w = *w * decay - step_size * *m / denominator;
                }
            });
        }
    }
}

/// Euclidean norm of all values: `f64` sums over fixed blocks, added in order.
pub fn norm(arena: &Arena) -> f64 {
    let square = |block: &[f32]| {
        block
            .iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
    };
    let partial: Vec<f64> = arena.data.par_chunks(BLOCK).map(square).collect();
    partial.iter().sum::<f64>().sqrt()
}

/// Scales `grads` so that their norm is at most `max_norm` (`<= 0`: no clipping) and returns the norm before, as
/// PyTorch's `clip_grad_norm_`: the factor is `min(1, max_norm / (norm + 1e-6))`. A norm that is not finite leaves the
/// gradients as they are, for the caller to report.
pub fn clip(grads: &mut Arena, max_norm: f64) -> f64 {
    let norm = norm(grads);
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && norm.is_finite() && factor < 1.0 {
        let factor = factor as f32;
        grads
            .data
            .par_chunks_mut(BLOCK)
            .for_each(|block| block.iter_mut().for_each(|x| *x *= factor));
    }
    norm
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cdpo_model::arena::Layout;

    use super::*;

    fn arena(data: &[f32], shape: Vec<usize>) -> Arena {
        let mut arena = Arena::zeros(Arc::new(Layout::new([("w".to_owned(), shape)])));
        arena.data.copy_from_slice(data);
        arena
    }

    /// Two steps of the equations above in f64.
    #[test]
    fn adamw_follows_its_equations() {
        let settings = AdamWSettings {
            weight_decay: 0.1,
            ..AdamWSettings::default()
        };
        let mut params = arena(&[0.5, -2.0], vec![1, 2]);
        let mut adamw = AdamW::new(settings, &params);
        let gradients = [[0.3f32, -4.0], [-0.1, 2.0]];
        let mut expected = [(0.5f64, 0.0f64, 0.0f64), (-2.0, 0.0, 0.0)];
        for (k, g) in gradients.iter().enumerate() {
            adamw.step(&mut params, &arena(g, vec![1, 2]), 0.01);
            for ((w, m, v), &g) in expected.iter_mut().zip(g) {
                let (g, k) = (f64::from(g), k as i32 + 1);
                *w *= 1.0 - 0.01 * 0.1;
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                *w -= 0.01 * (*m / (1.0 - 0.9f64.powi(k)))
                    / ((*v / (1.0 - 0.999f64.powi(k))).sqrt() + 1e-8);
            }
        }
        for (&w, (e, ..)) in params.data.iter().zip(expected) {
            assert!((f64::from(w) - e).abs() < 2e-7 * e.abs(), "{w} is not {e}");
        }
    }

    #[test]
    fn vectors_are_not_decayed() {
        let settings = AdamWSettings {
            weight_decay: 0.5,
            ..AdamWSettings::default()
        };
        let mut params = arena(&[1.0, 2.0], vec![2]);
        let mut adamw = AdamW::new(settings, &params);
        adamw.step(&mut params, &arena(&[0.0; 2], vec![2]), 0.1);
        assert_eq!(params.data, [1.0, 2.0]);
    }

    #[test]
    fn clipping_scales_to_the_limit_and_reports_the_norm_before() {
        let mut grads = arena(&[3.0, 4.0], vec![2]);
        assert_eq!(clip(&mut grads, 10.0), 5.0);
        assert_eq!(grads.data, [3.0, 4.0]);
        assert_eq!(clip(&mut grads, 1.0), 5.0);
        assert!((norm(&grads) - 1.0).abs() < 1e-6);
        assert_eq!(clip(&mut arena(&[3.0, 4.0], vec![2]), 0.0), 5.0);
    }

    #[test]
    fn a_norm_does_not_depend_on_the_number_of_threads() {
        let values: Vec<f32> = (0..100_000).map(|i| (i as f32 * 0.37).sin()).collect();
        let grads = arena(&values, vec![values.len()]);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| norm(&grads))
        };
        assert_eq!(on(1).to_bits(), on(2).to_bits());
    }
}
