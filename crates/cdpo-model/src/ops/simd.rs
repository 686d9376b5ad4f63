//! Run-time choice of instruction set for the CPU kernels, and the vector loops they share.
//!
//! The crate is built for the baseline of its target; a kernel is written once as plain Rust over slices, marked
//! `#[inline(always)]`, and compiled here a second and third time for AVX2 + FMA and for AVX-512. Loops work on
//! arrays of [`LANES`] values, which the compiler turns into vector registers of whatever width there is.
//!
//! Sums are folded in a fixed order over [`LANES`] partial sums, so the result for a row depends on that row alone;
//! with FMA it is the same for both vector widths.

// The only module of the crate with `unsafe`: calls of functions compiled for instructions checked to exist.
#![allow(unsafe_code)]

/// Partial results that every reduction keeps.
pub(crate) const LANES: usize = 16;

/// What a kernel may ask of the instruction set it is compiled for.
pub(crate) trait Isa: Copy {
    /// `a * b + c`, fused where the instruction set has it.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// An instruction set with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

impl Isa for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// An instruction set without: fusing would call a slow library routine.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Isa for Plain {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// A computation to compile for several instruction sets: its fields are the arguments.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;

    /// The computation. Implementations must be `#[inline(always)]`, or they are compiled for the baseline.
    fn run<I: Isa>(self) -> Self::Output;
}

/// Runs `kernel` compiled for the best instruction set of this machine.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the features are present.
            return unsafe { avx512(kernel) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features are present.
            return unsafe { avx2(kernel) };
        }
        kernel.run::<Plain>()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        if cfg!(target_arch = "aarch64") { kernel.run::<Fused>() } else { kernel.run::<Plain>() }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

/// Sum of `lanes` in a fixed tree.
#[inline(always)]
pub(crate) fn fold(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Dot product of two slices of equal length.
#[inline(always)]
pub(crate) fn dot<I: Isa>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            sums[i] = I::mul_add(x[i], y[i], sums[i]);
        }
    }
    for (i, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[i] = I::mul_add(x, y, sums[i]);
    }
    fold(sums)
}

/// `y += alpha * x`.
#[inline(always)]
pub(crate) fn axpy<I: Isa>(alpha: f32, x: &[f32], y: &mut [f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = I::mul_add(alpha, x, *y);
    }
}

/// Sum of a slice.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for x in chunks {
        for i in 0..LANES {
            sums[i] += x[i];
        }
    }
    for (i, &x) in rest.iter().enumerate() {
        sums[i] += x;
    }
    fold(sums)
}

/// Largest element; negative infinity for an empty slice. A NaN is skipped.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut best = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for x in chunks {
        for i in 0..LANES {
            best[i] = larger(best[i], x[i]);
        }
    }
    let mut top = rest.iter().fold(f32::NEG_INFINITY, |top, &x| larger(top, x));
    for b in best {
        top = larger(top, b);
    }
    top
}

/// `e^x` for one value; vectorises in a loop.
#[inline(always)]
pub(crate) fn exp<I: Isa>(x: f32) -> f32 {
    // Placeholder until the polynomial form is in.
    let _ = I::mul_add;
    x.exp()
}
