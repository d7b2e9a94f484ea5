//! A listener's limits as they are in force.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use weir_config::bootstrap::Listener;

use super::head::Rules;

/// Longest target that the `http` crate takes, and with it everything behind the head reader.
const TARGET_BYTES: u64 = u16::MAX as u64 - 1;

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
    /// Bytes per second.
    pub body_rate: u64,
    pub h2_streams: u32,
    pub h2c: bool,
    pub rules: Rules,
}

impl Terms {
    pub fn of(listener: &Listener) -> Self {
        let limits = listener.limits();
        // Where the kernel does not say, as few as it allows anywhere.
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        Self {
            connections: limits.connections(files),
            connections_per_client: limits.connections_per_client(),
            handshake_timeout: limits.handshake_timeout(),
            header_timeout: limits.header_timeout(),
            idle_timeout: limits.idle_timeout(),
            max_age: limits.max_age(),
            max_requests: limits.max_requests(),
            body_rate: limits.body_rate(),
            h2_streams: limits.h2_streams(),
            h2c: listener.h2c(),
            rules: Rules {
                bytes: bytes(limits.header_bytes()),
                headers: limits.headers().into(),
                target: bytes(limits.uri_bytes().min(TARGET_BYTES)),
            },
        }
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
