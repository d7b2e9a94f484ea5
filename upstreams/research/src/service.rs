//! What a process is: one source, or the search over all of them. Both find in the same terms.

use std::time::Duration;

use tokio::time::Instant;

use crate::facets::Facets;
use crate::federation::Federation;
use crate::model::{Finding, Missing, Placed, Timing};
use crate::problem::Problem;
use crate::sources::{self, Query};
use crate::trace::Trace;
use crate::upstream::{Exchange, Upstream};
use crate::{health, rank};

pub enum Service {
    Source(SourceService),
    Search(Federation),
}

/// A source in front of its external API.
pub struct SourceService {
    pub api: Upstream,
    /// How long the external API may take, all its requests for one of ours together.
    pub timeout: Duration,
}

/// A page of ranked findings, and what is to be known about it.
pub struct Answer {
    pub findings: Vec<Finding>,
    /// How many there are beyond this page, where the sources say so.
    pub total: Option<u64>,
    pub facets: Facets,
    pub missing: Vec<Missing>,
    pub timings: Vec<Timing>,
}

impl Service {
    pub fn name(&self) -> &'static str {
        match self {
            Service::Source(source) => source.api.source.as_str(),
            Service::Search(_) => "search",
        }
    }

    /// How far `offset + limit` may reach.
    pub fn window(&self) -> usize {
        match self {
            // The external APIs give at most 100 in one answer.
            Service::Source(_) => 100,
            Service::Search(_) => Federation::WINDOW,
        }
    }

    /// # Errors
    /// The problem to answer with: a source that gave nothing usable, or for the search none that did.
    pub async fn search(&self, query: &Query, trace: &Trace) -> Result<Answer, Problem> {
        match self {
            Service::Source(source) => source.search(query, trace).await,
            Service::Search(federation) => federation.search(query, trace).await,
        }
    }

    pub fn dependencies(&self) -> Vec<health::Dependency<'_>> {
        match self {
            Service::Source(source) => vec![health::Dependency::external(&source.api)],
            Service::Search(federation) => federation.sources().iter().map(health::Dependency::source).collect(),
        }
    }
}

impl SourceService {
    async fn search(&self, query: &Query, trace: &Trace) -> Result<Answer, Problem> {
        let start = Instant::now();
        let exchange = Exchange { trace, until: start + self.timeout };
        let page = sources::search(&self.api, query, exchange).await?;
        let placed = page.items.into_iter().enumerate();
        let mut findings: Vec<Finding> =
            placed.map(|(at, item)| Finding::single(Placed { item, position: query.offset + at })).collect();
        rank::rank(&query.text, &mut findings);
        let timing =
            Timing { source: self.api.source, elapsed: start.elapsed(), outcome: "ok", results: findings.len() };
        Ok(Answer {
            facets: Facets::of(&findings),
            findings,
            total: page.total,
            missing: Vec::new(),
            timings: vec![timing],
        })
    }
}
