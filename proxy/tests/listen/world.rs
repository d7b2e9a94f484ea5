//! A listener, the application behind it, and clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use weir_config::bootstrap::{Bootstrap, TlsVersion};
use weir_proxy::listen::{Connection, Front, ListenError, ListenerIndex, Listeners, Phase, Refusal, Rejected, Serving};

/// One listener named `edge`, serving.
pub struct World {
    pub address: SocketAddr,
    pub phase: watch::Sender<Phase>,
    pub serving: Serving,
    pub app: Arc<App>,
    pub heard: Arc<Heard>,
}

/// The bootstrap document of a listener with these settings.
pub fn bootstrap(settings: &str) -> Bootstrap {
    let text = format!("state_dir = \"state\"\n[listeners.edge]\ndefault = true\n{settings}\n");
    let parsed = Bootstrap::parse_toml(&text);
    parsed.value.unwrap_or_else(|| panic!("{:#?}", parsed.problems))
}

pub fn bind(settings: &str, base: &Path) -> Result<Listeners, ListenError> {
    Listeners::bind(&bootstrap(settings), base)
}

impl World {
    /// `settings` are those of the listener beside its address.
    pub fn start(settings: &str) -> Self {
        Self::start_in(settings, Path::new("."))
    }

    pub fn start_in(settings: &str, base: &Path) -> Self {
        let settings = format!("address = \"127.0.0.1:0\"\n{settings}");
        let listeners = bind(&settings, base).unwrap_or_else(|error| panic!("{error}"));
        let (_, address) = listeners.addresses().next().expect("a listener");
        let (phase, follow) = watch::channel(Phase::Serving);
        let (app, heard) = (Arc::new(App::default()), Arc::new(Heard::default()));
        let serving = listeners.serve(app.clone(), heard.clone(), follow);
        Self { address, phase, serving, app, heard }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a listener")
    }
}

/// What the listeners told the rest of the proxy.
#[derive(Default)]
pub struct Heard {
    said: watch::Sender<Said>,
}

#[derive(Clone, Debug, Default)]
pub struct Said {
    pub opened: usize,
    pub closed: usize,
    pub rejected: Vec<Rejected>,
    pub refused: Vec<Refusal>,
    pub handshakes: Vec<TlsVersion>,
    pub panics: usize,
}

impl Heard {
    pub fn now(&self) -> Said {
        self.said.borrow().clone()
    }

    /// Waits until `claim` holds.
    pub async fn wait_for(&self, claim: impl FnMut(&Said) -> bool) -> Said {
        self.said.subscribe().wait_for(claim).await.expect("we hold the sender").clone()
    }
}

impl Front for Heard {
    fn refused(&self, _: &Connection, refusal: &Refusal) -> Bytes {
        self.said.send_modify(|said| said.refused.push(refusal.clone()));
        let body = format!("{:?}", refusal.fault);
        format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
    }

    fn opened(&self, _: ListenerIndex) {
        self.said.send_modify(|said| said.opened += 1);
    }

    fn closed(&self, _: ListenerIndex) {
        self.said.send_modify(|said| said.closed += 1);
    }

    fn rejected(&self, _: ListenerIndex, why: Rejected) {
        self.said.send_modify(|said| said.rejected.push(why));
    }

    fn handshake(&self, _: ListenerIndex, version: TlsVersion) {
        self.said.send_modify(|said| said.handshakes.push(version));
    }

    fn panicked(&self) {
        self.said.send_modify(|said| said.panics += 1);
    }
}

/// Answers with what it saw of the request: `METHOD target body=… n=…`, or as the path asks.
pub struct App {
    /// Permits for requests to `/wait`.
    pub go: Semaphore,
    /// Requests to `/wait` that have begun.
    pub waiting: watch::Sender<usize>,
}

impl Default for App {
    fn default() -> Self {
        Self { go: Semaphore::new(0), waiting: watch::Sender::default() }
    }
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.read_request().await.ok()? {
            return None;
        }
        let connection = Connection::of(&session)?.clone();
        let (method, path) = (session.req_header().method.clone(), session.req_header().uri.path().to_owned());
        if path == "/too-large" {
            // As Pingora's proxy leaves a request that failed: the answer is written, the body not read, nothing closed.
            let mut head = ResponseHeader::build(413, Some(1)).ok()?;
            head.insert_header("content-length", 0).ok()?;
            session.write_response_header(Box::new(head)).await.ok()?;
            return None;
        }
        let mut body = Vec::new();
        while let Some(chunk) = session.read_request_body().await.ok()? {
            body.extend_from_slice(&chunk);
        }
        match &*path {
            "/panic" => panic!("asked to"),
            "/wait" => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                // As Pingora's proxy does: the client is watched while the answer is not there.
                tokio::select! {
                    permit = self.go.acquire() => permit.ok()?.forget(),
                    _ = session.read_body_or_idle(true) => return None,
                }
            }
            _ => {}
        }
        let answer = match &*path {
            "/facts" => facts(&connection),
            "/large" => "x".repeat(1_000_000),
            _ => format!("{method} {path} body={} n={}", String::from_utf8_lossy(&body), connection.requests()),
        };
        let mut head = ResponseHeader::build(200, Some(2)).ok()?;
        head.insert_header("content-length", answer.len()).ok()?;
        if connection.should_close() {
            session.set_keepalive(None);
        }
        session.write_response_header(Box::new(head)).await.ok()?;
        session.write_response_body(answer.into(), true).await.ok()?;
        let settings = HttpPersistentSettings::for_session(&session);
        let kept = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(kept, settings))
    }
}

fn facts(connection: &Connection) -> String {
    let tls = connection.tls.as_ref();
    let name = tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or("-");
    let version = tls.map_or("-".to_owned(), |tls| format!("{:?}", tls.version));
    format!("h2={} tls={version} sni={name} peer={}", connection.h2, connection.peer.ip())
}

/// A client of HTTP/1 on any stream.
pub struct Client<S> {
    pub stream: S,
    read: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn says_close(&self) -> bool {
        self.head.to_ascii_lowercase().contains("connection: close")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("an open connection");
        self.stream.flush().await.expect("an open connection");
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        self.answer().await
    }

    /// The next answer, all of it.
    pub async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("a head");
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = field("content-length").and_then(|value| value.parse().ok()).expect("a length");
        while self.read.len() < length {
            self.more().await;
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).expect("a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body }
    }

    async fn more(&mut self) {
        let got = self.stream.read_buf(&mut self.read).await.expect("an open connection");
        assert!(got > 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.read));
    }

    /// True once the server has closed its side and nothing more came.
    pub async fn is_closed(&mut self) -> bool {
        let end = self.stream.read_buf(&mut self.read).await;
        // A reset is an end too.
        end.unwrap_or(0) == 0 && self.read.is_empty()
    }
}
