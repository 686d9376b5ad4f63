use super::*;
use crate::ops::oracle::{
    assert_close, assert_rows_stand_alone, draw, draw_both, finite_differences, values,
};

const HEADS: usize = 3;
const POSITIONS: [u32; 6] = [0, 1, 2, 900, 7, 8191];

/// Head dimension 8, base 10000.
fn rotary() -> Rotary {
    let inv_freq: Vec<f64> = (0..4).map(|i| 10000f64.powf(-f64::from(i) / 4.0)).collect();
    Rotary::from_inv_freq(&inv_freq, 8192)
}

/// `x * cos + rotate_half(x) * sin`, with `rotate_half([a, b]) = [-b, a]`; the tables are rounded to 2^-24.
#[test]
fn a_turn_follows_the_half_split_convention() {
    let x = draw(1, &[6, HEADS * 8]);
    let mut expected = Vec::new();
    for (row, p) in x.to_vec2::<f64>().unwrap().iter().zip(POSITIONS) {
        for head in row.chunks(8) {
            for i in 0..8 {
                let angle = f64::from(p) * 10000f64.powf(-((i % 4) as f64) / 4.0);
                let turned = if i < 4 { -head[i + 4] } else { head[i - 4] };
                expected.push(head[i] * angle.cos() + turned * angle.sin());
            }
        }
    }
    let composed = rotary().apply(&x, HEADS, &POSITIONS, false).unwrap();
    assert_close("composed", &values(&composed), &expected, 1e-7);
    let single = x.to_dtype(candle_core::DType::F32).unwrap();
    let cpu = rotary().apply(&single, HEADS, &POSITIONS, false).unwrap();
    assert_close("cpu", &values(&cpu), &expected, 3e-7);
}

#[test]
fn the_inverse_is_the_backward_and_undoes_the_turn() {
    let (x, dy) = (draw(1, &[6, HEADS * 8]), draw(2, &[6, HEADS * 8]));
    let turn = |x: &Tensor| rotary().apply(x, HEADS, &POSITIONS, false);
    let dx = rotary().apply(&dy, HEADS, &POSITIONS, true).unwrap();
    assert_close("dx", &values(&dx), &finite_differences(turn, &x, &dy), 1e-9);
    let back = rotary()
        .apply(&turn(&x).unwrap(), HEADS, &POSITIONS, true)
        .unwrap();
    assert_close("round trip", &values(&back), &values(&x), 2e-7);
}

#[test]
fn the_cpu_kernel_equals_the_composed_one() {
    for heads in [1, 3, 9] {
        let (x, x64) = draw_both(3, &[6, heads * 8]);
        for inverse in [false, true] {
            let cpu = rotary().apply(&x, heads, &POSITIONS, inverse).unwrap();
            let composed = rotary().apply(&x64, heads, &POSITIONS, inverse).unwrap();
            assert_close("y", &values(&cpu), &values(&composed), 2e-7);
        }
    }
}

#[test]
fn rows_do_not_depend_on_their_company() {
    let x = draw_both(1, &[800, HEADS * 8]).0;
    let positions: Vec<u32> = (0..800).map(|r| r * 7).collect();
    assert_rows_stand_alone(800, |n| {
        rotary()
            .apply(&x.narrow(0, 0, n).unwrap(), HEADS, &positions[..n], false)
            .unwrap()
    });
}

#[test]
fn a_position_beyond_the_tables_is_an_error() {
    let x = draw_both(1, &[1, HEADS * 8]).0;
    let message = rotary()
        .apply(&x, HEADS, &[8192], false)
        .unwrap_err()
        .to_string();
    assert!(message.contains("8192"), "{message}");
    assert!(rotary().apply(&x, HEADS, &[1, 2], false).is_err());
    assert!(rotary().apply(&x, HEADS + 1, &[1], false).is_err());
}
