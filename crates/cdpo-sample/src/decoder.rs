//! What the scheduler asks of a model: paths of a key/value tree that can be forked, extended and released, and logits.
//! One implementation drives the real engine, another is a fake model whose next-token distribution is a hash.

use crate::error::Result;

/// Most prompt tokens computed in one step (a longer prompt takes several), so that activations stay small.
pub(crate) const PREFILL: usize = 1024;

/// Tokens to append to one path.
pub(crate) struct PathStep<'a, P> {
    pub(crate) path: &'a mut P,
    pub(crate) ids: &'a [u32],
}

/// A model with a key/value cache in pages of [`Decoder::page`] positions. Whole pages are shared between forks; a partial
/// last page is copied when a path is forked.
pub(crate) trait Decoder {
    /// A path from the root of the tree.
    type Path: Send;

    /// Positions per page.
    fn page(&self) -> usize;
    /// Pages in all.
    fn total_pages(&self) -> usize;
    /// Pages not in use.
    fn free_pages(&self) -> usize;
    /// Longest sequence.
    fn max_positions(&self) -> usize;
    /// Number of token ids, which is the width of the logits.
    fn vocabulary(&self) -> usize;
    /// How many of them, from the first on, may be drawn: those after them pad the vocabulary and stand for no text.
    fn tokens(&self) -> usize;
    /// The bytes a token stands for.
    fn piece(&self, id: u32) -> Result<Vec<u8>>;

    /// The empty path.
    fn root(&mut self) -> Self::Path;
    /// Tokens on a path.
    fn length(path: &Self::Path) -> usize;
    /// A second path with the first `length` tokens; takes [`fork_pages`] pages.
    fn fork_at(&mut self, path: &Self::Path, length: usize) -> Result<Self::Path>;
    /// A second path with the same tokens; takes [`fork_pages`] pages.
    fn fork(&mut self, path: &Self::Path) -> Result<Self::Path> {
        self.fork_at(path, Self::length(path))
    }
    /// Gives a path's pages back.
    fn release(&mut self, path: Self::Path);
    /// Appends tokens to every step's path, [`extend_pages`] pages each, and hands the logits (`[rows, vocabulary]`) that
    /// follow the last token of the steps named in `rows` to `read`, which is not called if there are none.
    fn step(
        &mut self,
        steps: &mut [PathStep<'_, Self::Path>],
        rows: &[usize],
        read: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()>;
    /// Appends tokens to one path and hands the logits (`[rows, vocabulary]`) that follow each of them to `read`, in order, some
    /// rows at a time.
    fn step_each(
        &mut self,
        path: &mut Self::Path,
        ids: &[u32],
        read: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()>;
}

/// Appends prompt tokens to a path, [`PREFILL`] at a time; `done` is told of each part's length.
pub(crate) fn prefill<D: Decoder>(
    decoder: &mut D,
    path: &mut D::Path,
    ids: &[u32],
    done: &mut dyn FnMut(usize),
) -> Result<()> {
    for ids in ids.chunks(PREFILL) {
        let step = PathStep {
            path: &mut *path,
            ids,
        };
        decoder.step(&mut [step], &[], &mut |_| Ok(()))?;
        done(ids.len());
    }
    Ok(())
}

/// Pages that a fork of a path of `length` tokens takes.
pub(crate) fn fork_pages(page: usize, length: usize) -> usize {
    usize::from(!length.is_multiple_of(page))
}

/// Pages that `added` more tokens on an unshared path of `length` tokens take.
pub(crate) fn extend_pages(page: usize, length: usize, added: usize) -> usize {
    (length + added).div_ceil(page) - length.div_ceil(page)
}

/// Pages that a branch of `added` tokens off a path of `length` tokens takes.
pub(crate) fn branch_pages(page: usize, length: usize, added: usize) -> usize {
    fork_pages(page, length) + extend_pages(page, length, added)
}
