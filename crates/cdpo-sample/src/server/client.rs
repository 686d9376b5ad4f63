//! One server over HTTP: a path and JSON in, the answer's bytes or a [`Fault`] out.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{HeaderMap, StatusCode, Uri};
use ureq::{Agent, Timeout};

use super::fault::Fault;
use super::settings::{ServerSettings, address, is_private, unprotected};

/// Bytes of an answer at most.
const MOST_BYTES: u64 = 64 << 20;
/// Bytes of a connection's buffers, each way; there are as many connections as requests under way.
const BUFFER: usize = 16 << 10;
/// Characters of a server's own words in a message.
const MOST_WORDS: usize = 400;
/// The longest time that a server may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// An API key. It is shown nowhere.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// `None` if `key` cannot stand in a header.
    pub(super) fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
        plain.then(|| Self(key.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The connections to all servers.
pub(super) fn agent(settings: &ServerSettings) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        // A key goes to the address that was given, and nowhere else.
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs_f64(settings.timeout)))
        .timeout_connect(Some(Duration::from_secs_f64(settings.connect_timeout)))
        .max_idle_connections(settings.in_flight * settings.urls.len())
        .max_idle_connections_per_host(settings.in_flight)
        .max_idle_age(Duration::from_secs(60))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .user_agent(concat!("cdpo/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// One server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    key: Option<Secret>,
    /// Seconds for an answer that takes no computing.
    brief: Duration,
    allow_http: bool,
}

impl Client {
    /// The server at `url`, which was checked.
    pub(super) fn new(
        agent: &Agent,
        url: &str,
        key: Option<&Secret>,
        settings: &ServerSettings,
    ) -> Self {
        Self {
            agent: agent.clone(),
            url: url.trim_end_matches('/').to_owned(),
            key: key.cloned(),
            brief: Duration::from_secs_f64(settings.connect_timeout.min(settings.timeout)),
            allow_http: settings.allow_http,
        }
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether its name stands for addresses that plain http may go to.
    pub(super) fn check_name(&self) -> Result<(), Fault> {
        let Ok(uri) = self.url.parse::<Uri>() else {
            return Err(Fault::Refused(format!("{} is no address", self.url)));
        };
        if self.allow_http || uri.scheme_str() != Some("http") || address(&uri).is_some() {
            return Ok(());
        }
        let host = uri.host().unwrap_or_default();
        let found = (host, uri.port_u16().unwrap_or(80)).to_socket_addrs();
        let ips: Vec<IpAddr> = found
            .map_err(|e| Fault::Away(format!("{host} cannot be found: {e}")))?
            .map(|at| at.ip())
            .collect();
        if ips.iter().all(|&ip| is_private(ip)) {
            Ok(())
        } else {
            Err(Fault::Refused(unprotected(&self.url)))
        }
    }

    /// Asks for `path`, and reads the answer as JSON, which must come within the time for a connection.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.url))
            .config()
            .timeout_global(Some(self.brief))
            .build();
        if let Some(Secret(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let bytes = self.read(path, request.call())?;
        self.parse(&bytes)
    }

    /// Sends JSON to `path`; the answer must come within the time for a request.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Vec<u8>, Fault> {
        self.post_within(None, path, body)
    }

    /// The same; the answer must come within the time for a connection.
    pub(super) fn post_briefly(&self, path: &str, body: &Value) -> Result<Vec<u8>, Fault> {
        self.post_within(Some(self.brief), path, body)
    }

    fn post_within(
        &self,
        time: Option<Duration>,
        path: &str,
        body: &Value,
    ) -> Result<Vec<u8>, Fault> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if time.is_some() {
            request = request.config().timeout_global(time).build();
        }
        if let Some(Secret(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.read(path, request.send(body.to_string()))
    }

    /// An answer as JSON.
    pub(super) fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Fault> {
        serde_json::from_slice(bytes).map_err(|e| {
            let text = String::from_utf8_lossy(bytes);
            Fault::Wrong(format!(
                "the answer is not as expected: {e}: {}",
                self.words(&text)
            ))
        })
    }

    fn read(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, Fault> {
        let mut answer = answer.map_err(|e| self.failed(&e))?;
        let status = answer.status();
        let wait = retry_after(answer.headers());
        let body = answer.body_mut().with_config().limit(MOST_BYTES);
        let bytes = body.read_to_vec().map_err(|e| match self.failed(&e) {
            Fault::Refused(reason) => Fault::Wrong(reason),
            // The head came, the rest did not.
            Fault::Away(reason) | Fault::Lost(reason) => {
                Fault::Wrong(format!("half an answer: {reason}"))
            }
            other => other,
        });
        if status.is_success() {
            return bytes;
        }
        let bytes = bytes.unwrap_or_default();
        let reason = format!(
            "{path}: {status}: {}",
            self.words(&String::from_utf8_lossy(&bytes))
        );
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Fault::Busy(reason, wait)
            }
            StatusCode::BAD_GATEWAY => Fault::Lost(reason),
            StatusCode::NOT_FOUND => Fault::Unknown(reason),
            StatusCode::REQUEST_TIMEOUT => Fault::Wrong(reason),
            status if status.is_server_error() => Fault::Wrong(reason),
            _ => Fault::Refused(reason),
        })
    }

    fn failed(&self, error: &ureq::Error) -> Fault {
        let reason = self.words(&error.to_string());
        match error {
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::TimedOut => {
                Fault::Wrong(format!("no answer in time: {reason}"))
            }
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed => Fault::Away(reason),
            ureq::Error::Io(e) if unconnected(e.kind()) => Fault::Away(reason),
            ureq::Error::Io(_) => Fault::Lost(reason),
            ureq::Error::Timeout(_) => Fault::Wrong(format!("no answer in time: {reason}")),
            ureq::Error::Protocol(_) => Fault::Lost(format!("no HTTP: {reason}")),
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
                Fault::Wrong(format!("too long an answer: {reason}"))
            }
            _ => Fault::Refused(reason),
        }
    }

    /// A text from outside as it may stand in a message: on one line, not too long, without the key.
    fn words(&self, text: &str) -> String {
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(Secret(key)) = &self.key {
            text = text.replace(key.as_str(), "(the key)");
        }
        match text.char_indices().nth(MOST_WORDS) {
            Some((at, _)) => format!("{}..", &text[..at]),
            None => text,
        }
    }
}

/// Whether an error of this kind is one of a connection that was never made.
fn unconnected(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        AddrInUse, AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown,
        NetworkUnreachable,
    };
    matches!(
        kind,
        AddrInUse
            | AddrNotAvailable
            | ConnectionRefused
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
    )
}

/// How long the server asks us to wait: seconds; a date is taken for "some time".
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("retry-after")?.to_str().ok()?.trim().to_owned();
    let seconds: f64 = value.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0)
        .then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())))
}

/// A number for jitter that no two calls share.
pub(super) fn entropy() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}
