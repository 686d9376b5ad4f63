use candle_core::{DType, Device, Var};

use super::*;
use crate::ops::oracle::{
    assert_close, assert_rows_stand_alone, draw, draw_both, finite_differences, values,
};

const EPS: f64 = 1e-5;

#[test]
fn the_backward_equals_finite_differences_and_the_tensor_librarys() {
    let (x, w, dy) = (draw(1, &[5, 9]), draw(2, &[9]), draw(3, &[5, 9]));
    let (dx, dw) = composed::backward(&dy, &x, &w, EPS).unwrap();
    let by_x = finite_differences(|x| composed::forward(x, &w, EPS), &x, &dy);
    let by_w = finite_differences(|w| composed::forward(&x, w, EPS), &w, &dy);
    assert_close("dx", &values(&dx), &by_x, 1e-8);
    assert_close("dw", &values(&dw), &by_w, 1e-8);

    let (x, w) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&w).unwrap());
    let loss = (composed::forward(&x, &w, EPS).unwrap() * dy)
        .unwrap()
        .sum_all()
        .unwrap();
    let store = loss.backward().unwrap();
    assert_close(
        "autograd dx",
        &values(&dx),
        &values(store.get(&x).unwrap()),
        1e-13,
    );
    assert_close(
        "autograd dw",
        &values(&dw),
        &values(store.get(&w).unwrap()),
        1e-13,
    );
}

#[test]
fn the_composed_forward_is_the_formula() {
    let (x, w) = (draw(1, &[3, 7]), draw(2, &[7]));
    let w_values = values(&w);
    let mut expected = Vec::new();
    for row in x.to_vec2::<f64>().unwrap() {
        let mean = row.iter().map(|v| v * v).sum::<f64>() / 7.0;
        expected.extend(
            row.iter()
                .zip(&w_values)
                .map(|(v, w)| v / (mean + EPS).sqrt() * w),
        );
    }
    assert_close(
        "y",
        &values(&composed::forward(&x, &w, EPS).unwrap()),
        &expected,
        1e-14,
    );
}

/// Elementwise products and one sum of squares over at most `H / 16` sequential additions a lane: a few units of 2^-24.
#[test]
fn the_cpu_kernels_equal_the_composed_ones() {
    for (case, (rows, width)) in [(1, 1), (3, 17), (5, 64), (9, 577), (2, 4096)]
        .into_iter()
        .enumerate()
    {
        let seed = 10 * case as u64;
        let (x, x64) = draw_both(seed, &[rows, width]);
        let (w, w64) = draw_both(seed + 1, &[width]);
        let (dy, dy64) = draw_both(seed + 2, &[rows, width]);
        let exact = composed::forward(&x64, &w64, EPS).unwrap();
        let (exact_dx, exact_dw) = composed::backward(&dy64, &x64, &w64, EPS).unwrap();
        assert_close(
            "y",
            &values(&forward(&x, &w, EPS).unwrap()),
            &values(&exact),
            5e-7,
        );
        let mut dw = vec![1.0f32; width];
        let dx = backward(&dy, &x, &w, EPS, Some(&mut dw)).unwrap();
        // A width of 1 leaves a difference of two nearly equal numbers.
        let slack = if width == 1 { 1.0 } else { 1e-6 };
        assert_close("dx", &values(&dx), &values(&exact_dx), slack);
        let dw: Vec<f64> = dw.into_iter().map(|g| f64::from(g) - 1.0).collect();
        assert_close("dw is added", &dw, &values(&exact_dw), 2e-6);
        assert_eq!(
            values(&backward(&dy, &x, &w, EPS, None).unwrap()),
            values(&dx)
        );
    }
}

#[test]
fn rows_do_not_depend_on_their_company() {
    let (x, w, dy) = (
        draw_both(1, &[300, 65]).0,
        draw_both(2, &[65]).0,
        draw_both(3, &[300, 65]).0,
    );
    let head = |t: &Tensor, n| t.narrow(0, 0, n).unwrap();
    assert_rows_stand_alone(300, |n| forward(&head(&x, n), &w, EPS).unwrap());
    assert_rows_stand_alone(300, |n| {
        backward(&head(&dy, n), &head(&x, n), &w, EPS, None).unwrap()
    });
}

#[test]
fn a_row_of_zeros_and_rows_that_do_not_fit() {
    let x = Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap();
    let w = draw_both(2, &[4]).0;
    assert_eq!(values(&forward(&x, &w, EPS).unwrap()), [0.0; 8]);
    assert!(forward(&x, &draw_both(2, &[5]).0, EPS).is_err());
    assert!(backward(&draw_both(2, &[3, 4]).0, &x, &w, EPS, None).is_err());
    assert_eq!(
        forward(&x.narrow(0, 0, 0).unwrap(), &w, EPS)
            .unwrap()
            .dims(),
        [0, 4]
    );
}
