//! Policy against reference over the whole vocabulary: log-probabilities and forward divergences of rows, with gradients.
//!
//! Goes in: hidden states `h` and `h_ref` `[R, H]` of the same rows under two models that share the head `W` `[V, H]`, one
//! target id per row. With `p = softmax(h W^T)` and `r = softmax(h_ref W^T)`, comes out, per row:
//!
//! - `log p[y]` and `d log p[y] / d h = W[y] - sum_v p_v W[v]`, as the plain head gives them;
//! - `KL(r || p) = sum_v r_v (log r_v - log p_v)` and `d KL / d h = sum_v (p_v - r_v) W[v]`.
//!
//! One walk over both rows of logits gives all of it: two products forward, two back. Rows go in chunks of bounded size; no
//! `[R, V]` tensor exists.

use candle_core::Tensor;
use rayon::prelude::*;

use super::chunks::by_chunk;
use super::{CHUNK_BYTES, check, composed, not_finite};
use crate::error::{Error, Result};
use crate::ops::gemm::MatRef;
use crate::ops::host::{is_host_f32, tensor};
use crate::ops::simd::{self, Isa, Kernel, LANES};
use crate::weight::Weight;

/// What [`token_logps_kl_grad`] gives, in the targets' order.
#[derive(Debug)]
pub(crate) struct Divergence {
    /// `log p[y_r]`, in nats `[R]`.
    pub(crate) logps: Vec<f32>,
    /// `KL(r || p)`, in nats, never negative `[R]`.
    pub(crate) kls: Vec<f32>,
    /// `d logp_r / d h_r`, `[R, H]`.
    pub(crate) dlogps: Tensor,
    /// `d KL_r / d h_r`, `[R, H]`; the reference has no gradient.
    pub(crate) dkls: Tensor,
}

/// Log-probabilities of `targets` under the policy, divergences from the reference, and both gradients by `h`.
///
/// # Errors
/// If the shapes do not fit, a target is beyond the vocabulary, a logit is not finite (the message names the row), or the
/// weight's dense form is gone.
pub(crate) fn token_logps_kl_grad(
    h: &Tensor,
    reference: &Tensor,
    w: &Weight,
    targets: &[u32],
) -> Result<Divergence> {
    check(h, w, targets)?;
    if reference.dims() != h.dims() {
        return Err(Error::Invalid(format!(
            "head: hidden states {:?} of the policy and {:?} of the reference differ in shape",
            h.dims(),
            reference.dims()
        )));
    }
    if is_host_f32(h) && is_host_f32(reference) {
        on_host(h, reference, w, targets, CHUNK_BYTES)
    } else {
        composed::divergence(h, reference, w, targets, CHUNK_BYTES)
    }
}

/// Over `f32` slices.
pub(crate) fn on_host(
    h: &Tensor,
    reference: &Tensor,
    w: &Weight,
    targets: &[u32],
    chunk_bytes: usize,
) -> Result<Divergence> {
    let w = w.on_host()?.reversible()?;
    let (vocab, width) = w.shape();
    let rows = targets.len();
    let (mut logps, mut kls) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let (mut dlogps, mut dkls) = (vec![0.0f32; rows * width], vec![0.0f32; rows * width]);
    by_chunk([h, reference], &w, targets, chunk_bytes, |chunk| {
        let here = chunk.rows.start * width..chunk.rows.end * width;
        let (first, targets) = (chunk.rows.start, chunk.targets);
        let [policy, other] = chunk.logits;
        let sums = compare(policy, other, vocab, targets, first)?;
        // sum_v e^(l_v - top) W[v] of both models; the rows' totals divide them below.
        let (dlogps, dkls) = (&mut dlogps[here.clone()], &mut dkls[here]);
        for (into, e) in [(&mut *dlogps, &*policy), (&mut *dkls, &*other)] {
            w.back_into(MatRef::new(e, targets.len(), vocab)?, into)?;
        }
        dlogps
            .par_chunks_mut(width)
            .zip(dkls.par_chunks_mut(width))
            .zip(targets)
            .zip(&sums)
            .try_for_each(|(((dlogp, dkl), &target), sum)| {
                w.with_row(target, |own| {
                    simd::dispatch(Combine {
                        own,
                        dlogp,
                        dkl,
                        by_policy: (1.0 / sum.totals[0]) as f32,
                        by_reference: (1.0 / sum.totals[1]) as f32,
                    });
                })
            })?;
        logps.extend(sums.iter().map(|sum| sum.logp));
        kls.extend(sums.iter().map(|sum| sum.kl));
        Ok(())
    })?;
    Ok(Divergence {
        logps,
        kls,
        dlogps: tensor(dlogps, (rows, width))?,
        dkls: tensor(dkls, (rows, width))?,
    })
}

/// What is left of a row of both models' logits.
struct RowSums {
    logp: f32,
    kl: f32,
    /// `sum_v e^(l_v - top)` of policy and reference.
    totals: [f64; 2],
}

/// Reduces every row of both; the logits become `e^(l - top)`.
fn compare(
    policy: &mut [f32],
    reference: &mut [f32],
    vocab: usize,
    targets: &[u32],
    first: usize,
) -> Result<Vec<RowSums>> {
    policy
        .par_chunks_mut(vocab)
        .zip(reference.par_chunks_mut(vocab))
        .zip(targets)
        .enumerate()
        .map(|(i, ((policy, reference), &target))| {
            let at = policy[target as usize];
            let tops = [simd::max(policy), simd::max(reference)];
            let lows = [simd::min(policy), simd::min(reference)];
            let (totals, cross) = simd::dispatch(Compare {
                policy,
                reference,
                tops,
            });
            let finite = |values: [f32; 2]| values.iter().all(|x| x.is_finite());
            if !(finite(tops) && finite(lows) && totals.iter().all(|x| x.is_finite())) {
                return Err(not_finite(first + i, target));
            }
            let logs = totals.map(f64::ln);
            // sum_v r_v (log r_v - log p_v), logs taken against the rows' largest logits.
            let kl = cross / totals[1] - logs[1] + logs[0];
            Ok(RowSums {
                logp: (f64::from(at) - f64::from(tops[0]) - logs[0]) as f32,
                kl: kl.max(0.0) as f32,
                totals,
            })
        })
        .collect()
}

/// With `a = l - top` of the policy and `b` of the reference: `sum e^a`, `sum e^b` and `sum e^b (b - a)`, in blocks whose
/// totals are added in `f64`; `e^a` and `e^b` take the logits' places.
struct Compare<'a> {
    policy: &'a mut [f32],
    reference: &'a mut [f32],
    tops: [f32; 2],
}

/// Logits per block of the sums.
const BLOCK: usize = 32 * LANES;

impl Kernel for Compare<'_> {
    type Output = ([f64; 2], f64);

    #[inline(always)]
    fn run<I: Isa>(self) -> ([f64; 2], f64) {
        let [policy_top, reference_top] = self.tops;
        let (mut totals, mut cross) = ([0.0f64; 2], 0.0f64);
        let blocks = self.policy.chunks_mut(BLOCK);
        for (policy, reference) in blocks.zip(self.reference.chunks_mut(BLOCK)) {
            let mut sums = [[0.0f32; LANES]; 3];
            let (policies, policy_rest) = policy.as_chunks_mut::<LANES>();
            let (references, reference_rest) = reference.as_chunks_mut::<LANES>();
            for (policy, reference) in policies.iter_mut().zip(references) {
                for i in 0..LANES {
                    let (a, b) = (policy[i] - policy_top, reference[i] - reference_top);
                    let (p, r) = (simd::exp::<I>(a), simd::exp::<I>(b));
                    sums[0][i] += p;
                    sums[1][i] += r;
                    sums[2][i] = I::mul_add(r, b - a, sums[2][i]);
                    (policy[i], reference[i]) = (p, r);
                }
            }
            for (i, (policy, reference)) in policy_rest.iter_mut().zip(reference_rest).enumerate() {
                let (a, b) = (*policy - policy_top, *reference - reference_top);
                let (p, r) = (simd::exp::<I>(a), simd::exp::<I>(b));
                sums[0][i] += p;
                sums[1][i] += r;
                sums[2][i] = I::mul_add(r, b - a, sums[2][i]);
                (*policy, *reference) = (p, r);
            }
            totals[0] += f64::from(simd::fold(sums[0]));
            totals[1] += f64::from(simd::fold(sums[1]));
            cross += f64::from(simd::fold(sums[2]));
        }
        (totals, cross)
    }
}

/// From `sum_v e^(l_v - top) W[v]` of policy (`dlogp`) and reference (`dkl`) to the two gradients.
struct Combine<'a> {
    dlogp: &'a mut [f32],
    dkl: &'a mut [f32],
    own: &'a [f32],
    by_policy: f32,
    by_reference: f32,
}

impl Kernel for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for ((dlogp, dkl), &own) in self.dlogp.iter_mut().zip(self.dkl).zip(self.own) {
            let policy = *dlogp * self.by_policy;
            *dkl = policy - *dkl * self.by_reference;
            *dlogp = own - policy;
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::ops::oracle::{
        assert_close, assert_rows_stand_alone, draw, draw_both, finite_differences, values,
    };

    const TARGETS: [u32; 5] = [0, 36, 17, 17, 5];

    /// The definition, row by row, in plain scalars.
    fn by_definition(h: &Tensor, reference: &Tensor, w: &Tensor) -> Vec<f64> {
        let rows = |h: &Tensor| -> Vec<Vec<f64>> {
            let logits = h.matmul(&w.t().unwrap()).unwrap();
            logits.to_vec2::<f64>().unwrap()
        };
        let softmax = |l: &[f64]| -> Vec<f64> {
            let total: f64 = l.iter().map(|l| l.exp()).sum();
            l.iter().map(|l| l.exp() / total).collect()
        };
        let pairs = rows(h).into_iter().zip(rows(reference));
        pairs
            .map(|(p, r)| {
                let (p, r) = (softmax(&p), softmax(&r));
                p.iter().zip(&r).map(|(p, r)| r * (r / p).ln()).sum()
            })
            .collect()
    }

    fn as_f64(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&x| f64::from(x)).collect()
    }

    #[test]
    fn the_divergence_is_its_definition_and_its_gradient_the_finite_difference() {
        let (h, reference, w) = (draw(1, &[5, 12]), draw(2, &[5, 12]), draw(3, &[37, 12]));
        let (h, reference) = ((h * 3.0).unwrap(), (reference * 3.0).unwrap());
        let weight = Weight::frozen(w.clone()).unwrap();
        let got = composed::divergence(&h, &reference, &weight, &TARGETS, CHUNK_BYTES).unwrap();
        let expected = by_definition(&h, &reference, &w);
        assert_close("kl", &as_f64(&got.kls), &expected, 1e-7);
        let ones = Tensor::ones(5, DType::F64, &Device::Cpu).unwrap();
        let kl = |h: &Tensor| {
            let kls = by_definition(h, &reference, &w);
            Ok(Tensor::from_vec(kls, 5, &Device::Cpu)?)
        };
        assert_close(
            "dkl",
            &values(&got.dkls),
            &finite_differences(kl, &h, &ones),
            1e-9,
        );
        let (_, dlogps) =
            super::super::composed::token_logps_grad(&h, &weight, &TARGETS, CHUNK_BYTES).unwrap();
        assert_close("dlogp", &values(&got.dlogps), &values(&dlogps), 1e-13);
    }

    /// Logits of size up to 20 carry an error of a few 2^-24 of that, which reaches divergences and gradients once more.
    #[test]
    fn the_host_kernel_equals_the_composed_path_in_any_chunks() {
        for (rows, vocab, width) in [(5, 37, 12), (5, 1000, 64), (19, 2051, 65)] {
            let (h, h64) = draw_both(3, &[rows, width]);
            let (reference, reference64) = draw_both(5, &[rows, width]);
            let (w, w64) = draw_both(4, &[vocab, width]);
            let targets: Vec<u32> = (0..rows).map(|r| (r * 7919 % vocab) as u32).collect();
            let weight64 = Weight::frozen(w64).unwrap();
            let exact =
                composed::divergence(&h64, &reference64, &weight64, &targets, CHUNK_BYTES).unwrap();
            let weight = Weight::frozen(w).unwrap();
            for chunk_rows in [1, 2, 3, rows, 100] {
                let bytes = 2 * chunk_rows * vocab * 4;
                let got = on_host(&h, &reference, &weight, &targets, bytes).unwrap();
                assert_close("logps", &as_f64(&got.logps), &as_f64(&exact.logps), 1e-6);
                assert_close("kls", &as_f64(&got.kls), &as_f64(&exact.kls), 2e-6);
                assert_close("dlogps", &values(&got.dlogps), &values(&exact.dlogps), 2e-6);
                assert_close("dkls", &values(&got.dkls), &values(&exact.dkls), 4e-6);
            }
        }
    }

    #[test]
    fn equal_models_do_not_diverge_and_give_the_plain_heads_bits() {
        let (h, _) = draw_both(3, &[7, 64]);
        let weight = Weight::frozen(draw_both(4, &[501, 64]).0).unwrap();
        let targets: Vec<u32> = (0..7).map(|r| r * 71).collect();
        let got = token_logps_kl_grad(&h, &h, &weight, &targets).unwrap();
        assert_eq!(got.kls, [0.0; 7]);
        assert!(values(&got.dkls).iter().all(|&x| x == 0.0));
        let plain = super::super::token_logps(&h, &weight, &targets).unwrap();
        assert_eq!(got.logps, plain);
    }

    #[test]
    fn rows_do_not_depend_on_their_company() {
        let (h, _) = draw_both(5, &[24, 24]);
        let (reference, _) = draw_both(7, &[24, 24]);
        let weight = Weight::frozen(draw_both(6, &[301, 24]).0).unwrap();
        let targets: Vec<u32> = (0..24).map(|r| r * 7).collect();
        let first = |x: &Tensor, n| x.narrow(0, 0, n).unwrap();
        assert_rows_stand_alone(24, |n| {
            let (h, reference) = (first(&h, n), first(&reference, n));
            token_logps_kl_grad(&h, &reference, &weight, &targets[..n])
                .unwrap()
                .dkls
        });
    }

    #[test]
    fn what_does_not_fit_and_what_is_not_finite_are_errors() {
        let weight = Weight::frozen(draw_both(2, &[5, 3]).0).unwrap();
        let (h, _) = draw_both(1, &[2, 3]);
        let (other, _) = draw_both(1, &[3, 3]);
        let error = token_logps_kl_grad(&h, &other, &weight, &[1, 1]).unwrap_err();
        assert!(error.to_string().contains("differ in shape"), "{error}");
        let bad = Tensor::new(&[[0.5f32, 0.5, 0.5], [0.5, f32::NAN, 0.5]], &Device::Cpu).unwrap();
        for (h, reference) in [(&bad, &h), (&h, &bad)] {
            let error = token_logps_kl_grad(h, reference, &weight, &[1, 1]).unwrap_err();
            assert!(error.to_string().contains("row 1"), "{error}");
        }
    }
}
