//! Three small HTTP servers for those who run the process: metrics, health, and admin (what is going on, and the few
//! things that can be done about it).
//!
//! They share nothing with the listeners for traffic but the process: their own accept loops, a bound on connections
//! each, their own answers while everything else drains.

mod health;
mod host;
mod metrics;
mod pages;
mod problem;
mod server;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::telemetry::logs::LogLevel;
use crate::telemetry::{Gauges, Metrics};

/// What the servers show of the process, and what they may ask of it. Called from threads that may block.
pub trait View: Gauges + Send + Sync + 'static {
    /// The table that serves, and the document that was refused since, if one was.
    fn table(&self) -> Value;
    /// Upstreams with their endpoints and state.
    fn upstreams_json(&self) -> Value;
    /// The certificates in use: names, issuer, validity.
    fn certificates_json(&self) -> Value;
    /// Bounds in force, and how much of them is used.
    fn limits(&self) -> Value;
    /// What would happen to a request, and why each other rule lost.
    ///
    /// # Errors
    /// What is wrong with the query.
    fn explain(&self, query: ExplainQuery) -> Result<Value, String>;
    /// Begins to leave. Does nothing the second time.
    fn drain(&self);
    /// Whether the process should get traffic: it has a table, its listeners are up, it does not drain.
    ///
    /// # Errors
    /// What is missing, a sentence each.
    fn ready(&self) -> Result<(), Vec<String>>;
    /// Each dependency with its latency and whether it is critical, the listeners, the version of the configuration. An
    /// object; `"healthy": false` in it makes the answer's status 503.
    fn health(&self) -> Value;
}

/// A request to be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainQuery {
    /// Absent: a default listener.
    pub listener: Option<String>,
    pub host: Option<String>,
    /// The target: path and, after `?`, query.
    pub path: String,
    /// `GET` when absent.
    pub method: Option<String>,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
}

/// Where the servers listen: bound, of any port.
#[derive(Debug)]
pub struct Sockets {
    /// Must be a loopback address.
    pub admin: TcpListener,
    pub metrics: TcpListener,
    pub health: TcpListener,
}

/// Serves until `stop` is over, then lets what is being answered end (at most a second).
///
/// # Errors
/// A socket cannot be used, or the one for admin is not on a loopback address.
pub async fn serve(
    sockets: Sockets,
    view: Arc<dyn View>,
    metrics: Arc<Metrics>,
    log: LogLevel,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = sockets.admin.local_addr()?;
    if !address.ip().is_loopback() {
        let problem = format!("the admin address {address} is not a loopback address");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let (stopping, stopped) = watch::channel(());
    let servers = [
        (sockets.admin, pages::router(view.clone(), log)),
        (sockets.metrics, metrics::router(view.clone(), metrics)),
        (sockets.health, health::router(view)),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (socket, router) in servers {
        running.spawn(server::run(server::listener(socket)?, router, stopped.clone()));
    }
    stop.await;
    drop(stopping);
    while running.join_next().await.is_some() {}
    Ok(())
}
