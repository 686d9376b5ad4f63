//! Sampling with the model in this process.

use std::ops::ControlFlow;

use candle_core::{CpuStorage, Storage, Tensor};
use cdpo_model::kv::PAGE;
use cdpo_model::{Extend, KvCache, KvForm, KvPath, Model, Tokenizer};

use crate::decoder::{Decoder, PathStep};
use crate::error::{Error, Result};
use crate::params::SampleParams;
use crate::sampler::{Observer, Request, Sampler, Sink};
use crate::schedule::{Prefix, Scheduler, Settings};

/// Sequences decoded together, unless told otherwise.
const MAX_BATCH: usize = 64;

/// Logits handed out at once where every appended token's are wanted: 64 MiB of them.
const LOGITS: usize = 16 << 20;

/// Memory for keys and values, unless told otherwise: 2 GiB. Pages are allocated as they are used.
const CACHE_BYTES: usize = 2 << 30;

/// The sampler on a [`Model`]'s own decoding engine.
///
/// The model must be packed first ([`Model::pack`]): without that its rows may depend on the batch, and the samples with
/// them, so sampling from it is refused.
///
/// A shared prefix stays in the cache between calls until its pages are needed. A call that fails or is ended by a
/// callback empties the cache.
#[derive(Debug)]
pub struct LocalSampler<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    eos: Vec<u32>,
    max_batch: usize,
    max_cache_tokens: usize,
    kept: Option<CachedPrefixes>,
}

/// The cache and the prefixes in it.
struct CachedPrefixes {
    cache: KvCache,
    prefixes: Vec<Prefix<KvPath>>,
}

impl std::fmt::Debug for CachedPrefixes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedPrefixes")
            .field("cache", &self.cache)
            .field("prefixes", &self.prefixes.len())
            .finish()
    }
}

impl<'a> LocalSampler<'a> {
    /// A sampler that decodes 64 sequences at a time with 2 GiB of keys and values at most, and ends a response at any end
    /// token that the model's configuration or its tokenizer names.
    pub fn new(model: &'a Model, tokenizer: &'a Tokenizer) -> Self {
        let mut eos: Vec<u32> = model
            .config()
            .eos
            .iter()
            .chain(tokenizer.eos())
            .copied()
            .collect();
        eos.sort_unstable();
        eos.dedup();
        let max_cache_tokens =
            CACHE_BYTES / KvCache::bytes_per_token(model.config(), KvForm::F32).max(1);
        Self {
            model,
            tokenizer,
            eos,
            max_batch: MAX_BATCH,
            max_cache_tokens,
            kept: None,
        }
    }

    /// Sets how many sequences are decoded together (at least 1).
    #[must_use]
    pub fn with_max_batch(mut self, max_batch: usize) -> Self {
        self.max_batch = max_batch.max(1);
        self
    }

    /// Sets how many tokens' keys and values are held at most; shared tokens count once, in whole pages.
    #[must_use]
    pub fn with_max_cache_tokens(mut self, max_cache_tokens: usize) -> Self {
        self.max_cache_tokens = max_cache_tokens;
        self.kept = None;
        self
    }

    /// Sets the tokens that end a response.
    #[must_use]
    pub fn with_eos(mut self, eos: Vec<u32>) -> Self {
        self.eos = eos;
        self
    }

    /// The tokens that end a response.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// Sequences decoded together at most.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// The model and its tokenizer.
    pub(crate) fn parts(&self) -> (&'a Model, &'a Tokenizer) {
        (self.model, self.tokenizer)
    }

    /// An empty cache.
    pub(crate) fn new_cache(&self, kv: KvForm) -> KvCache {
        KvCache::with_form(
            self.model.config(),
            self.max_cache_tokens,
            self.model.device(),
            kv,
        )
    }
}

impl Sampler for LocalSampler<'_> {
    fn sample(
        &mut self,
        requests: &[Request],
        params: &SampleParams,
        sink: &mut Sink<'_>,
        progress: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>> {
        if !self.model.is_packed() {
            return Err(Error::NotPacked);
        }
        let kept = self.kept.take();
        let kept = kept.filter(|kept| kept.cache.form() == params.kv.on(self.model.device()));
        let CachedPrefixes {
            cache,
            mut prefixes,
        } = kept.unwrap_or_else(|| CachedPrefixes {
            cache: self.new_cache(params.kv),
            prefixes: Vec::new(),
        });
        let mut decoder = Local {
            model: self.model,
            tokenizer: self.tokenizer,
            cache,
        };
        let settings = Settings {
            params,
            eos: &self.eos,
            max_batch: self.max_batch,
        };
        let ended =
            Scheduler::new(&mut decoder, &mut prefixes, requests, settings)?.run(sink, progress)?;
        if ended.is_continue() {
            self.kept = Some(CachedPrefixes {
                cache: decoder.cache,
                prefixes,
            });
        }
        Ok(ended)
    }
}

/// A model, its tokenizer and its cache as a [`Decoder`].
pub(crate) struct Local<'a> {
    pub(crate) model: &'a Model,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) cache: KvCache,
}

impl Decoder for Local<'_> {
    type Path = KvPath;

    fn page(&self) -> usize {
        PAGE
    }

    fn total_pages(&self) -> usize {
        self.cache.capacity() / PAGE
    }

    fn free_pages(&self) -> usize {
        self.cache.free_tokens() / PAGE
    }

    fn max_positions(&self) -> usize {
        self.model.config().max_positions
    }

    fn vocabulary(&self) -> usize {
        self.model.config().vocab_size
    }

    /// Those that the tokenizer knows. An end token that the model's configuration names beyond it is a padding row like the others.
    fn tokens(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    fn piece(&self, id: u32) -> Result<Vec<u8>> {
        Ok(self.tokenizer.token_bytes(id)?)
    }

    fn root(&mut self) -> KvPath {
        self.cache.root()
    }

    fn length(path: &KvPath) -> usize {
        path.len()
    }

    fn fork_at(&mut self, path: &KvPath, length: usize) -> Result<KvPath> {
        Ok(self.cache.fork_at(path, length)?)
    }

    fn release(&mut self, path: KvPath) {
        self.cache.release(path);
    }

    fn step(
        &mut self,
        steps: &mut [PathStep<'_, KvPath>],
        rows: &[usize],
        read: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let count = steps.len();
        let mut steps: Vec<Extend<'_>> = steps
            .iter_mut()
            .map(|step| Extend {
                path: &mut *step.path,
                ids: step.ids,
            })
            .collect();
        let hidden = self.model.extend(&mut self.cache, &mut steps)?;
        if rows.is_empty() {
            return Ok(());
        }
        let hidden = if rows.len() == count {
            hidden
        } else {
            let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            let rows = Tensor::new(rows, hidden.device())?;
            hidden.index_select(&rows, 0)?
        };
        read_host(&self.model.logits(&hidden)?, read)
    }

    fn step_each(
        &mut self,
        path: &mut KvPath,
        ids: &[u32],
        read: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let hidden = self.model.extend_each(&mut self.cache, path, ids)?;
        let rows = (LOGITS / self.vocabulary()).max(1);
        for first in (0..ids.len()).step_by(rows) {
            let hidden = hidden.narrow(0, first, rows.min(ids.len() - first))?;
            read_host(&self.model.logits(&hidden)?, read)?;
        }
        Ok(())
    }
}

/// Hands a tensor's values to `read`, without a copy if they lie whole in host memory.
fn read_host(values: &Tensor, read: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
    let (storage, layout) = values.storage_and_layout();
    if let (Storage::Cpu(CpuStorage::F32(data)), Some((start, end))) =
        (&*storage, layout.contiguous_offsets())
    {
        return read(&data[start..end]);
    }
    drop(storage);
    read(&values.flatten_all()?.to_vec1::<f32>()?)
}
