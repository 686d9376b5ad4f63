//! Sampling with models that servers run: requests go out as ids, and the ids that were drawn come back.
//!
//! There is one request for each (question, sample), with a seed of its own made of `(seed, question, sample)`; so a missing sample is
//! drawn again alone. That seed is all that can be promised: a server's numbers change with its batch, and its samples with them.

mod call;
mod client;
mod crew;
mod fault;
mod protocol;
mod queue;
mod replay;
mod settings;
mod watch;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use cdpo_model::Tokenizer;

use crate::error::{Error, Result};
use crate::params::SampleParams;
use crate::sampler::{Observer, Request, Sampler, Sink};
use crate::stop::StopRule;
use call::Call;
use client::{Client, Secret, agent, entropy};
use crew::Crew;
use protocol::{Adapter, Common};
use queue::Queue;
use replay::Ends;
use watch::Met;

pub use protocol::ServerIdentity;
pub use queue::ServerStatus;
pub use settings::{ServerKind, ServerSettings};
pub use watch::Watch;

/// The sampler on servers.
#[derive(Debug)]
pub struct ServerSampler<'a> {
    settings: ServerSettings,
    tokenizer: &'a Tokenizer,
    eos: Vec<u32>,
    max_positions: usize,
    key: Option<Secret>,
    adapter: Option<Adapter>,
    identities: Vec<ServerIdentity>,
    watch: Watch,
    met: Met<'a>,
}

impl<'a> ServerSampler<'a> {
    /// A sampler that sends ids of `tokenizer`, and ends a response at an end token that it names, or where `max_positions` tokens
    /// are reached.
    ///
    /// # Errors
    /// [`Error::ServerSettings`].
    pub fn new(
        settings: ServerSettings,
        tokenizer: &'a Tokenizer,
        max_positions: usize,
    ) -> Result<Self> {
        settings.validate()?;
        Ok(Self {
            settings,
            tokenizer,
            eos: tokenizer.eos().to_vec(),
            max_positions,
            key: None,
            adapter: None,
            identities: Vec::new(),
            watch: Watch::default(),
            met: Met::default(),
        })
    }

    /// Sets the tokens that end a response.
    #[must_use]
    pub fn with_eos(mut self, eos: Vec<u32>) -> Self {
        self.eos = eos;
        self
    }

    /// Sets the API key.
    ///
    /// # Errors
    /// [`Error::ServerSettings`] if it cannot stand in a header; the message does not hold it.
    pub fn with_key(mut self, key: &str) -> Result<Self> {
        let secret = Secret::new(key).ok_or_else(|| {
            let name = self.settings.api_key_env.as_deref().unwrap_or_default();
            Error::ServerSettings(vec![format!(
                "api_key_env: the value of {name} is empty or has blanks or other characters that no key has"
            )])
        })?;
        self.key = Some(secret);
        Ok(self)
    }

    /// Has the servers answer with the PEFT adapter in `folder`, which they read at that path; `name` is what it is called there and
    /// should hold its content's hash. [`Self::release`] takes it from them.
    ///
    /// # Errors
    /// [`Error::ServerSettings`] for a kind that takes no adapter while it runs.
    pub fn with_adapter(mut self, name: &str, folder: &Path) -> Result<Self> {
        if !self.settings.kind.takes_adapters() {
            return Err(Error::ServerSettings(vec![format!(
                "kind = \"{}\" takes no adapter while it runs: use vllm or sglang, evaluate with the local engine, or merge the adapter \
                 into the base (cdpo merge) and serve that as a model of its own",
                self.settings.kind.name()
            )]));
        }
        self.adapter = Some(Adapter {
            name: name.to_owned(),
            path: folder.display().to_string(),
        });
        Ok(self)
    }

    /// What the servers of the last call said that they are, each answer once.
    pub fn identities(&self) -> &[ServerIdentity] {
        &self.identities
    }

    /// Has `listener` called with [`Self::identities`] before the first response is drawn, and again where a server says something new.
    #[must_use]
    pub fn on_met(mut self, listener: impl FnMut(&[ServerIdentity]) + 'a) -> Self {
        self.met = Met(Some(Box::new(listener)));
        self
    }

    /// How the servers do.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Takes the adapter from the servers. What fails is given back as (address, reason): they may be away.
    pub fn release(&mut self) -> Vec<(String, String)> {
        let Some(adapter) = self.adapter.take() else {
            return Vec::new();
        };
        let protocol = protocol::of(self.settings.kind);
        let unload = |client: Client| match protocol.unload(&client, &adapter) {
            Ok(()) | Err(fault::Fault::Unknown(_)) => None,
            Err(fault) => Some((client.url().to_owned(), fault.reason().to_owned())),
        };
        self.clients().into_iter().filter_map(unload).collect()
    }

    fn clients(&self) -> Vec<Client> {
        let agent = agent(&self.settings);
        let client = |url: &String| Client::new(&agent, url, self.key.as_ref(), &self.settings);
        self.settings.urls.iter().map(client).collect()
    }

    fn crew(&self, params: &SampleParams, samples: usize) -> Result<Crew> {
        let settings = &self.settings;
        let most = settings.in_flight * settings.urls.len();
        let queue = Queue::new(
            settings.urls.len(),
            settings.in_flight,
            settings.retries,
            Instant::now(),
            entropy(),
        );
        let adapter = self.adapter.as_ref().map(|adapter| adapter.name.clone());
        let common = Common {
            model: settings.model.clone(),
            adapter,
            params: params.clone(),
            eos: self.eos.clone(),
        };
        Crew::start(
            self.clients(),
            protocol::of(settings.kind),
            common,
            self.adapter.clone(),
            queue,
            most.min(samples.max(settings.urls.len())),
        )
        .map_err(Error::Threads)
    }
}

impl Sampler for ServerSampler<'_> {
    fn sample(
        &mut self,
        requests: &[Request],
        params: &SampleParams,
        sink: &mut Sink<'_>,
        progress: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>> {
        params.validate()?;
        let samples = requests.iter().map(|request| request.samples.len()).sum();
        if samples == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        self.identities.clear();
        let crew = self.crew(params, samples)?;
        let eos = self.eos.clone();
        let mut call = Call::new(self, crew, requests, params, samples);
        let ends = Ends {
            rule: StopRule::new(&params.stop),
            eos,
        };
        let flow = call.run(&ends, sink, progress);
        if !matches!(flow, Ok(ControlFlow::Continue(()))) {
            call.hand_over(&ends, sink);
            return flow;
        }
        Ok(call.finish(progress))
    }
}
