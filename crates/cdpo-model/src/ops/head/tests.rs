use candle_core::{DType, Device, Tensor, Var};

use super::*;
use crate::ops::head_weight::weight_grad;
use crate::ops::oracle::{
    assert_close, assert_rows_stand_alone, bits, draw, draw_both, finite_differences, values,
};

const TARGETS: [u32; 7] = [0, 36, 17, 17, 5, 22, 1];

/// Scaled so that the probabilities are far from uniform.
fn hidden() -> (Tensor, Tensor) {
    let double = (draw(1, &[7, 12]) * 3.0)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    (double.clone(), double.to_dtype(DType::F64).unwrap())
}

#[test]
fn the_gradient_equals_finite_differences_and_the_tensor_librarys() {
    let (_, h) = hidden();
    let w = Weight::frozen(draw(2, &[37, 12])).unwrap();
    let logp = |h: &Tensor| Ok(composed::rows(h, &w, &TARGETS)?.0);
    let ones = Tensor::ones(7, DType::F64, &Device::Cpu).unwrap();
    let (_, grad) = composed::token_logps_grad(&h, &w, &TARGETS, CHUNK_BYTES).unwrap();
    assert_close(
        "finite differences",
        &values(&grad),
        &finite_differences(logp, &h, &ones),
        1e-9,
    );

    let h = Var::from_tensor(&h).unwrap();
    let store = composed::rows(&h, &w, &TARGETS)
        .unwrap()
        .0
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert_close(
        "autograd",
        &values(&grad),
        &values(store.get(&h).unwrap()),
        1e-13,
    );
}

#[test]
fn the_composed_head_is_the_log_of_a_softmax() {
    let (_, h) = hidden();
    let w = draw(2, &[37, 12]);
    let logits = h.matmul(&w.t().unwrap()).unwrap().to_vec2::<f64>().unwrap();
    let expected: Vec<f64> = logits
        .iter()
        .zip(TARGETS)
        .map(|(l, t)| (l[t as usize].exp() / l.iter().map(|l| l.exp()).sum::<f64>()).ln())
        .collect();
    assert_close(
        "logp",
        &values(
            &composed::rows(&h, &Weight::frozen(w).unwrap(), &TARGETS)
                .unwrap()
                .0,
        ),
        &expected,
        1e-14,
    );
}

/// The logits carry an error of a few 2^-24 of their size (up to about 20 here), which is the error of a
/// log-probability; a gradient's elements are sums over the vocabulary with weights that carry it once more.
#[test]
fn the_cpu_head_equals_the_composed_one_in_any_chunks() {
    for (rows, vocab, width) in [(7, 37, 12), (5, 1000, 64), (33, 2051, 65)] {
        let (h, h64) = draw_both(3, &[rows, width]);
        let (w, w64) = draw_both(4, &[vocab, width]);
        let targets: Vec<u32> = (0..rows).map(|r| (r * 7919 % vocab) as u32).collect();
        let w64 = Weight::frozen(w64).unwrap();
        let (exact, _, _) = composed::rows(&h64, &w64, &targets).unwrap();
        let (_, exact_grad) =
            composed::token_logps_grad(&h64, &w64, &targets, CHUNK_BYTES).unwrap();
        let (exact, exact_grad) = (values(&exact), values(&exact_grad));
        let dense = Weight::frozen(w.clone()).unwrap();
        let mut packed = Weight::frozen(w).unwrap();
        packed.pack(true).unwrap();
        let mut seen = Vec::new();
        for weight in [&dense, &packed] {
            for chunk_rows in [1, 2, 3, rows, 100] {
                let bytes = chunk_rows * vocab * 4;
                let logps = cpu::token_logps(&h, weight, &targets, bytes).unwrap();
                let (same, grad) = cpu::token_logps_grad(&h, weight, &targets, bytes).unwrap();
                assert_eq!(logps, same);
                let logps: Vec<f64> = logps.into_iter().map(f64::from).collect();
                assert_close("logps", &logps, &exact, 5e-7);
                assert_close("grad", &values(&grad), &exact_grad, 2e-6);
                seen.push((bits(&grad), same));
            }
        }
        assert!(
            seen.iter().all(|s| *s == seen[0]),
            "chunking or packing changes the bits"
        );
    }
}

#[test]
fn the_composed_head_goes_in_chunks_too() {
    let (_, h) = hidden();
    let w = Weight::frozen(draw(2, &[37, 12])).unwrap();
    let whole = composed::token_logps_grad(&h, &w, &TARGETS, CHUNK_BYTES).unwrap();
    let parts = composed::token_logps_grad(&h, &w, &TARGETS, 2 * 37 * 4).unwrap();
    let few = composed::token_logps(&h, &w, &TARGETS, 2 * 37 * 4).unwrap();
    assert_eq!(whole.0, parts.0);
    assert_eq!(whole.0, few);
    assert_close("grad", &values(&parts.1), &values(&whole.1), 1e-14);
}

/// `f64` by the composed path, in `f32` sums; then the kernel against it, for chunks of any size.
#[test]
fn the_gradient_of_a_trained_head_equals_finite_differences() {
    let (h, h64) = hidden();
    let (w, w64) = draw_both(2, &[37, 12]);
    let dlogps = [0.5f32, -1.0, 2.0, 0.25, 0.0, -0.75, 1.5];
    let upstream = Tensor::new(&dlogps, &Device::Cpu).unwrap();
    let logp = |w: &Tensor| Ok(composed::rows(&h64, &Weight::frozen(w.clone())?, &TARGETS)?.0);
    let expected = finite_differences(logp, &w64, &upstream);
    let wide = |g: &[f32]| g.iter().map(|g| f64::from(*g) - 1.0).collect::<Vec<_>>();
    let mut sums = vec![1.0f32; 37 * 12];
    weight_grad(
        &h64,
        &Weight::frozen(w64).unwrap(),
        &TARGETS,
        &dlogps,
        &mut sums,
    )
    .unwrap();
    assert_close("composed", &wide(&sums), &expected, 1e-6);
    let weight = Weight::frozen(w).unwrap();
    for rows in [1, 2, 3, 7, 50] {
        let mut sums = vec![1.0f32; 37 * 12];
        cpu::weight_grad(&h, &weight, &TARGETS, &dlogps, &mut sums, rows * 37 * 4).unwrap();
        assert_close("cpu", &wide(&sums), &expected, 2e-6);
    }
    let mut sums = vec![1.0f32; 37 * 12];
    weight_grad(&h, &weight, &TARGETS, &dlogps, &mut sums).unwrap();
    assert_close("public", &wide(&sums), &expected, 2e-6);
    assert!(weight_grad(&h, &weight, &TARGETS, &dlogps[1..], &mut sums).is_err());
    assert!(weight_grad(&h, &weight, &TARGETS, &dlogps, &mut sums[1..]).is_err());
}

#[test]
fn rows_do_not_depend_on_their_company() {
    let (h, _) = draw_both(5, &[40, 24]);
    let weight = Weight::frozen(draw_both(6, &[301, 24]).0).unwrap();
    let targets: Vec<u32> = (0..40).map(|r| r * 7).collect();
    assert_rows_stand_alone(40, |n| {
        token_logps_grad(&h.narrow(0, 0, n).unwrap(), &weight, &targets[..n])
            .unwrap()
            .1
    });
    assert_rows_stand_alone(40, |n| {
        let logps = token_logps(&h.narrow(0, 0, n).unwrap(), &weight, &targets[..n]).unwrap();
        Tensor::new(logps, &Device::Cpu).unwrap()
    });
}

/// With logits of 1e4 and -1e4 every exponential but one is 0 or infinite unless the largest is taken off first.
#[test]
fn huge_logits_stay_finite_and_exact() {
    let h = Tensor::new(&[[1e4f32, 0.0]], &Device::Cpu).unwrap();
    let w =
        Weight::frozen(Tensor::new(&[[1f32, 0.0], [0.0, 3.0], [-1.0, 0.0]], &Device::Cpu).unwrap())
            .unwrap();
    for (target, expected) in [(0, 0.0), (1, -1e4), (2, -2e4)] {
        assert_eq!(token_logps(&h, &w, &[target]).unwrap(), [expected]);
    }
    assert_eq!(
        values(&token_logps_grad(&h, &w, &[1]).unwrap().1),
        [-1.0, 3.0]
    );
}

#[test]
fn a_logit_that_is_not_finite_is_an_error_naming_the_row() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = vec![0.5f32; 4 * 3];
        values[2 * 3] = bad;
        let h = Tensor::from_vec(values, (4, 3), &Device::Cpu).unwrap();
        let w =
            Tensor::from_vec(vec![1f32, 1.0, 1.0, 2.0, 1.0, 1.0], (2, 3), &Device::Cpu).unwrap();
        let weight = Weight::frozen(w).unwrap();
        let message = token_logps(&h, &weight, &[0, 1, 1, 0])
            .unwrap_err()
            .to_string();
        assert!(message.contains("row 2"), "{message}");
        assert!(token_logps_grad(&h, &weight, &[0, 1, 1, 0]).is_err());
        assert!(composed::token_logps(&h, &weight, &[0, 1, 1, 0], CHUNK_BYTES).is_err());
    }
}

/// It would not show in the log-probability of another target.
#[test]
fn one_negative_infinity_among_the_logits_is_an_error() {
    let h = Tensor::new(&[[0.0f32, 1.0], [1.0, 1.0]], &Device::Cpu).unwrap();
    let w = Tensor::new(&[[2f32, 1.0], [f32::MIN, f32::MIN]], &Device::Cpu).unwrap();
    let message = token_logps(&h, &Weight::frozen(w).unwrap(), &[0, 0])
        .unwrap_err()
        .to_string();
    assert!(message.contains("row 1"), "{message}");
}

#[test]
fn targets_and_shapes_that_do_not_fit_are_errors() {
    let weight = Weight::frozen(draw_both(2, &[5, 3]).0).unwrap();
    let h = draw_both(1, &[2, 3]).0;
    let message = token_logps(&h, &weight, &[4, 5]).unwrap_err().to_string();
    assert!(message.contains("target 5 of row 1"), "{message}");
    assert!(token_logps(&h, &weight, &[1]).is_err());
    assert!(token_logps(&draw_both(1, &[2, 4]).0, &weight, &[1, 1]).is_err());
    assert!(
        token_logps(&h.narrow(0, 0, 0).unwrap(), &weight, &[])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn standings_leave_the_log_probabilities_bits_and_agree_with_the_composed_form() {
    let bits = |x: &[f32]| x.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
    for (rows, vocab, width) in [(7, 37, 12), (9, 1000, 64)] {
        let (h, h64) = draw_both(13, &[rows, width]);
        let (w, w64) = draw_both(14, &[vocab, width]);
        let targets: Vec<u32> = (0..rows).map(|r| (r * 7919 % vocab) as u32).collect();
        let dense = Weight::frozen(w).unwrap();
        let (logps, standings) = token_standings(&h, &dense, &targets, 3).unwrap();
        assert_eq!(
            bits(&logps),
            bits(&token_logps(&h, &dense, &targets).unwrap())
        );
        let (one_row, _) = cpu::token_standings(&h, &dense, &targets, 3, 1).unwrap();
        assert_eq!(bits(&one_row), bits(&logps));
        let w64 = Weight::frozen(w64).unwrap();
        let (_, composed) =
            composed::token_standings(&h64, &w64, &targets, 3, CHUNK_BYTES).unwrap();
        for (found, expected) in standings.iter().zip(&composed) {
            assert_eq!(found.rank, expected.rank);
            assert_eq!(found.alternatives.len(), 3);
            for (found, expected) in found.alternatives.iter().zip(&expected.alternatives) {
                assert_eq!(found.0, expected.0);
                assert!((found.1 / expected.1 - 1.0).abs() < 1e-4);
            }
        }
    }
}
