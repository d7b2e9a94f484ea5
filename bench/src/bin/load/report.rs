//! A part of the run as one JSON object.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::drive::Tally;

#[derive(Serialize)]
pub struct Report {
    /// `warm` or `done`: the part that ended here.
    mark: &'static str,
    /// Right answers.
    requests: u64,
    /// Wrong answers and lost connections.
    errors: u64,
    /// The same by kind.
    faults: BTreeMap<String, u64>,
    reopened: u64,
    /// From the first request to the last answer.
    seconds: f64,
    latency_us: Latency,
}

/// Percentiles by nearest rank, in µs; zero without a right answer.
#[derive(Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Report {
    pub fn new(mark: &'static str, tally: Tally) -> Self {
        let mut latencies = tally.latencies;
        latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            latencies.get(rank.max(1) - 1).map_or(0.0, |&ns| ns as f64 / 1e3)
        };
        let latency_us = Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) };
        Self {
            mark,
            requests: latencies.len() as u64,
            errors: tally.faults.values().sum(),
            faults: tally.faults.iter().map(|(fault, &count)| (fault.to_string(), count)).collect(),
            reopened: tally.reopened,
            seconds: tally.elapsed.as_secs_f64(),
            latency_us,
        }
    }
}
