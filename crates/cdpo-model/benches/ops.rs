//! Times of the ops at the shapes of a 135M model, with 64 rows (decoding) and 1024 rows (training): the share of the
//! machine's best matrix product that each reaches. Run with `cargo bench -p cdpo-model --bench ops`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use candle_core::{Device, Tensor};
use cdpo_model::error::Result;
use cdpo_model::ops::gemm::{PackedB, kernel_name, matmul_nn, matmul_nt, matmul_packed, matmul_tn};
use cdpo_model::ops::linear::{Dropout, LinearGrads, LoraGrads, LoraRef};
use cdpo_model::ops::rotary::Rotary;
use cdpo_model::ops::{head, linear, rms_norm, swiglu};
use cdpo_model::weight::Weight;

const RANK: usize = 16;

/// Best of several runs, in seconds; the first one warms up.
fn best(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    run()?;
    let mut best = f64::INFINITY;
    let start = Instant::now();
    let mut runs = 0;
    while runs < 5 || (runs < 50 && start.elapsed().as_secs_f64() < 0.4) {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    Ok(best)
}

fn randn(shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::randn(0f32, 0.5, shape, &Device::Cpu)?)
}

fn report(what: &str, rows: usize, seconds: f64, gflop: f64) {
    println!(
        "{what:<44} {rows:>5} rows {:>9.3} ms {:>7.1} GF/s",
        seconds * 1e3,
        gflop / seconds
    );
}

fn products(rows: usize, width: usize, out: usize) -> Result<()> {
    let (x, w, dy) = (
        randn(&[rows, width])?,
        randn(&[out, width])?,
        randn(&[rows, out])?,
    );
    let packed = PackedB::new(&w)?;
    let gflop = 2e-9 * (rows * width * out) as f64;
    let name = |what: &str| format!("{what} {width} -> {out}");
    report(
        &name("tensor library x W^T"),
        rows,
        best(|| {
            x.matmul(&w.t()?)?;
            Ok(())
        })?,
        gflop,
    );
    report(
        &name("x W^T"),
        rows,
        best(|| matmul_nt(&x, &w).map(drop))?,
        gflop,
    );
    report(
        &name("x W^T, packed"),
        rows,
        best(|| matmul_packed(&x, &packed).map(drop))?,
        gflop,
    );
    report(
        &name("dy W"),
        rows,
        best(|| matmul_nn(&dy, &w).map(drop))?,
        gflop,
    );
    report(
        &name("dy^T x"),
        rows,
        best(|| matmul_tn(&dy, &x).map(drop))?,
        gflop,
    );
    Ok(())
}

/// GF/s count the dense products alone: what the adapters and the dropout add shows as a lower rate.
fn adapted(rows: usize, width: usize, out: usize) -> Result<()> {
    let (x, dy) = (randn(&[rows, width])?, randn(&[rows, out])?);
    let mut w = Weight::frozen(randn(&[out, width])?)?;
    w.pack(true)?;
    let (a, b) = (randn(&[RANK, width])?, randn(&[out, RANK])?);
    let row_keys: Vec<u64> = (0..rows as u64).collect();
    let gflop = 2e-9 * (rows * width * out) as f64;
    let dropped = Dropout {
        p: 0.05,
        row_keys: &row_keys,
        module: 1,
    };
    report(
        &format!("linear {width} -> {out}"),
        rows,
        best(|| linear::forward(&x, &w, None, &[]).map(drop))?,
        gflop,
    );
    for (what, dropout) in [("LoRA", None), ("LoRA, dropout", Some(dropped))] {
        let lora = [LoraRef {
            a: &a,
            b: &b,
            scale: 2.0,
            dropout,
        }];
        let forward = best(|| linear::forward(&x, &w, None, &lora).map(drop))?;
        report(
            &format!("linear {width} -> {out}, {what}"),
            rows,
            forward,
            gflop,
        );
        let (mut da, mut db) = (vec![0.0; RANK * width], vec![0.0; RANK * out]);
        let backward = best(|| {
            let grads: LinearGrads<'_> = LoraGrads {
                index: 0,
                a: &mut da,
                b: &mut db,
            }
            .into();
            linear::backward(&dy, &x, &w, &lora, grads, true).map(drop)
        })?;
        report(
            &format!("linear backward {width} -> {out}, {what}"),
            rows,
            backward,
            gflop,
        );
    }
    Ok(())
}

fn elementwise(rows: usize) -> Result<()> {
    let (hidden, inner, heads) = (576, 1536, 9);
    let (x, dy, w) = (
        randn(&[rows, hidden])?,
        randn(&[rows, hidden])?,
        randn(&[hidden])?,
    );
    let (gate, up, dz) = (
        randn(&[rows, inner])?,
        randn(&[rows, inner])?,
        randn(&[rows, inner])?,
    );
    let inv_freq: Vec<f64> = (0..32)
        .map(|i| 10000f64.powf(-f64::from(i) / 32.0))
        .collect();
    let rotary = Rotary::from_inv_freq(&inv_freq, rows);
    let positions: Vec<u32> = (0..rows as u32).collect();
    for (what, seconds) in [
        (
            "rms_norm",
            best(|| rms_norm::forward(&x, &w, 1e-5).map(drop))?,
        ),
        (
            "rms_norm backward",
            best(|| rms_norm::backward(&dy, &x, &w, 1e-5, None).map(drop))?,
        ),
        (
            "rotary",
            best(|| rotary.apply(&x, heads, &positions, false).map(drop))?,
        ),
        ("swiglu", best(|| swiglu::forward(&gate, &up).map(drop))?),
        (
            "swiglu backward",
            best(|| swiglu::backward(&dz, &gate, &up).map(drop))?,
        ),
    ] {
        println!("{what:<44} {rows:>5} rows {:>9.3} ms", seconds * 1e3);
    }
    Ok(())
}

fn heads(rows: usize) -> Result<()> {
    let (hidden, vocab) = (576, 49152);
    let h = randn(&[rows, hidden])?;
    let dense = randn(&[vocab, hidden])?;
    let targets: Vec<u32> = (0..rows as u32).map(|r| r * 31 % vocab as u32).collect();
    let gflop = 2e-9 * (rows * hidden * vocab) as f64;
    let mut w = Weight::frozen(dense)?;
    report(
        "head, dense",
        rows,
        best(|| head::token_logps(&h, &w, &targets).map(drop))?,
        gflop,
    );
    report(
        "head with gradient, dense",
        rows,
        best(|| head::token_logps_grad(&h, &w, &targets).map(drop))?,
        2.0 * gflop,
    );
    w.pack(true)?;
    report(
        "head, packed",
        rows,
        best(|| head::token_logps(&h, &w, &targets).map(drop))?,
        gflop,
    );
    report(
        "head with gradient, packed",
        rows,
        best(|| head::token_logps_grad(&h, &w, &targets).map(drop))?,
        2.0 * gflop,
    );
    Ok(())
}

fn main() -> Result<()> {
    println!(
        "kernel {}, {} threads",
        kernel_name(),
        rayon::current_num_threads()
    );
    for rows in [64, 1024] {
        products(rows, 576, 1536)?;
        adapted(rows, 576, 576)?;
        adapted(rows, 576, 1536)?;
        adapted(rows, 1536, 576)?;
        elementwise(rows)?;
        heads(rows)?;
    }
    Ok(())
}
