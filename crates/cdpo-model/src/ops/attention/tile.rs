//! The arithmetic of one tile of keys: scores, running softmax, weighted sums.
//!
//! A *lane* is one query row under one query head. Every lane folds its keys in tiles of [`TILE`] positions aligned to
//! absolute position, in ascending order, and each number that it computes is a chain of multiply-adds over its own
//! operands alone. So a lane's bits do not depend on which lanes are folded along with it, and prefill, decoding and
//! every branch point agree.

use crate::kv::PAGE;
use crate::ops::simd::{self, Isa};

/// Keys per tile.
pub(super) const TILE: usize = PAGE;

/// Lanes per register block.
const BLOCK: usize = 4;
/// Columns per register block.
const WIDTH: usize = 16;

/// `out[r, j] = sum_i a[r, i] * bt[i, j]` for `rows` lanes of length `d` against a tile stored `[d, TILE]`; `i` ascending.
#[inline(always)]
pub(super) fn scores<I: Isa>(a: &[f32], bt: &[f32], out: &mut [f32], rows: usize, d: usize) {
    let mut r = 0;
    while r < rows {
        let blocked = r + BLOCK <= rows;
        for c in (0..TILE).step_by(WIDTH) {
            let out = &mut out[r * TILE + c..];
            if blocked {
                score_block::<I, BLOCK>(&a[r * d..], &bt[c..], out, d);
            } else {
                score_block::<I, 1>(&a[r * d..], &bt[c..], out, d);
            }
        }
        r += if blocked { BLOCK } else { 1 };
    }
}

#[inline(always)]
fn score_block<I: Isa, const R: usize>(a: &[f32], bt: &[f32], out: &mut [f32], d: usize) {
    let mut sum = [[0.0f32; WIDTH]; R];
    let rows: [&[f32]; R] = std::array::from_fn(|r| &a[r * d..r * d + d]);
    for i in 0..d {
        let Some((b, _)) = bt[i * TILE..].split_first_chunk::<WIDTH>() else { return };
        for r in 0..R {
            let x = rows[r][i];
            for j in 0..WIDTH {
                sum[r][j] = I::mul_add(x, b[j], sum[r][j]);
            }
        }
    }
    for r in 0..R {
        out[r * TILE..r * TILE + WIDTH].copy_from_slice(&sum[r]);
    }
}

/// `out[r, c] += sum_(j < n) w[r, j] * b[j, c]` for `rows` rows of weights with stride `ldw`, `b` `[n, d]`, `out`
/// `[rows, d]`; `j` ascending.
#[inline(always)]
pub(super) fn accumulate<I: Isa>(w: &[f32], ldw: usize, b: &[f32], out: &mut [f32], rows: usize, n: usize, d: usize) {
    let mut r = 0;
    while r < rows {
        let blocked = r + BLOCK <= rows;
        let (w, out) = (&w[r * ldw..], &mut out[r * d..]);
        let mut c = 0;
        while c + WIDTH <= d {
            if blocked {
                accumulate_block::<I, BLOCK, WIDTH>(w, ldw, &b[c..], &mut out[c..], n, d);
            } else {
                accumulate_block::<I, 1, WIDTH>(w, ldw, &b[c..], &mut out[c..], n, d);
            }
            c += WIDTH;
        }
        while c < d {
            for r in 0..if blocked { BLOCK } else { 1 } {
                accumulate_block::<I, 1, 1>(&w[r * ldw..], ldw, &b[c..], &mut out[r * d + c..], n, d);
            }
            c += 1;
        }
        r += if blocked { BLOCK } else { 1 };
    }
}

#[inline(always)]
fn accumulate_block<I: Isa, const R: usize, const W: usize>(
    w: &[f32],
    ldw: usize,
    b: &[f32],
    out: &mut [f32],
    n: usize,
    d: usize,
) {
    let weights: [&[f32]; R] = std::array::from_fn(|r| &w[r * ldw..r * ldw + n]);
    let mut sum = [[0.0f32; W]; R];
    for r in 0..R {
        sum[r].copy_from_slice(&out[r * d..r * d + W]);
    }
    for j in 0..n {
        let Some((row, _)) = b[j * d..].split_first_chunk::<W>() else { return };
        for r in 0..R {
            let x = weights[r][j];
            for i in 0..W {
                sum[r][i] = I::mul_add(x, row[i], sum[r][i]);
            }
        }
    }
    for r in 0..R {
        out[r * d..r * d + W].copy_from_slice(&sum[r]);
    }
}

/// Turns one lane's scores of a tile into softmax numerators under the running maximum. The first `visible` keys count,
/// the others get weight 0. Rescales the lane's `sum` and `acc` where the maximum rises.
#[inline(always)]
pub(super) fn softmax_step<I: Isa>(
    scores: &mut [f32; TILE],
    visible: usize,
    max: &mut f32,
    sum: &mut f32,
    acc: &mut [f32],
) {
    for s in &mut scores[visible..] {
        *s = f32::NEG_INFINITY;
    }
    let top = halve(scores, |a, b| if b > a { b } else { a });
    let top = if top > *max { top } else { *max };
    for s in scores.iter_mut() {
        *s = simd::exp::<I>(*s - top);
    }
    if top > *max {
        let scale = simd::exp::<I>(*max - top);
        *sum *= scale;
        for a in acc.iter_mut() {
            *a *= scale;
        }
        *max = top;
    }
    *sum += halve(scores, |a, b| a + b);
}

/// Reduces a lane by halving: the same tree for every lane.
#[inline(always)]
fn halve(lane: &[f32; TILE], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut m = *lane;
    let mut half = TILE / 2;
    while half > 0 {
        for j in 0..half {
            m[j] = f(m[j], m[j + half]);
        }
        half /= 2;
    }
    m[0]
}

/// From raw scores and upstream products to softmax weights and score gradients, one lane of a tile:
/// `p = exp(s - lse)`, `ds = p * (dp - delta)`; hidden keys get 0 in both.
#[inline(always)]
pub(super) fn softmax_backward<I: Isa>(s: &mut [f32], dp: &mut [f32], visible: usize, lse: f32, delta: f32) {
    for (s, dp) in s.iter_mut().zip(dp.iter_mut()) {
        let p = simd::exp::<I>(*s - lse);
        *s = p;
        *dp = p * (*dp - delta);
    }
    s[visible..].fill(0.0);
    dp[visible..].fill(0.0);
}
