//! All that a process counts. Recording costs some nanoseconds: no lock, no look-up by name, no allocation once a name is
//! known, no cell that two cores write. [`super::collector`] adds the cells up at a scrape.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use weir_config::names::Name;

use super::access_log::AccessLog;
use super::cells::{Count, PerWorker};
use super::histogram::{EXCHANGE, Histogram};
use super::labels::{ConnectionRejection, H2Abuse, TlsVersion};
use super::route_cells::{Route, RouteCells};
use super::series::Registry;
use super::upstream_cells::{Upstream, UpstreamCells};

/// Routes that have series of their own; the rest share [`super::names::OTHER`].
pub const ROUTES: usize = 5_000;
/// Upstreams that have series of their own.
pub const UPSTREAMS: usize = 5_000;

/// One for each process.
#[derive(Debug)]
pub struct Metrics {
    pub(super) routes: Registry<Route>,
    pub(super) upstreams: Registry<Upstream>,
    pub(super) listeners: Vec<Arc<ListenerCells>>,
    pub(super) process: PerWorker<Process>,
    access_log: OnceLock<AccessLog>,
    /// Held by who reads the cells and by who sweeps them.
    pub(super) reading: Mutex<()>,
}

#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) config_apply: Histogram,
    pub(super) config_rejected: Count,
    pub(super) panics: Count,
    pub(super) h2_abuse: [Count; H2Abuse::ALL.len()],
}

impl Metrics {
    /// `listeners` in the order of their indices.
    pub fn new(listeners: &[Name]) -> Arc<Self> {
        let listener = |name: &Name| Arc::new(ListenerCells { name: name.clone(), workers: PerWorker::default() });
        Arc::new(Self {
            routes: Registry::new(ROUTES),
            upstreams: Registry::new(UPSTREAMS),
            listeners: listeners.iter().map(listener).collect(),
            process: PerWorker::default(),
            access_log: OnceLock::new(),
            reading: Mutex::default(),
        })
    }

    /// The handle of a route, the same one as long as anybody holds it: for the compiled table to keep. No series is
    /// made before the first request.
    pub fn route(&self, name: &Name) -> Arc<RouteCells> {
        self.routes.series(name)
    }

    /// The handle for requests that no route took.
    pub fn no_route(&self) -> Arc<RouteCells> {
        self.routes.nameless()
    }

    /// The handle of an upstream, as [`Self::route`].
    pub fn upstream(&self, name: &Name) -> Arc<UpstreamCells> {
        self.upstreams.series(name)
    }

    /// The cells of a listener.
    ///
    /// # Panics
    /// When [`Self::new`] was given fewer listeners.
    pub fn listener(&self, index: usize) -> &Arc<ListenerCells> {
        &self.listeners[index]
    }

    /// A mesh document took over, so long after it was read. What older ones named and this one doesn't makes room here.
    pub fn config_applied(&self, took: Duration) {
        let (worker, process) = self.process.mine();
        process.config_apply.record(worker, &EXCHANGE, took);

        self.sweep();
    }

    /// Makes room. A scrape is not waited for: the next document does it then.
    fn sweep(&self) {
        let Ok(_reading) = self.reading.try_lock() else { return };
        self.upstreams.sweep();
        self.routes.sweep();
        let upstreams: HashSet<u64> = self.upstreams.all().iter().map(|upstream| upstream.id).collect();
        for route in self.routes.all() {
            route.cells.sweep(&upstreams);
        }
    }

    /// A mesh document was refused.
    pub fn config_rejected(&self) {
        let (worker, process) = self.process.mine();
        process.config_rejected.add(worker, 1);
    }

    /// A panic was caught.
    pub fn panicked(&self) {
        let (worker, process) = self.process.mine();
        process.panics.add(worker, 1);
    }

    pub fn h2_abuse(&self, kind: H2Abuse) {
        let (worker, process) = self.process.mine();
        process.h2_abuse[kind as usize].add(worker, 1);
    }

    /// Takes the count of dropped lines from this log. The first one stays.
    pub fn watch_log(&self, log: AccessLog) {
        let _ = self.access_log.set(log);
    }

    pub(super) fn log_dropped(&self) -> u64 {
        self.access_log.get().map_or(0, AccessLog::dropped)
    }
}

/// What is counted for a listener.
#[derive(Debug)]
pub struct ListenerCells {
    pub(super) name: Name,
    pub(super) workers: PerWorker<Listener>,
}

#[derive(Debug, Default)]
pub(super) struct Listener {
    opened: Count,
    closed: Count,
    pub(super) rejected: [Count; ConnectionRejection::ALL.len()],
    pub(super) handshakes: [Count; TlsVersion::ALL.len()],
}

impl ListenerCells {
    /// A connection was opened.
    pub fn opened(&self) {
        let (worker, listener) = self.workers.mine();
        listener.opened.add(worker, 1);
    }

    /// One that was opened has ended; on whichever thread.
    pub fn closed(&self) {
        let (worker, listener) = self.workers.mine();
        listener.closed.add(worker, 1);
    }

    pub fn rejected(&self, reason: ConnectionRejection) {
        let (worker, listener) = self.workers.mine();
        listener.rejected[reason as usize].add(worker, 1);
    }

    /// A TLS handshake was completed.
    pub fn handshake(&self, version: TlsVersion) {
        let (worker, listener) = self.workers.mine();
        listener.handshakes[version as usize].add(worker, 1);
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        // Closed ones first: one that closes in between counts as open, none as less than nothing.
        let closed = self.workers.sum(|listener| &listener.closed);
        self.workers.sum(|listener| &listener.opened).saturating_sub(closed)
    }
}
