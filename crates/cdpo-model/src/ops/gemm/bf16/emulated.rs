//! The sums of the bf16 unit in plain Rust, in their order.

use half::bf16;

/// What a step of the unit adds: an exact product, rounded with the sum; numbers below the smallest normal one are 0.
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

fn pair(sum: f32, a: &[bf16], b: &[bf16]) -> f32 {
    let of = |x: &[bf16], i| x.get(i).copied().unwrap_or(bf16::ZERO);
    add(add(sum, of(a, 1), of(b, 1)), of(a, 0), of(b, 0))
}

/// An element of `x W^T`: lane `i` of sixteen sums up every sixteenth pair, the later element of a pair first; then lanes are added in a
/// fixed tree.
pub(super) fn dot(x: &[bf16], w: &[bf16]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (x, w) in x.chunks(32).zip(w.chunks(32)) {
        for (lane, (x, w)) in lanes.iter_mut().zip(x.chunks(2).zip(w.chunks(2))) {
            *lane = pair(*lane, x, w);
        }
    }
    let four: [f32; 4] = std::array::from_fn(|i| {
        let of = |j: usize| lanes[4 * i + j];
        (of(0) + of(2)) + (of(1) + of(3))
    });
    (four[0] + four[2]) + (four[1] + four[3])
}

/// An element of `dy W`: one sum over the rows of `W` in pairs, the later row of a pair first.
pub(super) fn column(dy: &[bf16], w: &[bf16]) -> f32 {
    let pairs = dy.chunks(2).zip(w.chunks(2));
    pairs.fold(0.0, |sum, (dy, w)| pair(sum, dy, w))
}
