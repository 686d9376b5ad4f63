//! One call under way: requests go to the crew, answers become completions.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use cdpo_model::Key;

use super::ServerSampler;
use super::crew::{Crew, Event};
use super::protocol::{Answer, ServerIdentity};
use super::queue::Job;
use super::replay::{Ends, Replay};
use crate::error::{Error, Result};
use crate::params::SampleParams;
use crate::room::room;
use crate::sampler::{Completion, Finish, Observer, Request, SampleProgress, Sink};

/// How often the observer is called where nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// How often a server may draw an id without a token within one response.
const MOST_TOKENLESS: u32 = 3;

/// A call under way.
pub(super) struct Call<'c, 'a> {
    sampler: &'c mut ServerSampler<'a>,
    crew: Crew,
    requests: &'c [Request],
    params: &'c SampleParams,
    started: Instant,
    progress: SampleProgress,
    /// What each server said that it is.
    said: HashMap<usize, ServerIdentity>,
    /// Tokens of the shortest context.
    limit: usize,
    /// Responses under way, by request and sample.
    open: HashMap<(usize, u32), Replay>,
}

impl<'c, 'a> Call<'c, 'a> {
    /// A call for `samples` samples, whose requests `crew` carries.
    pub(super) fn new(
        sampler: &'c mut ServerSampler<'a>,
        crew: Crew,
        requests: &'c [Request],
        params: &'c SampleParams,
        samples: usize,
    ) -> Self {
        Self {
            sampler,
            crew,
            requests,
            params,
            started: Instant::now(),
            progress: SampleProgress {
                total: samples,
                ..SampleProgress::default()
            },
            said: HashMap::new(),
            limit: usize::MAX,
            open: HashMap::new(),
        }
    }

    /// Draws every sample and hands each to `sink`.
    pub(super) fn run(
        &mut self,
        ends: &Ends,
        sink: &mut Sink<'_>,
        progress: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>> {
        if self.meet(progress)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let budgets = self.budgets()?;
        let most = self.sampler.settings.in_flight * self.sampler.settings.urls.len();
        let wanted = self.requests.iter().enumerate();
        let mut wanted =
            wanted.flat_map(|(i, request)| request.samples.iter().map(move |&s| (i, s)));
        while self.progress.done < self.progress.total {
            let mut added = false;
            while self.open.len() < most
                && let Some((request, sample)) = wanted.next()
            {
                let job = self.job(request, sample, budgets[request])?;
                self.open
                    .insert((request, sample), Replay::new(budgets[request]));
                self.crew.queue().push(job, Instant::now());
                added = true;
            }
            if added {
                self.crew.wake();
            }
            let finished = match self.event()? {
                Some((job, answer)) => self.take(job, &answer, ends)?,
                None => None,
            };
            if let Some((request, sample, completion)) = finished {
                self.progress.done += 1;
                if sink(&self.requests[request], sample, completion).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if self.observe(progress).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives away the responses that came while the call was ended, as far as they are whole.
    pub(super) fn hand_over(&mut self, ends: &Ends, sink: &mut Sink<'_>) {
        let came: Vec<Event> = self.crew.events.try_iter().collect();
        for event in came {
            if let Event::Answered { job, answer } = event
                && let Ok(Some((request, sample, completion))) = self.take(job, &answer, ends)
            {
                self.progress.done += 1;
                // The call has ended already.
                let _ = sink(&self.requests[request], sample, completion);
            }
        }
    }

    /// Waits for the threads, which have nothing to do any more but for a server's greeting.
    pub(super) fn finish(mut self, progress: &mut Observer<'_>) -> ControlFlow<()> {
        self.crew.stop();
        while !self.crew.has_ended() {
            if self.observe(progress).is_break() {
                return ControlFlow::Break(());
            }
            std::thread::sleep(TICK / 20);
        }
        self.crew.finish();
        ControlFlow::Continue(())
    }

    /// Waits until every server has said what it is or could not, and one has.
    fn meet(&mut self, progress: &mut Observer<'_>) -> Result<ControlFlow<()>> {
        loop {
            {
                let queue = self.crew.queue();
                if queue.all_tried() && queue.known().next().is_some() {
                    break;
                }
            }
            self.event()?;
            if self.observe(progress).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let told = self.said.values().filter_map(|said| said.max_tokens);
        self.limit = told.fold(self.sampler.max_positions, usize::min);
        self.sampler.met.call(&self.sampler.identities);
        Ok(ControlFlow::Continue(()))
    }

    /// Tokens that each request's responses may have.
    fn budgets(&mut self) -> Result<Vec<usize>> {
        let tokens = self.tokens();
        let mut budgets = Vec::with_capacity(self.requests.len());
        for request in self.requests {
            let budget = room(request, tokens, self.limit, self.params.max_new_tokens)?;
            self.progress.capped += usize::from(budget < self.params.max_new_tokens);
            budgets.push(budget);
        }
        Ok(budgets)
    }

    /// One more than the highest id that stands for something.
    fn tokens(&self) -> usize {
        let ends = self.sampler.eos.iter().map(|&id| id as usize + 1);
        ends.fold(self.sampler.tokenizer.vocab_size(), usize::max)
    }

    fn seed(&self, request: usize, sample: u32, position: u64) -> u64 {
        let question = Key::new(self.params.seed).with_str(&self.requests[request].problem_id);
        question.with(u64::from(sample)).with(position).bits()
    }

    fn job(&self, request: usize, sample: u32, budget: usize) -> Result<Job> {
        let asked = &self.requests[request];
        let prompt = [asked.prefix_ids.as_slice(), &asked.prompt_ids].concat();
        let mut text = String::new();
        if !self.sampler.settings.kind.gives_ids() {
            let tokenizer = self.sampler.tokenizer;
            // The server puts it before a text itself, as the tokenizer's files say; it counts what it read, which is checked.
            let put = tokenizer
                .bos()
                .filter(|_| tokenizer.adds_bos() == Some(true));
            let cut = put.is_some() && prompt.first().copied() == put;
            text = tokenizer.decode(&prompt[usize::from(cut)..])?;
        }
        Ok(Job {
            request,
            sample,
            prompt,
            text,
            most: budget,
            seed: self.seed(request, sample, 0),
            tries: 0,
            tokenless: 0,
        })
    }

    /// Waits a little for something to happen.
    fn event(&mut self) -> Result<Option<(Job, Answer)>> {
        match self.crew.events.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => self.check_gone().map(|()| None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::Threads(std::io::Error::other("they have all ended")))
            }
            Ok(Event::Greeted { at, identity }) => self.greeted(at, identity).map(|()| None),
            Ok(Event::Answered { job, answer }) => Ok(Some((job, answer))),
            Ok(Event::Refused { at, job, reason }) => Err(Error::ServerRefused {
                url: self.url(at),
                what: job.map_or_else(|| "it".to_owned(), |job| self.name(&job)),
                reason,
            }),
            Ok(Event::Failed { at, job, reason }) => Err(Error::ServerFailed {
                url: self.url(at),
                what: self.name(&job),
                tries: job.tries,
                reason,
            }),
        }
    }

    fn url(&self, at: usize) -> String {
        self.sampler.settings.urls[at].clone()
    }

    /// A sample, for people.
    fn name(&self, job: &Job) -> String {
        let question = &self.requests[job.request].problem_id;
        format!("question `{question}`, sample {}", job.sample)
    }

    /// Fails if no server has answered for too long.
    fn check_gone(&self) -> Result<()> {
        let queue = self.crew.queue();
        let give_up = self.sampler.settings.give_up;
        match queue.gone(Instant::now()) {
            Some(gone) if gone.as_secs_f64() >= give_up => {
                let servers = queue.status(&self.sampler.settings.urls).into_iter();
                let each = servers
                    .map(|server| format!("{}: {}", server.url, server.away.unwrap_or_default()));
                Err(Error::ServersGone {
                    seconds: give_up,
                    servers: each.collect::<Vec<_>>().join("; "),
                })
            }
            _ => Ok(()),
        }
    }

    /// Takes note of what a server is; it must be what it was, and have room for what was begun.
    fn greeted(&mut self, at: usize, identity: ServerIdentity) -> Result<()> {
        let refused = |reason: String| Error::ServerRefused {
            url: self.url(at),
            what: "it".into(),
            reason,
        };
        if let Some(before) = self.said.get(&at)
            && before.root != identity.root
        {
            return Err(refused(format!(
                "it was away and came back with another model: {} where it had {}",
                identity.root.as_deref().unwrap_or("none"),
                before.root.as_deref().unwrap_or("none")
            )));
        }
        if let Some(most) = identity.max_tokens
            && self.limit != usize::MAX
            && most < self.limit
        {
            return Err(refused(format!(
                "its context has {most} tokens, fewer than the {} that the responses under way may reach; start it as the others",
                self.limit
            )));
        }
        if !self.sampler.identities.contains(&identity) {
            self.sampler.identities.push(identity.clone());
            if self.limit != usize::MAX {
                self.sampler.met.call(&self.sampler.identities);
            }
        }
        self.said.insert(at, identity);
        self.crew.queue().greeted(at);
        self.crew.wake();
        Ok(())
    }

    /// Adds an answer to its response: the completion, if that has ended; otherwise it is asked for the rest.
    fn take(
        &mut self,
        job: Job,
        answer: &Answer,
        ends: &Ends,
    ) -> Result<Option<(usize, u32, Completion)>> {
        let place = (job.request, job.sample);
        let Some(mut replay) = self.open.remove(&place) else {
            return Ok(None);
        };
        self.progress.prompt_tokens += job.prompt.len() as u64;
        let Some(ids) = &answer.ids else {
            let completion = self.encoded(&job, answer, ends)?;
            self.progress.tokens += completion.ids.as_ref().map_or(0, Vec::len) as u64;
            return Ok(Some((job.request, job.sample, completion)));
        };
        self.progress.tokens += ids.len() as u64;
        let tokenizer = self.sampler.tokenizer;
        let piece = |id: u32| Ok(tokenizer.token_bytes(id)?);
        // A row of the model's without a token, which the local engine does not draw.
        let rowed = |id: &u32| !tokenizer.has(*id) && !ends.eos.contains(id);
        let cut = ids.iter().position(rowed);
        let ids = &ids[..cut.unwrap_or(ids.len())];
        if let Some(finish) = replay.push(ids, &answer.logps, ends, &piece)? {
            let logps = self.params.logps && self.sampler.settings.kind.raw_logps(self.params);
            let completion = replay.finish(finish, logps);
            return Ok(Some((job.request, job.sample, completion)));
        }
        // The server ended it for a reason of its own: an end token that the recipe does not know, or a stop string as it sees it. Or it
        // ends before an id without a token.
        let mut rest = job;
        if let Some(&id) = cut.and_then(|at| answer.ids.as_ref()?.get(at)) {
            rest.tokenless += 1;
            if rest.tokenless > MOST_TOKENLESS {
                return Err(self.tokenless(&rest, id));
            }
        }
        rest.prompt.extend(ids);
        rest.most = replay.room();
        let position = rest.prompt.len() as u64 + (u64::from(rest.tokenless) << 32);
        rest.seed = self.seed(rest.request, rest.sample, position);
        self.open.insert(place, replay);
        self.crew.queue().push(rest, Instant::now());
        self.crew.wake();
        Ok(None)
    }

    /// What is said of a server that draws ids without a token again and again.
    fn tokenless(&self, job: &Job, id: u32) -> Error {
        Error::Request {
            problem_id: self.requests[job.request].problem_id.clone(),
            reason: format!(
                "the server drew token id {id}, which the tokenizer does not have, and others before ({} times in sample {}): it runs \
                 another model than the recipe's",
                job.tokenless, job.sample
            ),
        }
    }

    /// A response of which the server gave the text alone, as ids.
    fn encoded(&self, job: &Job, answer: &Answer, ends: &Ends) -> Result<Completion> {
        let tokenizer = self.sampler.tokenizer;
        let stopped = ends.rule.cut(&answer.text);
        let mut own = stopped.map(|_| Finish::Stop);
        let mut text = stopped.unwrap_or(&answer.text);
        let mut ids = match job.prompt.last() {
            Some(&last) => tokenizer.encode_after(last, text)?,
            None => tokenizer.encode(text)?,
        };
        if let Some(at) = ids.iter().position(|id| ends.eos.contains(id)) {
            let spelled = tokenizer.token_bytes(ids[at])?;
            let end = text.find(&*String::from_utf8_lossy(&spelled));
            text = &text[..end.unwrap_or(text.len())];
            ids.truncate(at);
            own = Some(Finish::Eos);
        }
        // Text does not say whether an end token or a stop string ended it.
        let ended = if self.params.stop.is_empty() {
            Finish::Eos
        } else {
            Finish::Stop
        };
        let finish = own.unwrap_or(if answer.cut { Finish::Length } else { ended });
        Ok(Completion {
            text: text.to_owned(),
            ids: Some(ids),
            token_logps: None,
            finish,
            reencoded: true,
        })
    }

    fn observe(&mut self, progress: &mut Observer<'_>) -> ControlFlow<()> {
        {
            let queue = self.crew.queue();
            self.progress.active = queue.active();
            let urls = &self.sampler.settings.urls;
            self.sampler.watch.set(queue.status(urls));
        }
        self.progress.seconds = self.started.elapsed().as_secs_f64();
        progress(&self.progress)
    }
}
