//! Choosing a token: logits of one position and a number in `[0, 1)` in, a token that stands for text out.
//!
//! The kept tokens are laid out in the order of their ids on a line whose lengths are their weights, summed in `f64`, and
//! the token under `unit * total` is taken (inverse cumulative distribution). Which tokens are kept:
//! 1. `top_k`: the `k` highest logits, equal ones in the order of their ids;
//! 2. `top_p`: of those, the smallest set of highest logits, equal ones in the order of their ids, whose share of the
//!    remaining mass reaches `top_p`.
//!
//! No full sort: a vocabulary has 50,000 to 150,000 tokens and a step has 64 rows. A token whose weight is at most
//! `(1 - top_p) total / vocabulary` cannot belong to the nucleus (all such tokens together weigh at most
//! `(1 - top_p) total`), which leaves a few hundred candidates; the rest is selection.

use std::cell::RefCell;
use std::cmp::Ordering;

use crate::exp::exp_nonpositive;
use crate::params::SampleParams;

/// Lanes of the vectorised passes.
const LANES: usize = 16;

/// A token that may be drawn.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
    weight: f32,
}

/// More probable first; equal logits in the order of their ids.
fn by_rank(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit
        .partial_cmp(&a.logit)
        .unwrap_or(Ordering::Equal)
        .then(a.id.cmp(&b.id))
}

/// A drawn token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// Its id.
    pub id: u32,
    /// Its log-probability under the logits' softmax at temperature 1, if asked for.
    pub logp: Option<f32>,
}

/// Working memory of one thread.
#[derive(Default)]
struct Scratch {
    weights: Vec<f32>,
    candidates: Vec<Candidate>,
    ranked: Vec<Candidate>,
    bounds: Vec<f32>,
    cumulative: Vec<f64>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Draws one token for each of `units` from one row of `logits` (`[vocabulary]`). `units` are in `[0, 1)`; they are not
/// looked at when `params.temperature` is 0. `None` if a logit is NaN or infinite, or if there are no logits.
///
/// Only the first `tokens` ids are drawn: those after them are rows that pad the model's vocabulary to a round size, and stand for no
/// text. What they weigh is shared out among the others in the draw, but not in a token's log-probability: that is of the whole
/// softmax, as the model's scores are.
pub fn draw(
    logits: &[f32],
    tokens: usize,
    params: &SampleParams,
    units: &[f64],
) -> Option<Vec<Drawn>> {
    let (own, padding) = logits.split_at(tokens.min(logits.len()));
    let max = finite_max(own)?;
    let padded = !padding.is_empty();
    let top = if padded {
        max.max(finite_max(padding)?)
    } else {
        max
    };
    let normaliser = |needed: bool| needed.then(|| weigh(logits, top, 1.0, None).ln());
    let drawn = |index: usize, log_total: Option<f64>| Drawn {
        id: index as u32,
        logp: log_total.map(|log_total| (f64::from(logits[index] - top) - log_total) as f32),
    };
    if params.temperature == 0.0 {
        let best = own.iter().position(|&logit| logit == max)?;
        return Some(vec![drawn(best, normaliser(params.logps)); units.len()]);
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let inverse = (1.0 / params.temperature) as f32;
        let total = weigh(own, max, inverse, Some(&mut scratch.weights));
        let log_total = if inverse == 1.0 && !padded {
            params.logps.then(|| total.ln())
        } else {
            normaliser(params.logps)
        };
        let all = scratch.keep(own, total, params);
        let line = scratch.cumulative.last().copied().unwrap_or(0.0);
        let pick = |&unit: &f64| {
            let place = scratch
                .cumulative
                .partition_point(|&sum| sum <= unit * line)
                .min(scratch.cumulative.len() - 1);
            drawn(
                if all {
                    place
                } else {
                    scratch.candidates[place].id as usize
                },
                log_total,
            )
        };
        Some(units.iter().map(pick).collect())
    })
}

/// The largest logit, or `None` if one is not finite or there are none.
fn finite_max(logits: &[f32]) -> Option<f32> {
    let mut high = [f32::NEG_INFINITY; LANES];
    let mut wrong = [false; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            let logit = chunk[lane];
            high[lane] = if logit > high[lane] {
                logit
            } else {
                high[lane]
            };
            wrong[lane] |= !logit.is_finite();
        }
    }
    let max = high
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    let wrong = wrong.iter().any(|&wrong| wrong) || rest.iter().any(|logit| !logit.is_finite());
    (!wrong && !logits.is_empty()).then_some(max)
}

/// `sum exp((logit - max) * inverse)` in `f64`, the weights themselves into `out` if given.
fn weigh(logits: &[f32], max: f32, inverse: f32, out: Option<&mut Vec<f32>>) -> f64 {
    let weight = |logit: f32| exp_nonpositive((logit - max) * inverse);
    let mut sums = [0.0f64; LANES];
    let mut add = |block: &[f32; LANES]| {
        for (sum, &weight) in sums.iter_mut().zip(block) {
            *sum += f64::from(weight);
        }
    };
    let mut block = [0.0f32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    if let Some(out) = out {
        out.resize(logits.len(), 0.0);
        let (whole, tail) = out.split_at_mut(logits.len() - rest.len());
        for (chunk, out) in chunks.zip(whole.chunks_exact_mut(LANES)) {
            for lane in 0..LANES {
                block[lane] = weight(chunk[lane]);
            }
            out.copy_from_slice(&block);
            add(&block);
        }
        for (out, &logit) in tail.iter_mut().zip(rest) {
            *out = weight(logit);
        }
    } else {
        for chunk in chunks {
            for lane in 0..LANES {
                block[lane] = weight(chunk[lane]);
            }
            add(&block);
        }
    }
    sums.iter().sum::<f64>()
        + rest
            .iter()
            .map(|&logit| f64::from(weight(logit)))
            .sum::<f64>()
}

impl Scratch {
    /// Finds the kept tokens from `weights` and lays them out in `cumulative`. True if they are the whole vocabulary;
    /// otherwise they are `candidates`, in id order.
    fn keep(&mut self, logits: &[f32], total: f64, params: &SampleParams) -> bool {
        let top_k = params.top_k.filter(|&k| k < logits.len());
        self.cumulative.clear();
        if top_k.is_none() && params.top_p >= 1.0 {
            self.cumulative
                .extend(self.weights.iter().scan(0.0f64, |sum, &weight| {
                    *sum += f64::from(weight);
                    Some(*sum)
                }));
            return true;
        }
        let mut mass = total;
        if let Some(k) = top_k {
            self.gather_top(logits, k);
            mass = self
                .candidates
                .iter()
                .map(|candidate| f64::from(candidate.weight))
                .sum();
        } else {
            // Half the proven bound, so that rounding cannot lose a token.
            let bound = (0.5 * (1.0 - params.top_p) * total / logits.len() as f64) as f32;
            self.candidates.clear();
            collect_if(
                &mut self.candidates,
                logits,
                &self.weights,
                &self.weights,
                |&weight| weight > bound,
            );
        }
        if params.top_p < 1.0 {
            self.ranked.clone_from(&self.candidates);
            if let Some(last) = nucleus_end(&mut self.ranked, params.top_p * mass) {
                self.candidates
                    .retain(|candidate| by_rank(candidate, &last) != Ordering::Greater);
            }
        }
        self.cumulative
            .extend(self.candidates.iter().scan(0.0f64, |sum, candidate| {
                *sum += f64::from(candidate.weight);
                Some(*sum)
            }));
        false
    }

    /// Puts the `k` highest tokens into `candidates`, in id order (`0 < k <` vocabulary).
    fn gather_top(&mut self, logits: &[f32], k: usize) {
        self.candidates.clear();
        self.bounds.clear();
        // The k-th highest of the blocks' maxima bounds the k-th highest logit from below.
        let block = if k <= logits.len() / (4 * LANES) {
            LANES
        } else {
            1
        };
        self.bounds.extend(
            logits
                .chunks(block)
                .map(|chunk| chunk.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        );
        let descending = |a: &f32, b: &f32| b.partial_cmp(a).unwrap_or(Ordering::Equal);
        let bound = *self.bounds.select_nth_unstable_by(k - 1, descending).1;
        collect_if(
            &mut self.candidates,
            logits,
            &self.weights,
            logits,
            |&logit| logit >= bound,
        );
        if self.candidates.len() > k {
            self.ranked.clone_from(&self.candidates);
            let last = *self.ranked.select_nth_unstable_by(k - 1, by_rank).1;
            self.candidates
                .retain(|candidate| by_rank(candidate, &last) != Ordering::Greater);
        }
    }
}

/// Appends the tokens whose `values` meet `wanted`, in id order, a block without any at the price of a comparison.
fn collect_if(
    out: &mut Vec<Candidate>,
    logits: &[f32],
    weights: &[f32],
    values: &[f32],
    wanted: impl Fn(&f32) -> bool,
) {
    for (index, block) in values.chunks(LANES).enumerate() {
        if block.iter().fold(false, |any, value| any | wanted(value)) {
            for (lane, _) in block.iter().enumerate().filter(|(_, value)| wanted(value)) {
                let id = index * LANES + lane;
                out.push(Candidate {
                    id: id as u32,
                    logit: logits[id],
                    weight: weights[id],
                });
            }
        }
    }
}

/// The last token, in rank order, of the smallest leading set that weighs at least `target`. Reorders its argument; `None`
/// if all of them together weigh less.
fn nucleus_end(candidates: &mut [Candidate], target: f64) -> Option<Candidate> {
    let mass = |part: &[Candidate]| {
        part.iter()
            .map(|candidate| f64::from(candidate.weight))
            .sum::<f64>()
    };
    let (mut low, mut high) = (0, candidates.len());
    let mut before = 0.0;
    // Invariant: [..low] rank before [low..high] and weigh `before`, less than the target; the end is in [low..high] or, if
    // high is the length, nowhere.
    while high - low > 32 {
        let middle = low.midpoint(high);
        candidates[low..high].select_nth_unstable_by(middle - low, by_rank);
        let half = mass(&candidates[low..middle]);
        if before + half >= target {
            high = middle;
        } else {
            before += half;
            low = middle;
        }
    }
    candidates[low..high].sort_unstable_by(by_rank);
    for candidate in &candidates[low..high] {
        before += f64::from(candidate.weight);
        if before >= target {
            return Some(*candidate);
        }
    }
    // Rounding may leave the target just out of reach of the last one.
    candidates
        .get(high.wrapping_sub(1))
        .filter(|_| high < candidates.len())
        .copied()
}

#[cfg(test)]
mod tests;
