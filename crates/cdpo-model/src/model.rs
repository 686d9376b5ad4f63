//! The model: embedding, blocks, final norm and head over a token forest.

mod decode;
mod parameters;

use candle_core::{Device, Tensor};

use crate::adapter::AdapterStack;
use crate::arena::Arena;
use crate::block::{self, Block, Call, Vector};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::forest::{Target, TokenForest};
use crate::keyed::Key;
use crate::ops::attention::{Heads, Pattern};
use crate::ops::rotary::Rotary;
use crate::ops::{head, head_weight, rms_norm};
use crate::source::TensorSource;
use crate::weight::Weight;

pub use decode::Extend;

/// A LLaMA-family model on one device.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    device: Device,
    embedding: Tensor,
    blocks: Vec<Block>,
    norm: Vector,
    head: Weight,
    rotary: Rotary,
}

/// How a training pass runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// Key of (seed, step): switches the trained adapter's dropout on.
    pub dropout: Option<Key>,
    /// Keep only each block's input and run the block again in the backward pass: less memory, about a third more time.
    pub recompute: bool,
}

/// A forward pass with what its backward needs.
#[derive(Debug)]
pub struct Pass {
    /// Log-probability of each target, in nats, in the targets' order.
    pub logps: Vec<f32>,
    /// `d logp_r / d h_r`, `[R, H]`, `h` being the normed final hidden state.
    dlogps_dh: Tensor,
    targets: Vec<Target>,
    normed: Tensor,
    last: Tensor,
    blocks: Vec<Kept>,
    pattern: Pattern,
    forest: TokenForest,
    row_keys: Option<Vec<u64>>,
}

/// What is kept of a block between forward and backward.
#[derive(Debug)]
enum Kept {
    All(Box<block::Saved>),
    Input(Tensor),
}

/// Eq. 1 per target: contrast scores of a positive against a negative model.
#[derive(Debug, Clone)]
pub struct Contrast {
    /// `log s_t`.
    pub log_scores: Vec<f32>,
    /// `log P_p(y_t | x, y_<t)`.
    pub positive_logps: Vec<f32>,
    /// `log P_n(y_t | x, y_<t)`.
    pub negative_logps: Vec<f32>,
}

impl Model {
    /// Reads all weights.
    ///
    /// # Errors
    /// If a tensor is missing, has the wrong shape or holds values that are not finite.
    pub fn load(config: &ModelConfig, source: &dyn TensorSource, device: &Device) -> Result<Self> {
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let matrix = |name: &str| -> Result<Tensor> {
            Ok(Tensor::from_vec(
                source.read(name, &[vocab, hidden])?,
                (vocab, hidden),
                device,
            )?)
        };
        let embedding = matrix(EMBEDDING)?;
        let head = if config.tie_embeddings {
            Weight::named(EMBEDDING, embedding.clone())?
        } else {
            Weight::named(HEAD, matrix(HEAD)?)?
        };
        Ok(Self {
            blocks: (0..config.layers)
                .map(|layer| Block::load(source, config, layer, device))
                .collect::<Result<_>>()?,
            norm: Vector::read(source, "model.norm.weight".into(), hidden, device)?,
            rotary: Rotary::new(config, config.max_positions),
            config: config.clone(),
            device: device.clone(),
            embedding,
            head,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn heads(&self) -> Heads {
        Heads {
            query: self.config.heads,
            kv: self.config.kv_heads,
            dim: self.config.head_dim,
        }
    }

    fn call<'a>(
        &'a self,
        positions: &'a [u32],
        stack: AdapterStack<'a>,
        row_keys: Option<&'a [u64]>,
    ) -> Call<'a> {
        Call {
            heads: self.heads(),
            eps: self.config.rms_norm_eps,
            rotary: &self.rotary,
            positions,
            stack,
            row_keys,
        }
    }

    fn check(
        &self,
        forest: &TokenForest,
        stack: &AdapterStack<'_>,
        targets: &[Target],
    ) -> Result<()> {
        stack.check(&self.config)?;
        check_ids(forest.ids(), self.config.vocab_size)?;
        if let Some(&p) = forest.positions().iter().max()
            && p as usize >= self.config.max_positions
        {
            return Err(Error::Context(format!(
                "a sequence of {} tokens is longer than the model's context of {}",
                p + 1,
                self.config.max_positions
            )));
        }
        match targets.iter().find(|t| t.row as usize >= forest.rows()) {
            Some(t) => Err(Error::Invalid(format!(
                "target row {} is beyond the forest's {} rows",
                t.row,
                forest.rows()
            ))),
            None => Ok(()),
        }
    }

    fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids, ids.len(), &self.device)?;
        Ok(self.embedding.index_select(&ids, 0)?)
    }

    /// Rows of `x`, in the targets' order.
    fn select(&self, x: &Tensor, targets: &[Target]) -> Result<Tensor> {
        let rows: Vec<u32> = targets.iter().map(|t| t.row).collect();
        Ok(x.index_select(&Tensor::from_vec(rows, targets.len(), &self.device)?, 0)?)
    }

    /// Normed final hidden states of the targets' rows, `[R, H]`, nothing kept.
    fn hidden(
        &self,
        forest: &TokenForest,
        pattern: &Pattern,
        stack: &AdapterStack<'_>,
        targets: &[Target],
    ) -> Result<Tensor> {
        let call = self.call(forest.positions(), *stack, None);
        let mut x = self.embed(forest.ids())?;
        for block in &self.blocks {
            x = block.forward(&call, pattern, &x)?.0;
        }
        rms_norm::forward(
            &self.select(&x, targets)?,
            &self.norm.values,
            self.config.rms_norm_eps,
        )
    }

    /// Log-probability of each target, in nats, without gradients.
    ///
    /// # Errors
    /// If the forest does not fit the model, or a value is not finite.
    pub fn score(
        &self,
        forest: &TokenForest,
        stack: &AdapterStack<'_>,
        targets: &[Target],
    ) -> Result<Vec<f32>> {
        self.check(forest, stack, targets)?;
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let hidden = self.hidden(forest, &Pattern::new(forest), stack, targets)?;
        head::token_logps(&hidden, &self.head, &ids(targets))
    }

    /// Eq. 1 of Lin et al. 2025 for each target: `log s_t`, the log-softmax of `(1 + beta) z_p - beta z_n` at the token,
    /// with both models' own log-probabilities. One head serves both models, so the contrast is formed on hidden states.
    ///
    /// # Errors
    /// As [`Model::score`].
    pub fn contrast_scores(
        &self,
        forest: &TokenForest,
        positive: &AdapterStack<'_>,
        negative: &AdapterStack<'_>,
        targets: &[Target],
        ce_beta: f64,
    ) -> Result<Contrast> {
        self.check(forest, positive, targets)?;
        self.check(forest, negative, targets)?;
        if targets.is_empty() {
            return Ok(Contrast {
                log_scores: vec![],
                positive_logps: vec![],
                negative_logps: vec![],
            });
        }
        let pattern = Pattern::new(forest);
        let h_p = self.hidden(forest, &pattern, positive, targets)?;
        let h_n = self.hidden(forest, &pattern, negative, targets)?;
        let mixed = ((&h_p * (1.0 + ce_beta))? - (&h_n * ce_beta)?)?;
        let ids = ids(targets);
        Ok(Contrast {
            log_scores: head::token_logps(&mixed, &self.head, &ids)?,
            positive_logps: head::token_logps(&h_p, &self.head, &ids)?,
            negative_logps: head::token_logps(&h_n, &self.head, &ids)?,
        })
    }

    /// Logits `[rows, vocab]` of normed final hidden states; a row's bits do not depend on the other rows.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        crate::ops::linear::forward(hidden, &self.head, None, &[])
    }

    /// Logits `[N, vocab]` of every row of a forest: for tests and small inputs.
    ///
    /// # Errors
    /// As [`Model::score`].
    pub fn forest_logits(&self, forest: &TokenForest, stack: &AdapterStack<'_>) -> Result<Tensor> {
        let every: Vec<Target> = (0..forest.rows() as u32)
            .map(|row| Target { row, id: 0 })
            .collect();
        self.check(forest, stack, &every)?;
        self.logits(&self.hidden(forest, &Pattern::new(forest), stack, &every)?)
    }

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
        self.check(forest, stack, targets)?;
        if targets.is_empty() {
            return Err(Error::Invalid(
                "a training pass needs at least one target".into(),
            ));
        }
        let pattern = Pattern::new(forest);
        let row_keys = options.dropout.map(|key| row_keys(key, forest));
        let call = self.call(forest.positions(), *stack, row_keys.as_deref());
        let mut x = self.embed(forest.ids())?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (y, saved) = block.forward(&call, &pattern, &x)?;
            blocks.push(if options.recompute {
                Kept::Input(x)
            } else {
                Kept::All(Box::new(saved))
            });
            x = y;
        }
        let last = self.select(&x, targets)?;
        let normed = rms_norm::forward(&last, &self.norm.values, self.config.rms_norm_eps)?;
        let (logps, dlogps_dh) = head::token_logps_grad(&normed, &self.head, &ids(targets))?;
        let (targets, forest) = (targets.to_vec(), forest.clone());
        Ok(Pass {
            logps,
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
        let Pass {
            logps,
            dlogps_dh,
            targets,
            normed,
            last,
            mut blocks,
            pattern,
            forest,
            row_keys,
        } = pass;
        if dlogps.len() != logps.len() {
            return Err(Error::Invalid(format!(
                "{} derivatives for {} log-probabilities",
                dlogps.len(),
                logps.len()
            )));
        }
        let upstream = Tensor::from_slice(dlogps, (dlogps.len(), 1), &self.device)?;
        let dnormed = dlogps_dh.broadcast_mul(&upstream)?;
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
        let train_embedding = grads.layout().entry(EMBEDDING).is_some();
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let saved = match blocks.pop() {
                Some(Kept::All(saved)) => *saved,
                Some(Kept::Input(x)) => block.forward(&call, &pattern, &x)?.1,
                None => {
                    return Err(Error::Invalid(
                        "the pass holds fewer blocks than the model".into(),
                    ));
                }
            };
            match block.backward(&call, &pattern, &dx, saved, grads, i > 0 || train_embedding)? {
                Some(next) => dx = next,
                None => return Ok(()),
            }
        }
        if let Some(into) = grads.view_mut(EMBEDDING) {
            self.embedding_grad(&dx, forest.ids(), into)?;
        }
        Ok(())
    }
}

/// Name of the embedding.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of a head that is not tied to the embedding.
const HEAD: &str = "lm_head.weight";

fn ids(targets: &[Target]) -> Vec<u32> {
    targets.iter().map(|t| t.id).collect()
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

fn check_ids(ids: &[u32], vocab: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(id) => Err(Error::Invalid(format!(
            "token id {id} is beyond the model's vocabulary of {vocab}; is the tokenizer for another model?"
        ))),
        None => Ok(()),
    }
}
