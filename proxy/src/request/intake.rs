//! Station 1: who asks, in what spelling, under what id; and whether it may be a request at all.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use weir_policy::{Reason, RequestHead, host, path};

use super::exchange::{Exchange, Version};
use super::reply::Refusal;
use super::{Downstream, Inbound, forwarded};
use crate::node::Node;
use crate::telemetry::chance;
use crate::telemetry::trace::{RequestId, SAMPLED, TraceContext};

/// Hops through proxies like this one after which a request is taken for a loop. Pingora has no such bound: a route to
/// itself would spin until something times out.
pub const MAX_HOPS: usize = 16;

/// What the stations look at in every request, found in one walk over its header lines: to ask a map for each costs a
/// hash and a comparison.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noted<'a> {
    pub lines: usize,
    pub content_length: Option<u64>,
    /// The content is gRPC's.
    pub grpc: bool,
    /// There is an `Expect`, whatever it says: it is between the client and us.
    pub expect: bool,
    /// The client waits for a word before it sends its body.
    pub expects: bool,
    /// Hops through proxies like this one so far.
    pub hops: usize,
    pub request_id: Option<&'a [u8]>,
    pub traceparent: Option<&'a [u8]>,
}

impl<'a> Noted<'a> {
    /// `lines` are names in lower case and their values.
    pub fn of(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut noted = Self::default();
        for (name, value) in lines {
            noted.lines += 1;
            match name {
                "via" => noted.hops += forwarded::hops(value),
                "expect" => {
                    noted.expect = true;
                    noted.expects |= value.eq_ignore_ascii_case(b"100-continue");
                }
                "traceparent" => noted.traceparent = noted.traceparent.or(Some(value)),
                "x-request-id" => noted.request_id = noted.request_id.or(Some(value)),
                "content-type" => noted.grpc |= is_grpc(value),
                "content-length" => {
                    noted.content_length = str::from_utf8(value).ok().and_then(|text| text.parse().ok())
                }
                _ => {}
            }
        }
        noted
    }
}

/// `application/grpc`, `application/grpc+proto`; not `application/grpc-web`, which is another protocol.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Takes the request in. Nothing can fail here, so that whatever follows has an exchange to answer and to log.
pub fn begin(node: &Arc<Node>, inbound: &Inbound<'_>, downstream: Downstream, now: Instant) -> Exchange {
    let listener = node.listener(downstream.listener);
    let client = forwarded::client(downstream.peer.ip(), &listener.trusted_hops, inbound.headers);
    let kept = inbound.noted.request_id.and_then(RequestId::kept);
    let request_id = kept.unwrap_or_else(|| RequestId::made([chance(), chance()]));
    let trace = match inbound.noted.traceparent.and_then(TraceContext::parse) {
        Some(caller) => caller.child(chance()),
        // Sampled: else the services behind us, which mostly follow their caller, would record nothing that began here.
        None => TraceContext::root([chance(), chance(), chance()], SAMPLED),
    };
    Exchange::new(node, node.current.load(), downstream, client, inbound, (request_id, trace), now)
}

/// Host and path in the one spelling that rules are matched by.
pub struct Canonical<'a> {
    host: Cow<'a, str>,
    path: Cow<'a, str>,
    query: Option<&'a str>,
}

impl<'a> Canonical<'a> {
    pub fn head(&'a self, inbound: &Inbound<'a>) -> RequestHead<'a> {
        RequestHead {
            method: inbound.method.as_str(),
            host: &self.host,
            path: &self.path,
            query: self.query,
            headers: inbound.headers,
            content_length: inbound.noted.content_length,
        }
    }
}

/// Refuses what no rule may see: names and paths that could mean two things, bodies over the listener's limit, loops.
pub fn check<'a>(node: &Node, exchange: &Exchange, inbound: &Inbound<'a>) -> Result<Canonical<'a>, Refusal> {
    let listener = node.listener(exchange.downstream.listener);
    let host = match inbound.authority {
        "" if inbound.version == Version::Http10 => Cow::Borrowed(""),
        authority => host::canonical(authority).map_err(|_| Refusal::from(Reason::BadRequest))?.0,
    };
    let (path, query) = match inbound.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (inbound.target, None),
    };
    if inbound.target.len() as u64 > listener.uri_bytes {
        return Err(Reason::UriTooLong.into());
    }
    // HTTP/1 has been held to it by the head reader.
    if inbound.noted.lines > listener.headers {
        return Err(Reason::HeaderTooLarge.into());
    }
    let path = match path {
        "*" => Cow::Borrowed("*"), // About the proxy itself; the route station answers it.
        path => path::normalise(path, listener.encoded_slashes).map_err(|_| Refusal::from(Reason::BadRequest))?,
    };
    if inbound.noted.content_length.is_some_and(|length| listener.body_bytes.is_some_and(|most| length > most)) {
        return Err(Reason::BodyTooLarge.into());
    }
    if inbound.noted.hops >= MAX_HOPS {
        return Err(Reason::LoopDetected.into());
    }
    Ok(Canonical { host, path, query })
}
