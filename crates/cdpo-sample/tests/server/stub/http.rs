//! HTTP/1.1 with keep-alive, as much of it as a stub needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::{State, Trick};

/// A request.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) body: Value,
    key: Option<String>,
}

impl State {
    /// Answers what comes over a connection until it ends.
    pub(super) fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let life = self.lives.load(Ordering::SeqCst);
        while let Some(asked) = read(&mut reader)? {
            if self.lives.load(Ordering::SeqCst) != life {
                return Ok(());
            }
            let allowed = self
                .key
                .is_none_or(|key| asked.key == Some(format!("Bearer {key}")));
            if !allowed {
                let given = asked.key.unwrap_or_default();
                write(
                    stream,
                    "401 Unauthorized",
                    "",
                    &format!("wrong key: {given}"),
                )?;
                continue;
            }
            let (status, headers, body) = match self.trick(&asked) {
                Some(Trick::Reset) => return Ok(()),
                Some(Trick::Half) => {
                    let body = "{\"choices\": [";
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{body}");
                    return (&*stream).write_all(head.as_bytes());
                }
                Some(Trick::Status(status, headers, body)) => (status, headers, body.to_owned()),
                Some(Trick::Garbage) => ("200 OK", "", "<html>sorry</html>".to_owned()),
                trick => self.answer(&asked, trick.as_ref()),
            };
            write(stream, status, headers, &body)?;
        }
        Ok(())
    }

    /// What is done with a request for tokens.
    fn trick(&self, asked: &Asked) -> Option<Trick> {
        if !matches!(
            asked.path.as_str(),
            "/v1/completions" | "/generate" | "/completion"
        ) {
            return None;
        }
        let n = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut bodies = self.bodies.lock().unwrap();
        if bodies.len() < 1000 {
            bodies.push(asked.body.clone());
        }
        drop(bodies);
        Some((self.plan)(n, &asked.body))
    }

    fn answer(&self, asked: &Asked, trick: Option<&Trick>) -> (&'static str, &'static str, String) {
        let active = self.active.fetch_add(1, Ordering::SeqCst) + 1;
        if trick.is_some() {
            self.most_active.fetch_max(active, Ordering::SeqCst);
        }
        if let Some(Trick::Slow(time)) = trick {
            std::thread::sleep(*time);
        }
        let (status, mut body) = self.reply(asked);
        if let Some(Trick::Change(change)) = trick {
            change(&mut body);
        }
        self.active.fetch_sub(1, Ordering::SeqCst);
        let text = match body {
            Value::String(text) => text,
            body => body.to_string(),
        };
        (status, "", text)
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => key = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Asked { path, body, key }))
}

fn write(mut stream: &TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes())
}
