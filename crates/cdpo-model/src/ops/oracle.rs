//! What the ops' tests measure with: keyed random tensors, central finite differences, and distances.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;
use crate::keyed::Key;

/// Uniform in `[-1, 1)`, `f64` in host memory.
pub(crate) fn draw(seed: u64, shape: &[usize]) -> Tensor {
    let key = Key::new(seed);
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|i: usize| 2.0 * key.with(i as u64).unit() - 1.0)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// [`draw`] rounded to `f32`, as `(f32, f64)` tensors of the same values.
pub(crate) fn draw_both(seed: u64, shape: &[usize]) -> (Tensor, Tensor) {
    let single = draw(seed, shape).to_dtype(DType::F32).unwrap();
    let double = single.to_dtype(DType::F64).unwrap();
    (single, double)
}

/// The elements as `f64`.
pub(crate) fn values(x: &Tensor) -> Vec<f64> {
    x.flatten_all()
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The bit patterns of an `f32` tensor.
pub(crate) fn bits(x: &Tensor) -> Vec<u32> {
    x.flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap()
        .iter()
        .map(|v| v.to_bits())
        .collect()
}

/// Central finite differences of `sum(f(x) * upstream)` with respect to every element of the `f64` tensor `x`.
///
/// With a step of 2^-16 the truncation is about `f''' * 4e-11` and the rounding about `1e-16 / 1.5e-5`.
pub(crate) fn finite_differences(
    f: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    upstream: &Tensor,
) -> Vec<f64> {
    let step = 2f64.powi(-16);
    let at = values(x);
    let loss = |at: &[f64]| -> f64 {
        let y = f(&Tensor::from_slice(at, x.shape(), &Device::Cpu).unwrap()).unwrap();
        values(&y)
            .iter()
            .zip(values(upstream))
            .map(|(y, u)| y * u)
            .sum()
    };
    (0..at.len())
        .map(|i| {
            let mut moved = at.clone();
            moved[i] = at[i] + step;
            let above = loss(&moved);
            moved[i] = at[i] - step;
            (above - loss(&moved)) / (2.0 * step)
        })
        .collect()
}

/// Largest absolute difference, relative to the largest magnitude of `expected`.
pub(crate) fn distance(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len(), "element counts differ");
    let scale = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    got.iter()
        .zip(expected)
        .map(|(g, e)| {
            if g.is_nan() {
                f64::INFINITY
            } else {
                (g - e).abs() / scale
            }
        })
        .fold(0.0, f64::max)
}

/// Asserts [`distance`] below `tolerance`.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    let d = distance(got, expected);
    assert!(
        d <= tolerance,
        "{what}: off by {d:.3e} of the largest value, {tolerance:.1e} allowed"
    );
}

/// Runs `f` in a pool of `threads` threads.
pub(crate) fn with_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(f)
}

/// Asserts that `rows(n)`, the first `n` rows of an op's result `[n, width]`, are the same bits for every `n` and for one
/// and two threads.
#[track_caller]
pub(crate) fn assert_rows_stand_alone(total: usize, rows: impl Fn(usize) -> Tensor + Sync) {
    let whole = with_threads(2, || bits(&rows(total)));
    let width = whole.len() / total;
    for threads in [1, 2, 3] {
        for n in [1, 2, 3, 5, 7, total / 2, total] {
            let got = with_threads(threads, || bits(&rows(n)));
            assert!(
                got == whole[..n * width],
                "{n} of {total} rows with {threads} threads differ"
            );
        }
    }
}
