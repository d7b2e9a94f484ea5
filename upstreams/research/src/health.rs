//! `/healthz`: each dependency, whether it can be reached, how long that took, and whether we can do without it.
//!
//! An external API is looked at by opening a connection and closing it: a request would be charged to our quota there.
//! A source of `search` is asked for its `/livez`. Reports are kept for a moment, so that many askers cost one look.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use reqwest::Url;
use serde::Serialize;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;

use crate::service::Service;
use crate::upstream::{Fault, Upstream};

/// Below the second that a health checker usually waits.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// For how long a report stands.
const MAX_AGE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Health {
    last: Mutex<Option<(Instant, Report)>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    status: Status,
    service: &'static str,
    dependencies: Vec<DependencyReport>,
}

/// `down` is for a critical dependency, or for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Up,
    Degraded,
    Down,
}

#[derive(Clone, Debug, Serialize)]
struct DependencyReport {
    name: String,
    reachable: bool,
    latency_ms: f64,
    critical: bool,
    /// Why it cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Something that a service needs, and how to see whether it is there.
pub struct Dependency<'a> {
    name: String,
    critical: bool,
    probe: Probe<'a>,
}

enum Probe<'a> {
    /// Part of this process.
    Embedded,
    Connect(&'a Url),
    Livez(&'a Upstream),
}

impl<'a> Dependency<'a> {
    /// The external API of a source, which is nothing without it.
    pub fn external(api: &'a Upstream) -> Self {
        let (name, probe) = match api.is_offline() {
            true => ("corpus", Probe::Embedded),
            false => ("api", Probe::Connect(api.base())),
        };
        Dependency { name: format!("{}-{name}", api.source), critical: true, probe }
    }

    /// A source of the search, which can do without any one of them.
    pub fn source(upstream: &'a Upstream) -> Self {
        Dependency { name: upstream.source.to_string(), critical: false, probe: Probe::Livez(upstream) }
    }

    async fn look(&self) -> DependencyReport {
        let start = Instant::now();
        let until = start + PROBE_TIMEOUT;
        let looked = match self.probe {
            Probe::Embedded => Ok(()),
            Probe::Connect(url) => connect(url, until).await,
            Probe::Livez(upstream) => upstream.probe(until).await.map_err(|fault| fault.to_string()),
        };
        DependencyReport {
            name: self.name.clone(),
            reachable: looked.is_ok(),
            latency_ms: (start.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            critical: self.critical,
            detail: looked.err(),
        }
    }
}

impl Health {
    /// The state of all dependencies, at most two seconds old.
    pub async fn report(&self, service: &Service) -> Report {
        if let Some(report) = self.recent() {
            return report;
        }
        let dependencies = service.dependencies();
        let reports = join_all(dependencies.iter().map(Dependency::look)).await;
        let report = Report { status: Status::of(&reports), service: service.name(), dependencies: reports };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), report.clone()));
        report
    }

    fn recent(&self) -> Option<Report> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < MAX_AGE).map(|(_, report)| report.clone())
    }
}

impl Report {
    /// 503 only where asking this service is of no use.
    pub fn status_code(&self) -> StatusCode {
        match self.status {
            Status::Up | Status::Degraded => StatusCode::OK,
            Status::Down => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Status {
    fn of(dependencies: &[DependencyReport]) -> Self {
        let lost = |dependency: &&DependencyReport| !dependency.reachable;
        let gone = dependencies.iter().filter(lost).count();
        if gone == 0 {
            Status::Up
        } else if gone == dependencies.len() || dependencies.iter().filter(lost).any(|lost| lost.critical) {
            Status::Down
        } else {
            Status::Degraded
        }
    }
}

async fn connect(url: &Url, until: Instant) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    let attempt = async {
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
        TcpStream::connect(addresses.as_slice()).await
    };
    match tokio::time::timeout_at(until, attempt).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(Fault::Timeout { after: PROBE_TIMEOUT }.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(dependencies: &[(bool, bool)]) -> Status {
        let reports = dependencies.iter().map(|(reachable, critical)| DependencyReport {
            name: "x".into(),
            reachable: *reachable,
            latency_ms: 0.1,
            critical: *critical,
            detail: None,
        });
        Status::of(&reports.collect::<Vec<_>>())
    }

    #[test]
    fn one_of_several_lost_is_degraded_a_critical_one_or_all_is_down() {
        assert_eq!(status(&[(true, false), (true, true)]), Status::Up);
        assert_eq!(status(&[(true, false), (false, false)]), Status::Degraded);
        assert_eq!(status(&[(true, false), (false, true)]), Status::Down);
        assert_eq!(status(&[(false, false), (false, false)]), Status::Down);
        assert_eq!(status(&[(false, true)]), Status::Down);
    }
}
