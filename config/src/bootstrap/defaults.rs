//! What holds where nothing is written. A method goes by its field's name and gives what is in force.

use std::net::Ipv4Addr;
use std::time::Duration as Time;

use super::*;

impl Bootstrap {
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or_default()
    }

    /// One for each of `cores`, unless it is written.
    pub fn workers(&self, cores: usize) -> usize {
        self.workers.map_or(cores.max(1), usize::from)
    }

    pub fn admin(&self) -> Admin {
        self.admin.clone().unwrap_or_default()
    }

    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone().unwrap_or_default()
    }

    pub fn drain(&self) -> Drain {
        self.drain.clone().unwrap_or_default()
    }
}

impl Admin {
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap_or_else(|| loopback(15_000))
    }
}

impl Telemetry {
    pub fn metrics(&self) -> SocketAddr {
        self.metrics.unwrap_or_else(|| loopback(15_020))
    }

    pub fn health(&self) -> SocketAddr {
        self.health.unwrap_or_else(|| loopback(15_021))
    }

    pub fn access_log(&self) -> AccessLog {
        self.access_log.clone().unwrap_or_default()
    }
}

/// Nothing listens on all addresses without being told to.
fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Drain {
    /// 4 s: load balancers that ask every second or two notice, and clients with idle connections hear `close`.
    pub fn wait(&self) -> Time {
        self.wait.map_or(Time::from_secs(4), Time::from)
    }

    /// 24 s: with the wait, 28 s, before Kubernetes kills at 30 s.
    pub fn deadline(&self) -> Time {
        self.deadline.map_or(Time::from_secs(24), Time::from)
    }
}

impl Listener {
    pub fn default(&self) -> bool {
        self.default.unwrap_or(false)
    }

    pub fn h2c(&self) -> bool {
        self.h2c.unwrap_or(false)
    }

    pub fn encoded_slashes(&self) -> bool {
        self.encoded_slashes.unwrap_or(false)
    }

    pub fn limits(&self) -> Limits {
        self.limits.clone().unwrap_or_default()
    }
}

impl ListenerTls {
    pub fn min_version(&self) -> TlsVersion {
        self.min_version.unwrap_or_default()
    }
}

impl Limits {
    /// How long a body may come slower than [`body_rate`](Self::body_rate) at first: time to connect to a database, to
    /// wake a radio.
    pub const BODY_GRACE: Time = Time::from_secs(5);

    /// A third of the process's file descriptors, since a request may need two more for its upstream and a file; at
    /// most 20,000.
    pub fn connections(&self, descriptors: u64) -> u32 {
        let third = u32::try_from(descriptors / 3).unwrap_or(u32::MAX);
        self.connections.unwrap_or(third.clamp(1, 20_000))
    }

    /// 256: many people behind one address fit, one client cannot take all. Shed before TLS.
    pub fn connections_per_client(&self) -> u32 {
        self.connections_per_client.unwrap_or(256)
    }

    /// 10 s: Pingora's own listener has a fixed 60 s.
    pub fn handshake_timeout(&self) -> Time {
        self.handshake_timeout.map_or(Time::from_secs(10), Time::from)
    }

    /// 10 s from the first byte, for slow loris: Pingora alone gives 60 s to each read.
    pub fn header_timeout(&self) -> Time {
        self.header_timeout.map_or(Time::from_secs(10), Time::from)
    }

    /// 60 KiB: what common clients and their cookies need several times over.
    pub fn header_bytes(&self) -> u64 {
        self.header_bytes.map_or(60 << 10, |size| size.0)
    }

    /// 100, as in Apache's `LimitRequestFields`.
    pub fn headers(&self) -> u16 {
        self.headers.unwrap_or(100)
    }

    /// 16 KiB: twice what RFC 9110 §4.1 recommends to support.
    pub fn uri_bytes(&self) -> u64 {
        self.uri_bytes.map_or(16 << 10, |size| size.0)
    }

    /// None: no limit. Bodies are streamed, so their length costs no memory.
    pub fn body_bytes(&self) -> Option<u64> {
        self.body_bytes.map(|size| size.0)
    }

    /// 500 bytes a second, after [`BODY_GRACE`](Self::BODY_GRACE): a slow POST holds a connection to an upstream.
    pub fn body_rate(&self) -> u64 {
        self.body_rate.map_or(500, |size| size.0)
    }

    /// 60 s: Pingora alone keeps idle connections for ever.
    pub fn idle_timeout(&self) -> Time {
        self.idle_timeout.map_or(Time::from_secs(60), Time::from)
    }

    /// 30 s a chunk: a hundred stalled HTTP/2 streams would hold 50 to 80 MB for ever.
    pub fn write_timeout(&self) -> Time {
        self.write_timeout.map_or(Time::from_secs(30), Time::from)
    }

    /// 1 h, give or take 10 %, so that connections move to new processes and not all at once.
    pub fn max_age(&self) -> Time {
        self.max_age.map_or(Time::from_secs(3_600), Time::from)
    }

    /// 10,000: what leaks in a connection is let go.
    pub fn max_requests(&self) -> u32 {
        self.max_requests.unwrap_or(10_000)
    }

    /// 100, the least that RFC 9113 §6.5.2 recommends.
    pub fn h2_streams(&self) -> u32 {
        self.h2_streams.unwrap_or(100)
    }
}
