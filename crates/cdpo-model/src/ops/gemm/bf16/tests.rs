use half::bf16;

use super::{Kernel, Products, emulated};
use crate::keyed::Key;
use crate::ops::gemm::MatRef;
use crate::ops::oracle::with_threads;
use crate::ops::simd::pairs::{Unit, rounded};
use crate::source::encoded::tests::random;
use crate::source::encoded::{EncodedMatrix, RowOrder};

/// `(out, in)`.
const SHAPES: [(usize, usize); 7] = [
    (1, 1),
    (3, 2),
    (5, 31),
    (17, 33),
    (64, 96),
    (131, 577),
    (300, 64),
];
const COUNTS: [usize; 9] = [1, 2, 3, 6, 7, 12, 13, 16, 40];

/// The kernels that this machine has; says which are left out.
#[allow(clippy::print_stderr)]
fn kernels() -> Vec<Kernel> {
    let units: &[Unit] = match Unit::here() {
        None => &[],
        Some(Unit::Avx512) => &[Unit::Avx512],
        Some(Unit::Amx) => &[Unit::Avx512, Unit::Amx],
    };
    for unit in [Unit::Avx512, Unit::Amx] {
        if !units.contains(&unit) {
            eprintln!("skipped: this machine has no {unit:?} for bf16");
        }
    }
    let of = |&unit| [1, 3].map(|parts| Kernel { unit, parts });
    units.iter().flat_map(of).collect()
}

fn draw(seed: u64, len: usize) -> Vec<f32> {
    let key = Key::new(seed);
    (0..len)
        .map(|i| key.with(i as u64).unit() as f32 - 0.5)
        .collect()
}

fn halves(values: &[f32]) -> Vec<bf16> {
    values.iter().map(|&v| bf16::from_f32(v)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn sums_have_the_order_that_is_written_down() {
    for kernel in kernels() {
        let Kernel { unit, parts } = kernel;
        for (case, (out, inner)) in SHAPES.into_iter().enumerate() {
            let values = draw(case as u64, out * inner);
            let w = EncodedMatrix::rounded(&values, (out, inner));
            let ws = halves(&values);
            for rows in COUNTS {
                let (x, dy) = (draw(50, rows * inner), draw(60, rows * out));
                let got = kernel
                    .times(MatRef::new(&x, rows, inner).unwrap(), &w, None)
                    .unwrap();
                for (i, got) in got.iter().enumerate() {
                    let x = &x[i / out * inner..][..inner];
                    let w = &ws[i % out * inner..][..inner];
                    let expected = emulated::element(unit, parts, x, w);
                    assert_eq!(
                        got.to_bits(),
                        expected.to_bits(),
                        "{kernel:?} {out} {inner} {rows}"
                    );
                }
                let got = kernel
                    .back(MatRef::new(&dy, rows, out).unwrap(), &w)
                    .unwrap();
                for (i, got) in got.iter().enumerate() {
                    let dy = &dy[i / inner * out..][..out];
                    let w: Vec<bf16> = ws.iter().skip(i % inner).step_by(inner).copied().collect();
                    let expected = emulated::element(unit, parts, dy, &w);
                    assert_eq!(
                        got.to_bits(),
                        expected.to_bits(),
                        "{kernel:?} {out} {inner} {rows}"
                    );
                }
            }
        }
    }
}

/// The invariant that exact decoding stands on.
#[test]
fn a_row_has_one_bit_pattern_whatever_the_batch_and_the_threads() {
    for kernel in kernels() {
        for (name, w) in random(300, 512, 3, RowOrder::Interleaved { half: 3 }) {
            let (x, dy) = (draw(1, 64 * 512), draw(2, 64 * 300));
            let whole = |threads| {
                with_threads(threads, || {
                    let x = MatRef::new(&x, 64, 512).unwrap();
                    let dy = MatRef::new(&dy, 64, 300).unwrap();
                    (
                        kernel.times(x, &w, None).unwrap(),
                        kernel.back(dy, &w).unwrap(),
                    )
                })
            };
            let (forward, backward) = whole(2);
            assert_eq!(bits(&whole(1).0), bits(&forward), "{name}");
            assert_eq!(bits(&whole(3).1), bits(&backward), "{name}");
            for rows in COUNTS {
                for from in [0, 64 - rows] {
                    let x = MatRef::new(&x[from * 512..][..rows * 512], rows, 512).unwrap();
                    let mut out = vec![f32::NAN; rows * 300];
                    kernel.times_into(x, &w, &mut out).unwrap();
                    assert_eq!(
                        bits(&out),
                        bits(&forward[from * 300..][..rows * 300]),
                        "{name}"
                    );
                    let dy = MatRef::new(&dy[from * 300..][..rows * 300], rows, 300).unwrap();
                    let mut out = vec![f32::NAN; rows * 512];
                    kernel.back_into(dy, &w, &mut out).unwrap();
                    assert_eq!(
                        bits(&out),
                        bits(&backward[from * 512..][..rows * 512]),
                        "{name}"
                    );
                }
            }
        }
    }
}

/// Every encoding, against f64 sums of the weight rounded as the kernel rounds it and the left operand rounded or whole: what is left is
/// the error of f32 sums.
#[test]
fn products_are_those_of_rounded_operands() {
    let (rows, out, inner) = (5, 40, 512);
    for kernel in kernels() {
        let taken = |x: &[f32]| -> Vec<f64> {
            let of = |&x: &f32| match kernel.parts {
                1 => bf16::from_f32(x).to_f64(),
                _ => f64::from(x),
            };
            x.iter().map(of).collect()
        };
        for (name, w) in random(out, inner, 9, RowOrder::Straight) {
            let values = halves(&w.read("w").unwrap());
            let (x, dy) = (draw(1, rows * inner), draw(2, rows * out));
            let (xs, dys) = (taken(&x), taken(&dy));
            let exact = |a: &[f64], b: &mut dyn Iterator<Item = bf16>| {
                let products: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * b.to_f64()).collect();
                let size: f64 = products.iter().map(|p| p.abs()).sum();
                (products.iter().sum::<f64>(), size)
            };
            let bias = draw(3, out);
            let got = kernel
                .times(MatRef::new(&x, rows, inner).unwrap(), &w, Some(&bias))
                .unwrap();
            for (i, got) in got.iter().enumerate() {
                let (row, column) = (i / out, i % out);
                let mut w = values[column * inner..][..inner].iter().copied();
                let (sum, size) = exact(&xs[row * inner..][..inner], &mut w);
                let error = (f64::from(*got) - sum - f64::from(bias[column])).abs();
                assert!(
                    error <= 1e-6 * (size + 1.0),
                    "{kernel:?} {name} {i}: {error} of {size}"
                );
            }
            let got = kernel
                .back(MatRef::new(&dy, rows, out).unwrap(), &w)
                .unwrap();
            for (i, got) in got.iter().enumerate() {
                let (row, column) = (i / inner, i % inner);
                let mut w = values.iter().skip(column).step_by(inner).copied();
                let (sum, size) = exact(&dys[row * out..][..out], &mut w);
                let error = (f64::from(*got) - sum).abs();
                assert!(
                    error <= 1e-6 * size,
                    "{kernel:?} {name} {i}: {error} of {size}"
                );
            }
        }
    }
}

/// Products of three bf16 parts have at most twice the error of the f32 kernel, whose sums are one chain for every 256 elements. By the emulation, so that every machine shows it.
#[test]
fn three_parts_are_as_exact_as_f32() {
    let (len, count) = (2048, 200);
    let (mut ours, mut f32s) = (0.0f64, 0.0f64);
    for case in 0..count {
        let (x, w) = (draw(case, len), halves(&draw(1000 + case, len)));
        let pairs = || x.iter().zip(&w);
        let exact: f64 = pairs().map(|(x, w)| f64::from(*x) * w.to_f64()).sum();
        let chain = |x: &[f32], w: &[bf16]| {
            let pairs = x.iter().zip(w);
            pairs.fold(0.0f32, |sum, (x, w)| x.mul_add(w.to_f32(), sum))
        };
        let blocks = x.chunks(256).zip(w.chunks(256));
        let by_f32 = blocks.fold(0.0f32, |sum, (x, w)| sum + chain(x, w));
        let by_parts = emulated::element(Unit::Amx, 3, &x, &w);
        ours += (f64::from(by_parts) - exact).powi(2);
        f32s += (f64::from(by_f32) - exact).powi(2);
    }
    let ratio = (ours / f32s).sqrt();
    assert!(ratio < 2.0, "{ratio}");
}

#[test]
fn exact_products_are_the_f32_kernels() {
    assert_eq!(Products::Exact.kernel(), None);
    assert_eq!(Products::Exact.unit(), None);
    let fast = Products::Fast.kernel();
    assert_eq!(fast, Unit::here().map(|unit| Kernel { unit, parts: 1 }));
    assert_eq!(Products::Fast.unit().is_some(), fast.is_some());
}

#[test]
fn three_parts_are_the_whole_number() {
    for x in draw(7, 1000).into_iter().chain([1.0, -3.25e-20, 1e30]) {
        let parts = emulated::cut(&[x], 3);
        let sum: f64 = parts.iter().map(|part| part[0].to_f64()).sum();
        assert_eq!(sum, f64::from(x));
    }
}

#[test]
fn rounding_is_to_the_nearest_and_to_even() {
    let special = [
        0.0,
        -0.0,
        1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        1.0 + 1.0 / 256.0,
        1.0 + 3.0 / 256.0,
    ];
    for x in special.into_iter().chain(draw(4, 10_000)) {
        assert_eq!(rounded(x), bf16::from_f32(x).to_bits(), "{x}");
    }
    for nan in [f32::NAN, f32::from_bits(0x7fff_ffff)] {
        assert!(bf16::from_bits(rounded(nan)).is_nan());
    }
}
