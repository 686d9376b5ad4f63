//! One micro-batch as one token forest, and one step's share of the loss on it.
//!
//! Every example is a root (its prompt) with its responses as children, so a pair's prompt is computed once. With a
//! prefix, the prefix is the root of all prompts.

use std::ops::Range;

use cdpo_model::{Target, TokenForest};

use crate::example::Item;
use crate::losses::{PairInput, PairLoss, Side, nll};
use crate::metrics::Sums;
use crate::normalisers::Normalisers;

/// A micro-batch ready for the engine.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) forest: TokenForest,
    /// All response tokens of all examples, in order.
    pub(crate) targets: Vec<Target>,
    /// Of each example's responses, their places in `targets`.
    pub(crate) spans: Vec<Vec<Range<usize>>>,
}

/// Packs examples, each response a child of its prompt.
pub(crate) fn pack<'a>(items: impl IntoIterator<Item = &'a Item>, prefix: &[u32]) -> Packed {
    let mut packed = Packed {
        forest: TokenForest::new(),
        targets: Vec::new(),
        spans: Vec::new(),
    };
    let root = (!prefix.is_empty()).then(|| packed.forest.push(prefix, None, 0));
    for item in items {
        let prompt = packed.forest.push(&item.prompt, root, item.source);
        let mut spans = Vec::with_capacity(item.responses.len());
        for (i, response) in item.responses.iter().enumerate() {
            let segment = packed.forest.push(
                &response.ids,
                Some(prompt),
                item.source.wrapping_add(i as u64),
            );
            let start = packed.targets.len();
            packed.targets.extend(packed.forest.targets(segment));
            spans.push(start..packed.targets.len());
        }
        packed.spans.push(spans);
    }
    packed
}

/// What is trained.
#[derive(Debug)]
pub(crate) enum Objective {
    /// Mean token NLL of single responses.
    Sft,
    /// A preference loss, and a factor of the chosen responses' mean token NLL.
    Pairs(Box<dyn PairLoss>, f64),
}

/// What the engine gave for a micro-batch's targets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// The policy's log-probabilities `[R]`, lying as [`Packed::spans`] says.
    pub(crate) logps: &'a [f32],
    /// Divergences from the reference `[R]`; empty if the objective needs none.
    pub(crate) kls: &'a [f32],
    /// The reference's log-probabilities of each example's responses; empty if the objective needs none.
    pub(crate) reference: &'a [&'a [Vec<f32>]],
}

/// Derivatives of the step's loss by what the engine gave for the targets, in their order.
#[derive(Debug, Default)]
pub(crate) struct Gradient {
    /// By each log-probability `[R]`.
    pub(crate) logps: Vec<f32>,
    /// By each divergence `[R]`; empty if the objective has none.
    pub(crate) kls: Vec<f32>,
}

impl Objective {
    /// Whether the reference's log-probabilities are needed.
    pub(crate) fn needs_reference(&self) -> bool {
        matches!(self, Self::Pairs(loss, _) if loss.needs_reference())
    }

    /// Whether the engine's pass must give divergences from the reference.
    pub(crate) fn needs_kl(&self) -> bool {
        matches!(self, Self::Pairs(loss, _) if loss.needs_kl())
    }

    /// Derivatives of the step's loss by each log-probability and divergence of one micro-batch; adds its share to `sums`.
    pub(crate) fn gradient(
        &self,
        items: &[&Item],
        packed: &Packed,
        values: &Values<'_>,
        n: Normalisers,
        sums: &mut Sums,
    ) -> Gradient {
        let &Values {
            logps,
            kls,
            reference,
        } = values;
        let mut gradient = vec![0.0f32; logps.len()];
        let mut by_kl = vec![0.0f32; kls.len()];
        let padded_positions = items.iter().map(|item| item.longest()).max().unwrap_or(1) - 1;
        let needs_kl = self.needs_kl();
        for (i, (item, spans)) in items.iter().zip(&packed.spans).enumerate() {
            match self {
                Self::Sft => {
                    let policy = &logps[spans[0].clone()];
                    let terms = nll(policy, 1.0, n.tokens);
                    gradient[spans[0].clone()].fill(terms.gradient as f32);
                    sums.loss += terms.loss;
                }
                Self::Pairs(loss, sft_term) => {
                    let zeros: [Vec<f32>; 2] = if reference.is_empty() {
                        [0, 1].map(|s| vec![0.0; spans[s].len()])
                    } else {
                        Default::default()
                    };
                    let reference = if reference.is_empty() {
                        &zeros[..]
                    } else {
                        reference[i]
                    };
                    let side = |s: usize| Side {
                        policy: &logps[spans[s].clone()],
                        reference: &reference[s],
                        weights: &item.responses[s].weights,
                        kl: if needs_kl {
                            &kls[spans[s].clone()]
                        } else {
                            &[]
                        },
                    };
                    let input = PairInput {
                        chosen: side(0),
                        rejected: side(1),
                        padded_positions,
                    };
                    let terms = loss.terms(&input);
                    let term = nll(input.chosen.policy, *sft_term, n.tokens);
                    let scale = 1.0 / n.examples as f64;
                    for (to, g) in gradient[spans[0].clone()]
                        .iter_mut()
                        .zip(&terms.chosen_gradient)
                    {
                        *to = (g * scale + term.gradient) as f32;
                    }
                    for (to, g) in gradient[spans[1].clone()]
                        .iter_mut()
                        .zip(&terms.rejected_gradient)
                    {
                        *to = (g * scale) as f32;
                    }
                    if needs_kl {
                        for (span, slope) in spans.iter().zip(terms.kl_gradient) {
                            by_kl[span.clone()].fill((slope * scale) as f32);
                        }
                    }
                    sums.loss += terms.loss * scale + term.loss;
                    sums.add_pair(&input, &terms, n);
                }
            }
        }
        Gradient {
            logps: gradient,
            kls: by_kl,
        }
    }
}
