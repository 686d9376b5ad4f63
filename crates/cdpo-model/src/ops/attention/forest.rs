//! CPU forest attention: every row over the keys of its own path, forward and backward.

use rayon::prelude::*;

use super::Heads;
use super::lanes::{Keys, Tile, TileBuffer, attend};
use super::tile::{TILE, accumulate, scores, softmax_backward};
use crate::forest::TokenForest;
use crate::ops::simd::{self, Isa, Kernel};

/// Rows that fold their keys together.
const ROWS: usize = 32;

/// Keys of a forest, gathered from packed `[rows, kv heads * dim]` keys and values.
struct ForestKeys<'a> {
    heads: Heads,
    paths: &'a Paths,
    keys: &'a [f32],
    values: &'a [f32],
}

/// For each row its segment, and for each segment the packed row of every position on its path.
#[derive(Debug)]
pub(super) struct Paths {
    segment: Vec<u32>,
    visible: Vec<u32>,
    rows: Vec<Vec<u32>>,
    /// Rows cut into runs of at most [`ROWS`] of one segment: (first row, rows).
    runs: Vec<(usize, usize)>,
    /// Runs of each tree (root), as a range of `runs`, if the tree's rows are contiguous.
    trees: Vec<Vec<usize>>,
}

impl Paths {
    pub(super) fn new(forest: &TokenForest) -> Self {
        let segments = forest.segments();
        let mut rows: Vec<Vec<u32>> = Vec::with_capacity(segments.len());
        let mut root: Vec<usize> = Vec::with_capacity(segments.len());
        let mut trees: Vec<Vec<usize>> = Vec::new();
        let mut runs = Vec::new();
        let mut segment = vec![0; forest.rows()];
        for (i, s) in segments.iter().enumerate() {
            let mut path = s.parent.map_or_else(Vec::new, |p| rows[p.0].clone());
            path.extend(s.rows().map(|r| r as u32));
            rows.push(path);
            let tree = s.parent.map_or_else(
                || {
                    trees.push(Vec::new());
                    trees.len() - 1
                },
                |p| root[p.0],
            );
            root.push(tree);
            segment[s.rows()].fill(i as u32);
            let mut first = s.first_row;
            while first < s.rows().end {
                let count = ROWS.min(s.rows().end - first);
                trees[tree].push(runs.len());
                runs.push((first, count));
                first += count;
            }
        }
        let visible = forest.positions().iter().map(|p| p + 1).collect();
        Self {
            segment,
            visible,
            rows,
            runs,
            trees,
        }
    }

    fn path(&self, row: usize) -> &[u32] {
        &self.rows[self.segment[row] as usize]
    }
}

/// One head's columns of a packed `[rows, kv heads * dim]` matrix.
#[derive(Clone, Copy)]
struct HeadColumns<'a> {
    packed: &'a [f32],
    stride: usize,
    first: usize,
    dim: usize,
}

impl<'a> HeadColumns<'a> {
    fn new(packed: &'a [f32], heads: Heads, head: usize) -> Self {
        Self {
            packed,
            stride: heads.kv * heads.dim,
            first: head * heads.dim,
            dim: heads.dim,
        }
    }

    /// The rows of `path` in tile `slot`, with their places in it.
    #[inline(always)]
    fn tile(self, path: &[u32], slot: usize) -> impl Iterator<Item = (usize, &'a [f32])> {
        let end = path.len().min((slot + 1) * TILE);
        path[slot * TILE..end]
            .iter()
            .enumerate()
            .map(move |(j, &row)| {
                (
                    j,
                    &self.packed[row as usize * self.stride + self.first..][..self.dim],
                )
            })
    }

    /// Tile `slot` of a path as `[TILE, dim]`.
    #[inline(always)]
    fn plain(self, path: &[u32], slot: usize, to: &mut Vec<f32>) {
        to.resize(TILE * self.dim, 0.0);
        for (j, from) in self.tile(path, slot) {
            to[j * self.dim..(j + 1) * self.dim].copy_from_slice(from);
        }
    }

    /// Tile `slot` of a path as `[dim, TILE]`.
    #[inline(always)]
    fn transposed(self, path: &[u32], slot: usize, to: &mut Vec<f32>) {
        to.resize(TILE * self.dim, 0.0);
        for (j, from) in self.tile(path, slot) {
            for (i, x) in from.iter().enumerate() {
                to[i * TILE + j] = *x;
            }
        }
    }
}

impl Keys for ForestKeys<'_> {
    fn visible(&self, row: usize) -> usize {
        self.paths.visible[row] as usize
    }

    fn tile_id(&self, row: usize, _slot: usize) -> u64 {
        u64::from(self.paths.segment[row])
    }

    fn tile<'a>(
        &'a self,
        row: usize,
        slot: usize,
        head: usize,
        buffer: &'a mut TileBuffer,
    ) -> Tile<'a> {
        let path = self.paths.path(row);
        HeadColumns::new(self.keys, self.heads, head).transposed(path, slot, &mut buffer.keys);
        HeadColumns::new(self.values, self.heads, head).plain(path, slot, &mut buffer.values);
        Tile {
            keys: &buffer.keys,
            values: &buffer.values,
        }
    }
}

/// Output `[rows, query heads * dim]` and log-sum-exp `[rows, query heads]`.
pub(super) fn forward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    paths: &Paths,
    heads: Heads,
) -> (Vec<f32>, Vec<f32>) {
    attend(
        heads,
        q,
        &ForestKeys {
            heads,
            paths,
            keys: k,
            values: v,
        },
        &paths.runs,
    )
}

/// What the backward pass reads, all packed by row.
#[derive(Clone, Copy)]
pub(super) struct AttentionActivations<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) out: &'a [f32],
    pub(super) lse: &'a [f32],
}

/// Gradients of queries, keys and values. Each tree and key/value head is one sequential task, so the sums have one order.
pub(super) fn backward(
    dout: &[f32],
    activations: AttentionActivations<'_>,
    paths: &Paths,
    heads: Heads,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let tasks: Vec<(usize, usize)> = (0..paths.trees.len())
        .flat_map(|tree| (0..heads.kv).map(move |head| (tree, head)))
        .collect();
    let parts: Vec<TreeGradient> = tasks
        .into_par_iter()
        .map(|(tree, head)| {
            simd::dispatch(BackwardTree {
                dout,
                activations,
                paths,
                heads,
                tree,
                head,
            })
        })
        .collect();
    let rows = paths.segment.len();
    let (wide, narrow) = (heads.query * heads.dim, heads.kv * heads.dim);
    let mut dq = vec![0.0; rows * wide];
    let (mut dk, mut dv) = (vec![0.0; rows * narrow], vec![0.0; rows * narrow]);
    let group = heads.query / heads.kv * heads.dim;
    for part in parts {
        for (i, &row) in part.rows.iter().enumerate() {
            let row = row as usize;
            dq[row * wide + part.head * group..][..group]
                .copy_from_slice(&part.dq[i * group..][..group]);
            let at = row * narrow + part.head * heads.dim;
            dk[at..at + heads.dim].copy_from_slice(&part.dk[i * heads.dim..][..heads.dim]);
            dv[at..at + heads.dim].copy_from_slice(&part.dv[i * heads.dim..][..heads.dim]);
        }
    }
    (dq, dk, dv)
}

/// Gradients of one tree under one key/value head, by the tree's rows.
struct TreeGradient {
    head: usize,
    rows: Vec<u32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

/// The packed rows of one tree, which need not be contiguous among other trees' rows, and the place of each among them.
struct TreeRows {
    rows: Vec<u32>,
    first: usize,
    /// By packed row, from `first`.
    places: Vec<u32>,
}

impl TreeRows {
    /// Of the tree's runs `(first row, rows)`.
    fn of(runs: &[(usize, usize)]) -> Self {
        let rows: Vec<u32> = runs
            .iter()
            .flat_map(|&(first, count)| first as u32..(first + count) as u32)
            .collect();
        let first = rows.first().copied().unwrap_or(0) as usize;
        let span = rows.last().map_or(0, |&r| r as usize + 1 - first);
        let mut places = vec![0u32; span];
        for (i, &r) in rows.iter().enumerate() {
            places[r as usize - first] = i as u32;
        }
        Self {
            rows,
            first,
            places,
        }
    }

    #[inline(always)]
    fn place(&self, row: u32) -> usize {
        self.places[row as usize - self.first] as usize
    }
}

struct BackwardTree<'a> {
    dout: &'a [f32],
    activations: AttentionActivations<'a>,
    paths: &'a Paths,
    heads: Heads,
    tree: usize,
    head: usize,
}

impl Kernel for BackwardTree<'_> {
    type Output = TreeGradient;

    #[inline(always)]
    fn run<I: Isa>(self) -> TreeGradient {
        let Self {
            dout,
            activations,
            paths,
            heads,
            tree,
            head,
        } = self;
        let Heads { query, kv, dim } = heads;
        let (group, wide) = (query / kv, query * dim);
        let scale = 1.0 / (dim as f32).sqrt();
        let runs: Vec<(usize, usize)> = paths.trees[tree].iter().map(|&i| paths.runs[i]).collect();
        let tree = TreeRows::of(&runs);
        let mut dq = vec![0.0f32; tree.rows.len() * group * dim];
        let mut dk = vec![0.0f32; tree.rows.len() * dim];
        let mut dv = vec![0.0f32; tree.rows.len() * dim];

        let most = ROWS * group;
        let (mut q, mut upstream) = (vec![0.0f32; most * dim], vec![0.0f32; most * dim]);
        let (mut lse, mut delta) = (vec![0.0f32; most], vec![0.0f32; most]);
        let (mut p, mut ds) = (vec![0.0f32; most * TILE], vec![0.0f32; most * TILE]);
        let (mut p_t, mut ds_t) = (vec![0.0f32; most * TILE], vec![0.0f32; most * TILE]);
        let (mut k_rows, mut k_cols, mut v_cols) = (Vec::new(), Vec::new(), Vec::new());
        let (mut tile_dk, mut tile_dv) = (vec![0.0f32; TILE * dim], vec![0.0f32; TILE * dim]);
        let keys = HeadColumns::new(activations.k, heads, head);
        let values = HeadColumns::new(activations.v, heads, head);
        let mut done = 0;
        for (first, count) in runs {
            let lanes = count * group;
            for r in 0..count {
                let from = (first + r) * wide + head * group * dim;
                for g in 0..group {
                    let lane = r * group + g;
                    let at = from + g * dim..from + (g + 1) * dim;
                    for (q, x) in q[lane * dim..].iter_mut().zip(&activations.q[at.clone()]) {
                        *q = x * scale;
                    }
                    upstream[lane * dim..][..dim].copy_from_slice(&dout[at.clone()]);
                    lse[lane] = activations.lse[(first + r) * query + head * group + g];
                    delta[lane] = simd::dot::<I>(&dout[at.clone()], &activations.out[at]);
                }
            }
            let run_dq = &mut dq[done * group * dim..][..lanes * dim];
            done += count;
            let path = paths.path(first);
            let slots = (paths.visible[first + count - 1] as usize).div_ceil(TILE);
            for slot in 0..slots {
                keys.plain(path, slot, &mut k_rows);
                keys.transposed(path, slot, &mut k_cols);
                values.transposed(path, slot, &mut v_cols);
                scores::<I>(&q, &k_cols, &mut p, lanes, dim);
                scores::<I>(&upstream, &v_cols, &mut ds, lanes, dim);
                for lane in 0..lanes {
                    let visible = (paths.visible[first + lane / group] as usize)
                        .saturating_sub(slot * TILE)
                        .min(TILE);
                    let at = lane * TILE..(lane + 1) * TILE;
                    softmax_backward::<I>(
                        &mut p[at.clone()],
                        &mut ds[at],
                        visible,
                        lse[lane],
                        delta[lane],
                    );
                }
                accumulate::<I>(&ds, TILE, &k_rows, run_dq, lanes, TILE, dim);
                transpose(&p, &mut p_t, lanes);
                transpose(&ds, &mut ds_t, lanes);
                tile_dk.fill(0.0);
                tile_dv.fill(0.0);
                accumulate::<I>(&ds_t, lanes, &q, &mut tile_dk, TILE, lanes, dim);
                accumulate::<I>(&p_t, lanes, &upstream, &mut tile_dv, TILE, lanes, dim);
                let end = path.len().min((slot + 1) * TILE);
                for (j, &row) in path[slot * TILE..end].iter().enumerate() {
                    let at = tree.place(row) * dim;
                    simd::axpy::<I>(1.0, &tile_dk[j * dim..(j + 1) * dim], &mut dk[at..at + dim]);
                    simd::axpy::<I>(1.0, &tile_dv[j * dim..(j + 1) * dim], &mut dv[at..at + dim]);
                }
            }
        }
        for g in &mut dq {
            *g *= scale;
        }
        TreeGradient {
            head,
            rows: tree.rows,
            dq,
            dk,
            dv,
        }
    }
}

/// `[lanes, TILE]` to `[TILE, lanes]`.
#[inline(always)]
fn transpose(from: &[f32], to: &mut [f32], lanes: usize) {
    for lane in 0..lanes {
        for j in 0..TILE {
            to[j * lanes + lane] = from[lane * TILE + j];
        }
    }
}
