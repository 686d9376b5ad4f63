use candle_core::{DType, Device, Var};

use super::*;
use crate::keyed::Key;
use crate::ops::oracle::{
    assert_close, assert_rows_stand_alone, bits, draw, draw_both, finite_differences, values,
};

/// A layer with two adapters of different rank and scale, the second with dropout.
struct Layer {
    x: Tensor,
    w: Tensor,
    bias: Tensor,
    dy: Tensor,
    a: [Tensor; 2],
    b: [Tensor; 2],
    row_keys: Vec<u64>,
}

const SCALES: [f32; 2] = [0.5, 2.0];

impl Layer {
    fn new(rows: usize, width: usize, out: usize) -> Self {
        Self {
            x: draw(1, &[rows, width]),
            w: draw(2, &[out, width]),
            bias: draw(3, &[out]),
            dy: draw(4, &[rows, out]),
            a: [draw(5, &[3, width]), draw(6, &[4, width])],
            b: [draw(7, &[out, 3]), draw(8, &[out, 4])],
            row_keys: (0..rows as u64)
                .map(|r| Key::new(9).with(r).bits())
                .collect(),
        }
    }

    fn to(&self, dtype: DType) -> Self {
        let f = |t: &Tensor| t.to_dtype(dtype).unwrap();
        Self {
            x: f(&self.x),
            w: f(&self.w),
            bias: f(&self.bias),
            dy: f(&self.dy),
            a: [f(&self.a[0]), f(&self.a[1])],
            b: [f(&self.b[0]), f(&self.b[1])],
            row_keys: self.row_keys.clone(),
        }
    }

    /// The first `n` rows.
    fn head(&self, n: usize) -> Self {
        let mut head = self.to(self.x.dtype());
        head.x = self.x.narrow(0, 0, n).unwrap();
        head.dy = self.dy.narrow(0, 0, n).unwrap();
        head.row_keys.truncate(n);
        head
    }

    fn lora(&self) -> [LoraRef<'_>; 2] {
        let dropout = Dropout {
            p: 0.25,
            row_keys: &self.row_keys,
            module: 11,
        };
        let lora = |i: usize, dropout| LoraRef {
            a: &self.a[i],
            b: &self.b[i],
            scale: SCALES[i],
            dropout,
        };
        [lora(0, None), lora(1, Some(dropout))]
    }

    fn weight(&self) -> Weight {
        Weight::frozen(self.w.clone()).unwrap()
    }

    fn forward(&self) -> Result<Tensor> {
        forward(&self.x, &self.weight(), Some(&self.bias), &self.lora())
    }

    /// `dx`, and the gradients of the weight, the bias and adapter `index`.
    fn backward(&self, index: usize) -> [Vec<f64>; 5] {
        let mut dw = vec![0.0; self.w.elem_count()];
        let mut dbias = vec![0.0; self.bias.elem_count()];
        let (mut da, mut db) = (
            vec![0.0; self.a[index].elem_count()],
            vec![0.0; self.b[index].elem_count()],
        );
        let grads = LinearGrads {
            weight: Some(&mut dw),
            bias: Some(&mut dbias),
            lora: Some(LoraGrads {
                index,
                a: &mut da,
                b: &mut db,
            }),
        };
        let dx = backward(&self.dy, &self.x, &self.weight(), &self.lora(), grads, true)
            .unwrap()
            .unwrap();
        let wide = |g: Vec<f32>| g.into_iter().map(f64::from).collect();
        [values(&dx), wide(dw), wide(dbias), wide(da), wide(db)]
    }
}

#[test]
fn every_gradient_equals_finite_differences() {
    let layer = Layer::new(5, 6, 7);
    let lora = layer.lora();
    let run = |x: &Tensor, w: &Tensor, bias: &Tensor, lora: &[LoraRef<'_>]| {
        composed::forward(x, &Weight::frozen(w.clone())?, Some(bias), lora)
    };
    let by_x = finite_differences(
        |x| run(x, &layer.w, &layer.bias, &lora),
        &layer.x,
        &layer.dy,
    );
    let by_w = finite_differences(
        |w| run(&layer.x, w, &layer.bias, &lora),
        &layer.w,
        &layer.dy,
    );
    let dx = composed::input_grad(&layer.dy, &layer.x, &layer.weight(), &lora).unwrap();
    assert_close("dx", &values(&dx), &by_x, 1e-9);
    assert_close(
        "dw",
        &values(&composed::weight_grad(&layer.dy, &layer.x).unwrap()),
        &by_w,
        1e-9,
    );
    for index in 0..2 {
        let with = |a: &Tensor, b: &Tensor| {
            let mut lora = layer.lora();
            lora[index] = LoraRef {
                a,
                b,
                ..lora[index]
            };
            run(&layer.x, &layer.w, &layer.bias, &lora)
        };
        let (a, b) = (&layer.a[index], &layer.b[index]);
        let (da, db) = composed::lora_grads(&layer.dy, &layer.x, &lora[index]).unwrap();
        assert_close(
            "da",
            &values(&da),
            &finite_differences(|a| with(a, b), a, &layer.dy),
            1e-9,
        );
        assert_close(
            "db",
            &values(&db),
            &finite_differences(|b| with(a, b), b, &layer.dy),
            1e-9,
        );
    }
    // Through the public entry, in f64 with f32 sums: the same, and the bias too.
    let by_bias = finite_differences(
        |bias| run(&layer.x, &layer.w, bias, &lora),
        &layer.bias,
        &layer.dy,
    );
    assert_close("dbias", &layer.backward(0)[2], &by_bias, 2e-7);
}

#[test]
fn every_gradient_equals_the_tensor_librarys() {
    let layer = Layer::new(5, 6, 7);
    let var = |t: &Tensor| Var::from_tensor(t).unwrap();
    let (x, w, bias, a, b) = (
        var(&layer.x),
        var(&layer.w),
        var(&layer.bias),
        var(&layer.a[1]),
        var(&layer.b[1]),
    );
    let mut lora = layer.lora();
    lora[1] = LoraRef {
        a: &a,
        b: &b,
        ..lora[1]
    };
    let weight = Weight::frozen(w.as_tensor().clone()).unwrap();
    let loss = (composed::forward(&x, &weight, Some(&bias), &lora).unwrap() * &layer.dy)
        .unwrap()
        .sum_all()
        .unwrap();
    let store = loss.backward().unwrap();
    let expected = [&x, &w, &bias, &a, &b].map(|v| values(store.get(v).unwrap()));
    for (i, (got, expected)) in layer.backward(1).iter().zip(&expected).enumerate() {
        // The parameter gradients pass through f32 slices.
        assert_close(
            &format!("gradient {i}"),
            got,
            expected,
            if i == 0 { 1e-13 } else { 1e-7 },
        );
    }
}

/// Products of up to a few hundred terms: `sqrt(K)` units of 2^-24 of the largest.
#[test]
fn the_cpu_path_equals_the_composed_one() {
    for (rows, width, out) in [(1, 5, 3), (6, 64, 33), (33, 300, 129), (130, 96, 257)] {
        let single = Layer::new(rows, width, out).to(DType::F32);
        let double = single.to(DType::F64);
        let exact = values(&double.forward().unwrap());
        assert_close("y", &values(&single.forward().unwrap()), &exact, 2e-6);
        let mut packed = single.weight();
        packed.pack(true).unwrap();
        let y = forward(&single.x, &packed, Some(&single.bias), &single.lora()).unwrap();
        assert_eq!(
            bits(&y),
            bits(&single.forward().unwrap()),
            "packing changes the bits"
        );
        for index in 0..2 {
            for (i, (got, exact)) in single
                .backward(index)
                .iter()
                .zip(double.backward(index))
                .enumerate()
            {
                assert_close(
                    &format!("gradient {i} of {rows} x {width} -> {out}"),
                    got,
                    &exact,
                    4e-6,
                );
            }
        }
    }
}

#[test]
fn gradients_add_to_what_is_there_and_only_where_asked() {
    let layer = Layer::new(4, 6, 7).to(DType::F32);
    let [_, _, _, da, db] = layer.backward(0);
    let (mut a, mut b) = (vec![10.0f32; da.len()], vec![20.0f32; db.len()]);
    let grads = LoraGrads {
        index: 0,
        a: &mut a,
        b: &mut b,
    }
    .into();
    let dx = backward(
        &layer.dy,
        &layer.x,
        &layer.weight(),
        &layer.lora(),
        grads,
        false,
    )
    .unwrap();
    assert!(dx.is_none());
    let minus = |g: &[f32], start: f64| g.iter().map(|g| f64::from(*g) - start).collect::<Vec<_>>();
    assert_close("da", &minus(&a, 10.0), &da, 2e-6);
    assert_close("db", &minus(&b, 20.0), &db, 2e-6);
}

#[test]
fn rows_do_not_depend_on_their_company() {
    let layer = Layer::new(200, 70, 90).to(DType::F32);
    assert_rows_stand_alone(200, |n| layer.head(n).forward().unwrap());
    assert_rows_stand_alone(200, |n| {
        let layer = layer.head(n);
        backward(
            &layer.dy,
            &layer.x,
            &layer.weight(),
            &layer.lora(),
            LinearGrads::default(),
            true,
        )
        .unwrap()
        .unwrap()
    });
}

#[test]
fn parameter_gradients_do_not_depend_on_the_threads() {
    let layer = Layer::new(200, 70, 90).to(DType::F32);
    let one = crate::ops::oracle::with_threads(1, || layer.backward(1));
    let two = crate::ops::oracle::with_threads(2, || layer.backward(1));
    assert_eq!(one, two);
}

#[test]
fn dropout_follows_the_row_key_and_the_module_and_has_its_rate() {
    let x = Tensor::ones((64, 1000), DType::F32, &Device::Cpu).unwrap();
    let mut row_keys: Vec<u64> = (0..64u64).map(|r| Key::new(1).with(r).bits()).collect();
    row_keys[7] = row_keys[3];
    let mask = |module| {
        let dropout = Dropout {
            p: 0.1,
            row_keys: &row_keys,
            module,
        };
        dropout.mask_like(&x).unwrap().to_vec2::<f32>().unwrap()
    };
    let first = mask(0);
    assert_eq!(first, mask(0));
    assert_eq!(first[3], first[7]);
    let kept = 1.0 / 0.9f32;
    assert!(
        first
            .iter()
            .flatten()
            .all(|&m| m == 0.0 || (m - kept).abs() < 1e-6)
    );
    // 64,000 draws at 0.1: standard deviation 76. Two independent masks drop the same element in 1 of 100: 640, 25.
    let dropped = first.iter().flatten().filter(|m| **m == 0.0).count();
    assert!((6100..6700).contains(&dropped), "{dropped} dropped");
    let both = |a: &[Vec<f32>], b: &[Vec<f32>]| {
        a.iter()
            .flatten()
            .zip(b.iter().flatten())
            .filter(|(a, b)| **a == 0.0 && **b == 0.0)
            .count()
    };
    let modules = both(&first, &mask(1));
    assert!(
        (540..740).contains(&modules),
        "{modules} dropped in both modules"
    );
    for by in [1, 2, 8, 64] {
        let shifted: Vec<Vec<f32>> = first
            .iter()
            .map(|r| [&r[by..], &r[..by]].concat())
            .collect();
        let shifted = both(&first, &shifted);
        assert!(
            (540..740).contains(&shifted),
            "{shifted} dropped with the column {by} further"
        );
    }
    // Neighbouring rows; rows 3 and 7 are equal but not neighbours.
    let rows = both(&first[1..], &first[..63]);
    assert!(
        (540..740).contains(&rows),
        "{rows} dropped in the row before too"
    );
}

#[test]
fn what_does_not_fit_is_an_error() {
    let layer = Layer::new(4, 6, 7).to(DType::F32);
    let weight = layer.weight();
    assert!(forward(&draw_both(1, &[4, 5]).0, &weight, None, &[]).is_err());
    assert!(forward(&layer.x, &weight, Some(&draw_both(1, &[6]).0), &[]).is_err());
    let mut lora = layer.lora();
    lora[0].a = &layer.w;
    let message = forward(&layer.x, &weight, None, &lora)
        .unwrap_err()
        .to_string();
    assert!(message.contains("6 -> 7"), "{message}");
    let mut lora = layer.lora();
    lora[1].dropout = Some(Dropout {
        p: 1.0,
        row_keys: &layer.row_keys,
        module: 0,
    });
    assert!(forward(&layer.x, &weight, None, &lora).is_err());
    lora[1].dropout = Some(Dropout {
        p: 0.1,
        row_keys: &layer.row_keys[1..],
        module: 0,
    });
    assert!(forward(&layer.x, &weight, None, &lora).is_err());
    let grads = LoraGrads {
        index: 2,
        a: &mut [],
        b: &mut [],
    }
    .into();
    assert!(backward(&layer.dy, &layer.x, &weight, &layer.lora(), grads, true).is_err());
}
