//! What a service counts, and (in [`log`]) what it writes down. Every label is of a closed set.

pub mod log;

use std::time::Duration;

use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use crate::model::Source;
use crate::upstream::Fault;

/// In seconds: 1 ms to 10 s, with the usual promises (100 ms, 250 ms, 500 ms, 1 s) on bucket borders.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

pub struct Metrics {
    registry: Registry,
    service: &'static str,
    requests: IntCounterVec,
    duration: HistogramVec,
    upstream_requests: IntCounterVec,
    upstream_duration: HistogramVec,
}

impl Metrics {
    /// The metrics of one service; `log_dropped` is what the log counts.
    ///
    /// # Errors
    /// Where two metrics have one name.
    pub fn new(service: &'static str, log_dropped: IntCounter) -> prometheus::Result<Self> {
        let metrics = Metrics {
            registry: Registry::new(),
            service,
            requests: IntCounterVec::new(
                Opts::new("research_requests_total", "Requests answered; class none: the caller went away before."),
                &["service", "code_class"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("research_request_duration_seconds", "From request head to answer.")
                    .buckets(BUCKETS.to_vec()),
                &["service"],
            )?,
            upstream_requests: IntCounterVec::new(
                Opts::new("research_upstream_requests_total", "Requests to a source's API, by what came of them."),
                &["source", "outcome"],
            )?,
            upstream_duration: HistogramVec::new(
                HistogramOpts::new(
                    "research_upstream_duration_seconds",
                    "From a request to a source's API to its end.",
                )
                .buckets(BUCKETS.to_vec()),
                &["source"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.duration.clone()))?;
        metrics.registry.register(Box::new(metrics.upstream_requests.clone()))?;
        metrics.registry.register(Box::new(metrics.upstream_duration.clone()))?;
        metrics.registry.register(Box::new(log_dropped))?;
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// One of our answers; `code_class` is `2xx` and the like, or `none`.
    pub fn answered(&self, code_class: &'static str, elapsed: Duration) {
        self.requests.with_label_values(&[self.service, code_class]).inc();
        self.duration.with_label_values(&[self.service]).observe(elapsed.as_secs_f64());
    }

    /// One question to a source's API; `outcome` is one of [`Fault::WORDS`].
    pub fn asked(&self, source: Source, outcome: &'static str, elapsed: Duration) {
        self.upstream_requests.with_label_values(&[source.as_str(), outcome]).inc();
        self.upstream_duration.with_label_values(&[source.as_str()]).observe(elapsed.as_secs_f64());
    }

    /// Everything, in the Prometheus text format.
    ///
    /// # Errors
    /// Where the encoder fails.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// A rate over a series that appears with its first event misses that event.
    fn start_at_zero(&self) {
        for class in ["2xx", "4xx", "5xx"] {
            self.requests.with_label_values(&[self.service, class]);
        }
        let own = Source::ALL.into_iter().filter(|source| source.as_str() == self.service);
        let asked: Vec<Source> = if self.service == "search" { Source::ALL.to_vec() } else { own.collect() };
        for source in asked {
            for outcome in Fault::WORDS {
                self.upstream_requests.with_label_values(&[source.as_str(), outcome]);
            }
        }
    }
}
