//! The key/value tree for decoding: reference-counted pages of absolute positions, shared by all paths through them.
//!
//! Page `n` of a path holds the positions `n * PAGE ..`. Whole pages are shared between the paths that branch off later; a
//! partial last page is copied when a path is forked. Pages are the tiles in which attention folds its keys, so a path's
//! bits do not depend on where it branched.

mod device;
mod host;
mod page;

use candle_core::{Device, Tensor};

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::ops::attention::{Heads, TILE};

pub use page::KvForm;

/// Positions per page: the tile in which every attention row folds its keys.
pub const PAGE: usize = TILE;

/// Keys and values of all layers. Pages are allocated when first used and reused after release.
#[derive(Debug)]
pub struct KvCache {
    max_pages: usize,
    /// Paths that hold each page begun so far.
    references: Vec<u32>,
    free: Vec<u32>,
    store: Store,
}

/// Where the numbers are.
#[derive(Debug)]
enum Store {
    Host(host::HostPages),
    Device(device::DevicePages),
}

/// The rows of one packed decoding call: what each sees, and where its own key and value go.
pub(crate) struct Rows<'a> {
    /// Position of each row.
    pub(crate) positions: &'a [u32],
    /// Pages of each row's path.
    pub(crate) pages: &'a [&'a [u32]],
}

/// A path from the root of the tree: the tokens that a sequence's next token attends to. Give it back with
/// [`KvCache::release`]; a path that is merely dropped keeps its pages occupied.
#[derive(Debug, Default)]
pub struct KvPath {
    pages: Vec<u32>,
    len: usize,
}

impl KvPath {
    /// Tokens on the path.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True at the root.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn pages(&self) -> &[u32] {
        &self.pages
    }
}

impl KvCache {
    /// A cache for at most `max_tokens` tokens, rounded up to whole pages. Nothing is allocated yet.
    pub fn new(config: &ModelConfig, max_tokens: usize, device: &Device) -> Self {
        Self::with_form(config, max_tokens, device, KvForm::F32)
    }

    /// As [`KvCache::new`], with numbers held in `form` on the CPU.
    pub fn with_form(
        config: &ModelConfig,
        max_tokens: usize,
        device: &Device,
        form: KvForm,
    ) -> Self {
        if device.is_cpu() {
            Self::with_store(max_tokens, Store::Host(host::HostPages::new(config, form)))
        } else {
            Self::composed(config, max_tokens, device)
        }
    }

    /// A cache of tensors, for devices other than the CPU (and, in tests, for that too).
    pub(crate) fn composed(config: &ModelConfig, max_tokens: usize, device: &Device) -> Self {
        Self::with_store(
            max_tokens,
            Store::Device(device::DevicePages::new(config, device)),
        )
    }

    fn with_store(max_tokens: usize, store: Store) -> Self {
        Self {
            max_pages: max_tokens.div_ceil(PAGE),
            references: Vec::new(),
            free: Vec::new(),
            store,
        }
    }

    /// Bytes that one token's keys and values take in all layers.
    pub fn bytes_per_token(config: &ModelConfig, form: KvForm) -> usize {
        config.layers * config.kv_heads * config.head_dim * 2 * form.bytes()
    }

    /// How it holds numbers on the CPU.
    pub fn form(&self) -> KvForm {
        match &self.store {
            Store::Host(store) => store.form(),
            Store::Device(_) => KvForm::F32,
        }
    }

    /// Bytes of one page in host memory.
    #[cfg(test)]
    pub(crate) fn page_bytes(config: &ModelConfig) -> usize {
        host::HostPages::new(config, KvForm::F32).page_bytes()
    }

    /// An empty path.
    pub fn root(&self) -> KvPath {
        KvPath::default()
    }

    /// A second path with the same tokens; whole pages are shared, a partial last page is copied.
    ///
    /// # Errors
    /// If a page is needed and none is free.
    pub fn fork(&mut self, path: &KvPath) -> Result<KvPath> {
        self.fork_at(path, path.len)
    }

    /// A second path with the first `len` tokens of `path`, sharing pages as [`KvCache::fork`] does.
    ///
    /// # Errors
    /// If the path is shorter, or a page is needed and none is free.
    pub fn fork_at(&mut self, path: &KvPath, len: usize) -> Result<KvPath> {
        if len > path.len {
            return Err(Error::Invalid(format!(
                "a branch after {len} tokens cannot leave a path of {}",
                path.len
            )));
        }
        let mut pages = path.pages[..len.div_ceil(PAGE)].to_vec();
        if !len.is_multiple_of(PAGE) {
            let last = len / PAGE;
            let copy = self.allocate()?;
            match &mut self.store {
                Store::Host(store) => store.copy(pages[last], copy),
                Store::Device(store) => store.copy(pages[last], copy)?,
            }
            pages[last] = copy;
        }
        for &page in &pages[..len / PAGE] {
            self.references[page as usize] += 1;
        }
        Ok(KvPath { pages, len })
    }

    /// Gives a path's pages back; those that no other path holds become free.
    pub fn release(&mut self, path: KvPath) {
        for page in path.pages {
            let references = &mut self.references[page as usize];
            *references -= 1;
            if *references == 0 {
                self.free.push(page);
            }
        }
    }

    /// Tokens that fit in all.
    pub fn capacity(&self) -> usize {
        self.max_pages * PAGE
    }

    /// Tokens that still fit, counted in free pages. A fork takes at most one page, an extension one per page begun.
    pub fn free_tokens(&self) -> usize {
        self.free_pages() * PAGE
    }

    fn free_pages(&self) -> usize {
        self.max_pages - self.references.len() + self.free.len()
    }

    fn allocate(&mut self) -> Result<u32> {
        let page = if let Some(page) = self.free.pop() {
            page
        } else if self.references.len() < self.max_pages {
            self.references.push(0);
            match &mut self.store {
                Store::Host(store) => store.add(),
                Store::Device(store) => store.add(self.references.len(), self.max_pages)?,
            }
            (self.references.len() - 1) as u32
        } else {
            return Err(self.full(1));
        };
        self.references[page as usize] = 1;
        Ok(page)
    }

    fn full(&self, pages: usize) -> Error {
        Error::Context(format!(
            "the key/value cache of {} tokens is full ({pages} more pages of {PAGE} tokens needed, {} free); give it more \
             memory or sample fewer sequences at a time",
            self.capacity(),
            self.free_pages()
        ))
    }

    /// Pages that `added` tokens on `path` begin.
    pub(crate) fn pages_needed(path: &KvPath, added: usize) -> usize {
        (path.len + added).div_ceil(PAGE) - path.pages.len()
    }

    /// Fails if `pages` more pages do not fit.
    pub(crate) fn check_free(&self, pages: usize) -> Result<()> {
        if pages > self.free_pages() {
            Err(self.full(pages))
        } else {
            Ok(())
        }
    }

    /// Lengthens a path by `added` tokens whose keys and values are still to be written.
    pub(crate) fn grow(&mut self, path: &mut KvPath, added: usize) -> Result<()> {
        for _ in 0..Self::pages_needed(path, added) {
            path.pages.push(self.allocate()?);
        }
        path.len += added;
        Ok(())
    }

    /// Writes the rows' keys and values (`[N, kv heads * dim]`) of one layer, then lets every row attend to its path:
    /// `[N, query heads * dim]`.
    pub(crate) fn attend(
        &mut self,
        layer: usize,
        rows: &Rows<'_>,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        heads: Heads,
    ) -> Result<Tensor> {
        match &mut self.store {
            Store::Host(store) => store.attend(layer, rows, q, k, v, heads),
            Store::Device(store) => store.attend(layer, rows, q, k, v, heads),
        }
    }
}

#[cfg(test)]
mod tests;
