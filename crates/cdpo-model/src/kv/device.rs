//! Pages as tensors on any device: one `[pages * PAGE, kv heads * dim]` pool of keys and one of values per layer.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::{PAGE, Rows};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::attention::{self, Heads};

/// The pools. They grow by doubling.
#[derive(Debug)]
pub(super) struct DevicePages {
    device: Device,
    width: usize,
    pages: usize,
    layers: Vec<[Tensor; 2]>,
    count: usize,
}

impl DevicePages {
    pub(super) fn new(config: &ModelConfig, device: &Device) -> Self {
        let width = config.kv_heads * config.head_dim;
        Self {
            device: device.clone(),
            width,
            pages: 0,
            layers: Vec::new(),
            count: config.layers,
        }
    }

    /// Lengthens the pools to `needed` pages, of at most `most` ever.
    pub(super) fn add(&mut self, needed: usize, most: usize) -> Result<()> {
        if needed <= self.pages {
            return Ok(());
        }
        let pages = needed.next_power_of_two().clamp(needed, most.max(needed));
        let blank = || Tensor::zeros((pages * PAGE, self.width), DType::F32, &self.device);
        let mut grown = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            grown.push([blank()?, blank()?]);
        }
        for (new, old) in grown.iter().flatten().zip(self.layers.iter().flatten()) {
            new.slice_set(old, 0, 0)?;
        }
        (self.layers, self.pages) = (grown, pages);
        Ok(())
    }

    pub(super) fn copy(&mut self, from: u32, to: u32) -> Result<()> {
        for pool in self.layers.iter().flatten() {
            let page = pool.narrow(0, from as usize * PAGE, PAGE)?.copy()?;
            pool.slice_set(&page, 0, to as usize * PAGE)?;
        }
        Ok(())
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
        let places: Vec<u32> = rows
            .positions
            .iter()
            .zip(rows.pages)
            .map(|(&p, pages)| pages[p as usize / PAGE] * PAGE as u32 + p % PAGE as u32)
            .collect();
        let places = Tensor::from_vec(places, (count, 1), &self.device)?
            .expand((count, self.width))?
            .contiguous()?;
        let [keys, values] = &self.layers[layer];
        keys.scatter_set(&places, &k.contiguous()?, 0)?;
        values.scatter_set(&places, &v.contiguous()?, 0)?;

        // The pages that any row sees, each once, and which of their slots each row sees.
        let mut column: BTreeMap<u32, usize> = BTreeMap::new();
        for pages in rows.pages {
            for &page in *pages {
                let next = column.len();
                column.entry(page).or_insert(next);
            }
        }
        let width = column.len() * PAGE;
        let mut seen = vec![0u32; width];
        for (&page, &at) in &column {
            for slot in 0..PAGE {
                seen[at * PAGE + slot] = page * PAGE as u32 + slot as u32;
            }
        }
        let mut mask = vec![f32::NEG_INFINITY; count * width];
        for (row, (&position, pages)) in rows.positions.iter().zip(rows.pages).enumerate() {
            for (i, page) in pages.iter().enumerate() {
                let visible = (position as usize + 1).saturating_sub(i * PAGE).min(PAGE);
                mask[row * width + column[page] * PAGE..][..visible].fill(0.0);
            }
        }
        let seen = Tensor::from_vec(seen, width, &self.device)?;
        let mask = Tensor::from_vec(mask, (count, width), &self.device)?;
        attention::masked(
            q,
            &keys.index_select(&seen, 0)?,
            &values.index_select(&seen, 0)?,
            &mask,
            heads,
        )
    }
}
