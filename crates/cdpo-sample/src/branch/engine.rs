//! The engine under [`super::Branches`], on any [`Decoder`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Branch, Ended, Rollout, Spent, Trunk, TrunkId};
use crate::decoder::{Decoder, Step, branch_pages, extend_pages, fork_pages};
use crate::draw::draw;
use crate::error::{Error, Result};
use crate::params::SampleParams;
use crate::sampler::Finish;
use crate::stop::{Response, StopRule};

/// Most prompt tokens computed in one step.
const PREFILL: usize = 1024;

/// A shared beginning.
struct Prefix<P> {
    ids: Vec<u32>,
    path: P,
    users: usize,
}

/// An open trunk.
struct Open<P> {
    name: String,
    prefix: usize,
    /// Prefix, prompt and response.
    ids: Vec<u32>,
    /// Where the response begins.
    base: usize,
    pieces: Vec<Vec<u8>>,
    budget: usize,
    path: P,
    generated: u64,
}

/// A sequence: rollouts that have drawn the same tokens so far.
struct Node<P> {
    trunk: usize,
    keep: usize,
    response: Response,
    rollouts: Vec<Rollout>,
    /// Absent while it waits.
    path: Option<P>,
    /// Its tokens were in the cache before and will be computed anew.
    again: bool,
}

pub(super) struct Engine<D: Decoder> {
    decoder: D,
    params: SampleParams,
    rule: StopRule,
    eos: Vec<u32>,
    max_batch: usize,
    prefixes: Vec<Option<Prefix<D::Path>>>,
    trunks: Vec<Option<Open<D::Path>>>,
    /// Sequences in the cache, oldest first; the first `max_batch` grow at each step.
    active: Vec<Node<D::Path>>,
    waiting: VecDeque<Node<D::Path>>,
    ended: Vec<Ended>,
    spent: Spent,
}

impl<D: Decoder> Engine<D> {
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
            eos,
            max_batch: max_batch.max(1),
            prefixes: Vec::new(),
            trunks: Vec::new(),
            active: Vec::new(),
            waiting: VecDeque::new(),
            ended: Vec::new(),
            spent: Spent::default(),
        })
    }

    pub(super) fn params(&self) -> &SampleParams {
        &self.params
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

    pub(super) fn prefilled(&self, trunk: TrunkId) -> u64 {
        let shared = |open: &Open<D::Path>| {
            let prefix = self.prefixes[open.prefix].as_ref();
            (open.ids.len() - prefix.map_or(0, |prefix| prefix.ids.len())) as u64
        };
        self.trunks[trunk.0].as_ref().map_or(0, shared)
    }

    pub(super) fn ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn budget(&self, trunk: &Trunk) -> usize {
        let prompt = trunk.prefix_ids.len() + trunk.prompt_ids.len();
        let room = self.decoder.max_positions().saturating_sub(prompt);
        self.params.max_new_tokens.min(room)
    }

    /// Pages for a trunk that is not open, its prefix included unless that is there, and for its longest branch.
    fn pages(&self, trunk: &Trunk) -> (usize, usize) {
        let page = self.decoder.page();
        let (prefix, prompt) = (trunk.prefix_ids.len(), trunk.prompt_ids.len());
        let known = self
            .prefixes
            .iter()
            .flatten()
            .any(|known| known.ids == trunk.prefix_ids);
        let root = if known { 0 } else { prefix.div_ceil(page) };
        let own = branch_pages(page, prefix, prompt + trunk.response_ids.len());
        // A branch may leave at the prompt's end.
        (
            root + own,
            branch_pages(page, prefix + prompt, self.budget(trunk)),
        )
    }

    /// Pages held by prefixes and trunks.
    fn held(&self) -> usize {
        let page = self.decoder.page();
        let prefixes = self.prefixes.iter().flatten();
        let roots: usize = prefixes.map(|prefix| prefix.ids.len().div_ceil(page)).sum();
        let trunks = self.trunks.iter().flatten();
        let own = |open: &Open<D::Path>| {
            let shared = self.prefixes[open.prefix]
                .as_ref()
                .map_or(0, |prefix| prefix.ids.len());
            open.ids.len().div_ceil(page) - shared / page
        };
        roots + trunks.map(own).sum::<usize>()
    }

    pub(super) fn fits(&self, trunk: &Trunk) -> bool {
        let (own, branch) = self.pages(trunk);
        self.held() + own + branch <= self.decoder.total_pages()
            && own + branch <= self.decoder.free_pages()
    }

    fn check(&mut self, trunk: &Trunk) -> Result<(usize, Vec<Vec<u8>>)> {
        let fault = |reason: String| Error::Request {
            problem_id: trunk.name.clone(),
            reason,
        };
        let prompt = trunk.prefix_ids.len() + trunk.prompt_ids.len();
        if trunk.prompt_ids.is_empty() {
            return Err(fault(
                "the prompt has no tokens; give at least a start token".into(),
            ));
        }
        let all = [&trunk.prefix_ids, &trunk.prompt_ids, &trunk.response_ids];
        if let Some(id) = all
            .into_iter()
            .flatten()
            .find(|&&id| id as usize >= self.decoder.vocabulary())
        {
            return Err(fault(format!(
                "token id {id} is outside the model's vocabulary of {}; was it made with another tokenizer?",
                self.decoder.vocabulary()
            )));
        }
        let budget = self.budget(trunk);
        let tokens = trunk.response_ids.len();
        if tokens > budget || budget == 0 {
            return Err(fault(format!(
                "the response has {tokens} tokens behind a prompt of {prompt}, the limit on new tokens is {} and the model's \
                 context {}: raise max_new_tokens to what the response was drawn with",
                self.params.max_new_tokens,
                self.decoder.max_positions()
            )));
        }
        let mut response = Response::default();
        let mut pieces = Vec::with_capacity(tokens);
        for (t, &id) in trunk.response_ids.iter().enumerate() {
            if self.is_end(id) {
                return Err(fault(format!(
                    "response token {} is the end token {id}; cut the response there",
                    t + 1
                )));
            }
            let piece = self.decoder.piece(id)?;
            if response.push(id, &piece, &self.rule) {
                return Err(fault(format!(
                    "a stop string ends at response token {}; cut the response where the stop string begins",
                    t + 1
                )));
            }
            pieces.push(piece);
        }
        let (own, branch) = self.pages(trunk);
        if self.held() + own + branch > self.decoder.total_pages() {
            let page = self.decoder.page();
            return Err(Error::CacheTooSmall {
                problem_id: trunk.name.clone(),
                needed: (self.held() + own + branch) * page,
                prompt,
                new: budget,
                capacity: self.decoder.total_pages() * page,
            });
        }
        Ok((budget, pieces))
    }

    /// The place of a prefix, computed if it is not there; prefixes that no trunk stands on make way.
    fn prefix(&mut self, ids: &[u32]) -> Result<usize> {
        let found = |slot: &Option<Prefix<D::Path>>| slot.as_ref().is_some_and(|p| p.ids == ids);
        if let Some(index) = self.prefixes.iter().position(found) {
            return Ok(index);
        }
        for slot in &mut self.prefixes {
            if slot.as_ref().is_some_and(|prefix| prefix.users == 0)
                && let Some(prefix) = slot.take()
            {
                self.decoder.release(prefix.path);
            }
        }
        self.make_room(ids.len().div_ceil(self.decoder.page()))?;
        let mut path = self.decoder.root();
        for ids in ids.chunks(PREFILL) {
            let step = Step {
                path: &mut path,
                ids,
            };
            self.decoder.step(&mut [step], &[], &mut |_| Ok(()))?;
        }
        self.spent.prefilled += ids.len() as u64;
        self.prefixes.push(Some(Prefix {
            ids: ids.to_vec(),
            path,
            users: 0,
        }));
        Ok(self.prefixes.len() - 1)
    }

    pub(super) fn open<R: Send>(
        &mut self,
        trunk: &Trunk,
        at: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<(TrunkId, Vec<R>)> {
        let (budget, pieces) = self.check(trunk)?;
        let prefix = self.prefix(&trunk.prefix_ids)?;
        let shared = trunk.prefix_ids.len();
        let base = shared + trunk.prompt_ids.len();
        let ids = [
            trunk.prefix_ids.as_slice(),
            &trunk.prompt_ids,
            &trunk.response_ids,
        ]
        .concat();
        let page = self.decoder.page();
        self.make_room(branch_pages(page, shared, ids.len() - shared))?;
        let mut path = match &self.prefixes[prefix] {
            Some(prefix) => self.decoder.fork(&prefix.path)?,
            None => self.decoder.root(),
        };
        // The row of the prompt's last token gives the first response token.
        for ids in ids[shared..base - 1].chunks(PREFILL) {
            let step = Step {
                path: &mut path,
                ids,
            };
            self.decoder.step(&mut [step], &[], &mut |_| Ok(()))?;
        }
        let vocabulary = self.decoder.vocabulary();
        let mut rows: Vec<R> = Vec::with_capacity(trunk.response_ids.len() + 1);
        for ids in ids[base - 1..].chunks(PREFILL) {
            self.decoder.step_each(&mut path, ids, &mut |logits| {
                let first = rows.len();
                let read: Vec<R> = logits
                    .par_chunks(vocabulary)
                    .enumerate()
                    .map(|(row, logits)| at(first + row, logits))
                    .collect();
                rows.extend(read);
                Ok(())
            })?;
        }
        self.spent.prefilled += (ids.len() - shared) as u64;
        if let Some(prefix) = &mut self.prefixes[prefix] {
            prefix.users += 1;
        }
        self.trunks.push(Some(Open {
            name: trunk.name.clone(),
            prefix,
            ids,
            base,
            pieces,
            budget,
            path,
            generated: 0,
        }));
        Ok((TrunkId(self.trunks.len() - 1), rows))
    }

    pub(super) fn close(&mut self, trunk: TrunkId) {
        let Some(open) = self.trunks[trunk.0].take() else {
            return;
        };
        self.decoder.release(open.path);
        if let Some(prefix) = &mut self.prefixes[open.prefix] {
            prefix.users -= 1;
        }
        self.waiting.retain(|node| node.trunk != trunk.0);
        let (gone, active): (Vec<_>, Vec<_>) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|node| node.trunk == trunk.0);
        self.active = active;
        for node in gone {
            node.path.into_iter().for_each(|p| self.decoder.release(p));
        }
    }

    fn trunk(&self, index: usize) -> &Open<D::Path> {
        self.trunks[index]
            .as_ref()
            .expect("a branch's trunk is open: closing it drops its branches")
    }

    pub(super) fn submit(&mut self, branch: Branch) -> Result<()> {
        let open = self.trunk(branch.trunk.0);
        let tokens = open.pieces.len();
        if branch.keep > tokens || branch.rollouts.is_empty() {
            return Err(Error::Request {
                problem_id: open.name.clone(),
                reason: format!(
                    "a branch of {} rollouts keeps {} of {tokens} response tokens",
                    branch.rollouts.len(),
                    branch.keep
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
        let node = Node {
            trunk: branch.trunk.0,
            keep: branch.keep,
            response,
            rollouts: branch.rollouts,
            path: None,
            again: false,
        };
        let next = match branch.first {
            Some(id) => self.accept(node, id)?,
            // A response that is as long as may be has nothing to draw.
            None if branch.keep >= self.trunk(node.trunk).budget => {
                self.end(node, branch.keep, Finish::Length);
                None
            }
            None => Some(node),
        };
        self.waiting.extend(next);
        Ok(())
    }

    /// Appends a drawn token to a sequence; `None` if it ends with it.
    fn accept(&mut self, mut node: Node<D::Path>, id: u32) -> Result<Option<Node<D::Path>>> {
        self.spent.generated += 1;
        if let Some(open) = &mut self.trunks[node.trunk] {
            open.generated += 1;
        }
        let tokens = node.response.ids().len() + 1;
        if self.is_end(id) {
            self.end(node, tokens, Finish::Eos);
            return Ok(None);
        }
        let piece = self.decoder.piece(id)?;
        if node.response.push(id, &piece, &self.rule) {
            self.end(node, tokens, Finish::Stop);
            return Ok(None);
        }
        if tokens >= self.trunk(node.trunk).budget {
            self.end(node, tokens, Finish::Length);
            return Ok(None);
        }
        Ok(Some(node))
    }

    fn end(&mut self, node: Node<D::Path>, tokens: usize, finish: Finish) {
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

    /// Sets the youngest sequences aside until `pages` more can be given out.
    fn make_room(&mut self, pages: usize) -> Result<()> {
        while pages > self.decoder.free_pages() {
            match self.active.pop() {
                Some(mut node) => {
                    if let Some(path) = node.path.take() {
                        self.decoder.release(path);
                    }
                    node.again = true;
                    self.waiting.push_front(node);
                }
                None => return Err(self.full(pages)),
            }
        }
        Ok(())
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
        // The oldest sequence is never set aside, so there is always progress.
        while self.active.len() > 1 && self.growth(self.max_batch) > self.decoder.free_pages() {
            self.make_room(self.decoder.free_pages() + 1)?;
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
        let mut steps: Vec<Step<'_, D::Path>> = batch
            .iter_mut()
            .zip(&ids)
            .filter_map(|(node, ids)| node.path.as_mut().map(|path| Step { path, ids }))
            .collect();
        let rows: Vec<usize> = (0..steps.len()).collect();
        let (vocabulary, params) = (self.decoder.vocabulary(), &self.params);
        let mut drawn: Vec<Option<Vec<u32>>> = Vec::new();
        self.decoder.step(&mut steps, &rows, &mut |logits| {
            let ids = |(row, units): (&[f32], &Vec<f64>)| {
                let drawn = draw(row, params, units)?;
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
        for (id, rollouts) in groups {
            let child = Node {
                trunk: node.trunk,
                keep: node.keep,
                response: node.response.clone(),
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

    /// Pages free and in all, once prefixes that no trunk stands on are released.
    #[cfg(test)]
    pub(super) fn pages_left(mut self) -> (usize, usize) {
        for prefix in self.prefixes.drain(..).flatten() {
            assert_eq!(prefix.users, 0, "a closed trunk still counts");
            self.decoder.release(prefix.path);
        }
        (self.decoder.free_pages(), self.decoder.total_pages())
    }
}
