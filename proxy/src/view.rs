//! What the admin, metrics and health servers show of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::watch;
use weir_config::bootstrap::Limits;
use weir_policy::{Facts, RequestHead, explain, host, path};

use crate::admin::{ExplainQuery, View};
use crate::listen::CertificateInfo;
use crate::node::Node;
use crate::telemetry::chance;
use crate::telemetry::labels::EndpointState;
use crate::telemetry::{Gauges, UpstreamGauges};

/// The process as its operators see it.
pub struct ProcessView {
    pub node: Arc<Node>,
    pub certificates: Vec<CertificateInfo>,
    pub drain: watch::Sender<bool>,
    pub leaving: Arc<AtomicBool>,
}

impl Gauges for ProcessView {
    fn config_version(&self) -> u64 {
        self.node.current.version()
    }

    fn generations_alive(&self) -> u64 {
        self.node.current.alive()
    }

    fn upstreams(&self) -> Vec<UpstreamGauges> {
        let second = self.node.started.elapsed().as_secs() as u32;
        let generation = self.node.current.load();
        let gauges = generation.fleet.upstreams().map(|upstream| {
            let mut endpoints = [0; EndpointState::ALL.len()];
            endpoints[EndpointState::Ready as usize] = upstream.endpoints().len() as u64;
            UpstreamGauges {
                name: upstream.name.clone(),
                inflight: upstream.in_flight().into(),
                endpoints,
                retry_budget_ratio: upstream.budget_left(second),
            }
        });
        gauges.collect()
    }

    fn certificates(&self) -> Vec<(String, i64)> {
        self.certificates.iter().map(|c| (format!("{}/{}", c.listener, c.names.join(",")), c.not_after)).collect()
    }

    fn dependencies(&self) -> Vec<(String, bool)> {
        Vec::new()
    }
}

impl View for ProcessView {
    fn table(&self) -> Value {
        let generation = self.node.current.load();
        json!({
            "version": generation.version,
            "digest": generation.digest,
            "rules": generation.table.rules().len(),
            "document": generation.mesh,
            "refused": self.node.refusals.last().as_deref(),
        })
    }

    fn upstreams_json(&self) -> Value {
        let second = self.node.started.elapsed().as_secs() as u32;
        let generation = self.node.current.load();
        let upstreams = generation.fleet.upstreams().map(|upstream| {
            let endpoints: Vec<Value> = upstream
                .endpoints()
                .iter()
                .map(|e| json!({ "address": e.address, "state": "ready", "in_flight": e.in_flight() }))
                .collect();
            let about = json!({
                "protocol": upstream.protocol,
                "tls": upstream.tls.as_ref().map(|tls| &tls.sni),
                "in_flight": upstream.in_flight(),
                "retry_budget_ratio": upstream.budget_left(second),
                "endpoints": endpoints,
            });
            (upstream.name.to_string(), about)
        });
        Value::Object(upstreams.collect())
    }

    fn certificates_json(&self) -> Value {
        let about = |c: &CertificateInfo| json!({ "listener": c.listener, "file": c.file, "names": c.names, "not_after": c.not_after });
        self.certificates.iter().map(about).collect()
    }

    fn limits(&self) -> Value {
        let listeners = self.node.listeners().iter().enumerate().map(|(index, listener)| {
            let about = json!({
                "connections": self.node.metrics.listener(index).open(),
                "limits": in_force(&listener.limits),
            });
            (listener.name.to_string(), about)
        });
        json!({ "listeners": Value::Object(listeners.collect()) })
    }

    fn explain(&self, query: ExplainQuery) -> Result<Value, String> {
        let generation = self.node.current.load();
        let listeners = self.node.listeners();
        let listener = match &query.listener {
            Some(name) => listeners.iter().find(|l| l.name.as_str() == name).ok_or_else(|| {
                let known: Vec<&str> = listeners.iter().map(|l| l.name.as_str()).collect();
                format!("there is no listener `{name}`; there are: {}", known.join(", "))
            })?,
            None => listeners.iter().find(|l| l.default).ok_or("no listener is marked `default`; name one")?,
        };
        let authority = query.host.as_deref().unwrap_or_default();
        let host = match authority {
            "" => "".into(),
            authority => host::canonical(authority).map_err(|error| format!("host: {error}"))?.0,
        };
        let (raw, parameters) = match query.path.split_once('?') {
            Some((path, parameters)) => (path, Some(parameters)),
            None => (query.path.as_str(), None),
        };
        let path = path::normalise(raw, listener.encoded_slashes).map_err(|error| format!("path: {error}"))?;
        let head = RequestHead {
            method: query.method.as_deref().unwrap_or("GET"),
            host: &host,
            path: &path,
            query: parameters,
            headers: &query.headers,
            content_length: None,
        };
        let facts = Facts {
            listener: generation.table.listener(&listener.name, listener.default),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
            https: listener.tls,
            port: listener.port,
            now: Instant::now().saturating_duration_since(self.node.started),
        };
        let explanation = explain(&generation.table, &head, &facts, chance());
        serde_json::to_value(explanation).map_err(|error| error.to_string())
    }

    fn drain(&self) {
        self.drain.send_replace(true);
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        let mut missing = Vec::new();
        if self.node.current.version() == 0 {
            missing.push("no mesh document serves yet".to_owned());
        }
        if self.leaving.load(Relaxed) {
            missing.push("the process is leaving".to_owned());
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    fn health(&self) -> Value {
        let listeners: Vec<&str> = self.node.listeners().iter().map(|l| l.name.as_str()).collect();
        json!({
            "healthy": self.ready().is_ok(),
            "listeners": listeners,
            "config": { "version": self.node.current.version() },
            // Neither store nor control plane: a mesh document in a file is all that this process depends on.
            "dependencies": [],
        })
    }
}

/// What a listener bears, what was not written among it. Times are in seconds.
fn in_force(limits: &Limits) -> Value {
    let descriptors =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    json!({
        "connections": limits.connections(descriptors),
        "connections_per_client": limits.connections_per_client(),
        "handshake_timeout": limits.handshake_timeout().as_secs_f64(),
        "header_timeout": limits.header_timeout().as_secs_f64(),
        "header_bytes": limits.header_bytes(),
        "headers": limits.headers(),
        "uri_bytes": limits.uri_bytes(),
        "body_bytes": limits.body_bytes(),
        "body_rate": limits.body_rate(),
        "idle_timeout": limits.idle_timeout().as_secs_f64(),
        "write_timeout": limits.write_timeout().as_secs_f64(),
        "max_age": limits.max_age().as_secs_f64(),
        "max_requests": limits.max_requests(),
        "h2_streams": limits.h2_streams(),
    })
}
