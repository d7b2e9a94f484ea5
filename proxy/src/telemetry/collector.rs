//! A scrape: folds the cells of all workers into families of the `prometheus` crate and asks a view for the gauges that
//! live elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use weir_config::names::Name;
use weir_policy::Reason;

use super::histogram::{ADDED, Bounds, Durations, EXCHANGE};
use super::labels::{
    AttemptOutcome, CodeClass, ConnectionRejection, EndpointState, H2Abuse, RateDecision, RetryOutcome, TlsVersion,
};
use super::metrics::{Metrics, UPSTREAMS};
use super::names::{self, Family, Kind};
use super::route_cells::NOBODY;
use super::series::Registry;
use super::upstream_cells::Upstream;

/// What is asked for at each scrape instead of being counted. Nothing here may wait.
pub trait Gauges {
    /// Version of the mesh document that serves; 0 before the first.
    fn config_version(&self) -> u64;
    /// Generations that something still holds.
    fn generations_alive(&self) -> u64;
    /// The upstreams of the generation that serves.
    fn upstreams(&self) -> Vec<UpstreamGauges>;
    /// Names of the certificates in use and when they end, in seconds since 1970.
    fn certificates(&self) -> Vec<(String, i64)>;
    /// What the process depends on, and whether it answered when last asked.
    fn dependencies(&self) -> Vec<(String, bool)>;
}

/// The state of an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamGauges {
    pub name: Name,
    /// Requests on their way there.
    pub inflight: u64,
    /// Endpoints, by [`EndpointState`] `as usize`.
    pub endpoints: [u64; EndpointState::ALL.len()],
    /// What is left of the retry budget, from 0 to 1.
    pub retry_budget_ratio: f64,
}

impl Metrics {
    /// All metrics in Prometheus' text format (version 0.0.4).
    pub fn gather(&self, view: &dyn Gauges) -> String {
        let mut families = self.counted();
        families.extend(gauges(view));
        // The encoder refuses families without a metric.
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = String::new();
        if let Err(error) = TextEncoder.encode_utf8(&families, &mut text) {
            // Not for what we build here; what was encoded so far is well-formed.
            tracing::error!(%error, "metrics not encoded");
        }
        text
    }

    /// The families that come from cells.
    fn counted(&self) -> Vec<MetricFamily> {
        // A panic in another scrape has changed nothing.
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut families = Vec::new();
        self.collect_routes(&mut families);
        self.collect_upstreams(&mut families);
        self.collect_listeners(&mut families);
        self.collect_process(&mut families);
        families
    }

    fn collect_routes(&self, families: &mut Vec<MetricFamily>) {
        let mut requests = Samples::of(names::REQUESTS);
        let mut durations = Samples::of(names::REQUEST_DURATION);
        let mut decisions = Samples::of(names::RATELIMIT_DECISIONS);
        let mut upstreams = Labels::default();
        for route in self.routes.all() {
            for (upstream, by_reason) in route.cells.requests() {
                let Some(upstream) = upstreams.of(upstream, &self.upstreams) else { continue };
                for (reason, by_class) in Reason::ALL.iter().zip(by_reason) {
                    for (class, count) in CodeClass::ALL.iter().zip(by_class).filter(|&(_, count)| count > 0) {
                        requests.counter(&[&route.label, &upstream, class.as_str(), reason.as_str()], count);
                    }
                }
            }
            for (class, sums) in route.cells.durations() {
                durations.histogram(&[&route.label, class.as_str()], &EXCHANGE, &sums);
            }
            let decided = RateDecision::ALL.iter().map(|&decision| (decision, route.cells.decisions(decision)));
            // A route without a rate limit has no such series.
            if decided.clone().any(|(_, count)| count > 0) {
                decided.for_each(|(decision, count)| decisions.counter(&[&route.label, decision.as_str()], count));
            }
        }
        families.extend([requests, durations, decisions].map(Samples::into_family));
    }

    fn collect_upstreams(&self, families: &mut Vec<MetricFamily>) {
        let mut attempts = Samples::of(names::ATTEMPTS);
        let mut retries = Samples::of(names::RETRIES);
        let mut durations = Samples::of(names::UPSTREAM_DURATION);
        let mut added = Samples::of(names::ADDED_LATENCY);
        for upstream in self.upstreams.all() {
            let workers = &upstream.cells.workers;
            // Those of names without a place, while there are none.
            if workers.all().next().is_none() {
                continue;
            }
            // All outcomes, the ones at 0 too: a rate sees the first one only from there.
            for &outcome in AttemptOutcome::ALL {
                let count = workers.sum(|block| &block.attempts[outcome as usize]);
                attempts.counter(&[&upstream.label, outcome.as_str()], count);
            }
            for &outcome in RetryOutcome::ALL {
                let count = workers.sum(|block| &block.retries[outcome as usize]);
                retries.counter(&[&upstream.label, outcome.as_str()], count);
            }
            let (mut whole, mut ours) = (Durations::default(), Durations::default());
            for block in workers.all() {
                block.duration.fold(&mut whole);
                block.added.fold(&mut ours);
            }
            durations.histogram(&[&upstream.label], &EXCHANGE, &whole);
            added.histogram(&[&upstream.label], &ADDED, &ours);
        }
        families.extend([attempts, retries, durations, added].map(Samples::into_family));
    }

    fn collect_listeners(&self, families: &mut Vec<MetricFamily>) {
        let mut connections = Samples::of(names::CONNECTIONS);
        let mut rejected = Samples::of(names::CONNECTIONS_REJECTED);
        let mut handshakes = Samples::of(names::TLS_HANDSHAKES);
        for listener in &self.listeners {
            let name = listener.name.as_str();
            connections.gauge(&[name], listener.open() as f64);
            for &reason in ConnectionRejection::ALL {
                let count = listener.workers.sum(|cells| &cells.rejected[reason as usize]);
                rejected.counter(&[name, reason.as_str()], count);
            }
            for &version in TlsVersion::ALL {
                let count = listener.workers.sum(|cells| &cells.handshakes[version as usize]);
                handshakes.counter(&[name, version.as_str()], count);
            }
        }
        families.extend([connections, rejected, handshakes].map(Samples::into_family));
    }

    fn collect_process(&self, families: &mut Vec<MetricFamily>) {
        let mut apply = Samples::of(names::CONFIG_APPLY);
        let mut sums = Durations::default();
        self.process.all().for_each(|process| process.config_apply.fold(&mut sums));
        apply.histogram(&[], &EXCHANGE, &sums);

        let mut rejected = Samples::of(names::CONFIG_REJECTED);
        rejected.counter(&[], self.process.sum(|process| &process.config_rejected));
        let mut panics = Samples::of(names::PANICS);
        panics.counter(&[], self.process.sum(|process| &process.panics));
        let mut dropped = Samples::of(names::LOG_DROPPED);
        dropped.counter(&[], self.log_dropped());
        let mut abuse = Samples::of(names::H2_ABUSE);
        for &kind in H2Abuse::ALL {
            abuse.counter(&[kind.as_str()], self.process.sum(|process| &process.h2_abuse[kind as usize]));
        }
        families.extend([apply, rejected, panics, dropped, abuse].map(Samples::into_family));
    }
}

/// The labels of upstreams, by the `id` of their cells.
#[derive(Default)]
struct Labels(HashMap<u64, Arc<str>>);

impl Labels {
    fn of(&mut self, id: u64, upstreams: &Registry<Upstream>) -> Option<Arc<str>> {
        if !self.0.contains_key(&id) {
            // The first one, or one that came after the last look.
            self.0 = upstreams.all().iter().map(|upstream| (upstream.id, upstream.label.clone())).collect();
            self.0.insert(NOBODY, names::NONE.into());
        }
        self.0.get(&id).cloned()
    }
}

/// The families that come from a view.
fn gauges(view: &dyn Gauges) -> Vec<MetricFamily> {
    let mut version = Samples::of(names::CONFIG_VERSION);
    version.gauge(&[], view.config_version() as f64);
    let mut generations = Samples::of(names::CONFIG_GENERATIONS_ALIVE);
    generations.gauge(&[], view.generations_alive() as f64);

    let mut inflight = Samples::of(names::INFLIGHT);
    let mut endpoints = Samples::of(names::ENDPOINTS);
    let mut budget = Samples::of(names::RETRY_BUDGET);
    for (label, upstream) in bounded(view.upstreams()) {
        inflight.gauge(&[&label], upstream.inflight as f64);
        for (state, count) in EndpointState::ALL.iter().zip(upstream.endpoints) {
            endpoints.gauge(&[&label, state.as_str()], count as f64);
        }
        budget.gauge(&[&label], upstream.retry_budget_ratio);
    }

    // Of two with one name, the one that an operator has to know of: a series may be there only once.
    let mut expiries = BTreeMap::new();
    for (certificate, ends) in view.certificates() {
        expiries.entry(certificate).and_modify(|first: &mut i64| *first = ends.min(*first)).or_insert(ends);
    }
    let mut expiry = Samples::of(names::CERTIFICATE_EXPIRY);
    expiries.iter().for_each(|(certificate, &ends)| expiry.gauge(&[certificate], ends as f64));

    let mut answered = BTreeMap::new();
    for (dependency, up) in view.dependencies() {
        answered.entry(dependency).and_modify(|all: &mut bool| *all &= up).or_insert(up);
    }
    let mut dependencies = Samples::of(names::DEPENDENCY_UP);
    answered.iter().for_each(|(dependency, &up)| dependencies.gauge(&[dependency], f64::from(u8::from(up))));

    [version, generations, inflight, endpoints, budget, expiry, dependencies].map(Samples::into_family).into()
}

/// By label; those beyond the bound on series as one: what is in flight and the endpoints added up, the smallest budget.
fn bounded(upstreams: Vec<UpstreamGauges>) -> BTreeMap<Arc<str>, UpstreamGauges> {
    let mut bounded: BTreeMap<Arc<str>, UpstreamGauges> = BTreeMap::new();
    for upstream in upstreams {
        let place = bounded.len() < UPSTREAMS;
        let label = if place { upstream.name.as_str() } else { names::OTHER };
        match bounded.get_mut(label) {
            Some(sum) => {
                sum.inflight += upstream.inflight;
                sum.endpoints.iter_mut().zip(upstream.endpoints).for_each(|(sum, count)| *sum += count);
                sum.retry_budget_ratio = sum.retry_budget_ratio.min(upstream.retry_budget_ratio);
            }
            None => {
                bounded.insert(label.into(), upstream);
            }
        }
    }
    bounded
}

/// A family in the making.
struct Samples {
    family: Family,
    metrics: Vec<Metric>,
}

impl Samples {
    fn of(family: Family) -> Self {
        Self { family, metrics: Vec::new() }
    }

    fn counter(&mut self, labels: &[&str], count: u64) {
        let mut counter = Counter::default();
        counter.set_value(count as f64);
        self.push(labels, |metric| metric.set_counter(counter));
    }

    fn gauge(&mut self, labels: &[&str], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        self.push(labels, |metric| metric.set_gauge(gauge));
    }

    fn histogram(&mut self, labels: &[&str], bounds: &Bounds, sums: &Durations) {
        let mut cumulative = 0;
        let buckets = bounds.upper().iter().zip(sums.buckets).map(|(&bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(bound));
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(sums.count());
        histogram.set_sample_sum(seconds(sums.nanoseconds));
        self.push(labels, |metric| metric.set_histogram(histogram));
    }

    fn push(&mut self, labels: &[&str], set: impl FnOnce(&mut Metric)) {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{}", self.family.name);
        let pairs = self.family.labels.iter().zip(labels).map(|(&name, &value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        set(&mut metric);
        self.metrics.push(metric);
    }

    fn into_family(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.family.name.to_owned());
        family.set_help(self.family.help.to_owned());
        family.set_field_type(match self.family.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(self.metrics);
        family
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
