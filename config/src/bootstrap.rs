//! The bootstrap document: what one proxy process is started with.

mod defaults;
mod forms;
mod read;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::names::Name;
use crate::units::{Duration, Size};

/// A whole bootstrap document. Relative paths count from the folder of its file.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bootstrap {
    /// `edge` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Worker threads. Absent: one for each core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u16>,
    /// Folder of `ready.json` and of the last good mesh document. Made when missing.
    pub state_dir: String,
    /// The mesh document's file, watched. `--mesh` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// Listeners by name.
    pub listeners: BTreeMap<Name, Listener>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Faces clients.
    #[default]
    Edge,
}

/// The admin interface: the table, upstreams, limits, certificates, drain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Admin {
    /// Absent: `127.0.0.1:15000`. Loopback only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
}

/// What operators watch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Telemetry {
    /// `/metrics`. Absent: `127.0.0.1:15020`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// `/livez`, `/readyz`, `/healthz`. Absent: `127.0.0.1:15021`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<SocketAddr>,
    /// `"stdout"` (when absent), `"off"` or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
    /// Query parameters whose values never appear in the access log, beside the built-in list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_query: Vec<String>,
}

/// Where access log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    #[default]
    Stdout,
    File(String),
}

/// How a process leaves on SIGTERM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Drain {
    /// How long the process is unready and says `close` before it stops to accept. Absent: 4 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// How long what is in flight then gets. Absent: 24 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
}

/// One address that clients connect to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Listener {
    /// Port 0 lets the kernel choose; `ready.json` tells.
    pub address: SocketAddr,
    /// Serves the routes that name no listener. `false` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
    /// Absent: plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Also accept HTTP/2 without TLS by prior knowledge. Plain listeners only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
    /// Plain listeners only: a request that no route of this listener takes is redirected (308) to `https` at this
    /// port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_to_https: Option<u16>,
    /// Hops whose `X-Forwarded-*` and `Forwarded` are believed: addresses and networks (`10.0.0.0/8`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_hops: Vec<Network>,
    /// Let `%2f` and `%5c` through in paths. They are refused when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoded_slashes: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// An address or a network: `10.0.0.0/8`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    /// Leading bits that count: 0 to 32 or 128.
    pub bits: u8,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ListenerTls {
    /// Chosen by SNI among the names in the certificates; the first one also serves clients without SNI.
    pub certificates: Vec<CertificateFiles>,
    /// `"1.3"` when absent, or `"1.2"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}

/// What one listener bears. What is absent has the default named beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Limits {
    /// Connections at a time. Absent: a third of the file-descriptor limit, at most 20,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Connections at a time from one client address. Absent: 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_client: Option<u32>,
    /// TLS handshake. Absent: 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_timeout: Option<Duration>,
    /// The whole request head, from its first byte. Absent: 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<Duration>,
    /// Request head, in bytes. Absent: 60KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_bytes: Option<Size>,
    /// Header lines. Absent: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<u16>,
    /// Request target, in bytes. Absent: 16KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_bytes: Option<Size>,
    /// Request body, in bytes. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<Size>,
    /// Slowest request body, in bytes per second, after a grace of 5 s. Absent: 500B.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_rate: Option<Size>,
    /// Between two requests of a connection. Absent: 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// How long a client may leave a chunk of its answer untaken. Absent: 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Duration>,
    /// Age at which a connection is ended after its current request, give or take 10 %. Absent: 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// Requests over one connection. Absent: 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// HTTP/2 streams at a time over one connection. Absent: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2_streams: Option<u32>,
}
