use candle_core::{DType, Device};

use super::*;
use crate::ops::gemm::MatRef;
use crate::ops::host::HostSlice;
use crate::ops::oracle::{assert_close, bits, draw, draw_both, values};

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
