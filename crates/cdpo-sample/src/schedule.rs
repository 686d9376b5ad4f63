//! The scheduler: which sequences the model extends at each step.
//!
//! Prefixes, questions and samples form a tree. A prefix is computed once and kept. A question is computed once on top of
//! it, and the logits after its last token give the first token of all its samples. Each sample is then a branch that grows
//! by a token a step. All that is under way grows in one batch: a finished sample leaves it at once, and waiting samples
//! and the next questions take its place, in the order of the requests.
//!
//! Cache pages are given out as they are needed, not reserved for the longest response. When they run short, what nobody
//! uses is released, then the youngest sample is set aside and later computed anew from its ids. The oldest sample is never
//! set aside and every question fits the cache alone (checked at the start), so there is always progress.
//!
//! None of this can be seen in the samples: a draw is keyed by names, and the engine's logits of a token have the same bits
//! from prefill, decoding and any branch, in any batch.

mod check;
#[cfg(test)]
pub(crate) mod fake;
mod page_budget;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::Instant;

use cdpo_model::Key;
use rayon::prelude::*;

use crate::decoder::{Decoder, PathStep};
use crate::draw::{Drawn, draw};
use crate::error::{Error, Result};
use crate::params::SampleParams;
use crate::sampler::{Completion, Finish, Observer, Request, SampleProgress, Sink};
use crate::stop::{Response, StopRule};

/// A shared beginning.
pub(crate) struct Prefix<P> {
    pub(crate) ids: Vec<u32>,
    pub(crate) path: Option<P>,
    /// Questions with unfinished samples that begin with it.
    pub(crate) users: usize,
}

/// A request under way.
struct Question<'r, P> {
    request: &'r Request,
    prefix: usize,
    prompt: &'r [u32],
    key: Key,
    /// Most tokens of a response.
    budget: usize,
    path: Option<P>,
    /// Its first tokens have been drawn.
    begun: bool,
    /// Samples in the batch.
    active: usize,
    unfinished: usize,
}

/// A response under way. `(question, place in the request)` is its age.
struct Sample<P> {
    question: usize,
    place: usize,
    key: Key,
    response: Response,
    logps: Vec<f32>,
    path: P,
    /// Response tokens on the path.
    cached: usize,
}

/// A response that is not in the batch.
struct Waiting {
    key: Key,
    response: Response,
    logps: Vec<f32>,
}

/// What stays the same during a call.
pub(crate) struct Settings<'a> {
    pub(crate) params: &'a SampleParams,
    pub(crate) eos: &'a [u32],
    pub(crate) max_batch: usize,
}

pub(crate) struct Scheduler<'a, 'r, D: Decoder> {
    decoder: &'a mut D,
    settings: Settings<'a>,
    rule: StopRule,
    prefixes: &'a mut Vec<Prefix<D::Path>>,
    questions: Vec<Question<'r, D::Path>>,
    /// First question whose samples have not been begun.
    next: usize,
    active: Vec<Sample<D::Path>>,
    waiting: BTreeMap<(usize, usize), Waiting>,
    finished: Vec<(usize, u32, Completion)>,
    progress: SampleProgress,
    started: Instant,
}

impl<'a, 'r, D: Decoder> Scheduler<'a, 'r, D> {
    /// Checks settings and requests. `prefixes` holds what earlier calls computed, and keeps what this one does.
    pub(crate) fn new(
        decoder: &'a mut D,
        prefixes: &'a mut Vec<Prefix<D::Path>>,
        requests: &'r [Request],
        settings: Settings<'a>,
    ) -> Result<Self> {
        settings.params.validate()?;
        let params = settings.params;
        let mut progress = SampleProgress::default();
        prefixes.retain(|prefix| prefix.path.is_some());
        let mut known: HashMap<Vec<u32>, usize> = prefixes
            .iter()
            .enumerate()
            .map(|(index, prefix)| (prefix.ids.clone(), index))
            .collect();
        let mut questions = Vec::with_capacity(requests.len());
        for request in requests
            .iter()
            .filter(|request| !request.samples.is_empty())
        {
            let budget = check::budget(decoder, request, params.max_new_tokens)?;
            let (ids, prompt) = check::split(request);
            let prefix = *known.entry(ids.to_vec()).or_insert_with(|| {
                prefixes.push(Prefix {
                    ids: ids.to_vec(),
                    path: None,
                    users: 0,
                });
                prefixes.len() - 1
            });
            prefixes[prefix].users += 1;
            progress.total += request.samples.len();
            progress.capped += usize::from(budget < params.max_new_tokens);
            questions.push(Question {
                request,
                prefix,
                prompt,
                key: Key::new(params.seed).with_str(&request.problem_id),
                budget,
                path: None,
                begun: false,
                active: 0,
                unfinished: request.samples.len(),
            });
        }
        // Questions of one prefix stand together, so that few prefixes are held at a time.
        questions.sort_by_key(|question| question.prefix);
        Ok(Self {
            rule: StopRule::new(&params.stop),
            decoder,
            settings,
            prefixes,
            questions,
            next: 0,
            active: Vec::new(),
            waiting: BTreeMap::new(),
            finished: Vec::new(),
            progress,
            started: Instant::now(),
        })
    }

    /// Draws every sample; `Break` if a callback ended it (paths are then left as they are).
    pub(crate) fn run(
        &mut self,
        sink: &mut Sink<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>> {
        while self.progress.done < self.progress.total {
            self.make_room()?;
            let opening = self.admit()?;
            self.advance(opening)?;
            for (question, sample, completion) in self.finished.drain(..) {
                self.progress.done += 1;
                if sink(self.questions[question].request, sample, completion).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            self.progress.active = self.active.len();
            self.progress.seconds = self.started.elapsed().as_secs_f64();
            if observer(&self.progress).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// One step of the model: a token for each active sample (all its tokens if it was set aside) and the rest of the prompt
    /// of each question in `opening`, whose path is not yet stored.
    fn advance(&mut self, mut opening: Vec<(usize, D::Path)>) -> Result<()> {
        let params = self.settings.params;
        let vocabulary = self.decoder.vocabulary();
        let (rows, wanted) = self.draws(&opening);
        let mut steps = Vec::with_capacity(self.active.len() + opening.len());
        for sample in &mut self.active {
            let ids = &sample.response.ids()[sample.cached..];
            sample.cached += ids.len();
            steps.push(PathStep {
                path: &mut sample.path,
                ids,
            });
        }
        for (question, path) in &mut opening {
            let question = &self.questions[*question];
            let done = D::length(path) - self.prefixes[question.prefix].ids.len();
            self.progress.prompt_tokens += (question.prompt.len() - done) as u64;
            steps.push(PathStep {
                path,
                ids: &question.prompt[done..],
            });
        }
        let tokens = self.decoder.tokens();
        let mut drawn: Vec<Option<Vec<Drawn>>> = Vec::new();
        self.decoder.step(&mut steps, &rows, &mut |logits| {
            drawn = logits
                .par_chunks(vocabulary)
                .zip(&wanted)
                .map(|(row, units)| draw(row, tokens, params, units))
                .collect();
            Ok(())
        })?;
        let mut drawn = drawn.into_iter();
        self.extend_active(&mut drawn)?;
        self.begin_samples(opening, &mut drawn)
    }

    /// Which rows of the next step tokens are drawn from, and the uniform numbers of each row's draws: one for an active sample, one
    /// for each sample of a question whose prompt ends in this step.
    fn draws(&self, opening: &[(usize, D::Path)]) -> (Vec<usize>, Vec<Vec<f64>>) {
        let unit = |key: Key, position: usize| key.with(position as u64).unit();
        let mut wanted: Vec<Vec<f64>> = self
            .active
            .iter()
            .map(|sample| vec![unit(sample.key, sample.response.ids().len())])
            .collect();
        let mut rows: Vec<usize> = (0..self.active.len()).collect();
        for (place, (question, _)) in opening.iter().enumerate() {
            let question = &self.questions[*question];
            if !question.begun {
                let samples = question.request.samples.iter();
                rows.push(self.active.len() + place);
                wanted.push(
                    samples
                        .map(|&sample| unit(question.key.with(u64::from(sample)), 0))
                        .collect(),
                );
            }
        }
        (rows, wanted)
    }

    /// Gives each active sample its token; `drawn` has a row for each, in order.
    fn extend_active(
        &mut self,
        drawn: &mut impl Iterator<Item = Option<Vec<Drawn>>>,
    ) -> Result<()> {
        let batch = std::mem::take(&mut self.active);
        for mut sample in batch {
            let question = &self.questions[sample.question];
            let position = sample.response.ids().len();
            let tokens = drawn.next().flatten();
            let token = tokens.and_then(|tokens| tokens.first().copied());
            let token =
                token.ok_or_else(|| not_finite(question.request, sample.place, position))?;
            match self.accept(
                sample.question,
                &mut sample.response,
                &mut sample.logps,
                token,
            )? {
                None => self.active.push(sample),
                Some(finish) => {
                    self.decoder.release(sample.path);
                    self.questions[sample.question].active -= 1;
                    self.complete(
                        sample.question,
                        sample.place,
                        sample.response,
                        sample.logps,
                        finish,
                    );
                }
            }
        }
        Ok(())
    }

    /// Keeps the paths of the questions in `opening`; those that are new get the first tokens of all their samples, from a row of
    /// `drawn` each, in order.
    fn begin_samples(
        &mut self,
        opening: Vec<(usize, D::Path)>,
        drawn: &mut impl Iterator<Item = Option<Vec<Drawn>>>,
    ) -> Result<()> {
        for (index, path) in opening {
            let question = &mut self.questions[index];
            question.path = Some(path);
            if std::mem::replace(&mut question.begun, true) {
                continue;
            }
            let request = question.request;
            let key = question.key;
            let tokens = drawn
                .next()
                .flatten()
                .ok_or_else(|| not_finite(request, 0, 0))?;
            for (place, token) in tokens.into_iter().enumerate() {
                let key = key.with(u64::from(request.samples[place]));
                let mut sample = Waiting {
                    key,
                    response: Response::default(),
                    logps: Vec::new(),
                };
                match self.accept(index, &mut sample.response, &mut sample.logps, token)? {
                    None => drop(self.waiting.insert((index, place), sample)),
                    Some(finish) => {
                        self.complete(index, place, sample.response, sample.logps, finish);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a drawn token to a response and says whether, and why, the response ends with it.
    fn accept(
        &mut self,
        question: usize,
        response: &mut Response,
        logps: &mut Vec<f32>,
        token: Drawn,
    ) -> Result<Option<Finish>> {
        self.progress.tokens += 1;
        if self.settings.eos.contains(&token.id) {
            return Ok(Some(Finish::Eos));
        }
        let piece = self.decoder.piece(token.id)?;
        logps.extend(token.logp);
        if response.push(token.id, &piece, &self.rule) {
            logps.truncate(response.ids().len());
            return Ok(Some(Finish::Stop));
        }
        let full = response.ids().len() >= self.questions[question].budget;
        Ok(full.then_some(Finish::Length))
    }

    /// Records a finished response and releases what only it needed.
    fn complete(
        &mut self,
        index: usize,
        place: usize,
        response: Response,
        logps: Vec<f32>,
        finish: Finish,
    ) {
        let question = &mut self.questions[index];
        let (text, ids) = response.finish();
        let token_logps = self.settings.params.logps.then_some(logps);
        let completion = Completion {
            text,
            ids: Some(ids),
            token_logps,
            finish,
            reencoded: false,
        };
        self.finished
            .push((index, question.request.samples[place], completion));
        question.unfinished -= 1;
        if question.unfinished == 0 {
            if let Some(path) = question.path.take() {
                self.decoder.release(path);
            }
            self.prefixes[question.prefix].users -= 1;
        }
    }
}

/// The error for logits that give no token.
fn not_finite(request: &Request, place: usize, position: usize) -> Error {
    Error::NotFinite {
        problem_id: request.problem_id.clone(),
        sample: request.samples[place],
        position,
    }
}
