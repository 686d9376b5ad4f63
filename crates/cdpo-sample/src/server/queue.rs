//! Which request goes to which server, and when: pure bookkeeping, with the time as an argument.
//!
//! A server is asked what it is before its first request and after each time it was away. One that fails is left alone for a while
//! that doubles, and is then tried with one request alone. A sample that a server failed on goes to another one if there is one.

use std::time::{Duration, Instant};

use cdpo_model::Key;

use super::fault::Fault;

/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Wrong answers one after another for which a server is left alone: else a broken one, quick to fail, would draw every request.
const DOUBTS: u32 = 3;

/// One sample's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Which request of the call, and which of its samples.
    pub(super) request: usize,
    pub(super) sample: u32,
    /// The prompt, and after it what was drawn before.
    pub(super) prompt: Vec<u32>,
    /// The prompt as text, for a server that takes no ids.
    pub(super) text: String,
    /// Most tokens to draw.
    pub(super) most: usize,
    pub(super) seed: u64,
    /// How often it was tried in vain.
    pub(super) tries: u32,
    /// How often an id without a token was drawn.
    pub(super) tokenless: u32,
}

#[derive(Debug)]
struct Waiting {
    job: Job,
    due: Instant,
    /// The server that failed on it.
    not: Option<usize>,
}

/// What a worker does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Ask server `at` for `job`.
    Ask { at: usize, job: Job, round: u64 },
    /// Ask server `at` what it is.
    Greet { at: usize },
    /// Nothing before this time; with none, before something changes.
    Wait(Option<Instant>),
}

/// What is known of one server.
#[derive(Debug)]
struct Server {
    /// Whether it was asked what it is since it was last away.
    known: bool,
    greeting: bool,
    active: usize,
    /// Wrong answers since it last gave a right one.
    doubts: u32,
    /// Pauses since it last answered, and when the first of them began.
    failures: u32,
    since: Instant,
    /// Counts its failures; those of requests that began before the last one say nothing new.
    round: u64,
    paused: Instant,
    /// The last failure's reason.
    reason: String,
    answered: u64,
    tokens: u64,
}

/// A server as the user sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerStatus {
    /// Its address.
    pub url: String,
    /// Tokens that it has drawn, those after a response's end included.
    pub tokens: u64,
    /// Requests that it has answered.
    pub answered: u64,
    /// Requests under way.
    pub active: usize,
    /// Why it is not asked now.
    pub away: Option<String>,
}

/// The requests that wait, and the servers.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Vec<Waiting>,
    servers: Vec<Server>,
    in_flight: usize,
    retries: u32,
    jitter: Key,
}

impl Queue {
    pub(super) fn new(
        servers: usize,
        in_flight: usize,
        retries: u32,
        now: Instant,
        entropy: u64,
    ) -> Self {
        let server = || Server {
            known: false,
            greeting: false,
            active: 0,
            doubts: 0,
            failures: 0,
            since: now,
            round: 0,
            paused: now,
            reason: String::new(),
            answered: 0,
            tokens: 0,
        };
        Self {
            waiting: Vec::new(),
            servers: (0..servers).map(|_| server()).collect(),
            in_flight,
            retries,
            jitter: Key::new(entropy),
        }
    }

    /// Adds a request.
    pub(super) fn push(&mut self, job: Job, now: Instant) {
        self.waiting.push(Waiting {
            job,
            due: now,
            not: None,
        });
    }

    /// Requests under way.
    pub(super) fn active(&self) -> usize {
        self.servers.iter().map(|server| server.active).sum()
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let strange = |server: &Server| !server.known && !server.greeting;
        let greet = |server: &Server| strange(server) && server.paused <= now;
        if let Some(at) = self.servers.iter().position(greet) {
            self.servers[at].greeting = true;
            return Next::Greet { at };
        }
        let due = (0..self.waiting.len())
            .filter(|&i| self.waiting[i].due <= now)
            .min_by_key(|&i| self.waiting[i].due);
        if let Some(i) = due
            && let Some(at) = self.choose(self.waiting[i].not, now)
        {
            self.servers[at].active += 1;
            return Next::Ask {
                at,
                job: self.waiting.swap_remove(i).job,
                round: self.servers[at].round,
            };
        }
        // A server comes back, or a request falls due; all else is reported.
        let servers = self.servers.iter().map(|server| server.paused);
        let jobs = self.waiting.iter().map(|waiting| waiting.due);
        Next::Wait(servers.chain(jobs).filter(|&at| at > now).min())
    }

    /// The server with the fewest requests that can take one more, another than `not` if there is one.
    fn choose(&self, not: Option<usize>, now: Instant) -> Option<usize> {
        let free = |at: &usize| {
            let server = &self.servers[*at];
            // One that has failed is tried with one request alone.
            let most = if server.failures > 0 {
                1
            } else {
                self.in_flight
            };
            server.known && server.paused <= now && server.active < most
        };
        (0..self.servers.len())
            .filter(free)
            .min_by_key(|&at| (Some(at) == not, self.servers[at].active))
    }

    /// Server `at` has said what it is.
    pub(super) fn greeted(&mut self, at: usize) {
        let server = &mut self.servers[at];
        (server.known, server.greeting) = (true, false);
    }

    /// Server `at` could not say what it is.
    pub(super) fn not_greeted(&mut self, at: usize, fault: &Fault, now: Instant) {
        self.servers[at].greeting = false;
        self.pause(at, fault, now);
    }

    /// Server `at` has answered with `tokens` tokens.
    pub(super) fn answered(&mut self, at: usize, tokens: u64) {
        let server = &mut self.servers[at];
        server.active -= 1;
        (server.failures, server.doubts) = (0, 0);
        server.answered += 1;
        server.tokens += tokens;
    }

    /// Server `at` has failed on `job`, which is tried again; it is given back if it was tried often enough.
    pub(super) fn failed(
        &mut self,
        at: usize,
        mut job: Job,
        round: u64,
        fault: &Fault,
        now: Instant,
    ) -> Option<Job> {
        self.servers[at].active -= 1;
        let counted = matches!(fault, Fault::Wrong(_) | Fault::Unknown(_) | Fault::Lost(_));
        if counted {
            job.tries += 1;
            if job.tries > self.retries {
                return Some(job);
            }
        }
        let server = &mut self.servers[at];
        server.doubts += u32::from(matches!(fault, Fault::Wrong(_)));
        let doubted = !matches!(fault, Fault::Wrong(_)) || server.doubts >= DOUBTS;
        if doubted && round == server.round {
            self.pause(at, fault, now);
        }
        let due = if counted {
            now + self.backoff(job.tries)
        } else {
            now
        };
        self.waiting.push(Waiting {
            job,
            due,
            not: Some(at),
        });
        None
    }

    /// Leaves a server alone for a while.
    fn pause(&mut self, at: usize, fault: &Fault, now: Instant) {
        let failures = self.servers[at].failures + 1;
        let pause = match fault {
            Fault::Busy(_, Some(wait)) => *wait + self.backoff(1),
            _ => self.backoff(failures),
        };
        let server = &mut self.servers[at];
        if failures == 1 {
            server.since = now;
        }
        server.failures = failures;
        server.round += 1;
        server.paused = now + pause;
        fault.reason().clone_into(&mut server.reason);
        if matches!(fault, Fault::Away(_) | Fault::Lost(_) | Fault::Unknown(_)) {
            server.known = false;
        }
    }

    /// A pause after so many failures: doubled each time, and then by chance between half of that and all of it.
    fn backoff(&mut self, failures: u32) -> Duration {
        self.jitter = self.jitter.with(1);
        let whole = FIRST_PAUSE * 2u32.saturating_pow(failures.saturating_sub(1).min(16));
        whole
            .min(LONGEST_PAUSE)
            .mul_f64(0.5 + 0.5 * self.jitter.unit())
    }

    /// How long all servers have been failing; `None` while one is not.
    pub(super) fn gone(&self, now: Instant) -> Option<Duration> {
        let failing = |server: &Server| (server.failures > 0).then_some(server.since);
        let since: Option<Vec<Instant>> = self.servers.iter().map(failing).collect();
        let last = since?.into_iter().max()?;
        Some(now.saturating_duration_since(last))
    }

    /// Whether every server has said what it is, or could not.
    pub(super) fn all_tried(&self) -> bool {
        let tried = |server: &Server| server.known || server.failures > 0;
        self.servers.iter().all(tried)
    }

    /// The servers at `urls`, as the user sees them.
    pub(super) fn status(&self, urls: &[String]) -> Vec<ServerStatus> {
        let each = urls.iter().zip(&self.servers);
        each.map(|(url, server)| ServerStatus {
            url: url.clone(),
            tokens: server.tokens,
            answered: server.answered,
            active: server.active,
            away: (server.failures > 0).then(|| server.reason.clone()),
        })
        .collect()
    }

    /// Servers that have said what they are and were not away since.
    pub(super) fn known(&self) -> impl Iterator<Item = usize> {
        (0..self.servers.len()).filter(|&at| self.servers[at].known)
    }
}

#[cfg(test)]
mod tests;
