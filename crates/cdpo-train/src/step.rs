//! One optimizer step: micro-batches forward and backward, clipping, AdamW, metrics.
//!
//! Goes in: the indices of the step's examples and a learning rate. Comes out: changed parameters and the step's metrics.

use std::path::{Path, PathBuf};

use cdpo_model::{AdapterStack, Arena, Key, TrainOptions};

use crate::batch::{Gradient, Objective, Values, pack};
use crate::checkpoint::{self, State};
use crate::error::{Error, Result};
use crate::example::Item;
use crate::job::Job;
use crate::metrics::{StepMetrics, Sums};
use crate::normalisers::Normalisers;
use crate::optimizer::{AdamW, clip};
use crate::policy::stack;
use crate::settings::Checked;

/// What a step reads and changes.
pub(crate) struct Trainer<'a, 'p> {
    /// What the run was given; its policy is what is trained.
    pub(crate) job: Job<'a, 'p>,
    pub(crate) items: Vec<Item>,
    /// The reference's log-probabilities, by item and response; empty if the objective needs none.
    pub(crate) reference: Vec<Vec<Vec<f32>>>,
    pub(crate) objective: Objective,
    pub(crate) settings: Checked,
    /// The values of the trained parameters; the policy has them too once a step is done.
    pub(crate) params: Arena,
    pub(crate) adamw: AdamW,
    /// Steps and tokens done, in all sittings.
    pub(crate) state: State,
    pub(crate) last_checkpoint: Option<PathBuf>,
}

impl Trainer<'_, '_> {
    /// One optimizer step on the examples `chosen`; `grads` is room for the gradients, whatever is in it. Counts the step and
    /// its tokens in `state`.
    pub(crate) fn step(
        &mut self,
        chosen: &[usize],
        learning_rate: f64,
        epoch: f64,
        grads: &mut Arena,
    ) -> Result<StepMetrics> {
        let step = self.state.step + 1;
        let items = |indices: &[usize]| indices.iter().map(|&i| &self.items[i]).collect::<Vec<_>>();
        let normalisers = Normalisers::of(items(chosen));
        let dropout = self
            .job
            .policy
            .drops()
            .then(|| Key::new(self.settings.seed).with_str("dropout").with(step));
        let options = TrainOptions {
            dropout,
            recompute: self.settings.recompute,
        };
        let mut sums = Sums::default();
        let mut tokens = 0;
        grads.data.fill(0.0);
        for micro in chosen.chunks(self.settings.batch_size) {
            let examples = items(micro);
            let packed = pack(examples.iter().copied(), self.job.prefix_ids);
            tokens += packed.forest.rows() as u64;
            let adapters = self.job.policy.adapters();
            let stack = stack(&adapters);
            let (model, forest, targets) =
                (self.job.policy.model(), &packed.forest, &packed.targets);
            let pass = if self.objective.needs_kl() {
                let reference = AdapterStack::frozen(self.job.reference);
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
                .train_backward_kl(pass, &stack, &logps, &kls, grads)
                .map_err(|e| self.engine(e, step, micro))?;
        }
        if step == 1 {
            check_reached(&self.params, grads)?;
        }
        let grad_norm = clip(grads, self.settings.max_grad_norm);
        if !grad_norm.is_finite() {
            return Err(self.not_finite(step, "the gradient", chosen));
        }
        self.adamw.step(&mut self.params, grads, learning_rate);
        self.job.policy.set(&self.params)?;
        self.state.step = step;
        self.state.tokens += tokens;
        let loss = sums.loss;
        Ok(StepMetrics {
            step,
            epoch,
            loss,
            pairs: sums.into_pairs(),
            grad_norm,
            learning_rate,
            tokens: self.state.tokens,
        })
    }

    /// Writes a checkpoint of the last step, and gives its folder.
    pub(crate) fn write_checkpoint(&mut self) -> Result<&Path> {
        let path = checkpoint::write(
            self.job.dir,
            &self.state,
            &self.params,
            &self.adamw,
            self.settings.keep_checkpoints,
        )?;
        Ok(self.last_checkpoint.insert(path))
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
