//! The one place that swaps. A generation is a table with the upstreams it names: what a request takes at intake and keeps
//! to its end. Both are swapped in one pointer, so no request ever sees a route to an upstream that is not there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use weir_config::mesh::Mesh;
use weir_config::names::Name;
use weir_config::problem::{Path, Problem};
use weir_policy::{ListenerId, RuleId, Table, UpstreamId, compile};
use weir_upstreams::{Fleet, Shipyard};

use crate::listen::ListenerIndex;
use crate::request::edits::HeadEdits;
use crate::telemetry::Metrics;
use crate::telemetry::RouteCells;
use crate::telemetry::UpstreamCells;

/// Table and upstreams that belong together.
pub struct Generation {
    /// Counts up by one with each document that takes over; 0 before the first.
    pub version: u64,
    /// SHA-256 of the document's JSON, in hexadecimal: equal documents have equal digests, however they are written.
    pub digest: String,
    pub mesh: Mesh,
    pub table: Table,
    pub fleet: Fleet,
    /// By [`ListenerIndex`].
    listeners: Vec<ListenerId>,
    /// By [`RuleId`].
    rules: Vec<RuleParts>,
    /// By [`UpstreamId`].
    upstreams: Vec<Arc<UpstreamCells>>,
    alive: Arc<AtomicU64>,
}

/// What a rule needs at hand that the table does not hold.
struct RuleParts {
    cells: Arc<RouteCells>,
    request: Option<Box<HeadEdits>>,
    response: Option<Box<HeadEdits>>,
}

impl Generation {
    pub fn listener(&self, index: ListenerIndex) -> ListenerId {
        self.listeners[usize::from(index.0)]
    }

    pub fn route_cells(&self, rule: RuleId) -> &Arc<RouteCells> {
        &self.rules[rule.0 as usize].cells
    }

    pub fn upstream_cells(&self, upstream: UpstreamId) -> &Arc<UpstreamCells> {
        &self.upstreams[upstream.0 as usize]
    }

    pub fn request_edits(&self, rule: RuleId) -> Option<&HeadEdits> {
        self.rules[rule.0 as usize].request.as_deref()
    }

    pub fn response_edits(&self, rule: RuleId) -> Option<&HeadEdits> {
        self.rules[rule.0 as usize].response.as_deref()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Relaxed);
    }
}

/// The generation that serves, and the way to the next.
pub struct Current {
    now: ArcSwap<Generation>,
    alive: Arc<AtomicU64>,
    shipyard: Shipyard,
    /// Names of the listeners, and whether each serves the routes that name none.
    served: Vec<(Name, bool)>,
    metrics: Arc<Metrics>,
    /// One document at a time.
    applying: Mutex<()>,
}

/// A document took over.
pub struct Applied {
    pub generation: Arc<Generation>,
    /// What the compiler remarked; nothing of it stops a document.
    pub warnings: Vec<Problem>,
    /// The document meant the same as the one that serves, which serves on.
    pub unchanged: bool,
}

impl Current {
    pub fn new(base: impl Into<PathBuf>, served: Vec<(Name, bool)>, metrics: Arc<Metrics>) -> Self {
        let alive = Arc::new(AtomicU64::new(1));
        let table = match compile(&Mesh::default()) {
            Ok(compiled) => compiled.table,
            Err(_) => unreachable!("an empty document has nothing to object to"),
        };
        let empty = Generation {
            version: 0,
            digest: String::new(),
            mesh: Mesh::default(),
            fleet: Fleet::default(),
            listeners: served.iter().map(|(name, default)| table.listener(name, *default)).collect(),
            rules: Vec::new(),
            upstreams: Vec::new(),
            table,
            alive: alive.clone(),
        };
        let now = ArcSwap::from_pointee(empty);
        Self { now, alive, shipyard: Shipyard::new(base), served, metrics, applying: Mutex::default() }
    }

    /// The generation that serves.
    pub fn load(&self) -> Arc<Generation> {
        self.now.load_full()
    }

    /// Version of the document that serves; 0 before the first.
    pub fn version(&self) -> u64 {
        self.now.load().version
    }

    /// Generations that something still holds.
    pub fn alive(&self) -> u64 {
        self.alive.load(Relaxed)
    }

    /// Builds the next generation beside the one that serves, and swaps. On an error nothing has changed.
    pub async fn apply(&self, mesh: Mesh, since: Instant) -> Result<Applied, Vec<Problem>> {
        let _one_at_a_time = self.applying.lock().await;
        let applied = self.build_and_swap(mesh).await;
        match &applied {
            Ok(applied) if !applied.unchanged => self.metrics.config_applied(since.elapsed()),
            Ok(_) => {}
            Err(_) => self.metrics.config_rejected(),
        }
        applied
    }

    async fn build_and_swap(&self, mesh: Mesh) -> Result<Applied, Vec<Problem>> {
        let old = self.load();
        let digest = mesh.digest();
        let compiled = compile(&mesh)?;
        let mut table = compiled.table;
        self.check_listeners(&table)?;
        table.inherit(&old.table);

        #[cfg(feature = "test-hooks")]
        if std::env::var("WEIR_TEST_SWAP").is_ok_and(|when| when == "early") {
            self.swap_before_the_upstreams_are_ready(&old, &mesh);
        }
        let fleet = self.shipyard.build(&mesh, &old.fleet).await.map_err(|errors| {
            errors.iter().map(|error| Problem::error(&error.path(), error.to_string())).collect::<Vec<_>>()
        })?;
        // A document that means the same changes nothing, unless a file that it names has changed.
        if digest == old.digest && old.fleet.is_same(&fleet) {
            return Ok(Applied { generation: old, warnings: compiled.warnings, unchanged: true });
        }
        let next = Arc::new(self.generation(old.version + 1, digest, mesh, table, fleet));
        self.now.store(next.clone());
        Ok(Applied { generation: next, warnings: compiled.warnings, unchanged: false })
    }

    fn generation(&self, version: u64, digest: String, mesh: Mesh, table: Table, fleet: Fleet) -> Generation {
        self.alive.fetch_add(1, Relaxed);
        let rules = table.rules().iter().map(|rule| RuleParts {
            cells: self.metrics.route(&rule.route),
            request: HeadEdits::prepare(&rule.request_edits),
            response: HeadEdits::prepare(&rule.response_edits),
        });
        Generation {
            version,
            digest,
            mesh,
            listeners: self.served.iter().map(|(name, default)| table.listener(name, *default)).collect(),
            rules: rules.collect(),
            upstreams: table.upstreams().iter().map(|name| self.metrics.upstream(name)).collect(),
            table,
            fleet,
            alive: self.alive.clone(),
        }
    }

    /// Only this process knows which listeners it has.
    fn check_listeners(&self, table: &Table) -> Result<(), Vec<Problem>> {
        let known = |name: &str| self.served.iter().any(|(own, _)| own.as_str() == name);
        let names: Vec<&str> = self.served.iter().map(|(name, _)| name.as_str()).collect();
        let missing: Vec<Problem> = table
            .listeners_named()
            .filter(|(listener, _)| !known(listener))
            .map(|(listener, route)| {
                let path = Path::root().key("routes").key(route.to_owned()).key("listeners");
                Problem::error(&path, format!("this proxy has no listener `{listener}`"))
                    .hint(format!("its listeners are: {}", names.join(", ")))
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// What must never happen, for the test that has to notice it: the routes take over, their upstreams come later.
    #[cfg(feature = "test-hooks")]
    fn swap_before_the_upstreams_are_ready(&self, old: &Generation, mesh: &Mesh) {
        let Ok(compiled) = compile(mesh) else { return };
        let early =
            self.generation(old.version, old.digest.clone(), old.mesh.clone(), compiled.table, Fleet::default());
        self.now.store(Arc::new(early));
    }
}
