//! Run-time choice of instruction set for the CPU kernels, and the vector loops they share.
//!
//! The crate is built for the baseline of its target; a kernel is written once as plain Rust over slices, marked
//! `#[inline(always)]`, and compiled here a second and third time for AVX2 + FMA and for AVX-512. Loops work on
//! arrays of [`LANES`] values, which the compiler turns into vector registers of whatever width there is.
//!
//! Sums are folded in a fixed order over [`LANES`] partial sums, so the result for a row depends on that row alone;
//! with FMA it is the same for both vector widths.

// With `source::mapping` the only module of the crate with `unsafe`: calls of functions compiled for instructions checked to exist, and
// buffers handed to the code that fills them.
#![allow(unsafe_code)]

mod fresh;
pub(crate) mod pairs;
pub(crate) mod tile;

pub(crate) use fresh::{column_panels, column_panels_into, filled, row_pairs, rows};

/// Partial results that every reduction keeps.
pub(crate) const LANES: usize = 16;

/// What a kernel may ask of the instruction set it is compiled for.
pub(crate) trait Isa: Copy {
    /// `a * b + c`, fused where the instruction set has it.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

    /// Runs a part of a kernel as a function of its own: within a long kernel the compiler may leave a hot loop's sums
    /// in memory that it keeps in registers in a short one.
    fn call<K: Kernel>(kernel: K) -> K::Output;
}

/// An instruction set with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

impl Isa for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn call<K: Kernel>(kernel: K) -> K::Output {
        dispatch(kernel)
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

    #[inline(always)]
    fn call<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Self>()
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
        if has_avx512() {
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
        if cfg!(target_arch = "aarch64") {
            kernel.run::<Fused>()
        } else {
            kernel.run::<Plain>()
        }
    }
}

/// Whether [`dispatch`] takes AVX-512.
pub(crate) fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
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

/// Asks for bytes that will be read soon.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of this kind has the instruction, which reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
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

/// Largest element; negative infinity for an empty slice. A NaN is skipped.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    select(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Smallest element; infinity for an empty slice. A NaN is skipped.
#[inline(always)]
pub(crate) fn min(x: &[f32]) -> f32 {
    select(x, f32::INFINITY, |a, b| if b < a { b } else { a })
}

#[inline(always)]
fn select(x: &[f32], start: f32, better: impl Fn(f32, f32) -> f32 + Copy) -> f32 {
    let mut best = [start; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for x in chunks {
        for i in 0..LANES {
            best[i] = better(best[i], x[i]);
        }
    }
    let mut found = start;
    for &x in best.iter().chain(rest) {
        found = better(found, x);
    }
    found
}

/// `e^x` for one value, within 1 unit in the last place of the exact value; a loop over it vectorises.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, then `e^r = 1 + r + r^2 q(r)` with `q` of degree 4 fitted to a relative error
/// of 4e-9 in exact arithmetic. Results below the smallest normal number are 0, above the largest infinity; NaN stays.
#[inline(always)]
pub(crate) fn exp<I: Isa>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first short enough for its products with n to be exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // The exponents where the result leaves the normal numbers.
    const SMALLEST: f32 = -87.336_54;
    const LARGEST: f32 = 88.722_84;

    let shifted = I::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = I::mul_add(n, -LN2_LOW, I::mul_add(n, -LN2_HIGH, x));
    let mut q = 1.381_464_5e-3;
    q = I::mul_add(q, r, 8.368_73e-3);
    q = I::mul_add(q, r, 4.166_839e-2);
    q = I::mul_add(q, r, 1.666_652_1e-1);
    q = I::mul_add(q, r, 4.999_999_4e-1);
    let p = I::mul_add(q, r * r, r) + 1.0;
    // Multiplies by 2^n: n goes from the low bits of `shifted` to the exponent.
    let y = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    let y = if x < SMALLEST { 0.0 } else { y };
    let y = if x > LARGEST { f32::INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ExpAll<'a>(&'a mut [f32]);

    impl Kernel for ExpAll<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self) {
            for x in self.0 {
                *x = exp::<I>(*x);
            }
        }
    }

    /// Largest error of `exp` in units of the last place over `n` arguments spread evenly over the normal range.
    fn worst_exp_error(run: impl Fn(&mut [f32]), n: usize) -> f64 {
        let xs: Vec<f32> = (0..n)
            .map(|i| (-87.33 + 176.05 * i as f64 / n as f64) as f32)
            .collect();
        let mut ys = xs.clone();
        run(&mut ys);
        let error = |(x, y): (&f32, &f32)| {
            let exact = f64::from(*x).exp();
            let ulp = 2f64.powf(exact.log2().floor() - 23.0);
            (f64::from(*y) - exact).abs() / ulp
        };
        xs.iter().zip(&ys).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn exp_is_within_one_unit_of_the_last_place() {
        let fused = worst_exp_error(|x| dispatch(ExpAll(x)), 2_000_000);
        let plain = worst_exp_error(|x| ExpAll(x).run::<Plain>(), 2_000_000);
        assert!(fused < 1.0, "{fused}");
        assert!(plain < 1.0, "{plain}");
    }

    #[test]
    fn exp_of_the_special_values() {
        let mut x = [
            0.0,
            -0.0,
            f32::NEG_INFINITY,
            f32::INFINITY,
            f32::NAN,
            -87.4,
            -1e30,
            88.73,
            1e30,
            88.72,
        ];
        dispatch(ExpAll(&mut x));
        assert_eq!(x[..4], [1.0, 1.0, 0.0, f32::INFINITY]);
        assert!(x[4].is_nan());
        assert_eq!(x[5..9], [0.0, 0.0, f32::INFINITY, f32::INFINITY]);
        assert!(x[9].is_finite());
    }

    struct Sums<'a>(&'a [f32], &'a [f32]);

    impl Kernel for Sums<'_> {
        type Output = [f32; 3];

        #[inline(always)]
        fn run<I: Isa>(self) -> [f32; 3] {
            [dot::<I>(self.0, self.1), max(self.0), min(self.0)]
        }
    }

    /// Small integers have exact sums, so every order gives the same value and any wrong element shows.
    #[test]
    fn reductions_cover_every_element_at_every_length() {
        for n in 0..70usize {
            let a: Vec<f32> = (0..n).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
            let b: Vec<f32> = (0..n).map(|i| ((i * 5) % 13) as f32 - 6.0).collect();
            let expected = [
                a.iter().zip(&b).map(|(x, y)| x * y).sum(),
                a.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                a.iter().copied().fold(f32::INFINITY, f32::min),
            ];
            assert_eq!(dispatch(Sums(&a, &b)), expected, "length {n}");
            assert_eq!(Sums(&a, &b).run::<Plain>(), expected, "length {n}, plain");
        }
    }

    /// Runs a kernel as compiled for AVX2, where the machine has it, else for the baseline with fused multiply-adds as
    /// library calls.
    fn narrow<K: Kernel>(kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features are present.
            return unsafe { avx2(kernel) };
        }
        kernel.run::<Fused>()
    }

    #[test]
    fn every_vector_width_gives_the_same_bits() {
        let draw = |seed| -> Vec<f32> {
            let key = crate::keyed::Key::new(seed);
            (0..1003).map(|i| key.with(i).unit() as f32 - 0.5).collect()
        };
        let (a, b) = (draw(1), draw(2));
        let fused = Sums(&a, &b).run::<Fused>();
        assert_eq!(narrow(Sums(&a, &b)), fused);
        let exps = |run: fn(ExpAll<'_>)| {
            let mut x = a.clone();
            run(ExpAll(&mut x));
            x
        };
        let fused_exps = exps(|k| k.run::<Fused>());
        assert_eq!(exps(|k| narrow(k)), fused_exps);
        if is_fused() {
            assert_eq!(dispatch(Sums(&a, &b)), fused);
            assert_eq!(exps(|k| dispatch(k)), fused_exps);
        }
    }

    /// Whether [`dispatch`] chooses fused multiply-adds here.
    fn is_fused() -> bool {
        struct Probe;
        impl Kernel for Probe {
            type Output = bool;

            #[inline(always)]
            fn run<I: Isa>(self) -> bool {
                // The product's last bit survives only if the sum is fused.
                let x = 1.0 + f32::EPSILON;
                I::mul_add(x, x, -(x * x)) != 0.0
            }
        }
        dispatch(Probe)
    }
}
