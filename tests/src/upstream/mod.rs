//! Upstreams in this process: they write down everything that reaches them, and do as a test's script says. Without a
//! script they echo: the answer's body is what they received, as JSON.

mod exchange;
mod h1;
mod h2;
mod ledger;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

pub use exchange::{Exchange, sha256};
pub use ledger::{Ledger, Received};

use crate::authority::Authority;
use crate::io::Io;
use crate::wait::until;

/// What an upstream does with an exchange. An error ends its connection.
pub type Script = Arc<dyn for<'a> Fn(&'a mut Exchange) -> BoxFuture<'a, io::Result<()>> + Send + Sync>;

/// What an upstream speaks.
#[derive(Clone)]
enum Speech {
    H1,
    H2,
    /// HTTP/2 where ALPN chose it, else HTTP/1.1.
    Tls(Arc<ServerConfig>),
}

/// A running upstream. Dropping it closes its listener and its connections.
pub struct Upstream {
    name: String,
    address: SocketAddr,
    ledger: Arc<Ledger>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Echoes over plain HTTP/1.1.
    pub async fn h1(name: &str) -> anyhow::Result<Self> {
        Self::start(name, Speech::H1, echo()).await
    }

    /// Echoes over HTTP/2 by prior knowledge.
    pub async fn h2(name: &str) -> anyhow::Result<Self> {
        Self::start(name, Speech::H2, echo()).await
    }

    /// Echoes over TLS, with a certificate for `names` and these protocols.
    pub async fn tls(name: &str, authority: &Authority, names: &[&str], alpn: &[&[u8]]) -> anyhow::Result<Self> {
        Self::start(name, Speech::Tls(authority.server(names, alpn)?), echo()).await
    }

    /// Plain HTTP/1.1 by a script.
    pub async fn scripted<F>(name: &str, script: F) -> anyhow::Result<Self>
    where
        F: for<'a> Fn(&'a mut Exchange) -> BoxFuture<'a, io::Result<()>> + Send + Sync + 'static,
    {
        Self::start(name, Speech::H1, Arc::new(script)).await
    }

    /// HTTP/2 by prior knowledge, by a script.
    pub async fn scripted_h2<F>(name: &str, script: F) -> anyhow::Result<Self>
    where
        F: for<'a> Fn(&'a mut Exchange) -> BoxFuture<'a, io::Result<()>> + Send + Sync + 'static,
    {
        Self::start(name, Speech::H2, Arc::new(script)).await
    }

    /// Over TLS, as [`Upstream::tls`], by a script.
    pub async fn scripted_tls<F>(
        name: &str,
        authority: &Authority,
        names: &[&str],
        alpn: &[&[u8]],
        script: F,
    ) -> anyhow::Result<Self>
    where
        F: for<'a> Fn(&'a mut Exchange) -> BoxFuture<'a, io::Result<()>> + Send + Sync + 'static,
    {
        Self::start(name, Speech::Tls(authority.server(names, alpn)?), Arc::new(script)).await
    }

    async fn start(name: &str, speech: Speech, script: Script) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger::default());
        let serving = Serving { name: name.into(), speech, script, ledger: ledger.clone() };
        let task = tokio::spawn(accept(listener, serving));
        Ok(Self { name: name.into(), address, ledger, task })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.ledger.requests()
    }

    /// Waits until at least `count` requests have come, and gives them.
    pub async fn received(&self, count: usize) -> anyhow::Result<Vec<Received>> {
        let what = format!("{count} requests at {}", self.name);
        until(&what, || (self.ledger.count() >= count).then(|| self.requests())).await
    }

    /// A mesh document's table for this upstream alone.
    pub fn table(&self) -> String {
        format!("[upstreams.{}]\nendpoints = [\"{}\"]\n", self.name, self.address)
    }

    /// A mesh document that sends everything here.
    pub fn mesh(&self) -> String {
        self.mesh_with("")
    }

    /// [`Upstream::mesh`] with more keys in its one rule.
    pub fn mesh_with(&self, keys: &str) -> String {
        format!("[[routes.all.rules]]\nto = \"{}\"\n{keys}\n\n{}", self.name, self.table())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port of the loopback on which nobody listens, held so that nobody else gets it: connecting to it is refused.
pub struct Refusing {
    _held: TcpSocket,
    address: SocketAddr,
}

impl Refusing {
    pub fn new() -> anyhow::Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: held.local_addr()?, _held: held })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A listener whose queue is full and stays so: connecting to it gets no answer.
pub struct Silent {
    _held: Vec<TcpStream>,
    _listener: TcpListener,
    address: SocketAddr,
}

impl Silent {
    pub async fn new() -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut held = Vec::new();
        // The queue takes a few more than it is asked to; once a connect hangs it is full.
        loop {
            let connect = TcpStream::connect(address);
            match tokio::time::timeout(std::time::Duration::from_millis(300), connect).await {
                Ok(stream) => held.push(stream?),
                Err(_) => return Ok(Self { _held: held, _listener: listener, address }),
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What every connection of an upstream needs.
#[derive(Clone)]
struct Serving {
    name: String,
    speech: Speech,
    script: Script,
    ledger: Arc<Ledger>,
}

async fn accept(listener: TcpListener, serving: Serving) {
    // Dropped with this task, so the connections end when the upstream does.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (serving, connection) = (serving.clone(), serving.ledger.connected());
        connections.spawn(async move { connected(tcp, serving, connection).await });
    }
}

/// Serves one connection; how it ended is the test's business, by what its client saw.
async fn connected(tcp: TcpStream, serving: Serving, connection: u64) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    match serving.speech.clone() {
        Speech::H1 => h1::serve(Io::Plain(tcp), &serving, connection).await,
        Speech::H2 => h2::serve(Io::Plain(tcp), &serving, connection).await,
        Speech::Tls(config) => {
            let io = Io::accept_tls(tcp, config).await?;
            match io.alpn() {
                Some(b"h2") => h2::serve(io, &serving, connection).await,
                _ => h1::serve(io, &serving, connection).await,
            }
        }
    }
}

/// Answers with what was received, after the whole body came.
fn echo() -> Script {
    Arc::new(|exchange| async move { exchange.echo().await }.boxed())
}
