//! One optimizer step: micro-batches forward and backward, clipping, AdamW, metrics.
//!
//! Goes in: the indices of the step's examples and a learning rate. Comes out: changed parameters and the step's metrics.

use std::path::PathBuf;

use cdpo_model::{Adapter, AdapterStack, Arena, Key, TrainOptions};

use crate::batch::{Gradient, Normalisers, Objective, Values, pack};
use crate::checkpoint::State;
use crate::error::{Error, Result};
use crate::example::Item;
use crate::journal::Journal;
use crate::metrics::{StepMetrics, Sums};
use crate::optimizer::{AdamW, clip};
use crate::policy::{Policy, stack};
use crate::settings::Checked;

/// What changes between steps.
pub(crate) struct Trainer<'a> {
    pub(crate) prefix: &'a [u32],
    pub(crate) items: &'a [Item],
    pub(crate) reference: &'a [Vec<Vec<f32>>],
    /// The reference's adapters, to run it again for an objective that needs divergences.
    pub(crate) reference_adapters: &'a [&'a Adapter],
    pub(crate) objective: Objective,
    pub(crate) settings: &'a Checked,
    pub(crate) params: Arena,
    pub(crate) grads: Arena,
    pub(crate) adamw: AdamW,
    pub(crate) journal: Journal,
    pub(crate) last_checkpoint: Option<PathBuf>,
}

impl Trainer<'_> {
    /// One optimizer step on the examples `chosen`: metrics and the tokens computed.
    pub(crate) fn step(
        &mut self,
        policy: &mut Policy<'_>,
        chosen: &[usize],
        state: &State,
        learning_rate: f64,
        epoch: f64,
    ) -> Result<(StepMetrics, u64)> {
        let step = state.step + 1;
        let items = |indices: &[usize]| indices.iter().map(|&i| &self.items[i]).collect::<Vec<_>>();
        let normalisers = Normalisers::of(items(chosen));
        let dropout = policy
            .drops()
            .then(|| Key::new(self.settings.seed).with_str("dropout").with(step));
        let options = TrainOptions {
            dropout,
            recompute: self.settings.recompute,
        };
        let mut sums = Sums::default();
        let mut tokens = 0;
        self.grads.data.fill(0.0);
        for micro in chosen.chunks(self.settings.batch_size) {
            let examples = items(micro);
            let packed = pack(examples.iter().copied(), self.prefix);
            tokens += packed.forest.rows() as u64;
            let adapters = policy.adapters();
            let stack = stack(&adapters);
            let (model, forest, targets) = (policy.model(), &packed.forest, &packed.targets);
            let pass = if self.objective.needs_kl() {
                let reference = AdapterStack::frozen(self.reference_adapters);
                model.train_forward_against(forest, &stack, &reference, targets, &options)
            } else {
                model.train_forward(forest, &stack, targets, &options)
            };
            let pass = pass.map_err(|e| self.engine(e, step, micro))?;
            if pass.logps.iter().any(|x| !x.is_finite()) {
                return Err(self.not_finite(step, "a token's log-probability", micro));
            }
            let reference: Vec<&[Vec<f32>]> = if self.reference.is_empty() {
                Vec::new()
            } else {
                micro
                    .iter()
                    .map(|&i| self.reference[i].as_slice())
                    .collect()
            };
            let gradient = self.objective.gradient(
                &examples,
                &packed,
                &Values {
                    logps: &pass.logps,
                    kls: &pass.kls,
                    reference: &reference,
                },
                normalisers,
                &mut sums,
            );
            if !sums.loss.is_finite()
                || gradient
                    .logps
                    .iter()
                    .chain(&gradient.kls)
                    .any(|x| !x.is_finite())
            {
                return Err(self.not_finite(step, "the loss", micro));
            }
            let Gradient { logps, kls } = gradient;
            model
                .train_backward_kl(pass, &stack, &logps, &kls, &mut self.grads)
                .map_err(|e| self.engine(e, step, micro))?;
        }
        if step == 1 {
            check_reached(&self.params, &self.grads)?;
        }
        let grad_norm = clip(&mut self.grads, self.settings.max_grad_norm);
        if !grad_norm.is_finite() {
            return Err(self.not_finite(step, "the gradient", chosen));
        }
        self.adamw
            .step(&mut self.params, &self.grads, learning_rate);
        policy.set(&self.params)?;
        let loss = sums.loss;
        let metrics = StepMetrics {
            step,
            epoch,
            loss,
            pairs: sums.into_pairs(),
            grad_norm,
            learning_rate,
            tokens: state.tokens + tokens,
        };
        Ok((metrics, tokens))
    }

    /// An engine's error in a step: a number that is not finite is told with step, examples and checkpoint.
    fn engine(&self, error: cdpo_model::Error, step: u64, micro: &[usize]) -> Error {
        match error {
            cdpo_model::Error::NotFinite(what) => self.not_finite(step, &what, micro),
            error => error.into(),
        }
    }

    fn not_finite(&self, step: u64, what: &str, chosen: &[usize]) -> Error {
        let examples = chosen.iter().map(|&i| self.items[i].id.clone()).collect();
        Error::NotFinite {
            step,
            what: what.to_owned(),
            examples,
            checkpoint: self.last_checkpoint.clone(),
        }
    }
}

/// Every tensor must have a gradient that is not all zero, except a LoRA `A` whose `B` is still zero. If nothing at all has
/// one, the loss itself is flat here (equal responses, weights of zero), which is for the data to answer.
fn check_reached(params: &Arena, grads: &Arena) -> Result<()> {
    let zero = |values: Option<&[f32]>| values.is_none_or(|v| v.iter().all(|&x| x == 0.0));
    if grads.data.iter().all(|&x| x == 0.0) {
        return Ok(());
    }
    let entries = grads.layout().entries();
    let silent = |name: &str| {
        let waiting =
            name.contains(".lora_A.") && zero(params.view(&name.replace(".lora_A.", ".lora_B.")));
        !waiting && zero(grads.view(name))
    };
    let missing: Vec<&str> = entries
        .iter()
        .map(|e| e.name.as_str())
        .filter(|name| silent(name))
        .collect();
    match missing.first() {
        Some(first) => Err(Error::NoGradient {
            count: missing.len(),
            all: entries.len(),
            first: (*first).to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cdpo_model::arena::Layout;

    use super::*;

    fn arena(a: f32, b: f32, other: f32) -> Arena {
        let names = ["q.lora_A.weight", "q.lora_B.weight", "k.lora_B.weight"];
        let mut arena = Arena::zeros(Arc::new(Layout::new(
            names.map(|n| (n.to_owned(), vec![1, 1])),
        )));
        arena.data.copy_from_slice(&[a, b, other]);
        arena
    }

    #[test]
    fn a_trained_tensor_without_gradient_is_an_error() {
        let error = check_reached(&arena(1.0, 1.0, 1.0), &arena(0.5, 0.5, 0.0))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1 of the 3") && error.contains("`k.lora_B.weight`"),
            "{error}"
        );
    }

    #[test]
    fn a_lora_a_waits_for_its_b_and_no_longer() {
        assert!(check_reached(&arena(1.0, 0.0, 0.0), &arena(0.0, 0.5, 0.5)).is_ok());
        assert!(check_reached(&arena(1.0, 0.1, 0.0), &arena(0.0, 0.5, 0.5)).is_err());
    }
}
