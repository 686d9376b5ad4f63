//! The key/value tree for decoding: reference-counted pages of absolute positions, shared by all paths through them.
//!
//! Page `n` of a path holds the positions `n * PAGE ..`. Whole pages are shared between the paths that branch off later; a
//! partial last page is copied when a path is forked. Pages are the tiles in which attention folds its keys, so a path's
//! bits do not depend on where it branched.

use candle_core::Device;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::ops::attention::lanes::{Keys, Tile, TileBuffer};

/// Positions per page; also the tile in which every attention row folds its keys.
pub const PAGE: usize = 32;

/// Keys and values of all layers. Pages are allocated when first used and reused after release.
#[derive(Debug)]
pub struct KvCache {
    layers: usize,
    heads: usize,
    dim: usize,
    max_pages: usize,
    pages: Vec<Page>,
    free: Vec<u32>,
}

/// `[layer][head][keys, transposed: dim * PAGE | values: PAGE * dim]`.
#[derive(Debug)]
struct Page {
    references: u32,
    data: Vec<f32>,
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
    pub fn new(config: &ModelConfig, max_tokens: usize, _device: &Device) -> Self {
        Self {
            layers: config.layers,
            heads: config.kv_heads,
            dim: config.head_dim,
            max_pages: max_tokens.div_ceil(PAGE),
            pages: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Bytes that one token's keys and values take in all layers.
    pub fn bytes_per_token(config: &ModelConfig) -> usize {
        config.layers * config.kv_heads * config.head_dim * 2 * size_of::<f32>()
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
        let mut pages = path.pages.clone();
        if !path.len.is_multiple_of(PAGE) {
            let last = path.len / PAGE;
            let copy = self.allocate()?;
            let from = pages[last] as usize;
            let mut data = std::mem::take(&mut self.pages[copy as usize].data);
            data.copy_from_slice(&self.pages[from].data);
            self.pages[copy as usize].data = data;
            pages[last] = copy;
        }
        for &page in &pages[..path.len / PAGE] {
            self.pages[page as usize].references += 1;
        }
        Ok(KvPath { pages, len: path.len })
    }

    /// Gives a path's pages back; those that no other path holds become free.
    pub fn release(&mut self, path: KvPath) {
        for page in path.pages {
            let references = &mut self.pages[page as usize].references;
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
        self.max_pages - self.pages.len() + self.free.len()
    }

    /// Bytes allocated now.
    pub fn bytes(&self) -> usize {
        self.pages.iter().map(|p| p.data.len() * size_of::<f32>()).sum()
    }

    fn allocate(&mut self) -> Result<u32> {
        let page = if let Some(page) = self.free.pop() {
            page
        } else if self.pages.len() < self.max_pages {
            let floats = self.layers * self.heads * 2 * self.dim * PAGE;
            self.pages.push(Page { references: 0, data: vec![0.0; floats] });
            (self.pages.len() - 1) as u32
        } else {
            return Err(self.full(1));
        };
        self.pages[page as usize].references = 1;
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
        if pages > self.free_pages() { Err(self.full(pages)) } else { Ok(()) }
    }

    /// Lengthens a path by `added` tokens whose keys and values are still to be written.
    pub(crate) fn grow(&mut self, path: &mut KvPath, added: usize) -> Result<()> {
        for _ in 0..Self::pages_needed(path, added) {
            path.pages.push(self.allocate()?);
        }
        path.len += added;
        Ok(())
    }

    fn base(&self, layer: usize, head: usize) -> usize {
        (layer * self.heads + head) * 2 * self.dim * PAGE
    }

    /// Writes the keys and values (`[kv heads * dim]`) of the token at `position` of a path with these `pages`.
    pub(crate) fn write(&mut self, layer: usize, pages: &[u32], position: usize, key: &[f32], value: &[f32]) {
        let (slot, dim) = (position % PAGE, self.dim);
        for head in 0..self.heads {
            let base = self.base(layer, head);
            let data = &mut self.pages[pages[position / PAGE] as usize].data[base..base + 2 * dim * PAGE];
            for (i, k) in key[head * dim..(head + 1) * dim].iter().enumerate() {
                data[i * PAGE + slot] = *k;
            }
            data[dim * PAGE + slot * dim..][..dim].copy_from_slice(&value[head * dim..(head + 1) * dim]);
        }
    }
}

/// The keys of one layer that a packed call's rows see.
pub(crate) struct PagedKeys<'a> {
    pub(crate) cache: &'a KvCache,
    pub(crate) layer: usize,
    /// Position of each row.
    pub(crate) positions: &'a [u32],
    /// Pages of each row's path.
    pub(crate) pages: &'a [&'a [u32]],
}

impl Keys for PagedKeys<'_> {
    fn visible(&self, row: usize) -> usize {
        self.positions[row] as usize + 1
    }

    fn tile_id(&self, row: usize, slot: usize) -> u64 {
        u64::from(self.pages[row][slot])
    }

    fn tile<'a>(&'a self, row: usize, slot: usize, head: usize, _buffer: &'a mut TileBuffer) -> Tile<'a> {
        let (base, half) = (self.cache.base(self.layer, head), self.cache.dim * PAGE);
        let (keys, values) = self.cache.pages[self.pages[row][slot] as usize].data[base..base + 2 * half].split_at(half);
        Tile { keys, values }
    }
}
