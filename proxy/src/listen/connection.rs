//! The facts of a connection, shared with every request on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pingora::protocols::http::ServerSession;
use weir_config::bootstrap::TlsVersion;

use super::front::ListenerIndex;
use super::phase::Stage;

/// One connection from a client.
///
/// The listener that took it, the requests that come over it and the guard around its bytes all hold the same one. What
/// changes in it is written by few and read by few, without locks: nothing here orders anything else.
#[derive(Debug)]
pub struct Connection {
    pub listener: ListenerIndex,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// Absent on a plain listener.
    pub tls: Option<TlsFacts>,
    /// HTTP/2. Then the deadline, the body rate and everything else below that says "HTTP/1" is not in force.
    pub h2: bool,
    pub opened: Instant,
    life: Life,
    stage: Stage,
    requests: AtomicU32,
    /// Nanoseconds after `opened`; 0 for none.
    deadline: AtomicU64,
    tunnel: AtomicBool,
    ending: AtomicU8,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    pub version: TlsVersion,
    /// The name the client asked for (SNI), in lower case.
    pub server_name: Option<Box<str>>,
}

/// How long a connection may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub ends: Instant,
    pub requests: u32,
}

/// Why the guard ended the reading of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ending {
    None,
    /// The body came slower than the listener bears.
    SlowBody,
    /// The body's chunks are malformed.
    MalformedBody,
    /// The client closed or reset the connection.
    ClientLeft,
}

impl Connection {
    pub(super) fn new(
        listener: ListenerIndex,
        (peer, local): (SocketAddr, SocketAddr),
        tls: Option<TlsFacts>,
        opened: Instant,
        life: Life,
        stage: Stage,
    ) -> Self {
        Self {
            listener,
            peer,
            local,
            tls,
            h2: false,
            opened,
            life,
            stage,
            requests: AtomicU32::new(0),
            deadline: AtomicU64::new(0),
            tunnel: AtomicBool::new(false),
            ending: AtomicU8::new(Ending::None as u8),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// The connection that `session` came over; a `pingora::proxy::Session` is accepted too. `None` for a session that
    /// did not come from our listeners, such as a subrequest of the cache.
    pub fn of(session: &ServerSession) -> Option<&Arc<Self>> {
        session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }

    /// The answer must say `close`: the connection is old, has served as many requests as it may, or the process leaves.
    /// Never on HTTP/2, where the listener says it by GOAWAY.
    pub fn should_close(&self) -> bool {
        !self.h2
            && (self.stage.is_leaving()
                || self.requests() >= self.life.requests
                || tokio::time::Instant::now().into_std() >= self.life.ends)
    }

    /// Requests so far, the current ones included.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// HTTP/1: when the current exchange must be over. Reading from the client then fails with `TimedOut`, which ends
    /// the exchange while an answer can still be written. It is forgotten when the exchange ends; to write that answer
    /// undisturbed, set it to `None` first.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        let nanos = deadline.map_or(0, |at| {
            let after = at.saturating_duration_since(self.opened).as_nanos();
            u64::try_from(after).unwrap_or(u64::MAX).max(1)
        });
        self.deadline.store(nanos, Ordering::Relaxed);
    }

    /// HTTP/1: the connection was upgraded. From here on bytes pass both ways as they are, those that the client sent
    /// ahead of the answer first; deadline and body rate are off.
    pub fn tunnel(&self) {
        self.set_deadline(None);
        self.tunnel.store(true, Ordering::Relaxed);
    }

    /// HTTP/1: reading failed with `TimedOut` not at the deadline but because the body came too slowly.
    pub fn slow_body(&self) -> bool {
        self.ended_by(Ending::SlowBody)
    }

    /// HTTP/1: reading failed with `InvalidData` because the chunks of the body are malformed.
    pub fn malformed_body(&self) -> bool {
        self.ended_by(Ending::MalformedBody)
    }

    /// HTTP/1: the client closed its side, or the connection broke, before the exchange was over. One who only closes
    /// his sending side after a whole request has not left, as long as he is answered soon.
    pub fn client_left(&self) -> bool {
        self.ended_by(Ending::ClientLeft)
    }

    /// Bytes from the client so far, without those of TLS.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes to the client so far, without those of TLS.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// One request more; says how many that makes.
    pub(super) fn begin_request(&self) -> u32 {
        self.set_deadline(None);
        self.ending.store(Ending::None as u8, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.deadline.load(Ordering::Relaxed) {
            0 => None,
            nanos => self.opened.checked_add(Duration::from_nanos(nanos)),
        }
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self, why: Ending) {
        self.ending.store(why as u8, Ordering::Relaxed);
    }

    fn ended_by(&self, why: Ending) -> bool {
        self.ending.load(Ordering::Relaxed) == why as u8
    }

    // Only the connection's own task reads and writes bytes, so these need no read-modify-write.

    pub(super) fn count_in(&self, bytes: usize) {
        self.bytes_in.store(self.bytes_in() + bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, bytes: usize) {
        self.bytes_out.store(self.bytes_out() + bytes as u64, Ordering::Relaxed);
    }
}
