//! This machine, measured for a fraction of a second: the rate of matrix products of a model's size, and of copying memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cdpo_model::ops::gemm::{MatRef, PackedB, Rhs, gemm};
use rayon::prelude::*;

/// Rows of the products.
const ROWS: usize = 512;
/// The largest side of the matrix that is multiplied with: larger ones reach the same rate.
const SIDE: usize = 2048;
/// How long each is measured.
const TIME: Duration = Duration::from_millis(300);
/// Elements that are copied: too many for near memory.
const COPIED: usize = 32 << 20;

/// The median rate of operations of products with a matrix of `shape` (`(out, in)`), a second.
///
/// # Errors
/// None for a shape without zeros.
pub(super) fn products(shape: (usize, usize)) -> anyhow::Result<f64> {
    let (out, inner) = (shape.0.min(SIDE), shape.1.min(SIDE));
    let (x, w) = (vec![0.5f32; ROWS * inner], vec![0.5f32; out * inner]);
    let (x, w) = (
        MatRef::new(&x, ROWS, inner)?,
        PackedB::transposed(&w, out, inner)?,
    );
    let mut y = vec![0.0f32; ROWS * out];
    let operations = 2.0 * (ROWS * inner * out) as f64;
    gemm(&mut y, x, Rhs::Packed(&w), 1.0, 0.0)?;
    let mut rates = Vec::new();
    let start = Instant::now();
    while start.elapsed() < TIME || rates.is_empty() {
        let clock = Instant::now();
        gemm(&mut y, x, Rhs::Packed(&w), 1.0, 0.0)?;
        rates.push(operations / clock.elapsed().as_secs_f64());
    }
    black_box(&y);
    Ok(median(rates))
}

/// The median rate of bytes read and written in a copy, a second.
pub(super) fn copying() -> f64 {
    let from = vec![1.0f32; COPIED];
    let mut to = vec![0.0f32; COPIED];
    let part = COPIED.div_ceil(rayon::current_num_threads());
    let mut rates = Vec::new();
    let start = Instant::now();
    while start.elapsed() < TIME || rates.is_empty() {
        let clock = Instant::now();
        to.par_chunks_mut(part)
            .zip(from.par_chunks(part))
            .for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&to);
        rates.push((2 * COPIED * size_of::<f32>()) as f64 / clock.elapsed().as_secs_f64());
    }
    median(rates)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
