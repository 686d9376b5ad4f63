//! The model: embedding, blocks, final norm and head over a token forest.

mod decode;
mod parameters;
mod train;

use candle_core::{Device, Tensor};

use crate::adapter::AdapterStack;
use crate::block::description::BlockDescription;
use crate::block::{Block, Call};
use crate::config::{ModelConfig, RopeScaling};
use crate::error::{Error, Result};
use crate::forest::{Target, TokenForest};
use crate::inventory::{Loader, Place};
use crate::ops::attention::{Heads, Pattern};
use crate::ops::rotary::Rotary;
use crate::ops::{head, linear, rms_norm};
use crate::source::TensorSource;
use crate::weight::{Vector, Weight, WeightOptions};

use decode::Attached;
pub use decode::Extend;
pub use train::{Pass, Recompute, TrainOptions};

/// A LLaMA-family model on one device.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    device: Device,
    embedding: Weight,
    blocks: Vec<Block>,
    norm: Vector,
    head: Weight,
    rotary: Rotary,
    /// The adapter that decoding adds to the base.
    attached: Option<Attached>,
}

/// Eq. 1 per target: contrast scores of a positive against a negative model.
#[derive(Debug, Clone)]
pub struct Contrast {
    /// `log s_t` of the judged targets.
    pub log_scores: Vec<f32>,
    /// `log P_p(y_t | x, y_<t)`.
    pub positive_logps: Vec<f32>,
    /// `log P_n(y_t | x, y_<t)`.
    pub negative_logps: Vec<f32>,
    /// Where each judged `y_t` stands under P_p: its rank, and the three best other tokens.
    pub positive_standings: Vec<head::Standing>,
}

/// How many of the positive model's best other tokens [`Model::contrast_scores`] tells of each target.
pub(crate) const ALTERNATIVES: usize = 3;

impl Model {
    /// Reads all weights, as f32. Where the configuration ties the head to the embedding and the files hold another head, the head is the
    /// files', as in `transformers` 5, and [`Model::config`] says that they are not tied.
    ///
    /// # Errors
    /// If a tensor is missing, has the wrong shape or holds values that are not finite.
    pub fn load(config: &ModelConfig, source: &dyn TensorSource, device: &Device) -> Result<Self> {
        Self::load_as(config, source, device, WeightOptions::default())
    }

    /// As [`Model::load`], with matrices held and multiplied by as `options` say.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_as(
        config: &ModelConfig,
        source: &dyn TensorSource,
        device: &Device,
        options: impl Into<WeightOptions>,
    ) -> Result<Self> {
        let options = options.into();
        let loader = Loader::new(config, source, device, options);
        let activation = BlockDescription::of(config).activation;
        let embedding = loader.weight(Place::Embedding)?;
        let mut config = config.clone();
        let head = match own_head(&config, source, device, options, &embedding)? {
            Some(own) => {
                config.tie_embeddings = false;
                own
            }
            None if config.tie_embeddings => embedding.tied()?,
            None => loader.weight(Place::Head)?,
        };
        let model = Self {
            blocks: (0..config.layers)
                .map(|layer| Block::load(&loader, activation, layer))
                .collect::<Result<_>>()?,
            norm: loader.vector(Place::FinalNorm)?,
            rotary: Rotary::new(&config, config.max_positions),
            config,
            device: device.clone(),
            embedding,
            head,
            attached: None,
        };
        source.release();
        Ok(model)
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
            return Err(self.too_long(p as usize + 1));
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

    /// The error for a sequence of so many tokens.
    fn too_long(&self, tokens: usize) -> Error {
        let note = match self.config.rope_scaling {
            RopeScaling::Dynamic { .. } => {
                "; beyond it, rope scaling of type dynamic changes every token's frequencies with the length, which is not supported"
            }
            _ => "",
        };
        Error::Context(format!(
            "a sequence of {tokens} tokens is longer than the model's context of {}{note}",
            self.config.max_positions
        ))
    }

    /// Rows of the embedding, which may be an adapter's.
    fn embed(&self, stack: &AdapterStack<'_>, ids: &[u32]) -> Result<Tensor> {
        match stack.embedding() {
            Some(embedding) => {
                let ids = Tensor::from_slice(ids, ids.len(), &self.device)?;
                Ok(embedding.index_select(&ids, 0)?)
            }
            None => self.embedding.rows(ids),
        }
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
        let mut x = self.embed(stack, forest.ids())?;
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
        let own = stack.head(&self.head)?;
        head::token_logps(&hidden, own.as_ref().unwrap_or(&self.head), &ids(targets))
    }

    /// Eq. 1 of Lin et al. 2025 for each target: `log s_t`, the log-softmax of `(1 + beta) z_p - beta z_n` at the token,
    /// with both models' own log-probabilities. One head serves both models, so the contrast is formed on hidden states.
    ///
    /// Only the first `judged` targets get scores and standings; of the others the models' log-probabilities are all that is asked.
    ///
    /// # Errors
    /// As [`Model::score`]; also if there are fewer targets than `judged`.
    pub fn contrast_scores(
        &self,
        forest: &TokenForest,
        positive: &AdapterStack<'_>,
        negative: &AdapterStack<'_>,
        targets: &[Target],
        judged: usize,
        ce_beta: f64,
    ) -> Result<Contrast> {
        self.check(forest, positive, targets)?;
        self.check(forest, negative, targets)?;
        if positive.changes_ends() || negative.changes_ends() {
            return Err(Error::Adapter(
                "contrast scores are of adapters on one head; one that changes lm_head or embed_tokens cannot be compared".into(),
            ));
        }
        if judged > targets.len() {
            return Err(Error::Invalid(format!(
                "{judged} of {} targets are to be judged",
                targets.len()
            )));
        }
        if targets.is_empty() {
            return Ok(Contrast {
                log_scores: vec![],
                positive_logps: vec![],
                negative_logps: vec![],
                positive_standings: vec![],
            });
        }
        let pattern = Pattern::new(forest);
        let h_p = self.hidden(forest, &pattern, positive, targets)?;
        let h_n = self.hidden(forest, &pattern, negative, targets)?;
        let ids = ids(targets);
        let judged_p = h_p.narrow(0, 0, judged)?;
        let mixed = ((&judged_p * (1.0 + ce_beta))? - (h_n.narrow(0, 0, judged)? * ce_beta)?)?;
        let (mut positive_logps, positive_standings) =
            head::token_standings(&judged_p, &self.head, &ids[..judged], ALTERNATIVES)?;
        let others = h_p.narrow(0, judged, ids.len() - judged)?;
        positive_logps.extend(head::token_logps(&others, &self.head, &ids[judged..])?);
        Ok(Contrast {
            log_scores: head::token_logps(&mixed, &self.head, &ids[..judged])?,
            positive_logps,
            positive_standings,
            negative_logps: head::token_logps(&h_n, &self.head, &ids)?,
        })
    }

    /// Logits `[rows, vocab]` of normed final hidden states of decoding steps; a row's bits do not depend on the other rows.
    ///
    /// # Errors
    /// If the shapes do not match.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let Some(attached) = &self.attached else {
            return linear::forward(hidden, &self.head, None, &[]);
        };
        let adapters = [&attached.adapter];
        let pairs = AdapterStack::frozen(&adapters).head_pairs();
        let head = attached.head.as_ref().unwrap_or(&self.head);
        linear::forward(hidden, head, None, &pairs)
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
        let hidden = self.hidden(forest, &Pattern::new(forest), stack, &every)?;
        let own = stack.replaced_head()?;
        let head = own.as_ref().unwrap_or(&self.head);
        linear::forward(&hidden, head, None, &stack.head_pairs())
    }
}

/// The files' own head where the configuration has none and theirs is not the embedding.
pub(crate) fn own_head(
    config: &ModelConfig,
    source: &dyn TensorSource,
    device: &Device,
    options: WeightOptions,
    embedding: &Weight,
) -> Result<Option<Weight>> {
    if !config.tie_embeddings || !source.contains(&Place::Head.hf_name()) {
        return Ok(None);
    }
    let untied = ModelConfig {
        tie_embeddings: false,
        ..config.clone()
    };
    let head = Loader::new(&untied, source, device, options).weight(Place::Head)?;
    // As values, some rows at a time: the files may hold them in two encodings.
    let ids: Vec<u32> = (0..config.vocab_size as u32).collect();
    for ids in ids.chunks(1024) {
        let rows = |weight: &Weight| {
            weight
                .rows(ids)?
                .flatten_all()?
                .to_vec1::<f32>()
                .map_err(Error::from)
        };
        if rows(&head)? != rows(embedding)? {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn ids(targets: &[Target]) -> Vec<u32> {
    targets.iter().map(|t| t.id).collect()
}

fn check_ids(ids: &[u32], vocab: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(id) => Err(Error::Invalid(format!(
            "token id {id} is beyond the model's vocabulary of {vocab}; is the tokenizer for another model?"
        ))),
        None => Ok(()),
    }
}
