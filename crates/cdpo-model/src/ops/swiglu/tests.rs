use candle_core::{Device, Var};

use super::*;
use crate::ops::oracle::{
    assert_close, assert_rows_stand_alone, draw, draw_both, finite_differences, values,
};

#[test]
fn the_backward_equals_finite_differences_and_the_tensor_librarys() {
    let (gate, up, dy) = (
        (draw(1, &[4, 6]) * 4.0).unwrap(),
        draw(2, &[4, 6]),
        draw(3, &[4, 6]),
    );
    let (dgate, dup) = composed::backward(&dy, &gate, &up).unwrap();
    let by_gate = finite_differences(|gate| composed::forward(gate, &up), &gate, &dy);
    let by_up = finite_differences(|up| composed::forward(&gate, up), &up, &dy);
    assert_close("dgate", &values(&dgate), &by_gate, 1e-8);
    assert_close("dup", &values(&dup), &by_up, 1e-8);

    let (gate, up) = (
        Var::from_tensor(&gate).unwrap(),
        Var::from_tensor(&up).unwrap(),
    );
    let loss = (composed::forward(&gate, &up).unwrap() * dy)
        .unwrap()
        .sum_all()
        .unwrap();
    let store = loss.backward().unwrap();
    assert_close(
        "autograd dgate",
        &values(&dgate),
        &values(store.get(&gate).unwrap()),
        1e-13,
    );
    assert_close(
        "autograd dup",
        &values(&dup),
        &values(store.get(&up).unwrap()),
        1e-13,
    );
}

#[test]
fn the_composed_forward_is_the_formula() {
    let (gate, up) = ((draw(1, &[20]) * 9.0).unwrap(), draw(2, &[20]));
    let expected: Vec<f64> = values(&gate)
        .iter()
        .zip(values(&up))
        .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
        .collect();
    assert_close(
        "y",
        &values(&composed::forward(&gate, &up).unwrap()),
        &expected,
        1e-14,
    );
}

/// One exponential, a division and a few products: each within a few units of 2^-24 of its own size.
#[test]
fn the_cpu_kernels_equal_the_composed_ones() {
    for shape in [[1, 1], [3, 5], [7, 1536], [130, 65]] {
        let scaled = |seed, by: f64| {
            let x = (draw_both(seed, &shape).0 * by).unwrap();
            let x64 = x.to_dtype(candle_core::DType::F64).unwrap();
            (x, x64)
        };
        let ((gate, gate64), (up, up64), (dy, dy64)) =
            (scaled(1, 8.0), scaled(2, 1.0), scaled(3, 1.0));
        let exact = composed::forward(&gate64, &up64).unwrap();
        let (exact_dgate, exact_dup) = composed::backward(&dy64, &gate64, &up64).unwrap();
        assert_close(
            "y",
            &values(&forward(&gate, &up).unwrap()),
            &values(&exact),
            3e-7,
        );
        let (dgate, dup) = backward(&dy, &gate, &up).unwrap();
        assert_close("dgate", &values(&dgate), &values(&exact_dgate), 5e-7);
        assert_close("dup", &values(&dup), &values(&exact_dup), 3e-7);
    }
}

#[test]
fn rows_do_not_depend_on_their_company() {
    let (gate, up, dy) = (
        draw_both(1, &[20, 1021]).0,
        draw_both(2, &[20, 1021]).0,
        draw_both(3, &[20, 1021]).0,
    );
    let head = |t: &Tensor, n| t.narrow(0, 0, n).unwrap();
    assert_rows_stand_alone(20, |n| forward(&head(&gate, n), &head(&up, n)).unwrap());
    assert_rows_stand_alone(20, |n| {
        backward(&head(&dy, n), &head(&gate, n), &head(&up, n))
            .unwrap()
            .0
    });
    assert_rows_stand_alone(20, |n| {
        backward(&head(&dy, n), &head(&gate, n), &head(&up, n))
            .unwrap()
            .1
    });
}

/// `silu` tends to 0 and to the identity, its slope to 0 and 1, without overflow on the way.
#[test]
fn far_gates_saturate() {
    let gate = Tensor::new(&[-1e30f32, -200.0, 0.0, 200.0, 1e30], &Device::Cpu).unwrap();
    let ones = gate.ones_like().unwrap();
    assert_eq!(
        values(&forward(&gate, &ones).unwrap()),
        values(&Tensor::new(&[0.0f32, 0.0, 0.0, 200.0, 1e30], &Device::Cpu).unwrap())
    );
    assert_eq!(
        values(&backward(&ones, &gate, &ones).unwrap().0),
        [0.0, 0.0, 0.5, 1.0, 1.0]
    );
}

#[test]
fn shapes_that_differ_are_errors() {
    let (a, b) = (draw_both(1, &[2, 3]).0, draw_both(1, &[3, 2]).0);
    assert!(forward(&a, &b).is_err());
    assert!(backward(&a, &b, &b).is_err());
}
