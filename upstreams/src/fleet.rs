//! The upstreams of one generation, built beside those of the last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use tokio::runtime::Handle;
use weir_config::mesh::{Mesh, Upstream as Spec};
use weir_config::names::Name;
use weir_config::problem::Path;

use crate::dns::Discovery;
use crate::trust::{Trust, TrustError};
use crate::upstream::{Endpoint, Tls, Upstream, keep};

/// Longest wait for the first answers of names that a new generation brings. A dead name server must not hold a push
/// up for longer; the upstream then starts without endpoints.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// An upstream that cannot serve as the document has it.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("{source}")]
    Trust { upstream: Name, source: TrustError },
    #[error("no name server to ask: {problem}; give the upstream `endpoints`, or mend the system's resolver settings")]
    Resolver { upstream: Name, problem: String },
}

impl FleetError {
    /// Where in the document it stands.
    pub fn path(&self) -> Path {
        let upstream = |name: &Name| Path::root().key("upstreams").key(name.to_string());
        match self {
            Self::Trust { upstream: name, .. } => upstream(name).key("tls").key("ca"),
            Self::Resolver { upstream: name, .. } => upstream(name).key("dns"),
        }
    }
}

/// The upstreams of one generation, in the order of their names.
#[derive(Default)]
pub struct Fleet {
    members: Vec<Member>,
}

/// An upstream with what it was made from.
#[derive(Clone)]
struct Member {
    spec: Spec,
    upstream: Arc<Upstream>,
    /// Shared with the next generation, which then need not ask anew; ends with the last that holds it.
    discovery: Option<Arc<Discovery>>,
}

/// Makes fleets. Holds what they share: the resolver, and the folder that relative paths count from.
pub struct Shipyard {
    base: PathBuf,
    resolver: OnceLock<TokioResolver>,
    /// Where discoveries run: the process's, not that of whoever builds a fleet.
    runtime: Handle,
}

impl Shipyard {
    /// `base`: the folder that relative paths of a document count from.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into(), resolver: OnceLock::new(), runtime: Handle::current() }
    }

    /// Builds the upstreams of `mesh` beside `old`, and waits a bounded time until each new one has heard of its first
    /// endpoints. An upstream that is as it was stays the same object; one that changed keeps its endpoints' counts.
    /// Nothing of `old` is touched, so a failure changes nothing.
    pub async fn build(&self, mesh: &Mesh, old: &Fleet) -> Result<Fleet, Vec<FleetError>> {
        let known: BTreeMap<&Name, &Member> = old.members.iter().map(|m| (&m.upstream.name, m)).collect();
        let mut members = Vec::with_capacity(mesh.upstreams.len());
        let mut errors = Vec::new();
        for (name, spec) in &mesh.upstreams {
            match self.member(name, spec, known.get(name).copied()) {
                Ok(member) => members.push(member),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let first_answers = async {
            for discovery in members.iter().filter_map(|m| m.discovery.as_deref()) {
                discovery.first().await;
            }
        };
        // The sets that are still missing then come when they come; their upstreams answer 503 until then.
        let _ = tokio::time::timeout(FIRST_ANSWER, first_answers).await;
        Ok(Fleet { members })
    }

    fn member(&self, name: &Name, spec: &Spec, known: Option<&Member>) -> Result<Member, FleetError> {
        let tls = match &spec.tls {
            None => None,
            Some(tls) => {
                let trust = Trust::load(&tls.ca.clone().unwrap_or_default(), &self.base)
                    .map_err(|source| FleetError::Trust { upstream: name.clone(), source })?;
                Some(Tls { sni: tls.sni.clone(), trust })
            }
        };
        if let Some(known) = known.filter(|k| k.spec == *spec && k.upstream.tls == tls) {
            return Ok(known.clone());
        }
        let old = known.map(|k| k.upstream.endpoints()).unwrap_or_default();
        let same_name = known.is_some_and(|k| k.spec.dns == spec.dns);
        let endpoints: Vec<Arc<Endpoint>> = match &spec.dns {
            None => keep(&old, &spec.endpoints),
            Some(_) if same_name => old.to_vec(),
            Some(_) => Vec::new(),
        };
        let upstream = Upstream::new(name.clone(), spec, tls, endpoints);
        let upstream = Arc::new(match known {
            Some(known) => upstream.inherit(&known.upstream),
            None => upstream,
        });
        let discovery = match &spec.dns {
            None => None,
            Some(dns) => Some(Arc::new(Discovery::start(&self.runtime, self.resolver(name)?, &upstream, dns.clone()))),
        };
        Ok(Member { spec: spec.clone(), upstream, discovery })
    }

    fn resolver(&self, name: &Name) -> Result<TokioResolver, FleetError> {
        if let Some(resolver) = self.resolver.get() {
            return Ok(resolver.clone());
        }
        let resolver = TokioResolver::builder_tokio()
            .and_then(|builder| builder.build())
            .map_err(|error| FleetError::Resolver { upstream: name.clone(), problem: error.to_string() })?;
        Ok(self.resolver.get_or_init(|| resolver).clone())
    }
}

impl Fleet {
    /// The upstream at a position, in the order of names.
    pub fn at(&self, index: usize) -> Option<&Arc<Upstream>> {
        self.members.get(index).map(|m| &m.upstream)
    }

    /// Whether `other` has the very same upstreams, not just equal ones.
    pub fn is_same(&self, other: &Fleet) -> bool {
        let theirs = other.upstreams();
        self.members.len() == other.members.len() && self.upstreams().zip(theirs).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.members.iter().map(|m| &m.upstream)
    }
}
