//! The head on tensor operations, for any device and float type. Whether the logits are finite is judged by the
//! log-probabilities, so a lone negative infinity off the target passes, as a probability of 0.

use candle_core::{D, DType, Device, Tensor};

use super::{Divergence, Result, Standing, not_finite, rows_per_chunk};
use crate::weight::Weight;

/// See [`super::token_logps`].
pub(crate) fn token_logps(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<Vec<f32>> {
    let mut logps = Vec::with_capacity(targets.len());
    for (start, count) in chunks(targets.len(), w, chunk_bytes) {
        let (logp, _, _) = rows(
            &h.narrow(0, start, count)?,
            w,
            &targets[start..start + count],
        )?;
        logps.extend(finite(&logp, targets, start)?);
    }
    Ok(logps)
}

/// See [`super::token_standings`].
pub(crate) fn token_standings(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    best: usize,
    chunk_bytes: usize,
) -> Result<(Vec<f32>, Vec<Standing>)> {
    let mut logps = Vec::with_capacity(targets.len());
    let mut standings = Vec::with_capacity(targets.len());
    for (start, count) in chunks(targets.len(), w, chunk_bytes) {
        let here = &targets[start..start + count];
        let (logp, e, total) = rows(&h.narrow(0, start, count)?, w, here)?;
        logps.extend(finite(&logp, targets, start)?);
        let probabilities = e.broadcast_div(&total)?.to_dtype(DType::F32)?;
        let logits = probabilities.log()?.to_device(&Device::Cpu)?;
        for (row, &target) in logits.to_vec2::<f32>()?.iter().zip(here) {
            standings.push(Standing::of(row, target, 0.0, best));
        }
    }
    Ok((logps, standings))
}

/// See [`super::token_logps_grad`].
pub(crate) fn token_logps_grad(
    h: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<(Vec<f32>, Tensor)> {
    let (mut logps, mut grads) = (Vec::with_capacity(targets.len()), Vec::new());
    for (start, count) in chunks(targets.len(), w, chunk_bytes) {
        let targets_here = &targets[start..start + count];
        let (logp, e, total) = rows(&h.narrow(0, start, count)?, w, targets_here)?;
        logps.extend(finite(&logp, targets, start)?);
        let own = w.rows(targets_here)?;
        grads.push((own - w.back(&e.broadcast_div(&total)?)?)?);
    }
    Ok((logps, whole(&grads, h)?))
}

/// See [`super::token_logps_kl_grad`].
pub(crate) fn divergence(
    h: &Tensor,
    reference: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<Divergence> {
    let (mut logps, mut kls) = (Vec::new(), Vec::new());
    let (mut dlogps, mut dkls) = (Vec::new(), Vec::new());
    // Two rows of logits each.
    for (start, count) in chunks(targets.len(), w, chunk_bytes / 2) {
        let policy = log_softmax(&h.narrow(0, start, count)?, w)?;
        let other = log_softmax(&reference.narrow(0, start, count)?, w)?;
        let (p, r) = (policy.exp()?, other.exp()?);
        let here = &targets[start..start + count];
        let ids = Tensor::new(here, h.device())?;
        let logp = policy.gather(&ids.unsqueeze(1)?, 1)?.squeeze(1)?;
        let kl = (&r * (other - policy)?)?.sum(D::Minus1)?;
        logps.extend(finite(&logp, targets, start)?);
        kls.extend(
            finite(&kl, targets, start)?
                .into_iter()
                .map(|kl| kl.max(0.0)),
        );
        dlogps.push((w.rows(here)? - w.back(&p)?)?);
        dkls.push(w.back(&(p - r)?)?);
    }
    Ok(Divergence {
        logps,
        kls,
        dlogps: whole(&dlogps, h)?,
        dkls: whole(&dkls, h)?,
    })
}

fn log_softmax(h: &Tensor, w: &Weight) -> Result<Tensor> {
    let logits = w.times(h)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let log_total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&log_total)?)
}

/// The chunks' rows together; of no chunk, as many as `h` has, which are none.
fn whole(parts: &[Tensor], h: &Tensor) -> Result<Tensor> {
    Ok(if parts.is_empty() {
        h.zeros_like()?
    } else {
        Tensor::cat(parts, 0)?
    })
}

fn chunks(rows: usize, w: &Weight, bytes: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = rows_per_chunk(bytes, w.shape().0);
    (0..rows)
        .step_by(step)
        .map(move |start| (start, step.min(rows - start)))
}

/// `(logp [R], e^(l - top) [R, V], its row sums [R, 1])`, differentiable by the tensor library.
pub(crate) fn rows(h: &Tensor, w: &Weight, targets: &[u32]) -> Result<(Tensor, Tensor, Tensor)> {
    let logits = w.times(h)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let e = shifted.exp()?;
    let total = e.sum_keepdim(D::Minus1)?;
    let at = shifted.gather(&Tensor::new(targets, h.device())?.unsqueeze(1)?, 1)?;
    Ok(((at - total.log()?)?.squeeze(1)?, e, total))
}

fn finite(logp: &Tensor, targets: &[u32], start: usize) -> Result<Vec<f32>> {
    let host = logp
        .to_dtype(DType::F32)?
        .to_device(&Device::Cpu)?
        .to_vec1::<f32>()?;
    match host.iter().position(|l| !l.is_finite()) {
        Some(i) => Err(not_finite(start + i, targets[start + i])),
        None => Ok(host),
    }
}
