//! The linear layer over `f32` slices: one product with the weight, and the adapters' thin products accumulated into it.

use std::borrow::Cow;

use candle_core::Tensor;
use rayon::prelude::*;

use super::{HostSlice, LinearGrads, LoraRef, Result, contiguous, tensor};
use crate::error::Error;
use crate::ops::gemm::{MatRef, Rhs, gemm, product};
use crate::ops::simd;
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
        Ok(Self {
            a: HostSlice::new(lora.a)?,
            b: HostSlice::new(lora.b)?,
            rank,
        })
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
pub(crate) fn forward(
    x: &Tensor,
    w: &Weight,
    bias: Option<&Tensor>,
    lora: &[LoraRef<'_>],
) -> Result<Tensor> {
    let x = contiguous(x)?;
    let (rows, width) = x.dims2()?;
    let (out_features, in_features) = w.shape();
    expect("x", width, in_features)?;
    let xs = HostSlice::new(&x)?;
    let input = MatRef::new(&xs, rows, width)?;
    let bias = bias.map(contiguous).transpose()?;
    let bias = bias.as_ref().map(HostSlice::new).transpose()?;
    let mut out = w.on_host()?.times(input, bias.as_deref())?;
    for lora in lora {
        let factors = Factors::new(lora, out_features, in_features)?;
        let dropped = dropped(&xs, rows, width, lora)?;
        let z = product(
            MatRef::new(&dropped, rows, width)?,
            Rhs::Dense(factors.a()?.t()),
            1.0,
            None,
        )?;
        gemm(
            &mut out,
            MatRef::new(&z, rows, factors.rank)?,
            Rhs::Dense(factors.b()?.t()),
            lora.scale,
            1.0,
        )?;
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
    expect("x", width, in_features)?;
    expect("dy", dy.elem_count(), rows * out_features)?;
    let (dys, xs) = (HostSlice::new(&dy)?, HostSlice::new(&x)?);
    let (upstream, input) = (
        MatRef::new(&dys, rows, out_features)?,
        MatRef::new(&xs, rows, width)?,
    );
    if let Some(into) = grads.weight {
        gemm(into, upstream.t(), Rhs::Dense(input), 1.0, 1.0)?;
    }
    if let Some(into) = grads.bias {
        expect("bias gradient", into.len(), out_features)?;
        for dy in dys.chunks(out_features) {
            for (sum, dy) in into.iter_mut().zip(dy) {
                *sum += dy;
            }
        }
    }
    let mut dx = None;
    if need_dx {
        dx = Some(w.on_host()?.back(upstream)?);
    }
    let mut wanted = grads.lora;
    for (index, lora) in lora.iter().enumerate() {
        let into = wanted.take_if(|wanted| wanted.index == index);
        if into.is_none() && !need_dx {
            continue;
        }
        let factors = Factors::new(lora, out_features, in_features)?;
        let dz = product(upstream, Rhs::Dense(factors.b()?), lora.scale, None)?;
        let dz = MatRef::new(&dz, rows, factors.rank)?;
        if let Some(into) = into {
            let dropped = dropped(&xs, rows, width, lora)?;
            let dropped = MatRef::new(&dropped, rows, width)?;
            let z = product(dropped, Rhs::Dense(factors.a()?.t()), 1.0, None)?;
            gemm(into.a, dz.t(), Rhs::Dense(dropped), 1.0, 1.0)?;
            // dB^T = z^T dy: twice as fast as dB itself, which would have to repack dy by columns.
            let z = MatRef::new(&z, rows, factors.rank)?;
            let transposed = product(z.t(), Rhs::Dense(upstream), lora.scale, None)?;
            add_transposed(into.b, &transposed, factors.rank)?;
        }
        if let Some(dx) = &mut dx {
            match &lora.dropout {
                None => gemm(dx, dz, Rhs::Dense(factors.a()?), 1.0, 1.0)?,
                Some(dropout) => {
                    dropout.check(rows)?;
                    let through = product(dz, Rhs::Dense(factors.a()?), 1.0, None)?;
                    dx.par_chunks_mut(width)
                        .zip(through.par_chunks(width))
                        .enumerate()
                        .for_each(|(row, (dx, through))| dropout.row(row).add_masked(dx, through));
                }
            }
        }
    }
    dx.map(|dx| tensor(dx, (rows, width))).transpose()
}

/// `into += from^T`, `from` `[rank, n]`, `into` `[n, rank]`.
fn add_transposed(into: &mut [f32], from: &[f32], rank: usize) -> Result<()> {
    expect("gradient of B", into.len(), from.len())?;
    let n = from.len() / rank.max(1);
    for (i, into) in into.chunks_mut(rank.max(1)).enumerate() {
        for (j, sum) in into.iter_mut().enumerate() {
            *sum += from[j * n + i];
        }
    }
    Ok(())
}

fn expect(what: &str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "linear: {what} has {got} elements where {expected} were expected"
        )))
    }
}

/// The adapter's input: `x` itself, or `x` with its dropout applied.
fn dropped<'x>(
    x: &'x [f32],
    rows: usize,
    width: usize,
    lora: &LoraRef<'_>,
) -> Result<Cow<'x, [f32]>> {
    let Some(dropout) = &lora.dropout else {
        return Ok(Cow::Borrowed(x));
    };
    dropout.check(rows)?;
    Ok(Cow::Owned(simd::rows(rows, width, |row, out| {
        dropout.row(row).add_masked(out, &x[row * width..][..width]);
    })))
}
