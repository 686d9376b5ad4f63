//! The engine under [`super::Branches`], on any [`Decoder`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rayon::prelude::*;

mod trunks;
use super::{Aside, Branch, Ended, Rollout, Settled, Spent, TrunkId};
use crate::decoder::{Decoder, PREFILL, PathStep, branch_pages, extend_pages, fork_pages};
use crate::draw::draw;
use crate::error::{Error, Result};
use crate::params::SampleParams;
use crate::room::check_ids;
use crate::sampler::Finish;
use crate::stop::{Response, StopRule};
use trunks::{Open, Prefix};

/// A sequence: rollouts that have drawn the same tokens so far.
pub(super) struct Node<P> {
    pub(super) trunk: usize,
    keep: usize,
    pause: usize,
    response: Response,
    rollouts: Vec<Rollout>,
    /// Absent while it waits.
    pub(super) path: Option<P>,
    /// Its tokens were in the cache before and will be computed anew.
    again: bool,
}

pub(super) struct Engine<'a, D: Decoder> {
    pub(super) decoder: D,
    pub(super) params: SampleParams,
    pub(super) rule: StopRule,
    pub(super) settled: Option<Settled<'a>>,
    eos: Vec<u32>,
    max_batch: usize,
    prefixes: Vec<Option<Prefix<D::Path>>>,
    trunks: Vec<Option<Open<D::Path>>>,
    /// Sequences in the cache, oldest first; the first `max_batch` grow at each step.
    pub(super) active: Vec<Node<D::Path>>,
    pub(super) waiting: VecDeque<Node<D::Path>>,
    ended: Vec<Ended>,
    aside: Vec<Aside>,
    pub(super) spent: Spent,
}

impl<D: Decoder> Engine<'_, D> {
    pub(super) fn new(
        decoder: D,
        params: SampleParams,
        eos: Vec<u32>,
        max_batch: usize,
    ) -> Result<Self> {
        params.validate()?;
        Ok(Self {
            decoder,
            rule: StopRule::new(&params.stop),
            params,
            settled: None,
            eos,
            max_batch: max_batch.max(1),
            prefixes: Vec::new(),
            trunks: Vec::new(),
            active: Vec::new(),
            waiting: VecDeque::new(),
            ended: Vec::new(),
            aside: Vec::new(),
            spent: Spent::default(),
        })
    }

    pub(super) fn params(&self) -> &SampleParams {
        &self.params
    }

    pub(super) fn tokens(&self) -> usize {
        self.decoder.tokens()
    }

    pub(super) fn is_end(&self, id: u32) -> bool {
        self.eos.contains(&id)
    }

    pub(super) fn decoder(&self) -> &D {
        &self.decoder
    }

    pub(super) fn max_batch(&self) -> usize {
        self.max_batch
    }

    pub(super) fn sequences(&self) -> usize {
        self.active.len() + self.waiting.len()
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }

    pub(super) fn generated(&self, trunk: TrunkId) -> u64 {
        self.trunks[trunk.0]
            .as_ref()
            .map_or(0, |open| open.generated)
    }

    pub(super) fn ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn set_aside(&mut self) -> Vec<Aside> {
        std::mem::take(&mut self.aside)
    }

    pub(super) fn submit(&mut self, branch: Branch) -> Result<()> {
        let open = self.trunk(branch.trunk.0);
        let tokens = open.pieces.len();
        let begun = branch.keep + branch.drawn.len();
        let drawn = begun + usize::from(branch.first.is_some());
        let most = open.budget.min(branch.pause);
        if branch.keep > tokens || begun > most || drawn > open.budget || branch.rollouts.is_empty()
        {
            return Err(Error::Request {
                problem_id: open.name.clone(),
                reason: format!(
                    "a branch of {} rollouts keeps {} of {tokens} response tokens and begins with {drawn} of at most {most}",
                    branch.rollouts.len(),
                    branch.keep,
                ),
            });
        }
        let mut response = Response::default();
        for (&id, piece) in open.ids[open.base..]
            .iter()
            .zip(&open.pieces[..branch.keep])
        {
            // The trunk was checked to hold no stop string.
            response.push(id, piece, &self.rule);
        }
        check_ids(self.decoder.vocabulary(), &open.name, &branch.drawn)?;
        for &id in &branch.drawn {
            let piece = self.decoder.piece(id)?;
            if self.is_end(id) || response.push(id, &piece, &self.rule) {
                return Err(Error::Request {
                    problem_id: open.name.clone(),
                    reason: format!("a branch goes on behind token {id}, which ends the response"),
                });
            }
        }
        let node = Node {
            trunk: branch.trunk.0,
            keep: branch.keep,
            pause: branch.pause,
            response,
            rollouts: branch.rollouts,
            path: None,
            again: !branch.drawn.is_empty(),
        };
        if self.is_settled(&node.response) {
            self.end(node, begun, None);
            return Ok(());
        }
        let next = match branch.first {
            Some(id) => self.accept(node, id)?,
            // A response that is as long as may be has nothing to draw.
            None if begun >= self.trunk(node.trunk).budget => {
                self.end(node, begun, Some(Finish::Length));
                None
            }
            None => Some(node),
        };
        self.waiting.extend(next);
        Ok(())
    }

    /// Appends a drawn token to a sequence that has no path; `None` if it ends with it or is set aside.
    fn accept(&mut self, mut node: Node<D::Path>, id: u32) -> Result<Option<Node<D::Path>>> {
        self.spent.generated += 1;
        if let Some(open) = &mut self.trunks[node.trunk] {
            open.generated += 1;
        }
        let tokens = node.response.ids().len() + 1;
        if self.is_end(id) {
            self.end(node, tokens, Some(Finish::Eos));
            return Ok(None);
        }
        let piece = self.decoder.piece(id)?;
        if node.response.push(id, &piece, &self.rule) {
            self.end(node, tokens, Some(Finish::Stop));
            return Ok(None);
        }
        if self.is_settled(&node.response) {
            self.end(node, tokens, None);
            return Ok(None);
        }
        if tokens >= self.trunk(node.trunk).budget {
            self.end(node, tokens, Some(Finish::Length));
            return Ok(None);
        }
        if tokens >= node.pause {
            self.aside.push(Aside {
                trunk: TrunkId(node.trunk),
                tags: node.rollouts.iter().map(|rollout| rollout.tag).collect(),
                drawn: node.response.ids()[node.keep..].to_vec(),
            });
            return Ok(None);
        }
        Ok(Some(node))
    }

    fn is_settled(&self, response: &Response) -> bool {
        let rule = &self.rule;
        let settled = self.settled.as_ref();
        settled.is_some_and(|settled| response.is_settled(rule, settled))
    }

    fn end(&mut self, node: Node<D::Path>, tokens: usize, finish: Option<Finish>) {
        if let Some(path) = node.path {
            self.decoder.release(path);
        }
        self.ended.push(Ended {
            trunk: TrunkId(node.trunk),
            tags: node.rollouts.iter().map(|rollout| rollout.tag).collect(),
            text: Arc::from(node.response.finish().0),
            finish,
            tokens,
        });
    }

    /// A sequence's tokens that are not on its path, given the path's length; at least one.
    fn pending(&self, node: &Node<D::Path>, length: usize) -> Vec<u32> {
        let open = self.trunk(node.trunk);
        let kept = open.base + node.keep;
        let own = &node.response.ids()[node.keep..];
        if length >= kept {
            own[length - kept..].to_vec()
        } else {
            [&open.ids[length..kept], own].concat()
        }
    }

    /// Tokens that a sequence shares with its trunk's path: all but the last where it has none of its own.
    fn shared(&self, node: &Node<D::Path>) -> usize {
        let kept = self.trunk(node.trunk).base + node.keep;
        kept - usize::from(node.response.ids().len() == node.keep)
    }

    /// Evicts the youngest sequences until `pages` more can be given out.
    pub(super) fn make_room(&mut self, pages: usize) -> Result<()> {
        while pages > self.decoder.free_pages() {
            if !self.evict_youngest() {
                return Err(self.full(pages));
            }
        }
        Ok(())
    }

    /// False if no sequence is in the cache.
    fn evict_youngest(&mut self) -> bool {
        let Some(mut node) = self.active.pop() else {
            return false;
        };
        if let Some(path) = node.path.take() {
            self.decoder.release(path);
        }
        node.again = true;
        self.waiting.push_front(node);
        true
    }

    /// The pages that the next step of the first `count` sequences takes.
    fn growth(&self, count: usize) -> usize {
        let pages = |node: &Node<D::Path>| {
            let length = node.path.as_ref().map_or(0, D::length);
            let end = self.trunk(node.trunk).base + node.response.ids().len();
            extend_pages(self.decoder.page(), length, end - length)
        };
        self.active.iter().take(count).map(pages).sum()
    }

    /// Puts waiting sequences into the batch while there are places and pages; each newcomer leaves the others one to grow into.
    fn admit(&mut self) -> Result<()> {
        let mut rows = 0;
        while self.active.len() < self.max_batch
            && let Some(node) = self.waiting.front()
        {
            let shared = self.shared(node);
            let end = self.trunk(node.trunk).base + node.response.ids().len();
            let added = end - shared;
            let pages = branch_pages(self.decoder.page(), shared, added);
            let needed = self.growth(self.active.len()) + pages + self.active.len();
            let first = self.active.is_empty();
            if !first && (needed > self.decoder.free_pages() || rows + added > PREFILL) {
                break;
            }
            if first && pages > self.decoder.free_pages() {
                return Err(self.full(pages));
            }
            let Some(open) = &self.trunks[node.trunk] else {
                break;
            };
            let path = self.decoder.fork_at(&open.path, shared)?;
            rows += added;
            if let Some(mut node) = self.waiting.pop_front() {
                if std::mem::take(&mut node.again) {
                    self.spent.recomputed += added as u64 - 1;
                }
                node.path = Some(path);
                self.active.push(node);
            }
        }
        Ok(())
    }

    fn full(&self, pages: usize) -> Error {
        let page = self.decoder.page();
        Error::Model(cdpo_model::Error::Context(format!(
            "the key/value cache of {} tokens is full ({pages} more pages of {page} tokens needed, {} free): raise the cache limit, \
             or roll out fewer responses at a time",
            self.decoder.total_pages() * page,
            self.decoder.free_pages()
        )))
    }

    pub(super) fn step(&mut self) -> Result<()> {
        // The oldest sequence never leaves the cache, so there is always progress.
        while self.active.len() > 1 && self.growth(self.max_batch) > self.decoder.free_pages() {
            self.evict_youngest();
        }
        self.admit()?;
        let count = self.active.len().min(self.max_batch);
        let mut batch: Vec<Node<D::Path>> = self.active.drain(..count).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let drawn = self.decode(&mut batch)?;
        let mut grown = Vec::with_capacity(count);
        for (node, ids) in batch.into_iter().zip(drawn) {
            self.grow(node, &ids, &mut grown)?;
        }
        // In the order of their age: those that stepped stay in front.
        grown.append(&mut self.active);
        self.active = grown;
        Ok(())
    }

    /// Computes the sequences' pending tokens; the token that each rollout of each sequence draws next.
    fn decode(&mut self, batch: &mut [Node<D::Path>]) -> Result<Vec<Vec<u32>>> {
        let ids: Vec<Vec<u32>> = batch
            .iter()
            .map(|node| self.pending(node, node.path.as_ref().map_or(0, D::length)))
            .collect();
        let units: Vec<Vec<f64>> = batch
            .iter()
            .map(|node| {
                let position = node.response.ids().len() as u64;
                let unit = |rollout: &Rollout| rollout.key.with(position).unit();
                node.rollouts.iter().map(unit).collect()
            })
            .collect();
        let mut steps: Vec<PathStep<'_, D::Path>> = batch
            .iter_mut()
            .zip(&ids)
            .filter_map(|(node, ids)| node.path.as_mut().map(|path| PathStep { path, ids }))
            .collect();
        let rows: Vec<usize> = (0..steps.len()).collect();
        let (vocabulary, params) = (self.decoder.vocabulary(), &self.params);
        let tokens = self.decoder.tokens();
        let mut drawn: Vec<Option<Vec<u32>>> = Vec::new();
        self.decoder.step(&mut steps, &rows, &mut |logits| {
            let ids = |(row, units): (&[f32], &Vec<f64>)| {
                let drawn = draw(row, tokens, params, units)?;
                Some(drawn.iter().map(|token| token.id).collect())
            };
            drawn = logits.par_chunks(vocabulary).zip(&units).map(ids).collect();
            Ok(())
        })?;
        batch
            .iter()
            .zip(drawn)
            .map(|(node, ids)| {
                ids.ok_or_else(|| Error::NotFinite {
                    problem_id: self.trunk(node.trunk).name.clone(),
                    sample: node.rollouts.first().map_or(0, |one| one.tag as u32),
                    position: node.response.ids().len(),
                })
            })
            .collect()
    }

    /// Gives a sequence's rollouts the tokens that they drew, and forks it where they differ.
    fn grow(
        &mut self,
        mut node: Node<D::Path>,
        ids: &[u32],
        grown: &mut Vec<Node<D::Path>>,
    ) -> Result<()> {
        let mut groups: BTreeMap<u32, Vec<Rollout>> = BTreeMap::new();
        for (&id, &rollout) in ids.iter().zip(&node.rollouts) {
            groups.entry(id).or_default().push(rollout);
        }
        let path = node.path.take();
        let mut alive = Vec::new();
        let mut groups = groups.into_iter().peekable();
        while let Some((id, rollouts)) = groups.next() {
            // The last takes the tokens along; most sequences do not fork.
            let response = if groups.peek().is_some() {
                node.response.clone()
            } else {
                std::mem::take(&mut node.response)
            };
            let child = Node {
                trunk: node.trunk,
                keep: node.keep,
                pause: node.pause,
                response,
                rollouts,
                path: None,
                again: false,
            };
            alive.extend(self.accept(child, id)?);
        }
        let Some(path) = path else { return Ok(()) };
        let Some(last) = alive.pop() else {
            self.decoder.release(path);
            return Ok(());
        };
        for mut child in alive {
            if fork_pages(self.decoder.page(), D::length(&path)) <= self.decoder.free_pages() {
                child.path = Some(self.decoder.fork(&path)?);
                grown.push(child);
            } else {
                child.again = true;
                self.waiting.push_front(child);
            }
        }
        grown.push(Node {
            path: Some(path),
            ..last
        });
        Ok(())
    }
}
