//! Training passes: a forward that keeps what the reverse walk needs, and the explicit reverse walk.
//!
//! Goes in: a forest, an adapter stack, targets; then the loss's derivative by each log-probability. Comes out: the targets'
//! log-probabilities, and gradients added into an arena by name. Blocks' memory is given back as the walk leaves them.
//! Asked for, the pass also gives each target's divergence from a reference, and takes the loss's derivative by it.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Model, ids};
use crate::adapter::AdapterStack;
use crate::arena::Arena;
use crate::block::BlockActivations;
use crate::error::{Error, Result};
use crate::forest::{Target, TokenForest};
use crate::keyed::Key;
use crate::ops::attention::Pattern;
use crate::ops::{head, head_weight, rms_norm, sum};

/// How a training pass runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// Key of (seed, step): switches the trained adapter's dropout on.
    pub dropout: Option<Key>,
    /// What the backward pass computes again.
    pub recompute: Recompute,
}

/// What a training pass does not keep but computes again on the way back: memory against time. It changes no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recompute {
    /// Nothing: the most memory, the least time.
    Nothing,
    /// The feed-forward layers' gate and up projections, more than half of what a block keeps; about a sixth more time.
    #[default]
    FeedForward,
    /// Whole blocks, of which only the input is kept; about a third more time.
    Blocks,
}

/// A forward pass with what its backward needs.
#[derive(Debug)]
pub struct Pass {
    /// Log-probability of each target, in nats, in the targets' order.
    pub logps: Vec<f32>,
    /// `KL(reference || policy)` over the vocabulary at each target's row, in nats; empty unless asked for.
    pub kls: Vec<f32>,
    /// `d KL_r / d h_r`, `[R, H]`, if asked for.
    dkls_dh: Option<Tensor>,
    /// `d logp_r / d h_r`, `[R, H]`, `h` being the normed final hidden state.
    dlogps_dh: Tensor,
    targets: Vec<Target>,
    normed: Tensor,
    last: Tensor,
    blocks: Vec<StoredBlock>,
    pattern: Pattern,
    forest: TokenForest,
    row_keys: Option<Vec<u64>>,
}

impl Pass {
    /// Whether there is one derivative for each of the pass's numbers.
    fn check_derivatives(&self, dlogps: &[f32], dkls: &[f32]) -> Result<()> {
        if dlogps.len() != self.logps.len() {
            return Err(Error::Invalid(format!(
                "{} derivatives for {} log-probabilities",
                dlogps.len(),
                self.logps.len()
            )));
        }
        if dkls.len() != self.kls.len() {
            return Err(Error::Invalid(format!(
                "{} derivatives for {} divergences",
                dkls.len(),
                self.kls.len()
            )));
        }
        Ok(())
    }
}

/// What is kept of a block between forward and backward.
#[derive(Debug)]
enum StoredBlock {
    /// What its reverse pass reads.
    Activations(Box<BlockActivations>),
    /// Its input alone; the rest is computed again.
    Input(Tensor),
}

impl Model {
    /// Forward pass that keeps what [`Model::train_backward`] needs.
    ///
    /// # Errors
    /// As [`Model::score`]; also if there is no target.
    pub fn train_forward(
        &self,
        forest: &TokenForest,
        stack: &AdapterStack<'_>,
        targets: &[Target],
        options: &TrainOptions,
    ) -> Result<Pass> {
        self.forward_pass(forest, stack, None, targets, options)
    }

    /// As [`Model::train_forward`], with [`Pass::kls`] from the base under the frozen stack `reference`, which runs first
    /// and without dropout: another forward pass, of which nothing but `[R, H]` is kept.
    ///
    /// # Errors
    /// As [`Model::train_forward`].
    pub fn train_forward_against(
        &self,
        forest: &TokenForest,
        stack: &AdapterStack<'_>,
        reference: &AdapterStack<'_>,
        targets: &[Target],
        options: &TrainOptions,
    ) -> Result<Pass> {
        self.forward_pass(forest, stack, Some(reference), targets, options)
    }

    fn forward_pass(
        &self,
        forest: &TokenForest,
        stack: &AdapterStack<'_>,
        reference: Option<&AdapterStack<'_>>,
        targets: &[Target],
        options: &TrainOptions,
    ) -> Result<Pass> {
        self.check(forest, stack, targets)?;
        if targets.is_empty() {
            return Err(Error::Invalid(
                "a training pass needs at least one target".into(),
            ));
        }
        let pattern = Pattern::new(forest);
        let reference = match reference {
            Some(reference) => {
                self.check(forest, reference, targets)?;
                if stack.changes_ends() || reference.changes_ends() {
                    return Err(Error::Adapter(
                        "a divergence is of two adapters on one head; none may change lm_head or embed_tokens".into(),
                    ));
                }
                Some(self.hidden(forest, &pattern, reference, targets)?)
            }
            None => None,
        };
        let row_keys = options.dropout.map(|key| row_keys(key, forest));
        let call = self.call(forest.positions(), *stack, row_keys.as_deref());
        let mut x = self.embed(stack, forest.ids())?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (y, mut activations) = block.forward(&call, &pattern, &x)?;
            blocks.push(match options.recompute {
                Recompute::Blocks => StoredBlock::Input(x),
                Recompute::FeedForward => {
                    activations.forget_feed_forward();
                    StoredBlock::Activations(Box::new(activations))
                }
                Recompute::Nothing => StoredBlock::Activations(Box::new(activations)),
            });
            x = y;
        }
        let last = self.select(&x, targets)?;
        let normed = rms_norm::forward(&last, &self.norm.values, self.config.rms_norm_eps)?;
        let target_ids = ids(targets);
        let (logps, dlogps_dh, kls, dkls_dh) = match reference {
            None => {
                let own = stack.head(&self.head)?;
                let head = own.as_ref().unwrap_or(&self.head);
                let (logps, dlogps) = head::token_logps_grad(&normed, head, &target_ids)?;
                (logps, dlogps, Vec::new(), None)
            }
            Some(reference) => {
                let both = head::token_logps_kl_grad(&normed, &reference, &self.head, &target_ids)?;
                (both.logps, both.dlogps, both.kls, Some(both.dkls))
            }
        };
        let (targets, forest) = (targets.to_vec(), forest.clone());
        Ok(Pass {
            logps,
            kls,
            dkls_dh,
            dlogps_dh,
            targets,
            normed,
            last,
            blocks,
            pattern,
            forest,
            row_keys,
        })
    }

    /// Adds the gradient of a loss into `grads`, given the loss's derivative by each log-probability. Every entry of the
    /// arena is a parameter to train: the stack's trainable adapter's, or the model's own by their Hugging Face names.
    ///
    /// # Errors
    /// If `dlogps` does not match the targets, or the trained adapter has no place in `grads`.
    pub fn train_backward(
        &self,
        pass: Pass,
        stack: &AdapterStack<'_>,
        dlogps: &[f32],
        grads: &mut Arena,
    ) -> Result<()> {
        self.train_backward_kl(pass, stack, dlogps, &[], grads)
    }

    /// As [`Model::train_backward`], with the loss's derivative by each divergence too, where the pass has them.
    ///
    /// # Errors
    /// As [`Model::train_backward`]; also if `dkls` does not match the pass's divergences, or if `grads` has a place for the
    /// head: its gradient of a divergence is not computed, since policy and reference would then need a head each.
    pub fn train_backward_kl(
        &self,
        pass: Pass,
        stack: &AdapterStack<'_>,
        dlogps: &[f32],
        dkls: &[f32],
        grads: &mut Arena,
    ) -> Result<()> {
        pass.check_derivatives(dlogps, dkls)?;
        let trains = |name: &str| grads.layout().entry(name).is_some();
        if stack.changes_ends() && (trains(self.head.name()) || trains(self.embedding.name())) {
            return Err(Error::Adapter(
                "an adapter brings its own lm_head or embed_tokens: the model's cannot be trained under it; merge it first".into(),
            ));
        }
        let Pass {
            dkls_dh,
            dlogps_dh,
            targets,
            normed,
            last,
            mut blocks,
            pattern,
            forest,
            row_keys,
            ..
        } = pass;
        let mut dnormed = sum::scale_rows(&dlogps_dh, dlogps)?;
        if let Some(dkls_dh) = dkls_dh {
            if grads.layout().entry(self.head.name()).is_some() {
                return Err(Error::Invalid(
                    "a divergence from a reference can be trained on with adapters only, not with all parameters".into(),
                ));
            }
            dnormed = sum::add(&dnormed, &sum::scale_rows(&dkls_dh, dkls)?)?;
        }
        if let Some(dhead) = grads.view_mut(self.head.name()) {
            head_weight::weight_grad(&normed, &self.head, &ids(&targets), dlogps, dhead)?;
        }
        let dnorm = grads.view_mut(&self.norm.name);
        let dlast = rms_norm::backward(
            &dnormed,
            &last,
            &self.norm.values,
            self.config.rms_norm_eps,
            dnorm,
        )?;
        drop((dlogps_dh, dnormed, normed, last));
        let rows = Tensor::from_vec(
            targets.iter().map(|t| t.row).collect(),
            targets.len(),
            &self.device,
        )?;
        let zeros = Tensor::zeros(
            (forest.rows(), self.config.hidden_size),
            dlast.dtype(),
            &self.device,
        )?;
        let mut dx = zeros.index_add(&rows, &dlast, 0)?;

        let call = self.call(forest.positions(), *stack, row_keys.as_deref());
        let train_embedding = grads.layout().entry(self.embedding.name()).is_some();
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let activations = match blocks.pop() {
                Some(StoredBlock::Activations(activations)) => *activations,
                Some(StoredBlock::Input(x)) => block.forward(&call, &pattern, &x)?.1,
                None => {
                    return Err(Error::Invalid(
                        "the pass holds fewer blocks than the model".into(),
                    ));
                }
            };
            match block.backward(
                &call,
                &pattern,
                &dx,
                activations,
                grads,
                i > 0 || train_embedding,
            )? {
                Some(next) => dx = next,
                None => return Ok(()),
            }
        }
        if let Some(into) = grads.view_mut(self.embedding.name()) {
            self.embedding_grad(&dx, forest.ids(), into)?;
        }
        Ok(())
    }
}

/// One dropout key per row, of the example and the position.
fn row_keys(key: Key, forest: &TokenForest) -> Vec<u64> {
    let mut keys = Vec::with_capacity(forest.rows());
    for segment in forest.segments() {
        let key = key.with(segment.source);
        keys.extend(
            (segment.first_position..segment.end_position()).map(|p| key.with(p as u64).bits()),
        );
    }
    keys
}
