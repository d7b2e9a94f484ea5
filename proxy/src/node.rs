//! What all requests of a process share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_config::bootstrap::{Bootstrap, Limits, Listener, Network};
use weir_config::names::Name;

use crate::generation::Current;
use crate::listen::{ListenerIndex, Listeners};
use crate::source::Refusals;
use crate::telemetry::AccessLog;
use crate::telemetry::Metrics;
use crate::telemetry::RouteCells;

/// One proxy process.
pub struct Node {
    pub started: Instant,
    pub current: Current,
    pub refusals: Refusals,
    pub metrics: Arc<Metrics>,
    pub access_log: AccessLog,
    /// Where requests without a rule are counted.
    pub no_route: Arc<RouteCells>,
    listeners: Vec<ListenerSettings>,
}

/// What the stations must know of a listener.
pub struct ListenerSettings {
    pub name: Name,
    pub default: bool,
    pub trusted_hops: Vec<Network>,
    pub encoded_slashes: bool,
    pub redirect_to_https: Option<u16>,
    /// Header lines.
    pub headers: usize,
    /// Bounds in bytes.
    pub uri_bytes: u64,
    pub body_bytes: Option<u64>,
    /// How long a client may leave a chunk of its answer untaken.
    pub write_timeout: Duration,
    /// What was written, for operators to see.
    pub limits: Limits,
    pub tls: bool,
    /// The one it is bound to, which the kernel chose where the document says 0.
    pub port: u16,
}

impl ListenerSettings {
    fn new(name: &Name, listener: &Listener, port: u16) -> Self {
        let limits: Limits = listener.limits.clone().unwrap_or_default();
        Self {
            name: name.clone(),
            default: listener.default.unwrap_or(false),
            trusted_hops: listener.trusted_hops.clone(),
            encoded_slashes: listener.encoded_slashes.unwrap_or(false),
            redirect_to_https: listener.redirect_to_https,
            headers: limits.headers().into(),
            uri_bytes: limits.uri_bytes(),
            body_bytes: limits.body_bytes.map(|size| size.0),
            write_timeout: limits.write_timeout(),
            limits,
            tls: listener.tls.is_some(),
            port,
        }
    }
}

impl Node {
    /// `bound`: the bootstrap's listeners. `base`: the folder that relative paths of documents count from.
    pub fn new(bootstrap: &Bootstrap, bound: &Listeners, base: impl Into<PathBuf>, access_log: AccessLog) -> Arc<Self> {
        let settings = bootstrap.listeners.iter().zip(bound.addresses());
        let listeners: Vec<_> =
            settings.map(|((name, l), (_, address))| ListenerSettings::new(name, l, address.port())).collect();
        let names: Vec<Name> = bootstrap.listeners.keys().cloned().collect();
        let metrics = Metrics::new(&names);
        metrics.watch_log(access_log.clone());
        let served = listeners.iter().map(|l| (l.name.clone(), l.default)).collect();
        Arc::new(Self {
            started: Instant::now(),
            current: Current::new(base, served, metrics.clone()),
            refusals: Refusals::default(),
            no_route: metrics.no_route(),
            metrics,
            access_log,
            listeners,
        })
    }

    /// # Panics
    /// When the index is not one of the bootstrap's listeners.
    pub fn listener(&self, index: ListenerIndex) -> &ListenerSettings {
        &self.listeners[usize::from(index.0)]
    }

    pub fn listeners(&self) -> &[ListenerSettings] {
        &self.listeners
    }
}
