//! The trunks that branches leave, and the beginnings that trunks share: opened, given room, closed.

use rayon::prelude::*;

use super::super::{Trunk, TrunkId};
use super::Engine;
use crate::decoder::{Decoder, PREFILL, branch_pages, prefill};
use crate::error::{Error, Result};
use crate::room::check_ids;
use crate::stop::Response;

/// A shared beginning.
pub(super) struct Prefix<P> {
    ids: Vec<u32>,
    path: P,
    users: usize,
}

/// An open trunk.
pub(super) struct Open<P> {
    pub(super) name: String,
    prefix: usize,
    /// Prefix, prompt and response.
    pub(super) ids: Vec<u32>,
    /// Where the response begins.
    pub(super) base: usize,
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) budget: usize,
    /// Pages of its longest branch.
    branch: usize,
    pub(super) path: P,
    pub(super) generated: u64,
}

impl<D: Decoder> Engine<'_, D> {
    pub(in crate::branch) fn prefilled(&self, trunk: TrunkId) -> u64 {
        let shared = |open: &Open<D::Path>| {
            let prefix = self.prefixes[open.prefix].as_ref();
            (open.ids.len() - prefix.map_or(0, |prefix| prefix.ids.len())) as u64
        };
        self.trunks[trunk.0].as_ref().map_or(0, shared)
    }

    pub(in crate::branch) fn budget(&self, trunk: &Trunk) -> usize {
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
        // A branch may leave before the prompt's last token, which it computes itself; its own last token is never computed.
        let leaves = (prefix + prompt).saturating_sub(1);
        (root + own, branch_pages(page, leaves, self.budget(trunk)))
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

    /// The pages that a trunk takes beside those that are held, and the longest branch of all that would then be open.
    fn room(&self, trunk: &Trunk) -> (usize, usize) {
        let (own, branch) = self.pages(trunk);
        let open = self.trunks.iter().flatten().map(|open| open.branch);
        (own, open.fold(branch, usize::max))
    }

    pub(in crate::branch) fn fits(&mut self, trunk: &Trunk) -> bool {
        self.release_unused(&trunk.prefix_ids);
        let (own, branch) = self.room(trunk);
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
        for ids in [&trunk.prefix_ids, &trunk.prompt_ids, &trunk.response_ids] {
            check_ids(self.decoder.vocabulary(), &trunk.name, ids)?;
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
        let (own, branch) = self.room(trunk);
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

    /// Gives back the prefixes that no trunk stands on, but for `keep`.
    pub(super) fn release_unused(&mut self, keep: &[u32]) {
        for slot in &mut self.prefixes {
            if slot
                .as_ref()
                .is_some_and(|prefix| prefix.users == 0 && prefix.ids != keep)
                && let Some(prefix) = slot.take()
            {
                self.decoder.release(prefix.path);
            }
        }
    }

    /// The place of a prefix, computed if it is not there.
    fn prefix(&mut self, ids: &[u32]) -> Result<usize> {
        let found = |slot: &Option<Prefix<D::Path>>| slot.as_ref().is_some_and(|p| p.ids == ids);
        if let Some(index) = self.prefixes.iter().position(found) {
            return Ok(index);
        }
        self.make_room(ids.len().div_ceil(self.decoder.page()))?;
        let mut path = self.decoder.root();
        prefill(&mut self.decoder, &mut path, ids, &mut |_| {})?;
        self.spent.prefilled += ids.len() as u64;
        self.prefixes.push(Some(Prefix {
            ids: ids.to_vec(),
            path,
            users: 0,
        }));
        Ok(self.prefixes.len() - 1)
    }

    pub(in crate::branch) fn open<R: Send>(
        &mut self,
        trunk: &Trunk,
        at: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<(TrunkId, Vec<R>)> {
        self.release_unused(&trunk.prefix_ids);
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
        let prompt = &ids[shared..base - 1];
        prefill(&mut self.decoder, &mut path, prompt, &mut |_| {})?;
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
            branch: self.pages(trunk).1,
            path,
            generated: 0,
        }));
        Ok((TrunkId(self.trunks.len() - 1), rows))
    }

    pub(in crate::branch) fn close(&mut self, trunk: TrunkId) {
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

    pub(super) fn trunk(&self, index: usize) -> &Open<D::Path> {
        self.trunks[index]
            .as_ref()
            .expect("a branch's trunk is open: closing it drops its branches")
    }

    /// Pages free and in all, once prefixes that no trunk stands on are released.
    #[cfg(test)]
    pub(in crate::branch) fn pages_left(mut self) -> (usize, usize) {
        for prefix in self.prefixes.drain(..).flatten() {
            assert_eq!(prefix.users, 0, "a closed trunk still counts");
            self.decoder.release(prefix.path);
        }
        (self.decoder.free_pages(), self.decoder.total_pages())
    }
}
