//! A stub of the hub on the loopback interface.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The commit that every revision is.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub that serves one repository, `owner/name`, at revision `v1` and at its commit.
pub(super) struct Hub {
    pub(super) address: String,
    state: Arc<State>,
}

struct State {
    files: HashMap<String, Vec<u8>>,
    token: Option<&'static str>,
    /// How many whole-file responses are still to break off in the middle.
    breaks: AtomicUsize,
    /// `METHOD path [range]` of every request.
    seen: Mutex<Vec<String>>,
}

impl Hub {
    pub(super) fn serve(
        files: HashMap<String, Vec<u8>>,
        token: Option<&'static str>,
        breaks: usize,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(State {
            files,
            token,
            breaks: breaks.into(),
            seen: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        // The thread ends with the process; it holds nothing but the listener.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = shared.answer(stream);
            }
        });
        Self { address, state }
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.state.seen.lock().expect("not poisoned").clone()
    }
}

impl State {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_string());
        }
        let header = |name: &str| {
            lines.iter().skip(1).find_map(|l| {
                let (key, value) = l.split_once(':')?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_string())
            })
        };
        let mut words = lines
            .first()
            .map(String::as_str)
            .unwrap_or_default()
            .split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let range = header("range").unwrap_or_default();
        self.seen
            .lock()
            .expect("not poisoned")
            .push(format!("{method} {path} {range}").trim().to_string());

        let allowed = self
            .token
            .is_none_or(|t| header("authorization") == Some(format!("Bearer {t}")));
        if !allowed {
            return reply(stream, "401 Unauthorized", &[], b"{}", 2);
        }
        let known = |revision: &str| ["v1", COMMIT].contains(&revision);
        let listing = path.strip_prefix("/api/models/owner/name/revision/");
        if listing.is_some_and(known) {
            let list: Vec<_> = self
                .files
                .keys()
                .map(|f| serde_json::json!({"rfilename": f}))
                .collect();
            let body = serde_json::json!({"sha": COMMIT, "siblings": list}).to_string();
            return reply(
                stream,
                "200 OK",
                &[("Content-Type", "application/json")],
                body.as_bytes(),
                body.len(),
            );
        }
        let Some(bytes) = path
            .strip_prefix("/owner/name/resolve/")
            .and_then(|rest| rest.split_once('/'))
            .filter(|(revision, _)| known(revision))
            .and_then(|(_, f)| self.files.get(f))
        else {
            return reply(stream, "404 Not Found", &[], b"", 0);
        };
        let (from, to) = range
            .strip_prefix("bytes=")
            .and_then(|r| r.split_once('-'))
            .unwrap_or(("0", ""));
        let from: usize = from.parse().unwrap_or(0);
        let to = to
            .parse()
            .map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
        let body = &bytes[from..to];
        let place = format!("bytes {from}-{}/{}", to.saturating_sub(1), bytes.len());
        let etag = format!("\"{}-{}\"", path.replace('/', "_"), bytes.len());
        let headers = [
            ("Content-Range", place.as_str()),
            ("ETag", &etag),
            ("X-Repo-Commit", COMMIT),
        ];
        let breaks = body.len() > 1000
            && self
                .breaks
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        let sent = if breaks {
            &body[..body.len() / 2]
        } else {
            body
        };
        reply(stream, "206 Partial Content", &headers, sent, body.len())
    }
}

/// Writes a response that announces `length` bytes, and closes.
fn reply(
    mut stream: TcpStream,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    length: usize,
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n"
    )?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)
}
