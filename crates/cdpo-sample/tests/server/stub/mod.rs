//! A server on the loopback interface that speaks as each kind does, draws by a rule that can be computed again, and misbehaves as told.

mod http;
mod kinds;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdpo_model::Key;
use serde_json::Value;

use crate::tokenizer::{EOS, LINE_FEED, letter};

/// What the stub does with a request for tokens, instead of answering it.
pub(crate) enum Trick {
    /// Answers.
    None,
    /// Gives this status, with these header lines and this body.
    Status(&'static str, &'static str, &'static str),
    /// Closes the connection without a word.
    Reset,
    /// Promises a whole answer, and closes in the middle of it.
    Half,
    /// Answers what is no JSON.
    Garbage,
    /// Waits, then answers.
    Slow(Duration),
    /// Changes the answer.
    Change(fn(&mut Value)),
}

type Plan = dyn Fn(usize, &Value) -> Trick + Send + Sync;

pub(crate) struct State {
    /// What is done with the n-th request for tokens.
    plan: Box<Plan>,
    /// The key that every request must bring.
    key: Option<&'static str>,
    /// The model's name, what is behind it, and its context.
    pub(crate) root: Mutex<String>,
    pub(crate) context: usize,
    /// The text that ends a response as this server sees it, beside what it is asked for.
    pub(crate) own_end: Option<u32>,
    /// Whether a start token of its own stands before a text.
    pub(crate) adds_bos: AtomicBool,
    asked: AtomicUsize,
    connections: AtomicUsize,
    active: AtomicUsize,
    most_active: AtomicUsize,
    pub(crate) adapters: Mutex<BTreeSet<String>>,
    /// Bodies of the requests for tokens, the first thousand.
    bodies: Mutex<Vec<Value>>,
    down: AtomicBool,
    /// How often it went away: connections of an earlier life answer no more.
    lives: AtomicUsize,
}

/// A server; it ends with the test's process.
pub(crate) struct Stub {
    pub(crate) url: String,
    address: SocketAddr,
    pub(crate) state: Arc<State>,
}

impl Stub {
    /// One that answers.
    pub(crate) fn good() -> Self {
        Self::with(|_, _| Trick::None)
    }

    /// One that follows `plan`, which gets the number of the request for tokens and its body.
    pub(crate) fn with(plan: impl Fn(usize, &Value) -> Trick + Send + Sync + 'static) -> Self {
        Self::of(plan, None, 256, None)
    }

    pub(crate) fn of(
        plan: impl Fn(usize, &Value) -> Trick + Send + Sync + 'static,
        key: Option<&'static str>,
        context: usize,
        own_end: Option<u32>,
    ) -> Self {
        let state = State {
            plan: Box::new(plan),
            key,
            root: Mutex::new("owner/model".into()),
            context,
            own_end,
            adds_bos: false.into(),
            asked: 0.into(),
            connections: 0.into(),
            active: 0.into(),
            most_active: 0.into(),
            adapters: Mutex::default(),
            bodies: Mutex::default(),
            down: false.into(),
            lives: 0.into(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stub = Self {
            url: format!("http://{address}"),
            address,
            state: Arc::new(state),
        };
        stub.listen(listener);
        stub
    }

    fn listen(&self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if state.down.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    // Whatever ends the connection, the client sees.
                    let _ = state.serve(&stream);
                });
            }
        });
    }

    /// Goes away: connections are refused, those that are open end with their next request, and adapters are forgotten.
    pub(crate) fn go_down(&self) {
        self.state.down.store(true, Ordering::SeqCst);
        self.state.lives.fetch_add(1, Ordering::SeqCst);
        self.state.adapters.lock().unwrap().clear();
        let _ = TcpStream::connect(self.address);
        while TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Comes back at the same address.
    pub(crate) fn come_back(&self) {
        self.state.down.store(false, Ordering::SeqCst);
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.listen(listener);
    }

    /// Requests for tokens so far.
    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Most requests for tokens at a time.
    pub(crate) fn most_active(&self) -> usize {
        self.state.most_active.load(Ordering::SeqCst)
    }

    /// Bodies of the first requests for tokens.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.state.bodies.lock().unwrap().clone()
    }
}

/// What a model of letters, line feeds and end tokens draws at a place of a response: a function of all that it should depend on.
pub(crate) fn token(prompt: &[u32], seed: u64, drawn: &[u32]) -> u32 {
    let mut key = Key::new(seed);
    for &id in prompt.iter().chain(drawn) {
        key = key.with(u64::from(id));
    }
    match key.below(24) {
        0 => EOS,
        1..=3 => LINE_FEED,
        n => letter(n),
    }
}

/// The log-probability that goes with it.
pub(crate) fn logp(id: u32) -> f64 {
    -0.25 - f64::from(id % 7)
}
