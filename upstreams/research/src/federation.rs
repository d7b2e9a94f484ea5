//! The search over the sources: all asked at once, whoever is not back in time is left out and named.
//!
//! The deadline is on our answer. The sources get all of it but a small share, which merging, ranking and writing
//! take; so a source that never answers costs the caller the deadline and not a millisecond more.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::api::v2;
use crate::facets::Facets;
use crate::model::{Item, Missing, Placed, Source, Timing};
use crate::problem::Problem;
use crate::service::Answer;
use crate::sources::Query;
use crate::trace::Trace;
use crate::upstream::{Exchange, Fault, Upstream, UpstreamError};
use crate::{merge, rank};

/// The part of the deadline that is kept for our own work: a twentieth, and no more than this.
const MAX_RESERVE: Duration = Duration::from_millis(50);

/// The least that each source is asked for. The ranking sees the pool, so the pool must not shrink with the page: the
/// best of ten is the best of one.
const MIN_DEPTH: usize = 20;

pub struct Federation {
    /// At most one for each source.
    sources: Vec<Upstream>,
    deadline: Duration,
}

impl Federation {
    /// How far `offset + limit` may reach: what each source is asked for at most.
    pub const WINDOW: usize = 50;

    pub fn new(sources: Vec<Upstream>, deadline: Duration) -> Self {
        Federation { sources, deadline }
    }

    pub fn sources(&self) -> &[Upstream] {
        &self.sources
    }

    /// Answers within the deadline with what came within it.
    ///
    /// # Errors
    /// Only where no source answered.
    pub async fn search(&self, query: &Query, trace: &Trace) -> Result<Answer, Problem> {
        let reserve = (self.deadline / 20).min(MAX_RESERVE);
        let exchange = Exchange { trace, until: Instant::now() + self.deadline - reserve };
        let asked = join_all(self.sources.iter().map(|source| ask(source, query, exchange))).await;

        let mut pool = Vec::new();
        let mut missing = self.not_configured();
        let mut timings = Vec::with_capacity(asked.len());
        for (source, elapsed, outcome) in asked {
            let mut timing = Timing { source, elapsed, outcome: "ok", results: 0 };
            match outcome {
                Ok(items) => {
                    timing.results = items.len();
                    pool.extend(items);
                }
                Err(error) => {
                    timing.outcome = error.fault.word();
                    missing.push(absence(&error));
                }
            }
            timings.push(timing);
        }
        if timings.iter().all(|timing| timing.outcome != "ok") {
            return Err(Problem::no_source(missing));
        }
        let mut findings = merge::merge(pool);
        rank::rank(&query.text, &mut findings);
        let total = findings.len() as u64;
        let facets = Facets::of(&findings);
        let findings = findings.into_iter().skip(query.offset).take(query.limit).collect();
        Ok(Answer { findings, total: Some(total), facets, missing, timings })
    }

    fn not_configured(&self) -> Vec<Missing> {
        let absent = |source: &Source| self.sources.iter().all(|upstream| upstream.source != *source);
        let missing = Source::ALL.into_iter().filter(absent).map(|source| Missing {
            source,
            reason: "not_configured".into(),
            detail: format!("this search was started without `--source {source}=URL`"),
        });
        missing.collect()
    }
}

/// Asks one source for its best, by its `/v2`.
async fn ask(
    upstream: &Upstream,
    query: &Query,
    exchange: Exchange<'_>,
) -> (Source, Duration, Result<Vec<Placed>, UpstreamError>) {
    let start = Instant::now();
    let depth = (query.offset + query.limit).clamp(MIN_DEPTH, Federation::WINDOW).to_string();
    let request = upstream.get("/v2/search", &[("q", &query.text), ("limit", &depth)]);
    let outcome = upstream.ask(request, exchange, |answer| read(answer.json()?, upstream.source)).await;
    (upstream.source, start.elapsed(), outcome)
}

/// A source's results with the place that it gave each. They must be its own: who answers for another source is not
/// the source that was meant.
fn read(answer: v2::Answer, source: Source) -> Result<Vec<Placed>, Fault> {
    let mut placed = Vec::with_capacity(answer.results.len());
    for (position, result) in answer.results.into_iter().enumerate() {
        let item: Item = result.into_item().ok_or_else(|| Fault::Malformed("a result was found nowhere".into()))?;
        if item.source != source {
            return Err(Fault::Malformed(format!("{} answers at the address given for {source}", item.source)));
        }
        placed.push(Placed { item, position });
    }
    Ok(placed)
}

fn absence(error: &UpstreamError) -> Missing {
    Missing { source: error.source_name, reason: error.fault.word().into(), detail: error.fault.to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus::IntCounter;
    use tokio::net::TcpListener;

    use super::*;
    use crate::telemetry::Metrics;
    use crate::transport::{self, Transport};

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_on_our_answer() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", silent.local_addr().expect("its address"));
        let base: reqwest::Url = base.parse().expect("a URL");
        let dropped = IntCounter::new("dropped_total", "Dropped.").expect("a counter");
        let metrics = Arc::new(Metrics::new("search", dropped).expect("metrics"));
        let client = transport::client("tests", [&base]).expect("a client");
        let query = Query { text: "x".into(), limit: 10, offset: 0 };
        for (deadline, kept) in [(400, 20), (1000, 50), (60_000, 50)] {
            let deadline = Duration::from_millis(deadline);
            let transport = Transport::live(client.clone(), 1024);
            let source = Upstream::new(Source::Arxiv, base.clone(), transport, metrics.clone());
            let federation = Federation::new(vec![source], deadline);
            let start = Instant::now();
            let problem = federation.search(&query, &Trace::default()).await.err().expect("no source");
            assert_eq!(serde_json::to_value(problem).expect("JSON")["status"], 504);
            let left = deadline.checked_sub(start.elapsed()).expect("within the deadline");
            assert!(left.as_millis().abs_diff(kept) <= 1, "{left:?} of {deadline:?} left for our own work");
        }
    }
}
