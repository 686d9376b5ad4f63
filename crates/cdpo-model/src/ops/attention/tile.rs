//! The arithmetic of one tile of keys: scores, running softmax, weighted sums.
//!
//! A *lane* is one query row under one query head. Every lane folds its keys in tiles of [`TILE`] positions aligned to
//! absolute position, in ascending order, and each number that it computes is a chain of multiply-adds over its own
//! operands alone. So a lane's bits do not depend on which lanes are folded along with it, and prefill, decoding and
//! every branch point agree.

use crate::ops::simd::{self, Isa, Kernel};

/// Keys per tile; also the positions of a page of the key/value tree.
pub(crate) const TILE: usize = 32;

/// Lanes per register block.
const BLOCK: usize = 4;
/// Columns per register block.
const WIDTH: usize = 16;

/// `out[r, j] = sum_i a[r, i] * bt[i, j]` for `rows` lanes of length `d` against a tile stored `[d, TILE]`; `i` ascending.
#[inline(always)]
pub(super) fn scores<I: Isa>(a: &[f32], bt: &[f32], out: &mut [f32], rows: usize, d: usize) {
    I::call(Scores {
        a,
        bt,
        out,
        rows,
        d,
    });
}

struct Scores<'a> {
    a: &'a [f32],
    bt: &'a [f32],
    out: &'a mut [f32],
    rows: usize,
    d: usize,
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self {
            a,
            bt,
            out,
            rows,
            d,
        } = self;
        let mut r = 0;
        while r < rows {
            let blocked = r + BLOCK <= rows;
            for c in (0..TILE).step_by(WIDTH) {
                let out = &mut out[r * TILE + c..];
                if blocked {
                    score_block::<I>(&a[r * d..], &bt[c..], out, d);
                } else {
                    score_lane::<I>(&a[r * d..], &bt[c..], out, d);
                }
            }
            r += if blocked { BLOCK } else { 1 };
        }
    }
}

/// One lane of a block.
#[inline(always)]
fn score_lane<I: Isa>(a: &[f32], bt: &[f32], out: &mut [f32], d: usize) {
    let mut sum = [0.0f32; WIDTH];
    for (i, &x) in a[..d].iter().enumerate() {
        let Some(b) = bt[i * TILE..].first_chunk::<WIDTH>() else {
            return;
        };
        for j in 0..WIDTH {
            sum[j] = I::mul_add(x, b[j], sum[j]);
        }
    }
    out[..WIDTH].copy_from_slice(&sum);
}

/// [`BLOCK`] lanes. The sums are arrays of their own under one loop over columns: in this form, and not as an array of
/// arrays with the loop over lanes outside, the compiler keeps them in vector registers.
#[inline(always)]
fn score_block<I: Isa>(a: &[f32], bt: &[f32], out: &mut [f32], d: usize) {
    let [a0, a1, a2, a3]: [&[f32]; BLOCK] = std::array::from_fn(|r| &a[r * d..r * d + d]);
    let [mut s0, mut s1, mut s2, mut s3] = [[0.0f32; WIDTH]; BLOCK];
    for i in 0..d {
        let Some(b) = bt[i * TILE..].first_chunk::<WIDTH>() else {
            return;
        };
        let (x0, x1, x2, x3) = (a0[i], a1[i], a2[i], a3[i]);
        for j in 0..WIDTH {
            s0[j] = I::mul_add(x0, b[j], s0[j]);
            s1[j] = I::mul_add(x1, b[j], s1[j]);
            s2[j] = I::mul_add(x2, b[j], s2[j]);
            s3[j] = I::mul_add(x3, b[j], s3[j]);
        }
    }
    let mut put =
        |r: usize, sum: &[f32; WIDTH]| out[r * TILE..r * TILE + WIDTH].copy_from_slice(sum);
    put(0, &s0);
    put(1, &s1);
    put(2, &s2);
    put(3, &s3);
}

/// `out[r, c] += sum_(j < n) w[r, j] * b[j, c]` for `rows` rows of weights with stride `ldw`, `b` `[n, d]`, `out`
/// `[rows, d]`; `j` ascending.
#[inline(always)]
pub(super) fn accumulate<I: Isa>(
    w: &[f32],
    ldw: usize,
    b: &[f32],
    out: &mut [f32],
    rows: usize,
    n: usize,
    d: usize,
) {
    I::call(Accumulate {
        w,
        ldw,
        b,
        out,
        rows,
        n,
        d,
    });
}

struct Accumulate<'a> {
    w: &'a [f32],
    ldw: usize,
    b: &'a [f32],
    out: &'a mut [f32],
    rows: usize,
    n: usize,
    d: usize,
}

impl Kernel for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self {
            w,
            ldw,
            b,
            out,
            rows,
            n,
            d,
        } = self;
        let mut r = 0;
        while r < rows {
            let blocked = r + BLOCK <= rows;
            let (w, out) = (&w[r * ldw..], &mut out[r * d..]);
            let mut c = 0;
            while c + WIDTH <= d {
                if blocked {
                    accumulate_block::<I>(w, ldw, &b[c..], &mut out[c..], n, d);
                } else {
                    accumulate_lane::<I, WIDTH>(w, &b[c..], &mut out[c..], n, d);
                }
                c += WIDTH;
            }
            while c < d {
                for r in 0..if blocked { BLOCK } else { 1 } {
                    accumulate_lane::<I, 1>(&w[r * ldw..], &b[c..], &mut out[r * d + c..], n, d);
                }
                c += 1;
            }
            r += if blocked { BLOCK } else { 1 };
        }
    }
}

/// One lane of a block, `W` columns.
#[inline(always)]
fn accumulate_lane<I: Isa, const W: usize>(
    w: &[f32],
    b: &[f32],
    out: &mut [f32],
    n: usize,
    d: usize,
) {
    let Some(out) = out.first_chunk_mut::<W>() else {
        return;
    };
    let mut sum = *out;
    for (j, &x) in w[..n].iter().enumerate() {
        let Some(row) = b[j * d..].first_chunk::<W>() else {
            return;
        };
        for i in 0..W {
            sum[i] = I::mul_add(x, row[i], sum[i]);
        }
    }
    *out = sum;
}

/// [`BLOCK`] lanes, [`WIDTH`] columns; written out for the reason given at [`score_block`].
#[inline(always)]
fn accumulate_block<I: Isa>(w: &[f32], ldw: usize, b: &[f32], out: &mut [f32], n: usize, d: usize) {
    let [w0, w1, w2, w3]: [&[f32]; BLOCK] = std::array::from_fn(|r| &w[r * ldw..r * ldw + n]);
    let [mut s0, mut s1, mut s2, mut s3] = [[0.0f32; WIDTH]; BLOCK];
    for (r, sum) in [&mut s0, &mut s1, &mut s2, &mut s3].into_iter().enumerate() {
        sum.copy_from_slice(&out[r * d..r * d + WIDTH]);
    }
    for j in 0..n {
        let Some(row) = b[j * d..].first_chunk::<WIDTH>() else {
            return;
        };
        let (x0, x1, x2, x3) = (w0[j], w1[j], w2[j], w3[j]);
        for i in 0..WIDTH {
            s0[i] = I::mul_add(x0, row[i], s0[i]);
            s1[i] = I::mul_add(x1, row[i], s1[i]);
            s2[i] = I::mul_add(x2, row[i], s2[i]);
            s3[i] = I::mul_add(x3, row[i], s3[i]);
        }
    }
    let mut put = |r: usize, sum: &[f32; WIDTH]| out[r * d..r * d + WIDTH].copy_from_slice(sum);
    put(0, &s0);
    put(1, &s1);
    put(2, &s2);
    put(3, &s3);
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
pub(super) fn softmax_backward<I: Isa>(
    s: &mut [f32],
    dp: &mut [f32],
    visible: usize,
    lse: f32,
    delta: f32,
) {
    for (s, dp) in s.iter_mut().zip(dp.iter_mut()) {
        let p = simd::exp::<I>(*s - lse);
        *s = p;
        *dp = p * (*dp - delta);
    }
    s[visible..].fill(0.0);
    dp[visible..].fill(0.0);
}
