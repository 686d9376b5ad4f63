use candle_core::{DType, Device};

use super::*;
use crate::ops::gemm::MatRef;
use crate::ops::host::HostSlice;
use crate::ops::oracle::{assert_close, bits, draw, draw_both, values};
use crate::source::encoded::RowOrder;
use crate::source::encoded::tests::random;

/// `[out, in]`, dense, packed beside its dense form, and packed alone.
fn forms(values: &Tensor) -> [Weight; 3] {
    let weight = || Weight::named("w", values.clone()).unwrap();
    let (mut both, mut packed) = (weight(), weight());
    both.pack(true).unwrap();
    packed.pack(false).unwrap();
    [weight(), both, packed]
}

#[test]
fn every_form_gives_one_product_with_the_same_bits() {
    let (w, w64) = draw_both(1, &[37, 24]);
    let (x, x64) = draw_both(2, &[9, 24]);
    let (dy, dy64) = draw_both(3, &[9, 37]);
    let [dense, both, packed] = forms(&w);
    let (times, back) = (dense.times(&x).unwrap(), dense.back(&dy).unwrap());
    let exact = x64.matmul(&w64.t().unwrap()).unwrap();
    assert_close("x W^T", &values(&times), &values(&exact), 1e-6);
    let exact = dy64.matmul(&w64).unwrap();
    assert_close("dy W", &values(&back), &values(&exact), 1e-6);
    for weight in [&both, &packed] {
        assert_eq!(bits(&weight.times(&x).unwrap()), bits(&times));
    }
    assert_eq!(bits(&both.back(&dy).unwrap()), bits(&back));
    // The composed path, which any device and type takes.
    let wide = Weight::frozen(w64).unwrap();
    assert_eq!(wide.times(&x64).unwrap().dtype(), DType::F64);
}

#[test]
fn slices_and_tensors_agree() {
    let (w, _) = draw_both(1, &[37, 24]);
    let (x, _) = draw_both(2, &[9, 24]);
    let (dy, _) = draw_both(3, &[9, 37]);
    let (xs, dys) = (HostSlice::new(&x).unwrap(), HostSlice::new(&dy).unwrap());
    let x_ref = MatRef::new(&xs, 9, 24).unwrap();
    let dy_ref = MatRef::new(&dys, 9, 37).unwrap();
    let as_bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
    for weight in forms(&w) {
        let host = weight.on_host().unwrap();
        let times = bits(&weight.times(&x).unwrap());
        assert_eq!(as_bits(&host.times(x_ref, None).unwrap()), times);
        let mut out = vec![f32::NAN; 9 * 37];
        host.times_into(x_ref, &mut out).unwrap();
        assert_eq!(as_bits(&out), times);
        let Ok(host) = host.reversible() else {
            assert!(weight.back(&dy).is_err());
            continue;
        };
        let back = bits(&weight.back(&dy).unwrap());
        assert_eq!(as_bits(&host.back(dy_ref).unwrap()), back);
        let mut out = vec![f32::NAN; 9 * 24];
        host.back_into(dy_ref, &mut out).unwrap();
        assert_eq!(as_bits(&out), back);
        let row = host.with_row(36, as_bits).unwrap();
        assert_eq!(row, bits(&w.narrow(0, 36, 1).unwrap()));
    }
}

#[test]
fn rows_come_in_the_order_of_their_ids() {
    let w = draw(1, &[5, 3]);
    let rows = Weight::frozen(w.clone()).unwrap().rows(&[4, 0, 4]).unwrap();
    let row = |i| values(&w.narrow(0, i, 1).unwrap());
    assert_eq!(values(&rows), [row(4), row(0), row(4)].concat());
}

#[test]
fn a_weight_packed_for_decoding_only_says_so_until_it_is_set() {
    let (w, _) = draw_both(1, &[5, 3]);
    let [.., mut packed] = forms(&w);
    assert!(packed.is_packed());
    for error in [
        packed.values().unwrap_err(),
        packed.rows(&[0]).unwrap_err(),
        packed.tied().unwrap_err(),
    ] {
        assert!(
            error
                .to_string()
                .contains("`w` was packed for decoding only"),
            "{error}"
        );
    }
    assert!(packed.set(w.t().unwrap()).is_err());
    packed.set(w.clone()).unwrap();
    assert!(!packed.is_packed());
    assert_eq!(bits(&packed.values().unwrap()), bits(&w));
}

#[test]
fn off_the_cpu_kernels_nothing_is_packed() {
    let mut weight = Weight::frozen(draw(1, &[5, 3])).unwrap();
    weight.pack(false).unwrap();
    assert!(!weight.is_packed() && weight.values().is_ok());
    let zeros = Tensor::zeros((1, 3), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(weight.times(&zeros).unwrap().dims(), [1, 5]);
}

/// As its file has it, and decoded as a whole.
fn encoded_and_dense(rows: usize, row_len: usize) -> Vec<(&'static str, Weight, Weight)> {
    let all = random(rows, row_len, 1, RowOrder::Straight).into_iter();
    all.map(|(name, matrix)| {
        let encoded = Weight::encoded("w", matrix, Products::Exact).unwrap();
        let dense = Weight::named("w", encoded.values().unwrap()).unwrap();
        (name, encoded, dense)
    })
    .collect()
}

#[test]
fn an_encoded_weight_has_the_bits_of_the_dense_one() {
    // More than one panel of columns and part of `k` in both directions, none of them full.
    for (name, encoded, dense) in encoded_and_dense(300, 768) {
        for n in [0, 1, 2, 9, 67] {
            let (x, dy) = (draw_both(2, &[n, 768]).0, draw_both(3, &[n, 300]).0);
            let times = bits(&dense.times(&x).unwrap());
            assert_eq!(bits(&encoded.times(&x).unwrap()), times, "{name}, {n} rows");
            let back = bits(&dense.back(&dy).unwrap());
            assert_eq!(bits(&encoded.back(&dy).unwrap()), back, "{name}, {n} rows");

            let (xs, dys) = (HostSlice::new(&x).unwrap(), HostSlice::new(&dy).unwrap());
            let x = MatRef::new(&xs, n, 768).unwrap();
            let dy = MatRef::new(&dys, n, 300).unwrap();
            let bias: Vec<f32> = (0..300).map(|i| i as f32 / 7.0).collect();
            let as_bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
            let (encoded, dense) = (encoded.on_host().unwrap(), dense.on_host().unwrap());
            let encoded = encoded.reversible().unwrap();
            assert_eq!(
                as_bits(&encoded.times(x, Some(&bias)).unwrap()),
                as_bits(&dense.times(x, Some(&bias)).unwrap()),
                "{name}, {n} rows with a bias"
            );
            let mut out = vec![f32::NAN; n * 300];
            encoded.times_into(x, &mut out).unwrap();
            assert_eq!(as_bits(&out), times, "{name}, {n} rows");
            let mut out = vec![f32::NAN; n * 768];
            encoded.back_into(dy, &mut out).unwrap();
            assert_eq!(as_bits(&out), back, "{name}, {n} rows");
            let row = encoded.with_row(299, as_bits).unwrap();
            assert_eq!(row, dense.with_row(299, as_bits).unwrap(), "{name}");
        }
        let ids = [299, 0, 299];
        let rows = bits(&dense.rows(&ids).unwrap());
        assert_eq!(bits(&encoded.rows(&ids).unwrap()), rows, "{name}");
        let tied = encoded.tied().unwrap();
        assert_eq!(
            bits(&tied.values().unwrap()),
            bits(&dense.values().unwrap())
        );
    }
}

#[test]
fn an_encoded_weight_refuses_what_it_is_not_made_for() {
    let (_, mut weight, _) = encoded_and_dense(4, 256).remove(0);
    weight.pack(false).unwrap();
    assert!(weight.is_packed() && weight.is_encoded());
    assert!(weight.rows(&[4]).is_err());
    assert!(weight.times(&draw_both(1, &[2, 255]).0).is_err());
    assert!(weight.back(&draw_both(1, &[2, 5]).0).is_err());
    let wide = Tensor::zeros((1, 256), DType::F64, &Device::Cpu).unwrap();
    let error = weight.times(&wide).unwrap_err().to_string();
    assert!(error.contains("`w`") && error.contains("as f32"), "{error}");
}
