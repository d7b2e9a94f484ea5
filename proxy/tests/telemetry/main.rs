//! What operators see, as they see it: scrapes, log lines, the answers of the process' own servers.

mod access_log;
mod admin;
mod exposition;
mod metrics;
mod process_log;
mod prometheus;

use weir_config::names::Name;
use weir_proxy::telemetry::{Gauges, UpstreamGauges};

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

/// A process in which nothing happens.
struct Still;

impl Gauges for Still {
    fn config_version(&self) -> u64 {
        17
    }

    fn generations_alive(&self) -> u64 {
        1
    }

    fn upstreams(&self) -> Vec<UpstreamGauges> {
        let upstream = |upstream| UpstreamGauges {
            name: name(upstream),
            inflight: 3,
            endpoints: [2, 1, 0, 0],
            retry_budget_ratio: 0.25,
        };
        ["search", "rest"].map(upstream).into()
    }

    fn certificates(&self) -> Vec<(String, i64)> {
        vec![("edge.pem".to_owned(), 1_900_000_000), ("\"odd\"\n\\".to_owned(), 1), ("edge.pem".to_owned(), 5)]
    }

    fn dependencies(&self) -> Vec<(String, bool)> {
        vec![("control-plane".to_owned(), true), ("mesh-file".to_owned(), false)]
    }
}
