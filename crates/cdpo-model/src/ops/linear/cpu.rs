//! The linear layer over `f32` slices: one product with the weight, and the adapters' thin products accumulated into it.

use std::borrow::Cow;

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Dropout, HostSlice, LinearGrads, LoraRef, Result, contiguous, tensor};
use crate::error::Error;
use crate::ops::gemm::{MatRef, Rhs, gemm};
use crate::weight::Weight;

/// An adapter's matrices as slices, with its rank.
struct Factors<'a> {
    a: HostSlice<'a>,
    b: HostSlice<'a>,
    rank: usize,
}

impl<'a> Factors<'a> {
    fn new(lora: &LoraRef<'a>, out_features: usize, in_features: usize) -> Result<Self> {
        let (rank, a_in) = lora.a.dims2()?;
        let (b_out, b_rank) = lora.b.dims2()?;
        if a_in != in_features || b_out != out_features || b_rank != rank {
            return Err(Error::Adapter(format!(
                "A {:?} and B {:?} do not fit a layer {in_features} -> {out_features}",
                lora.a.dims(),
                lora.b.dims()
            )));
        }
        Ok(Self { a: HostSlice::new(lora.a)?, b: HostSlice::new(lora.b)?, rank })
    }

    /// `[r, in]`.
    fn a(&self) -> Result<MatRef<'_>> {
        MatRef::new(&self.a, self.rank, self.a.len() / self.rank.max(1))
    }

    /// `[out, r]`.
    fn b(&self) -> Result<MatRef<'_>> {
        MatRef::new(&self.b, self.b.len() / self.rank.max(1), self.rank)
    }
}

/// See [`super::forward`].
pub(crate) fn forward(x: &Tensor, w: &Weight, bias: Option<&Tensor>, lora: &[LoraRef<'_>]) -> Result<Tensor> {
    let x = contiguous(x)?;
    let (rows, width) = x.dims2()?;
    let (out_features, in_features) = w.shape();
    check_width("x", width, in_features)?;
    let xs = HostSlice::new(&x)?;
    let xm = MatRef::new(&xs, rows, width)?;
    let mut out = vec![0.0; rows * out_features];
    if let Some(packed) = w.packed() {
        gemm(&mut out, xm, Rhs::Packed(packed), 1.0, 0.0)?;
    } else {
        let dense = contiguous(w.dense()?)?;
        let ws = HostSlice::new(&dense)?;
        gemm(&mut out, xm, Rhs::Dense(MatRef::new(&ws, out_features, in_features)?.t()), 1.0, 0.0)?;
    }
    if let Some(bias) = bias {
        let bias = contiguous(bias)?;
        let bias = HostSlice::new(&bias)?;
        check_width("bias", bias.len(), out_features)?;
        let bias: &[f32] = &bias;
        out.par_chunks_mut(out_features).for_each(|y| {
            for (y, b) in y.iter_mut().zip(bias) {
                *y += b;
            }
        });
    }
    for lora in lora {
        let factors = Factors::new(lora, out_features, in_features)?;
        let input = dropped(&xs, rows, width, lora)?;
        let mut z = vec![0.0; rows * factors.rank];
        gemm(&mut z, MatRef::new(&input, rows, width)?, Rhs::Dense(factors.a()?.t()), 1.0, 0.0)?;
        gemm(&mut out, MatRef::new(&z, rows, factors.rank)?, Rhs::Dense(factors.b()?.t()), lora.scale, 1.0)?;
    }
    tensor(out, (rows, out_features))
}

/// See [`super::backward`].
pub(crate) fn backward(
    dy: &Tensor,
    x: &Tensor,
    w: &Weight,
    lora: &[LoraRef<'_>],
    grads: LinearGrads<'_>,
    need_dx: bool,
) -> Result<Option<Tensor>> {
    let (dy, x) = (contiguous(dy)?, contiguous(x)?);
    let (rows, width) = x.dims2()?;
    let (out_features, in_features) = w.shape();
    check_width("x", width, in_features)?;
    check_width("dy", dy.elem_count(), rows * out_features)?;
    let (dys, xs) = (HostSlice::new(&dy)?, HostSlice::new(&x)?);
    let (dym, xm) = (MatRef::new(&dys, rows, out_features)?, MatRef::new(&xs, rows, width)?);
    if let Some(into) = grads.weight {
        gemm(into, dym.t(), Rhs::Dense(xm), 1.0, 1.0)?;
    }
    if let Some(into) = grads.bias {
        check_width("bias gradient", into.len(), out_features)?;
        for dy in dys.chunks(out_features) {
            for (sum, dy) in into.iter_mut().zip(dy) {
                *sum += dy;
            }
        }
    }
    let mut dx = Vec::new();
    if need_dx {
        let dense = contiguous(w.dense()?)?;
        let ws = HostSlice::new(&dense)?;
        dx = vec![0.0; rows * width];
        gemm(&mut dx, dym, Rhs::Dense(MatRef::new(&ws, out_features, in_features)?), 1.0, 0.0)?;
    }
    let mut wanted = grads.lora;
    for (index, lora) in lora.iter().enumerate() {
        let into = wanted.take_if(|wanted| wanted.index == index);
        if into.is_none() && !need_dx {
            continue;
        }
        let factors = Factors::new(lora, out_features, in_features)?;
        let rank = factors.rank;
        let mut dz = vec![0.0; rows * rank];
        gemm(&mut dz, dym, Rhs::Dense(factors.b()?), lora.scale, 0.0)?;
        let dzm = MatRef::new(&dz, rows, rank)?;
        if let Some(into) = into {
            let input = dropped(&xs, rows, width, lora)?;
            let input = MatRef::new(&input, rows, width)?;
            let mut z = vec![0.0; rows * rank];
            gemm(&mut z, input, Rhs::Dense(factors.a()?.t()), 1.0, 0.0)?;
            gemm(into.a, dzm.t(), Rhs::Dense(input), 1.0, 1.0)?;
            gemm(into.b, dym.t(), Rhs::Dense(MatRef::new(&z, rows, rank)?), lora.scale, 1.0)?;
        }
        if need_dx {
            match &lora.dropout {
                None => gemm(&mut dx, dzm, Rhs::Dense(factors.a()?), 1.0, 1.0)?,
                Some(dropout) => {
                    let mut through = vec![0.0; rows * width];
                    gemm(&mut through, dzm, Rhs::Dense(factors.a()?), 1.0, 0.0)?;
                    add_masked(&mut dx, &through, rows, width, dropout)?;
                }
            }
        }
    }
    need_dx.then(|| tensor(dx, (rows, width))).transpose()
}

fn check_width(what: &str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        Ok(())
    } else {
        Err(Error::Invalid(format!("linear: {what} has {got} elements where {expected} were expected")))
    }
}

/// The adapter's input: `x` itself, or `x` with its dropout applied.
fn dropped<'x>(x: &'x [f32], rows: usize, width: usize, lora: &LoraRef<'_>) -> Result<Cow<'x, [f32]>> {
    let Some(dropout) = &lora.dropout else {
        return Ok(Cow::Borrowed(x));
    };
    let mut out = vec![0.0; x.len()];
    add_masked(&mut out, x, rows, width, dropout)?;
    Ok(Cow::Owned(out))
}

/// `out += mask * x`.
fn add_masked(out: &mut [f32], x: &[f32], rows: usize, width: usize, dropout: &Dropout<'_>) -> Result<()> {
    dropout.check(rows)?;
    out.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate().for_each(|(row, (y, x))| {
        for ((y, x), factor) in y.iter_mut().zip(x).zip(dropout.row(row).factors(width)) {
            *y += factor * x;
        }
    });
    Ok(())
}
