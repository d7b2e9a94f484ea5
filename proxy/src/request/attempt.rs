//! Station 4: which endpoint gets the next attempt, how long it may take, and what it is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use weir_policy::{Reason, Timeout};
use weir_upstreams::Upstream;

use super::exchange::Exchange;
use super::{Inbound, forwarded};
use crate::node::Node;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Headers that tell an upstream who the client is. They are ours to set, so what a client sends under these names is
/// thrown away: names that begin like one of these.
const IDENTITY: [&str; 3] = ["x-tenant", "x-forwarded-client-cert", "x-spiffe-"];
/// Attempts at most: the first and one more.
pub const MAX_ATTEMPTS: u8 = 2;

/// The right to one attempt, and its terms. The lease on the endpoint stays with the exchange.
pub struct Dial {
    pub upstream: Arc<Upstream>,
    pub address: SocketAddr,
    /// For the TCP connection.
    pub connect: Duration,
    /// For the TCP connection and the TLS handshake together.
    pub handshake: Duration,
    /// Longest pause between two bytes from the upstream.
    pub idle: Duration,
}

/// Picks the endpoint of the next attempt and takes a lease on it.
pub fn attempt(exchange: &mut Exchange, now: Instant, chance: u64) -> Result<Dial, Reason> {
    exchange.lease = None;
    let upstream = exchange.upstream().ok_or(Reason::Internal)?.clone();
    if exchange.attempts == 0 {
        upstream.count_request(exchange.second(now));
    }
    let lease = upstream.lease(chance, &exchange.tried).ok_or(Reason::NoHealthy)?;
    let address = lease.address();
    exchange.attempts += 1;
    exchange.tried.push(address);
    exchange.lease = Some(lease);
    exchange.attempt_started = Some(now);
    let left = deadline(exchange).map(|at| at.saturating_duration_since(now)).unwrap_or(Duration::MAX);
    let timeouts = upstream.timeouts;
    Ok(Dial {
        address,
        connect: timeouts.connect.min(left),
        handshake: timeouts.handshake.min(left),
        idle: exchange.rule.map_or(Duration::MAX, |id| exchange.generation.table.rule(id).idle_timeout),
        upstream,
    })
}

/// When the exchange must be over, as far as is known now; `None`: only pauses are bounded.
///
/// An explicit `timeout` covers the whole exchange. Without one there are 15 s until the response head, counted from
/// the end of the request (an upload of an hour is no fault of the upstream's), and none for gRPC streams. An upgrade is bounded until its 101.
/// `attempt_timeout` bounds the present attempt until its head.
pub fn deadline(exchange: &Exchange) -> Option<Instant> {
    let rule = exchange.generation.table.rule(exchange.rule?);
    let answered = exchange.head_at.is_some();
    let whole = match rule.timeout {
        Timeout::Total(limit) => exchange.started.checked_add(limit),
        Timeout::Head(_) if answered || !exchange.request_complete || exchange.grpc => None,
        Timeout::Head(limit) => exchange.waiting_since().checked_add(limit),
        Timeout::Off => None,
    };
    let attempt = match (rule.attempt_timeout, exchange.attempt_started) {
        (Some(limit), Some(started)) if !answered => started.checked_add(limit),
        _ => None,
    };
    [whole, attempt].into_iter().flatten().min()
}

/// Which of the bounds a deadline that passed at `now` was.
pub fn deadline_reason(exchange: &Exchange, now: Instant) -> Reason {
    let Some(rule) = exchange.rule.map(|id| exchange.generation.table.rule(id)) else { return Reason::RequestTimeout };
    let attempt = rule.attempt_timeout.zip(exchange.attempt_started).and_then(|(limit, at)| at.checked_add(limit));
    match attempt {
        Some(end) if exchange.head_at.is_none() && end <= now => match rule.timeout {
            Timeout::Total(limit) if exchange.started.checked_add(limit).is_some_and(|total| total <= end) => {
                Reason::RequestTimeout
            }
            _ => Reason::UpstreamTimeout,
        },
        _ => Reason::RequestTimeout,
    }
}

/// The path and query that the upstream is asked for; `None`: as they came.
pub fn target(exchange: &Exchange) -> Option<&str> {
    exchange.rewritten.as_deref()
}

/// Lines that [`edit_request`] may add to a head.
pub const ADDED: usize = 8;

/// Writes what the upstream is told beyond what the client sent, and takes away what it must not believe.
pub fn edit_request(node: &Node, exchange: &Exchange, inbound: &Inbound<'_>, head: &mut HeaderMap) {
    let listener = node.listener(exchange.downstream.listener);
    let trusted = !listener.trusted_hops.is_empty()
        && forwarded::is_trusted(exchange.downstream.peer.ip(), &listener.trusted_hops);
    forwarded::write(
        head,
        inbound.headers,
        &exchange.downstream,
        inbound.authority,
        trusted,
        exchange.version.as_str(),
    );
    for (name, value) in [(X_REQUEST_ID, exchange.request_id.as_bytes()), (TRACEPARENT, &exchange.trace.traceparent())]
    {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.insert(name, value);
        }
    }
    if inbound.noted.expect {
        head.remove(http::header::EXPECT);
    }
    let Some(id) = exchange.rule else { return };
    let rule = exchange.generation.table.rule(id);
    // HTTP/1 has the client's there already; HTTP/2 has it in its target.
    let host = match &rule.host_rewrite {
        Some(host) => Some(&**host),
        None => (!head.contains_key(http::header::HOST)).then_some(inbound.authority),
    };
    if let Some(Ok(host)) = host.map(HeaderValue::from_str) {
        head.insert(http::header::HOST, host);
    }
    if let Some(edits) = exchange.generation.request_edits(id) {
        edits.apply(head);
    }
}

/// Whether a header of this name tells an upstream who the client is, so that it may not come from the client.
pub fn is_identity(name: &str) -> bool {
    name.starts_with("x-") && IDENTITY.iter().any(|prefix| name.starts_with(prefix))
}
