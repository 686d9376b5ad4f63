//! Who gets cache pages and places in the batch.

use super::{Sample, Scheduler, Waiting};
use crate::decoder::{Decoder, PREFILL, branch_pages, extend_pages, prefill};
use crate::error::{Error, Result};

impl<D: Decoder> Scheduler<'_, '_, D> {
    /// Pages that the next step of the active samples takes.
    fn growth(&self) -> usize {
        let pages = |sample: &Sample<D::Path>| {
            let added = sample.response.ids().len() - sample.cached;
            extend_pages(self.decoder.page(), D::length(&sample.path), added)
        };
        self.active.iter().map(pages).sum()
    }

    /// Sees to it that every active sample can grow, setting the youngest aside if need be.
    pub(super) fn make_room(&mut self) -> Result<()> {
        while self.growth() > self.decoder.free_pages() {
            if self.reclaim(self.growth(), None) {
                continue;
            }
            let youngest = (0..self.active.len())
                .max_by_key(|&at| (self.active[at].question, self.active[at].place));
            match youngest {
                Some(at) if self.active.len() > 1 => self.set_aside(at),
                _ => {
                    return Err(self.stuck(self.active.first().map_or(0, |sample| sample.question)));
                }
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, at: usize) {
        let sample = self.active.remove(at);
        self.decoder.release(sample.path);
        self.questions[sample.question].active -= 1;
        self.progress.preempted += 1;
        let waiting = Waiting {
            key: sample.key,
            response: sample.response,
            logps: sample.logps,
        };
        self.waiting
            .insert((sample.question, sample.place), waiting);
    }

    /// Moves waiting samples into the batch and opens questions for the places left. Returns the questions whose prompt the
    /// next step is to compute, with their paths.
    pub(super) fn admit(&mut self) -> Result<Vec<(usize, D::Path)>> {
        let mut committed = self.growth();
        let mut rows: usize = self
            .active
            .iter()
            .map(|sample| sample.response.ids().len() - sample.cached)
            .sum();
        let mut closed: Vec<usize> = Vec::new();
        let ages: Vec<(usize, usize)> = self
            .waiting
            .keys()
            .copied()
            .take(self.settings.max_batch)
            .collect();
        for age in ages {
            if self.active.len() >= self.settings.max_batch {
                break;
            }
            let Some(path) = &self.questions[age.0].path else {
                if closed.last() != Some(&age.0) {
                    closed.push(age.0);
                }
                continue;
            };
            let Some(sample) = self.waiting.get(&age) else {
                break;
            };
            let pending = sample.response.ids().len();
            let pages = branch_pages(self.decoder.page(), D::length(path), pending);
            let alone = self.active.is_empty();
            if !closed.is_empty()
                || !alone && rows + pending > PREFILL
                || !self.fits(committed, pages, alone, age.0)
            {
                break;
            }
            self.enter(age)?;
            // The fork's page is taken; the tokens' are still to be.
            committed = self.growth();
            rows += pending;
        }

        let mut opening: Vec<(usize, D::Path)> = Vec::new();
        let mut places = self
            .settings
            .max_batch
            .saturating_sub(self.active.len() + self.waiting.len());
        closed.reverse();
        loop {
            let index = match closed.pop() {
                Some(index) => index,
                None if places > 0 && self.next < self.questions.len() => self.next,
                None => break,
            };
            let question = &self.questions[index];
            let (wanted, prefix, prompt) =
                (question.unfinished, question.prefix, question.prompt.len());
            let alone = self.active.is_empty() && opening.is_empty();
            if !alone && rows + prompt > PREFILL {
                break;
            }
            let page = self.decoder.page();
            let shared = self.prefixes[prefix].ids.len();
            let branch = branch_pages(page, shared, prompt);
            let root = if self.prefixes[prefix].path.is_some() {
                0
            } else {
                shared.div_ceil(page)
            };
            if !self.fits(committed, root + branch, alone, index) {
                if alone {
                    return Err(self.stuck(index));
                }
                break;
            }
            opening.push((index, self.open(index)?));
            committed = self.growth()
                + opening
                    .iter()
                    .map(|(index, path)| {
                        let end = self.prefixes[self.questions[*index].prefix].ids.len()
                            + self.questions[*index].prompt.len();
                        end.div_ceil(page) - D::length(path).div_ceil(page)
                    })
                    .sum::<usize>();
            rows += prompt;
            if index == self.next {
                self.next += 1;
                places = places.saturating_sub(wanted);
            }
        }
        if self.active.is_empty() && opening.is_empty() {
            let first = self.waiting.keys().next().map_or(self.next, |age| age.0);
            return Err(self.stuck(first.min(self.questions.len() - 1)));
        }
        Ok(opening)
    }

    /// Whether `pages` more can be given out beside those `committed`. A newcomer leaves the others a page each to grow
    /// into, unless it is `alone`: then all that `question` does not need is released if that helps.
    fn fits(&mut self, committed: usize, pages: usize, alone: bool, question: usize) -> bool {
        let needed = committed + pages + if alone { 0 } else { self.active.len() };
        while needed > self.decoder.free_pages() {
            let released = if alone {
                self.reclaim(needed, Some(question))
            } else {
                self.release_unused_prefixes()
            };
            if !released {
                return false;
            }
        }
        true
    }

    /// Puts a waiting sample into the batch as a branch of its question.
    fn enter(&mut self, age: (usize, usize)) -> Result<()> {
        let (Some(path), Some(waiting)) = (&self.questions[age.0].path, self.waiting.remove(&age))
        else {
            return Ok(());
        };
        let path = self.decoder.fork(path)?;
        self.questions[age.0].active += 1;
        let Waiting {
            key,
            response,
            logps,
        } = waiting;
        self.active.push(Sample {
            question: age.0,
            place: age.1,
            key,
            response,
            logps,
            path,
            cached: 0,
        });
        Ok(())
    }

    /// A path for a question's prompt, on its prefix, which is computed if it is not there; all but the last [`PREFILL`]
    /// tokens of a long prompt are computed here.
    fn open(&mut self, index: usize) -> Result<D::Path> {
        let (prefix, prompt) = (self.questions[index].prefix, self.questions[index].prompt);
        if self.prefixes[prefix].path.is_none() {
            let mut path = self.decoder.root();
            self.prefill(&mut path, &self.prefixes[prefix].ids.clone())?;
            self.prefixes[prefix].path = Some(path);
        }
        let mut path = match &self.prefixes[prefix].path {
            Some(path) => self.decoder.fork(path)?,
            None => self.decoder.root(),
        };
        if prompt.len() > PREFILL {
            self.prefill(&mut path, &prompt[..prompt.len() - PREFILL])?;
        }
        Ok(path)
    }

    fn prefill(&mut self, path: &mut D::Path, ids: &[u32]) -> Result<()> {
        let read = &mut self.progress.prompt_tokens;
        prefill(&mut *self.decoder, path, ids, &mut |tokens| {
            *read += tokens as u64;
        })
    }

    /// Releases paths that no active sample stands on, most dispensable first, until `needed` pages are free; those of the
    /// question `keep` stay. True if anything was released.
    fn reclaim(&mut self, needed: usize, keep: Option<usize>) -> bool {
        if self.release_unused_prefixes() {
            return true;
        }
        let mut released = false;
        for index in (0..self.questions.len().min(self.next)).rev() {
            if needed <= self.decoder.free_pages() {
                return released;
            }
            if self.questions[index].active == 0
                && keep != Some(index)
                && let Some(path) = self.questions[index].path.take()
            {
                self.decoder.release(path);
                released = true;
            }
        }
        for prefix in 0..self.prefixes.len() {
            if needed <= self.decoder.free_pages() {
                return released;
            }
            let used = |question: &super::Question<'_, D::Path>| {
                question.prefix == prefix && question.path.is_some()
            };
            if keep.is_none_or(|keep| self.questions[keep].prefix != prefix)
                && !self.questions.iter().any(used)
                && let Some(path) = self.prefixes[prefix].path.take()
            {
                self.decoder.release(path);
                released = true;
            }
        }
        released
    }

    /// Releases the prefixes that no unfinished question begins with. True if there were any.
    fn release_unused_prefixes(&mut self) -> bool {
        let mut released = false;
        for prefix in self.prefixes.iter_mut().filter(|prefix| prefix.users == 0) {
            if let Some(path) = prefix.path.take() {
                self.decoder.release(path);
                released = true;
            }
        }
        released
    }

    /// The error for a cache that cannot hold one question alone; the check at the start rules it out.
    fn stuck(&self, question: usize) -> Error {
        let question = &self.questions[question];
        let page = self.decoder.page();
        let prompt = self.prefixes[question.prefix].ids.len() + question.prompt.len();
        Error::CacheTooSmall {
            problem_id: question.request.problem_id.clone(),
            needed: (prompt + question.budget).next_multiple_of(page),
            prompt,
            new: question.budget,
            capacity: self.decoder.total_pages() * page,
        }
    }
}
