//! A listener's limits as they are in force.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use weir_config::bootstrap::{Limits, Listener};

use super::head::Rules;

/// Connections of a listener at most where the document does not say: about 0.5 GB of idle ones.
const CONNECTIONS: u64 = 20_000;

/// A listener's limits, defaults filled in.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub connections: u32,
    pub connections_per_client: u32,
    pub handshake_timeout: Duration,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub max_age: Duration,
    pub max_requests: u32,
    /// Bytes per second; 0 for none.
    pub body_rate: u64,
    pub h2_streams: u32,
    pub h2c: bool,
    pub rules: Rules,
}

impl Terms {
    pub fn of(listener: &Listener) -> Self {
        let limits = listener.limits.clone().unwrap_or_default();
        let Limits { connections, connections_per_client, headers, max_requests, h2_streams, .. } = limits;
        let seconds = Duration::from_secs;
        Self {
            connections: connections.unwrap_or_else(connections_by_files),
            connections_per_client: connections_per_client.unwrap_or(256),
            handshake_timeout: limits.handshake_timeout.map_or(seconds(10), Into::into),
            header_timeout: limits.header_timeout.map_or(seconds(10), Into::into),
            idle_timeout: limits.idle_timeout.map_or(seconds(60), Into::into),
            max_age: limits.max_age.map_or(seconds(3600), Into::into),
            max_requests: max_requests.unwrap_or(10_000),
            body_rate: limits.body_rate.map_or(500, |size| size.0),
            h2_streams: h2_streams.unwrap_or(100),
            h2c: listener.h2c.unwrap_or_default(),
            rules: Rules {
                bytes: bytes(limits.header_bytes.map_or(60 * 1024, |size| size.0)),
                headers: headers.unwrap_or(100).into(),
                target: bytes(limits.uri_bytes.map_or(16 * 1024, |size| size.0)),
            },
        }
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// A third of the files this process may open: each connection may need one of them to the client and one to an
/// upstream, and something is left for the rest.
fn connections_by_files() -> u32 {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    u32::try_from((files / 3).clamp(1, CONNECTIONS)).unwrap_or(u32::MAX)
}
