use candle_core::{DType, Tensor};

use super::*;
use crate::ops::oracle::{assert_close, bits, draw_both, values, with_threads};

/// Inner length and columns: the shapes of small models, odd ones, and several blocks in both directions.
const SHAPES: [(usize, usize); 8] = [
    (1, 1),
    (3, 5),
    (64, 16),
    (129, 33),
    (576, 192),
    (255, 1031),
    (1536, 577),
    (4864, 96),
];
const COUNTS: [usize; 12] = [1, 2, 3, 5, 6, 7, 8, 13, 31, 64, 100, 256];

fn accumulated(
    a: &[f32],
    rows: usize,
    k: usize,
    n: usize,
    b: Rhs<'_>,
    alpha: f32,
    beta: f32,
) -> Vec<u32> {
    let mut out: Vec<f32> = (0..rows * n).map(|i| (i % n) as f32 * 0.01).collect();
    gemm(&mut out, MatRef::new(a, rows, k).unwrap(), b, alpha, beta).unwrap();
    out.iter().map(|v| v.to_bits()).collect()
}

/// The invariant that exact decoding stands on.
#[test]
fn a_row_has_one_bit_pattern_whatever_the_batch_the_threads_and_the_packing() {
    for (case, (k, n)) in SHAPES.into_iter().enumerate() {
        let x = draw_both(case as u64, &[256, k])
            .0
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let w = draw_both(100 + case as u64, &[n, k])
            .0
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let dense = Rhs::Dense(MatRef::new(&w, n, k).unwrap().t());
        let packed = PackedB::transposed(&w, n, k).unwrap();
        for (alpha, beta) in [(1.0, 0.0), (0.7, 1.0)] {
            let whole = with_threads(2, || {
                accumulated(&x, 256, k, n, Rhs::Packed(&packed), alpha, beta)
            });
            for threads in [1, 2, 3] {
                with_threads(threads, || {
                    for rows in COUNTS {
                        for from in [0, (256 - rows) / 2, 256 - rows] {
                            let expected = &whole[from * n..(from + rows) * n];
                            for b in [Rhs::Packed(&packed), dense] {
                                if beta == 0.0 {
                                    let a = MatRef::new(&x[from * k..(from + rows) * k], rows, k)
                                        .unwrap();
                                    let fresh = product(a, b, alpha, None).unwrap();
                                    assert!(
                                        fresh
                                            .iter()
                                            .map(|v| v.to_bits())
                                            .eq(expected.iter().copied())
                                    );
                                }
                                let got = accumulated(
                                    &x[from * k..(from + rows) * k],
                                    rows,
                                    k,
                                    n,
                                    b,
                                    alpha,
                                    beta,
                                );
                                assert!(
                                    got == expected,
                                    "rows {from}..{} of 256, k {k}, n {n}, {threads} threads, {b:?}",
                                    from + rows
                                );
                            }
                        }
                    }
                });
            }
        }
    }
}

/// A sum of `k` products of numbers below 1 is off by at most `k * 2^-24` times the sum of magnitudes, and by its root
/// in practice.
#[test]
fn every_orientation_agrees_with_f64() {
    for (case, (n, k, m)) in [(1, 7, 5), (6, 300, 40), (64, 576, 33), (70, 1, 3)]
        .into_iter()
        .enumerate()
    {
        let seed = 10 * case as u64;
        let tolerance = 4.0 * (k as f64).sqrt() * 2f64.powi(-24);
        let (x, x64) = draw_both(seed, &[n, k]);
        let (w, w64) = draw_both(seed + 1, &[m, k]);
        let exact = values(&x64.matmul(&w64.t().unwrap()).unwrap());
        let (xt, wt) = (
            x.t().unwrap().contiguous().unwrap(),
            w.t().unwrap().contiguous().unwrap(),
        );
        let packed = PackedB::new(&w).unwrap();
        for (what, got) in [
            ("nt", matmul_nt(&x, &w)),
            ("nn", matmul_nn(&x, &wt)),
            ("tn", matmul_tn(&xt, &wt)),
            ("packed", matmul_packed(&x, &packed)),
            ("strided", matmul_nn(&x, &w.t().unwrap())),
        ] {
            let got = got.unwrap();
            assert_eq!(got.dims(), [n, m]);
            assert_close(what, &values(&got), &exact, tolerance);
        }
        for (what, got) in [
            ("nt", matmul_nt(&x64, &w64)),
            (
                "nn",
                matmul_nn(&x64, &w64.t().unwrap().contiguous().unwrap()),
            ),
            (
                "tn",
                matmul_tn(&x64.t().unwrap().contiguous().unwrap(), &w64.t().unwrap()),
            ),
        ] {
            let got = got.unwrap();
            assert_eq!(got.dtype(), DType::F64);
            assert_close(what, &values(&got), &exact, 1e-14);
        }
    }
}

#[test]
fn beta_zero_does_not_read_the_output() {
    let (x, w) = (vec![1.0f32; 3 * 4], vec![2.0f32; 4 * 5]);
    for rows in [1, 3] {
        let mut out = vec![f32::NAN; rows * 5];
        let a = MatRef::new(&x[..rows * 4], rows, 4).unwrap();
        gemm(
            &mut out,
            a,
            Rhs::Dense(MatRef::new(&w, 4, 5).unwrap()),
            0.5,
            0.0,
        )
        .unwrap();
        assert_eq!(out, vec![4.0; rows * 5]);
    }
}

#[test]
fn a_bias_is_added_to_every_row_alike() {
    let (k, n) = (300, 70);
    let x = draw_both(1, &[7, k])
        .0
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let w = draw_both(2, &[k, n])
        .0
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let bias: Vec<f32> = (0..n).map(|i| i as f32 - 30.0).collect();
    let b = Rhs::Dense(MatRef::new(&w, k, n).unwrap());
    let whole = product(MatRef::new(&x, 7, k).unwrap(), b, 1.0, Some(&bias)).unwrap();
    let plain = product(MatRef::new(&x, 7, k).unwrap(), b, 1.0, None).unwrap();
    let expected: Vec<f64> = plain
        .iter()
        .zip(bias.iter().cycle())
        .map(|(y, b)| f64::from(*y) + f64::from(*b))
        .collect();
    let got: Vec<f64> = whole.iter().map(|y| f64::from(*y)).collect();
    assert_close("biased", &got, &expected, 2e-7);
    let one = product(MatRef::new(&x[..k], 1, k).unwrap(), b, 1.0, Some(&bias)).unwrap();
    assert_eq!(one, whole[..n]);
    assert!(product(MatRef::new(&x, 7, k).unwrap(), b, 1.0, Some(&bias[1..])).is_err());
}

#[test]
fn no_rows_give_no_rows() {
    let w = draw_both(1, &[5, 4]).0;
    let x = Tensor::zeros((0, 4), DType::F32, &candle_core::Device::Cpu).unwrap();
    assert_eq!(
        matmul_packed(&x, &PackedB::new(&w).unwrap())
            .unwrap()
            .dims(),
        [0, 5]
    );
    assert_eq!(bits(&matmul_nt(&x, &w).unwrap()).len(), 0);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let (x, w) = (draw_both(1, &[3, 4]).0, draw_both(2, &[5, 6]).0);
    for error in [
        matmul_nt(&x, &w),
        matmul_packed(&x, &PackedB::new(&w).unwrap()),
    ] {
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("[3 x 4]") && message.contains("[6 x 5]"),
            "{message}"
        );
    }
    assert!(MatRef::new(&[0.0; 5], 2, 3).is_err());
}
