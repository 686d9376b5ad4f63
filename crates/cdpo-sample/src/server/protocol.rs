//! How each kind of server is asked and understood: one file a kind.

mod llama_cpp;
mod openai;
mod sglang;
mod vllm;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::fault::Fault;
use super::settings::ServerKind;
use crate::params::SampleParams;

/// What a server says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// Its kind, as the recipe has it.
    pub kind: String,
    /// The program's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The name that is asked for.
    pub model: String,
    /// The model behind that name: a hub name or a path on the server's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Tokens that a prompt and its response may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// What it computes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Rows of its vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
}

/// What is the same for every request of a call.
#[derive(Debug, Clone)]
pub(super) struct Common {
    /// The base model's name there.
    pub(super) model: String,
    /// The adapter's name, if there is one.
    pub(super) adapter: Option<String>,
    pub(super) params: SampleParams,
    /// Tokens that end a response.
    pub(super) eos: Vec<u32>,
}

/// One request: `prompt` goes on for at most `most` tokens.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) common: &'a Common,
    pub(super) prompt: &'a [u32],
    /// The prompt as text, for a server that takes no ids.
    pub(super) text: &'a str,
    pub(super) most: usize,
    pub(super) seed: u64,
}

/// What a server drew.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    /// The ids as drawn, an end token and a stop string's tokens included; `None` where it gives text alone.
    pub(super) ids: Option<Vec<u32>>,
    /// A log-probability for each of the first so many ids.
    pub(super) logps: Vec<f32>,
    /// The text; looked at only where there are no ids.
    pub(super) text: String,
    /// Whether it ended for want of room; looked at only where there are no ids.
    pub(super) cut: bool,
}

/// An adapter in a folder that the servers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adapter {
    pub(super) name: String,
    pub(super) path: String,
}

/// A kind of server.
pub(super) trait Protocol: Sync {
    /// Asks a server what it is.
    fn identity(&self, client: &Client, model: &str) -> Result<ServerIdentity, Fault>;

    /// The path and the body of a request. Every sampling field is there, so that no default of the server's applies.
    fn request(&self, ask: &Ask<'_>) -> (&'static str, Value);

    /// Reads an answer.
    fn answer(&self, client: &Client, ask: &Ask<'_>, bytes: &[u8]) -> Result<Answer, Fault>;

    /// Hands an adapter to a server; one that it has already is fine.
    fn load(&self, _: &Client, _: &Adapter) -> Result<(), Fault> {
        Err(Fault::Refused(
            "a server of this kind takes no adapter while it runs".into(),
        ))
    }

    /// Takes an adapter from a server.
    fn unload(&self, _: &Client, _: &Adapter) -> Result<(), Fault> {
        Ok(())
    }
}

/// How servers of a kind are asked.
pub(super) fn of(kind: ServerKind) -> &'static dyn Protocol {
    match kind {
        ServerKind::Vllm => &vllm::Vllm,
        ServerKind::Sglang => &sglang::Sglang,
        ServerKind::LlamaCpp => &llama_cpp::LlamaCpp,
        ServerKind::Openai => &openai::Openai,
    }
}

/// What `/v1/models` lists.
#[derive(Debug, Deserialize)]
struct Models {
    data: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    root: Option<String>,
    max_model_len: Option<usize>,
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    n_vocab: Option<usize>,
}

impl Models {
    fn ask(client: &Client) -> Result<Self, Fault> {
        client.get("/v1/models")
    }

    /// The listed model of that name.
    fn named(self, name: &str) -> Result<Listed, Fault> {
        let mut names: Vec<String> = Vec::new();
        for listed in self.data {
            if listed.id == name {
                return Ok(listed);
            }
            names.push(listed.id);
        }
        Err(Fault::Refused(format!(
            "the server has no model {name:?}; it has {}: set model to one of these",
            names.join(", ")
        )))
    }
}

/// Checks that there is one log-probability for each token, and that each is one.
fn check_logps(ids: &[u32], logps: &[f32]) -> Result<(), Fault> {
    if ids.len() != logps.len() {
        return Err(Fault::Wrong(format!(
            "{} tokens with {} log-probabilities",
            ids.len(),
            logps.len()
        )));
    }
    match logps
        .iter()
        .find(|logp| !(logp.is_finite() && **logp <= 1e-3))
    {
        Some(logp) => Err(Fault::Wrong(format!("{logp} is no log-probability"))),
        None => Ok(()),
    }
}

/// Checks the number of prompt tokens that a server says it read.
fn check_read(said: Option<usize>, ask: &Ask<'_>) -> Result<(), Fault> {
    match said {
        Some(said) if said != ask.prompt.len() => Err(Fault::Refused(format!(
            "it read {said} prompt tokens where {} were sent: it changes the prompt{}",
            ask.prompt.len(),
            if ask.text.is_empty() {
                ""
            } else {
                " (it may put a start token of its own before it, or none, or have another tokenizer); vllm, sglang and llama_cpp take ids"
            }
        ))),
        _ => Ok(()),
    }
}
