//! Decoding: appending tokens to paths of the key/value tree.
//!
//! Every operation on the way computes a row from that row's operands alone and in one order, so the hidden state of a
//! token has the same bits from a prefill, a single step or any branch point, in any company, on any number of threads.

use candle_core::Tensor;

use super::{Model, check_ids};
use crate::adapter::{Adapter, AdapterStack};
use crate::block::Block;
use crate::error::{Error, Result};
use crate::kv::{KvCache, KvPath, Rows};
use crate::ops::rms_norm;
use crate::weight::Weight;

/// Tokens to append to one path.
#[derive(Debug)]
pub struct Extend<'a> {
    /// The path that grows.
    pub path: &'a mut KvPath,
    /// At least one token.
    pub ids: &'a [u32],
}

/// What decoding adds to the base.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) adapter: Adapter,
    /// The head, if the adapter brings one.
    pub(super) head: Option<Weight>,
}

impl Model {
    /// Adds an adapter to every later decoding step, in place of one that was attached before. The weights stay as they are: the
    /// base's product and the low-rank one are summed in f32, so that nothing is rounded to the grid that the weights lie on.
    ///
    /// # Errors
    /// If the adapter does not fit the model.
    pub fn attach(&mut self, adapter: Adapter) -> Result<()> {
        let adapters = [&adapter];
        let stack = AdapterStack::frozen(&adapters);
        stack.check(&self.config)?;
        let head = stack.replaced_head()?;
        self.attached = Some(Attached { adapter, head });
        Ok(())
    }

    /// Packs every weight for decoding (see [`crate::weight::Weight::pack`]).
    ///
    /// # Errors
    /// If a weight's dense form is gone.
    pub fn pack(&mut self, keep_dense: bool) -> Result<()> {
        for weight in self.blocks.iter_mut().flat_map(Block::weights_mut) {
            weight.pack(keep_dense)?;
        }
        match &mut self.attached {
            Some(Attached {
                head: Some(own), ..
            }) => own.pack(keep_dense),
            _ => self.head.pack(keep_dense),
        }
    }

    /// Whether every weight is packed, without which [`Model::extend`]'s rows may depend on the batch. Off the CPU there is
    /// nothing to pack.
    pub fn is_packed(&self) -> bool {
        if !self.device.is_cpu() {
            return true;
        }
        self.blocks
            .iter()
            .flat_map(Block::weights)
            .chain(match &self.attached {
                Some(Attached {
                    head: Some(own), ..
                }) => [own],
                _ => [&self.head],
            })
            .all(Weight::is_packed)
    }

    /// Appends tokens to paths; returns the normed final hidden state of each step's last token, `[steps, hidden]`, in the
    /// order of the steps.
    ///
    /// # Errors
    /// If a step has no token, the cache is too full, or a path would pass the model's context; no path has grown then.
    pub fn extend(&self, cache: &mut KvCache, steps: &mut [Extend<'_>]) -> Result<Tensor> {
        let (x, last) = self.append(cache, steps)?;
        let rows = Tensor::from_vec(last, steps.len(), &self.device)?;
        self.decoded(&x.index_select(&rows, 0)?)
    }

    /// Appends tokens to one path; returns the normed final hidden state of each of them, `[ids, hidden]`: the same bits as
    /// appending them one by one.
    ///
    /// # Errors
    /// As [`Model::extend`].
    pub fn extend_each(
        &self,
        cache: &mut KvCache,
        path: &mut KvPath,
        ids: &[u32],
    ) -> Result<Tensor> {
        let (x, _) = self.append(cache, &mut [Extend { path, ids }])?;
        self.decoded(&x)
    }

    fn decoded(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm::forward(x, &self.norm.values, self.config.rms_norm_eps)
    }

    /// The last block's output for all appended tokens, and the row of each step's last one.
    fn append(&self, cache: &mut KvCache, steps: &mut [Extend<'_>]) -> Result<(Tensor, Vec<u32>)> {
        self.grow(cache, steps)?;
        // Paths that share pages stand together, so that their rows fold a page in one product.
        let mut order: Vec<usize> = (0..steps.len()).collect();
        order.sort_by(|&a, &b| steps[a].path.pages().cmp(steps[b].path.pages()));
        let (mut ids, mut positions, mut pages) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = vec![0u32; steps.len()];
        for &i in &order {
            let step = &steps[i];
            let end = step.path.len();
            ids.extend_from_slice(step.ids);
            positions.extend((end - step.ids.len()..end).map(|p| p as u32));
            pages.resize(ids.len(), step.path.pages());
            last[i] = ids.len() as u32 - 1;
        }
        let adapters: Vec<&Adapter> = self.attached.iter().map(|a| &a.adapter).collect();
        let call = self.call(&positions, AdapterStack::frozen(&adapters), None);
        let rows = Rows {
            positions: &positions,
            pages: &pages,
        };
        let mut x = self.embed(&call.stack, &ids)?;
        for block in &self.blocks {
            let (q, k, v) = block.qkv(&call, &x)?;
            let attended = cache.attend(block.layer, &rows, &q, &k, &v, call.heads)?;
            x = block.output(&call, &x, &attended)?;
        }
        Ok((x, last))
    }

    /// Checks all steps, then lengthens all paths.
    fn grow(&self, cache: &mut KvCache, steps: &mut [Extend<'_>]) -> Result<()> {
        let mut pages = 0;
        for step in steps.iter() {
            if step.ids.is_empty() {
                return Err(Error::Invalid("a step appends no token".into()));
            }
            check_ids(step.ids, self.config.vocab_size)?;
            let len = step.path.len() + step.ids.len();
            if len > self.config.max_positions {
                return Err(self.too_long(len));
            }
            pages += KvCache::pages_needed(step.path, step.ids.len());
        }
        cache.check_free(pages)?;
        for step in steps.iter_mut() {
            cache.grow(step.path, step.ids.len())?;
        }
        Ok(())
    }
}
