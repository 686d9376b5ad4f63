//! The threads that ask the servers: requests from the queue in, events out.
//!
//! A thread waits in one request, so there is one for each that may be under way. Those of a call that was ended early drop what they
//! are in when it answers, and end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::client::Client;
use super::fault::Fault;
use super::protocol::{Adapter, Answer, Ask, Common, Protocol, ServerIdentity};
use super::queue::{Job, Next, Queue};

/// Bytes of a thread's stack: a request, TLS and JSON need little.
const STACK: usize = 512 << 10;

/// What has happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Server `at` says what it is.
    Greeted { at: usize, identity: ServerIdentity },
    /// An answer.
    Answered { job: Job, answer: Answer },
    /// Server `at` will not do what is asked.
    Refused {
        at: usize,
        job: Option<Job>,
        reason: String,
    },
    /// A sample was tried often enough.
    Failed { at: usize, job: Job, reason: String },
}

/// What all threads share.
pub(super) struct Shared {
    pub(super) clients: Vec<Client>,
    pub(super) protocol: &'static dyn Protocol,
    pub(super) common: Common,
    pub(super) adapter: Option<Adapter>,
    queue: Mutex<Queue>,
    changed: Condvar,
    stopped: AtomicBool,
}

/// The threads of one call.
pub(super) struct Crew {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    pub(super) events: Receiver<Event>,
}

impl Crew {
    /// Starts `threads` threads.
    pub(super) fn start(
        clients: Vec<Client>,
        protocol: &'static dyn Protocol,
        common: Common,
        adapter: Option<Adapter>,
        queue: Queue,
        threads: usize,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            clients,
            protocol,
            common,
            adapter,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        // Bounded: where answers come faster than they are written, the servers wait.
        let (sender, events) = sync_channel(threads);
        let mut crew = Self {
            shared,
            threads: Vec::with_capacity(threads),
            events,
        };
        for i in 0..threads {
            let (shared, sender) = (Arc::clone(&crew.shared), sender.clone());
            let thread = Builder::new()
                .name(format!("server {i}"))
                .stack_size(STACK)
                .spawn(move || shared.work(&sender))?;
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    /// The queue; whoever waits for a change of it is woken when the guard is dropped and [`Crew::wake`] called.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue()
    }

    /// Wakes threads that wait.
    pub(super) fn wake(&self) {
        self.shared.changed.notify_all();
    }

    /// Whether all threads have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Takes leave of the threads, which have ended.
    pub(super) fn finish(mut self) {
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }

    /// Has the threads end once they have an answer.
    pub(super) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Under the lock, so that no thread is between its look at the flag and its sleep.
        drop(self.queue());
        self.wake();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Next> {
        let mut queue = self.queue();
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            let now = Instant::now();
            queue = match queue.next(now) {
                Next::Wait(None) => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Next::Wait(Some(until)) => {
                    self.changed
                        .wait_timeout(queue, until.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                next => return Some(next),
            };
        }
    }

    fn work(&self, events: &SyncSender<Event>) {
        while let Some(next) = self.next() {
            let event = match next {
                Next::Greet { at } => self.greet(at),
                Next::Ask { at, job, round } => self.ask(at, job, round),
                Next::Wait(_) => None,
            };
            self.changed.notify_all();
            // Nobody listens any more once the call has ended.
            if event.is_some_and(|event| events.send(event).is_err()) {
                return;
            }
        }
    }

    /// Asks a server what it is, and gives it the adapter.
    fn greet(&self, at: usize) -> Option<Event> {
        let client = &self.clients[at];
        let greet = || -> Result<ServerIdentity, Fault> {
            client.check_name()?;
            let identity = self.protocol.identity(client, &self.common.model)?;
            if let Some(adapter) = &self.adapter {
                self.protocol.load(client, adapter)?;
            }
            Ok(identity)
        };
        match greet() {
            Ok(identity) => Some(Event::Greeted { at, identity }),
            Err(Fault::Refused(reason)) => Some(Event::Refused {
                at,
                job: None,
                reason,
            }),
            Err(fault) => {
                self.queue().not_greeted(at, &fault, Instant::now());
                None
            }
        }
    }

    fn ask(&self, at: usize, job: Job, round: u64) -> Option<Event> {
        let client = &self.clients[at];
        let ask = Ask {
            common: &self.common,
            prompt: &job.prompt,
            text: &job.text,
            most: job.most,
            seed: job.seed,
        };
        let (path, body) = self.protocol.request(&ask);
        let answer = client
            .post(path, &body)
            .and_then(|bytes| self.protocol.answer(client, &ask, &bytes))
            .and_then(|answer| check(answer, &ask));
        match answer {
            Ok(answer) => {
                let tokens = answer.ids.as_ref().map_or(0, Vec::len);
                self.queue().answered(at, tokens as u64);
                Some(Event::Answered { job, answer })
            }
            Err(Fault::Refused(reason)) => Some(Event::Refused {
                at,
                job: Some(job),
                reason,
            }),
            Err(fault) => {
                let given_up = self.queue().failed(at, job, round, &fault, Instant::now());
                given_up.map(|job| Event::Failed {
                    at,
                    job,
                    reason: fault.reason().to_owned(),
                })
            }
        }
    }
}

/// What holds for every kind's answers.
fn check(answer: Answer, ask: &Ask<'_>) -> Result<Answer, Fault> {
    match &answer.ids {
        Some(ids) if ids.is_empty() => Err(Fault::Wrong("an answer without tokens".into())),
        Some(ids) if ids.len() > ask.most => Err(Fault::Wrong(format!(
            "{} tokens where at most {} were asked for",
            ids.len(),
            ask.most
        ))),
        None if answer.cut && answer.text.is_empty() => {
            Err(Fault::Wrong("an answer without text".into()))
        }
        _ => Ok(answer),
    }
}
