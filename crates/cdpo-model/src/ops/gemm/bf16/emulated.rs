//! The sums of the bf16 units in plain Rust, in their order.

use half::bf16;

use crate::ops::simd::pairs::Unit;

/// A sum as both units make it: an exact product, one rounding, and numbers below the smallest normal one are 0.
fn add(sum: f32, a: bf16, b: bf16) -> f32 {
    flushed(flushed(sum) + flushed(a.to_f32()) * flushed(b.to_f32()))
}

fn flushed(x: f32) -> f32 {
    if x.is_subnormal() {
        0.0f32.copysign(x)
    } else {
        x
    }
}

/// `sum + left . right`, pair by pair. What is beyond a slice's end is 0.
pub(super) fn dot(unit: Unit, sum: f32, left: &[bf16], right: &[bf16]) -> f32 {
    let at = |x: &[bf16], i: usize| x.get(i).copied().unwrap_or(bf16::ZERO);
    match unit {
        // One sum, the later element of a pair first.
        Unit::Avx512 => (0..left.len()).step_by(2).fold(sum, |sum, i| {
            let sum = add(sum, at(left, i + 1), at(right, i + 1));
            add(sum, at(left, i), at(right, i))
        }),
        // A step of sixteen pairs sums up first elements and second elements apart, then both, then adds that to the whole.
        Unit::Amx => (0..left.len()).step_by(32).fold(sum, |sum, step| {
            let (mut first, mut second) = (0.0, 0.0);
            for i in (step..step + 32).step_by(2) {
                first = add(first, at(left, i), at(right, i));
                second = add(second, at(left, i + 1), at(right, i + 1));
            }
            flushed(sum + flushed(first + second))
        }),
    }
}

/// `x` cut into `parts` bf16 numbers, the largest first.
pub(super) fn cut(x: &[f32], parts: usize) -> Vec<Vec<bf16>> {
    let mut rest = x.to_vec();
    let mut part = || {
        let part: Vec<bf16> = rest.iter().map(|&x| bf16::from_f32(x)).collect();
        for (rest, part) in rest.iter_mut().zip(&part) {
            *rest -= part.to_f32();
        }
        part
    };
    (0..parts).map(|_| part()).collect()
}

/// An element of a product: blocks of 256, of each the small parts first.
pub(super) fn element(unit: Unit, parts: usize, left: &[f32], right: &[bf16]) -> f32 {
    let blocks = left.chunks(256).zip(right.chunks(256));
    blocks.fold(0.0, |sum, (left, right)| {
        let cut = cut(left, parts);
        cut.iter()
            .rev()
            .fold(sum, |sum, left| dot(unit, sum, left, right))
    })
}
