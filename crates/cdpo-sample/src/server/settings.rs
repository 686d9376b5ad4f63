//! Which servers, and how they are asked: unchecked settings in, every fault at once out.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::http::Uri;

use crate::error::{Error, Result};
use crate::params::SampleParams;

/// What program answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// vLLM: `/v1/completions` with ids.
    Vllm,
    /// SGLang: `/generate` with ids.
    Sglang,
    /// llama.cpp's server: `/completion` with ids.
    LlamaCpp,
    /// Any server with OpenAI's `/v1/completions`: text alone.
    Openai,
}

impl ServerKind {
    /// Its name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LlamaCpp => "llama_cpp",
            Self::Openai => "openai",
        }
    }

    /// Whether it gives the ids that were drawn.
    pub fn gives_ids(self) -> bool {
        self != Self::Openai
    }

    /// Whether its log-probabilities are those at temperature 1. SGLang's are at the temperature that was asked for, unless it was
    /// started otherwise, which it does not say; and greedy is 1 to it.
    pub fn raw_logps(self, params: &SampleParams) -> bool {
        match self {
            Self::Vllm | Self::LlamaCpp => true,
            Self::Sglang => [0.0, 1.0].contains(&params.temperature),
            Self::Openai => false,
        }
    }

    /// Whether an adapter can be handed to it while it runs.
    pub fn takes_adapters(self) -> bool {
        matches!(self, Self::Vllm | Self::Sglang)
    }
}

/// Servers of one model, all of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// What program answers.
    pub kind: ServerKind,
    /// Where: `http://host:port` or `https://host`, without the API's path.
    pub urls: Vec<String>,
    /// The model's name there.
    pub model: String,
    /// Requests under way at each address.
    #[serde(default = "in_flight")]
    pub in_flight: usize,
    /// The environment variable that holds the API key. The key itself is given by [`ServerSampler::with_key`](super::ServerSampler::with_key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// Seconds for one request, its answer included.
    #[serde(default = "timeout")]
    pub timeout: f64,
    /// Seconds for a connection, and for an answer that takes no computing: what the server is.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: f64,
    /// How often one sample is tried again after wrong answers, time-outs and lost connections. A server that cannot be reached is
    /// waited for instead.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Seconds for which all servers may fail before the call does.
    #[serde(default = "give_up")]
    pub give_up: f64,
    /// Whether a server that gives text alone may be used: its text is encoded anew.
    #[serde(default)]
    pub allow_text: bool,
    /// Whether plain `http` may go to an address that is neither loopback nor private.
    #[serde(default)]
    pub allow_http: bool,
}

fn in_flight() -> usize {
    64
}

fn timeout() -> f64 {
    600.0
}

fn connect_timeout() -> f64 {
    10.0
}

fn retries() -> u32 {
    8
}

fn give_up() -> f64 {
    600.0
}

/// Most requests under way at one address: each has a thread.
const MOST_IN_FLIGHT: usize = 1024;

impl ServerSettings {
    /// What the responses depend on: neither the addresses nor how often and how long they are asked.
    pub fn key(&self) -> Value {
        json!({ "kind": self.kind, "model": self.model, "text": !self.kind.gives_ids() })
    }

    /// Checks every key.
    ///
    /// # Errors
    /// [`Error::ServerSettings`] with one entry for each fault.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        if self.urls.is_empty() {
            faults.push("urls: at least one address is expected".to_owned());
        }
        for (i, url) in self.urls.iter().enumerate() {
            if let Some(before) = self.urls[..i].iter().position(|other| other == url) {
                faults.push(format!(
                    "urls: address {} is address {} again",
                    i + 1,
                    before + 1
                ));
            }
            if let Err(fault) = check_url(url, self.allow_http) {
                faults.push(format!("urls: {fault}"));
            }
        }
        if self.model.is_empty() {
            faults.push("model: the name under which the server has the model is expected".into());
        }
        if self.api_key_env.as_deref().is_some_and(|name| !names(name)) {
            faults.push(
                "api_key_env: the name of an environment variable is expected (letters, digits and _, no digit first), not the key itself"
                    .into(),
            );
        }
        if self.in_flight == 0 || self.in_flight > MOST_IN_FLIGHT {
            faults.push(format!(
                "in_flight = {}: a number from 1 to {MOST_IN_FLIGHT} is expected",
                self.in_flight
            ));
        }
        for (name, seconds) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("give_up", self.give_up),
        ] {
            if !(seconds > 0.0 && seconds <= 1e6) {
                faults.push(format!(
                    "{name} = {seconds}: a number of seconds above 0 is expected"
                ));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::ServerSettings(faults))
        }
    }
}

/// Whether a text can be the name of an environment variable.
fn names(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(plain) && text.starts_with(|c: char| !c.is_ascii_digit())
}

/// Whether `url` is one that may be asked, as far as its text tells. One that may hold a password or a key is not repeated.
fn check_url(url: &str, allow_http: bool) -> std::result::Result<(), String> {
    if url.contains('@') {
        return Err(
            "an address with a name or a password in it: put the key into an environment variable and name that in api_key_env"
                .into(),
        );
    }
    if url.contains(['?', '#']) {
        return Err(
            "an address without a query is expected; put a key into an environment variable and name that in api_key_env"
                .into(),
        );
    }
    let uri: Uri = url
        .parse()
        .map_err(|e| format!("{url} is no address: {e}"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err(format!("{url}: http:// or https:// is expected"));
    }
    if uri.path().trim_end_matches('/').ends_with("/v1") {
        return Err(format!("{url}: leave /v1 out; it is added"));
    }
    match address(&uri) {
        Some(ip) if scheme == "http" && !allow_http && !is_private(ip) => Err(unprotected(url)),
        _ => Ok(()),
    }
}

/// The reason why a plain address is refused.
pub(super) fn unprotected(url: &str) -> String {
    format!(
        "{url} is plain http to an address that is neither loopback nor private: anyone on the way could read and change what is \
         sent; use https, or allow_http = true where the network is trusted"
    )
}

/// A host that is written as an address.
pub(super) fn address(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

/// Whether an address is of this machine or of a private network.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(urls: &[&str]) -> ServerSettings {
        serde_json::from_value(json!({ "kind": "vllm", "urls": urls, "model": "m" })).unwrap()
    }

    #[test]
    fn plain_http_goes_to_loopback_and_private_addresses_only() {
        let private = [
            "http://127.0.0.1:8000",
            "http://10.1.2.3:8000",
            "http://192.168.0.9",
            "http://172.16.4.4:1",
            "http://[::1]:8000",
            "http://[fd00::7]:8000",
            "https://1.1.1.1",
            "http://gpu-node:8000",
        ];
        for url in private {
            settings(&[url]).validate().unwrap();
        }
        for url in [
            "http://1.1.1.1:8000",
            "http://172.32.0.1",
            "http://[2001:db8::1]:80",
        ] {
            let error = settings(&[url]).validate().unwrap_err().to_string();
            assert!(
                error.contains("allow_http") && error.contains(url),
                "{error}"
            );
            let mut allowed = settings(&[url]);
            allowed.allow_http = true;
            allowed.validate().unwrap();
        }
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut wrong = settings(&["ftp://h", "http://127.0.0.1/v1", "http://127.0.0.1/v1"]);
        wrong.model.clear();
        wrong.in_flight = 0;
        wrong.timeout = 0.0;
        wrong.give_up = f64::NAN;
        let Err(Error::ServerSettings(faults)) = wrong.validate() else {
            panic!("faults expected")
        };
        assert_eq!(faults.len(), 8, "{faults:?}");
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let error = settings(&["http://me:hunter2@127.0.0.1:80"])
            .validate()
            .unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("api_key_env"), "{error}");
    }

    #[test]
    fn nothing_that_may_be_a_key_is_repeated() {
        for url in [
            "http://127.0.0.1:80/?key=hunter2",
            "http://me:hunter2@127.0.0.1 80",
            "me:hunter2@host",
            "http://127.0.0.1:80 ?key=hunter2",
            "http://127.0.0.1/#hunter2",
        ] {
            let error = settings(&[url, url]).validate().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        for name in ["sk-hunter2", "", "2hunter2", "hunter2=x", "hunter2 "] {
            let mut wrong = settings(&["http://127.0.0.1:80"]);
            wrong.api_key_env = Some(name.into());
            let error = wrong.validate().unwrap_err().to_string();
            assert!(
                error.starts_with("api_key_env") && !error.contains("hunter2"),
                "{error}"
            );
        }
        let mut right = settings(&["http://127.0.0.1:80"]);
        right.api_key_env = Some("_Key_2".into());
        right.validate().unwrap();
    }

    #[test]
    fn addresses_and_patience_are_no_part_of_the_key() {
        let one = settings(&["http://10.0.0.1:8000"]);
        let mut other = settings(&["http://10.0.0.2:8000", "http://10.0.0.3:8000"]);
        other.in_flight = 7;
        other.retries = 1;
        assert_eq!(one.key(), other.key());
        other.model = "n".into();
        assert_ne!(one.key(), other.key());
    }
}
