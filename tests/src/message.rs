//! Requests that clients send and responses that they get, the same for HTTP/1 and HTTP/2.

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::upstream::Received;

/// Header lines in their order.
pub type Lines = Vec<(String, String)>;

/// The host that a request names unless it says otherwise.
pub const HOST: &str = "test.example";

/// What a client sends. The client adds framing, nothing else.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// As it is written on the request line: path and query.
    pub target: String,
    pub host: String,
    pub headers: Lines,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        let (method, target, host) = (method.to_owned(), target.to_owned(), HOST.to_owned());
        Self { method, target, host, headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new("POST", target) }
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The request head as HTTP/1.1 bytes, ending in the empty line. `framing` is one more header line, or empty.
    pub fn head(&self, framing: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(framing);
        head.push_str("\r\n");
        head
    }

    /// The whole request as HTTP/1.1 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let framing = match self.body.len() {
            0 => String::new(),
            length => format!("content-length: {length}\r\n"),
        };
        [self.head(&framing).as_bytes(), &self.body].concat()
    }
}

/// What a client got.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Lines,
    pub body: Vec<u8>,
    pub trailers: Lines,
    /// The heads before the final one: 100, 103.
    pub interim: Vec<(u16, Lines)>,
    /// Minor version of HTTP/1, or 2 for HTTP/2.
    pub version: u8,
}

impl Response {
    /// The first line of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Every line of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        all(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} {:?}", self.status, self.text()))
    }

    /// What the upstream that answered says it received.
    pub fn echo(&self) -> anyhow::Result<Received> {
        self.json()
    }

    /// The word of a local reply: `reason` of its problem body.
    pub fn reason(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body.get("reason")?.as_str()?.to_owned())
    }

    /// Status and reason, for short comparisons: `(404, "no_route")`.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.reason().unwrap_or_else(|| format!("no reason in {:?}", self.text())))
    }
}

/// The first line of a name, whatever its case.
pub fn first<'a>(lines: &'a Lines, name: &str) -> Option<&'a str> {
    lines.iter().find(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// All lines of a name, whatever its case.
pub fn all<'a>(lines: &'a Lines, name: &str) -> Vec<&'a str> {
    lines.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}
