use half::bf16;

use super::{Products, back, back_into, emulated, times, times_into};
use crate::keyed::Key;
use crate::ops::gemm::MatRef;
use crate::ops::oracle::with_threads;
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
const COUNTS: [usize; 8] = [1, 2, 3, 6, 7, 12, 13, 40];

/// Whether to go on: says which kernel is left out.
#[allow(clippy::print_stderr)]
fn is_here() -> bool {
    let here = Products::Fast.by_bf16();
    if !here {
        eprintln!("skipped: this machine has no AVX512_BF16");
    }
    here
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

/// The weight as bf16, and its elements.
fn weight(seed: u64, rows: usize, columns: usize) -> (EncodedMatrix, Vec<bf16>) {
    let values = draw(seed, rows * columns);
    let matrix = EncodedMatrix::rounded(&values, (rows, columns));
    (matrix, halves(&values))
}

#[test]
fn sums_have_the_order_that_is_written_down() {
    if !is_here() {
        return;
    }
    for (case, (out, inner)) in SHAPES.into_iter().enumerate() {
        let (w, ws) = weight(case as u64, out, inner);
        for rows in COUNTS {
            let (x, dy) = (draw(50, rows * inner), draw(60, rows * out));
            let (xs, dys) = (halves(&x), halves(&dy));
            let got = times(MatRef::new(&x, rows, inner).unwrap(), &w, None).unwrap();
            for (i, got) in got.iter().enumerate() {
                let (x, w) = (
                    &xs[i / out * inner..][..inner],
                    &ws[i % out * inner..][..inner],
                );
                assert_eq!(
                    got.to_bits(),
                    emulated::dot(x, w).to_bits(),
                    "{out} {inner} {rows}"
                );
            }
            let got = back(MatRef::new(&dy, rows, out).unwrap(), &w).unwrap();
            for (i, got) in got.iter().enumerate() {
                let column: Vec<bf16> = ws.iter().skip(i % inner).step_by(inner).copied().collect();
                let expected = emulated::column(&dys[i / inner * out..][..out], &column);
                assert_eq!(got.to_bits(), expected.to_bits(), "{out} {inner} {rows}");
            }
        }
    }
}

/// The invariant that exact decoding stands on.
#[test]
fn a_row_has_one_bit_pattern_whatever_the_batch_and_the_threads() {
    if !is_here() {
        return;
    }
    for order in [RowOrder::Straight, RowOrder::Interleaved { half: 3 }] {
        for (name, w) in random(300, 512, 3, order) {
            let (x, dy) = (draw(1, 256 * 512), draw(2, 256 * 300));
            let whole = |threads| {
                with_threads(threads, || {
                    let x = MatRef::new(&x, 256, 512).unwrap();
                    let dy = MatRef::new(&dy, 256, 300).unwrap();
                    (times(x, &w, None).unwrap(), back(dy, &w).unwrap())
                })
            };
            let (forward, backward) = whole(2);
            assert_eq!(bits(&whole(1).0), bits(&forward), "{name}");
            assert_eq!(bits(&whole(3).1), bits(&backward), "{name}");
            for rows in COUNTS {
                for from in [0, (256 - rows) / 2, 256 - rows] {
                    let x = MatRef::new(&x[from * 512..][..rows * 512], rows, 512).unwrap();
                    let mut out = vec![f32::NAN; rows * 300];
                    times_into(x, &w, &mut out).unwrap();
                    assert_eq!(
                        bits(&out),
                        bits(&forward[from * 300..][..rows * 300]),
                        "{name}"
                    );
                    let dy = MatRef::new(&dy[from * 300..][..rows * 300], rows, 300).unwrap();
                    let mut out = vec![f32::NAN; rows * 512];
                    back_into(dy, &w, &mut out).unwrap();
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

/// Every encoding, against f64 sums of the operands rounded as the kernel rounds them: what is left is the error of f32 sums.
#[test]
fn products_are_those_of_rounded_operands() {
    if !is_here() {
        return;
    }
    let (rows, out, inner) = (5, 40, 512);
    for (name, w) in random(out, inner, 9, RowOrder::Straight) {
        let values = halves(&w.read("w").unwrap());
        let (x, dy) = (draw(1, rows * inner), draw(2, rows * out));
        let (xs, dys) = (halves(&x), halves(&dy));
        let exact = |a: &[bf16], b: &mut dyn Iterator<Item = bf16>| {
            let products: Vec<f64> = a
                .iter()
                .zip(b)
                .map(|(a, b)| a.to_f64() * b.to_f64())
                .collect();
            (
                products.iter().sum::<f64>(),
                products.iter().map(|p| p.abs()).sum::<f64>(),
            )
        };
        let bias = draw(3, out);
        let got = times(MatRef::new(&x, rows, inner).unwrap(), &w, Some(&bias)).unwrap();
        for (i, got) in got.iter().enumerate() {
            let (row, column) = (i / out, i % out);
            let mut w = values[column * inner..][..inner].iter().copied();
            let (sum, size) = exact(&xs[row * inner..][..inner], &mut w);
            let error = (f64::from(*got) - sum - f64::from(bias[column])).abs();
            assert!(
                error <= 1e-6 * (size + 1.0),
                "{name} {i}: {error} of {size}"
            );
        }
        let got = back(MatRef::new(&dy, rows, out).unwrap(), &w).unwrap();
        for (i, got) in got.iter().enumerate() {
            let (row, column) = (i / inner, i % inner);
            let mut w = values.iter().skip(column).step_by(inner).copied();
            let (sum, size) = exact(&dys[row * out..][..out], &mut w);
            let error = (f64::from(*got) - sum).abs();
            assert!(error <= 1e-6 * size, "{name} {i}: {error} of {size}");
        }
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
        assert_eq!(
            crate::ops::simd::pairs::rounded(x),
            bf16::from_f32(x).to_bits(),
            "{x}"
        );
    }
    assert!(bf16::from_bits(crate::ops::simd::pairs::rounded(f32::NAN)).is_nan());
    assert!(
        bf16::from_bits(crate::ops::simd::pairs::rounded(f32::from_bits(
            0x7fff_ffff
        )))
        .is_nan()
    );
}
