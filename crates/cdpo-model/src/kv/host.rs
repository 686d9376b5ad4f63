//! Pages in host memory, in the layout that the attention kernels read.

use candle_core::Tensor;

use super::page::{KvForm, Page};
use super::{PAGE, Rows};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::attention::Heads;
use crate::ops::attention::lanes::{Keys, Tile, TileBuffer, attend};
use crate::ops::host::{HostSlice, contiguous, tensor};

/// Rows that fold their keys together at most.
const ROWS: usize = 32;

/// All pages, each `[layer][head][keys, transposed: dim * PAGE | values: PAGE * dim]`.
#[derive(Debug)]
pub(super) struct HostPages {
    heads: usize,
    dim: usize,
    floats: usize,
    form: KvForm,
    pages: Vec<Page>,
}

impl HostPages {
    pub(super) fn new(config: &ModelConfig, form: KvForm) -> Self {
        let (heads, dim) = (config.kv_heads, config.head_dim);
        Self {
            heads,
            dim,
            floats: config.layers * heads * 2 * dim * PAGE,
            form,
            pages: Vec::new(),
        }
    }

    pub(super) fn form(&self) -> KvForm {
        self.form
    }

    /// Bytes of a page.
    #[cfg(test)]
    pub(super) fn page_bytes(&self) -> usize {
        self.floats * self.form.bytes()
    }

    /// One more page.
    pub(super) fn add(&mut self) {
        self.pages.push(Page::zeros(self.form, self.floats));
    }

    pub(super) fn copy(&mut self, from: u32, to: u32) {
        if let Ok([from, to]) = self.pages.get_disjoint_mut([from as usize, to as usize]) {
            to.copy_from(from);
        }
    }

    fn base(&self, layer: usize, head: usize) -> usize {
        (layer * self.heads + head) * 2 * self.dim * PAGE
    }

    /// Writes the key and value (`[kv heads * dim]`) of the token at `position` of a path with these `pages`.
    fn write(&mut self, layer: usize, pages: &[u32], position: usize, key: &[f32], value: &[f32]) {
        let (slot, dim) = (position % PAGE, self.dim);
        for head in 0..self.heads {
            let base = self.base(layer, head);
            let page = &mut self.pages[pages[position / PAGE] as usize];
            page.write(base + slot, PAGE, &key[head * dim..][..dim]);
            page.write(
                base + dim * PAGE + slot * dim,
                1,
                &value[head * dim..][..dim],
            );
        }
    }

    pub(super) fn attend(
        &mut self,
        layer: usize,
        rows: &Rows<'_>,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        heads: Heads,
    ) -> Result<Tensor> {
        let count = rows.positions.len();
        let narrow = heads.kv * heads.dim;
        let (q, k, v) = (contiguous(q)?, contiguous(k)?, contiguous(v)?);
        let (q, k, v) = (
            HostSlice::new(&q)?,
            HostSlice::new(&k)?,
            HostSlice::new(&v)?,
        );
        for (row, (key, value)) in k
            .chunks_exact(narrow)
            .zip(v.chunks_exact(narrow))
            .enumerate()
        {
            self.write(
                layer,
                rows.pages[row],
                rows.positions[row] as usize,
                key,
                value,
            );
        }
        let size = count.div_ceil(rayon::current_num_threads()).clamp(1, ROWS);
        let runs: Vec<(usize, usize)> = (0..count)
            .step_by(size)
            .map(|first| (first, size.min(count - first)))
            .collect();
        let (attended, _) = attend(
            heads,
            &q,
            &PagedKeys {
                store: self,
                layer,
                rows,
            },
            &runs,
        );
        tensor(attended, (count, heads.query * heads.dim))
    }
}

/// The keys of one layer that a packed call's rows see.
struct PagedKeys<'a> {
    store: &'a HostPages,
    layer: usize,
    rows: &'a Rows<'a>,
}

impl Keys for PagedKeys<'_> {
    fn visible(&self, row: usize) -> usize {
        self.rows.positions[row] as usize + 1
    }

    fn tile_id(&self, row: usize, slot: usize) -> u64 {
        u64::from(self.rows.pages[row][slot])
    }

    fn tile<'a>(
        &'a self,
        row: usize,
        slot: usize,
        head: usize,
        buffer: &'a mut TileBuffer,
    ) -> Tile<'a> {
        let (base, half) = (self.store.base(self.layer, head), self.store.dim * PAGE);
        let page = &self.store.pages[self.rows.pages[row][slot] as usize];
        let keys = page.read(base, half, &mut buffer.keys);
        let values = page.read(base + half, half, &mut buffer.values);
        Tile { keys, values }
    }
}
