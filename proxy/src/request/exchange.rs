//! What a request holds from its intake to its end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use smallvec::SmallVec;
use weir_policy::{Facts, Reason, RuleId, UpstreamId};
use weir_upstreams::{Lease, Upstream};

use super::Downstream;
use crate::generation::Generation;
use crate::node::Node;
use crate::telemetry::trace::{RequestId, TraceContext};

/// The protocol's version, as the access log spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// One request and its answer, with all that is held for it. Dropping it gives everything back and, if nobody
/// [finished](super::finish) it before, counts and logs it as broken off.
pub struct Exchange {
    pub(super) node: Arc<Node>,
    /// Taken once, at intake, and kept to the end, whatever is pushed meanwhile.
    pub generation: Arc<Generation>,
    pub(super) downstream: Downstream,
    pub(super) facts: Facts,
    pub(super) started: Instant,
    pub(super) method: Method,
    /// As it came; empty when no log is kept.
    pub(super) target: Box<str>,
    /// As it came; empty when no log is kept.
    pub(super) authority: Box<str>,
    pub(super) version: Version,
    pub(super) request_id: RequestId,
    pub(super) trace: TraceContext,
    pub(super) grpc: bool,
    pub(super) upgrade: bool,
    pub(super) has_body: bool,
    /// Bytes of body that the request may have, and why it is refused beyond.
    pub body_limit: Option<(u64, Reason)>,
    pub(super) request_complete: bool,
    /// When the client's request was whole.
    completed: Instant,

    pub(super) rule: Option<RuleId>,
    pub(super) upstream: Option<UpstreamId>,
    pub(super) mirror: Option<UpstreamId>,
    /// Path and query for the upstream; absent: as they came.
    pub(super) rewritten: Option<String>,
    pub(super) set_cookie: Option<String>,
    /// Fields that filters add to the access log.
    pub(super) fields: Vec<(Arc<str>, String)>,

    pub(super) attempts: u8,
    pub(super) tried: SmallVec<[SocketAddr; 2]>,
    pub(super) lease: Option<Lease>,
    pub(super) attempt_started: Option<Instant>,
    pub(super) head_at: Option<Instant>,
    pub(super) answered_whole: Option<Instant>,

    pub(super) reason: Reason,
    /// What was sent to the client; 0: nothing.
    pub(super) status: u16,
    /// Bodies, in bytes: from the client, and to it.
    pub received: u64,
    pub sent: u64,
    pub(super) finished: bool,
}

impl Exchange {
    pub(super) fn new(
        node: &Arc<Node>,
        generation: Arc<Generation>,
        downstream: Downstream,
        client: IpAddr,
        inbound: &super::Inbound<'_>,
        (request_id, trace): (RequestId, TraceContext),
        started: Instant,
    ) -> Self {
        let kept = |text: &str| if node.access_log.is_on() { text.into() } else { Box::default() };
        Self {
            facts: Facts {
                listener: generation.listener(downstream.listener),
                client,
                https: downstream.tls.is_some(),
                port: downstream.local.port(),
                now: started.saturating_duration_since(node.started),
            },
            node: node.clone(),
            generation,
            downstream,
            started,
            method: inbound.method.clone(),
            target: kept(inbound.target),
            authority: kept(inbound.authority),
            version: inbound.version,
            request_id,
            trace,
            // gRPC is HTTP/2 and POST; a header alone does not make it.
            grpc: inbound.noted.grpc && inbound.version == Version::Http2 && inbound.method == Method::POST,
            upgrade: inbound.upgrade,
            has_body: inbound.has_body,
            body_limit: None,
            request_complete: !inbound.has_body,
            completed: started,
            rule: None,
            upstream: None,
            mirror: None,
            rewritten: None,
            set_cookie: None,
            fields: Vec::new(),
            attempts: 0,
            tried: SmallVec::new(),
            lease: None,
            attempt_started: None,
            head_at: None,
            answered_whole: None,
            reason: Reason::ClientGone,
            status: 0,
            received: 0,
            sent: 0,
            finished: false,
        }
    }

    /// The upstream that the rule sends it to.
    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        self.generation.fleet.at(self.upstream?.0 as usize)
    }

    /// The upstream that gets a copy.
    pub fn mirror(&self) -> Option<&Arc<Upstream>> {
        self.generation.fleet.at(self.mirror?.0 as usize)
    }

    pub fn reason(&self) -> Reason {
        self.reason
    }

    pub fn is_grpc(&self) -> bool {
        self.grpc
    }

    pub fn is_upgrade(&self) -> bool {
        self.upgrade
    }

    /// The last byte of the upstream's answer is here.
    pub fn answer_complete(&mut self, now: Instant) {
        self.answered_whole = Some(now);
    }

    pub fn attempts(&self) -> u8 {
        self.attempts
    }

    /// What was sent to the client; 0: nothing.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// No attempt can be made, for this reason.
    pub fn give_up(&mut self, reason: Reason) {
        self.reason = reason;
    }

    pub fn is_request_complete(&self) -> bool {
        self.request_complete
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The client's request is whole: from here on waiting is the upstream's doing.
    pub fn request_complete(&mut self, now: Instant) {
        self.request_complete = true;
        self.completed = now;
    }

    /// Since when the proxy waits for the upstream's head.
    pub(super) fn waiting_since(&self) -> Instant {
        self.completed
    }

    /// The upstream's time, from the whole request (or the attempt, if that began later) to the last byte of its answer,
    /// and ours, which is the rest without the client's upload. `None` where they can't be told apart: the answer began
    /// before the request was whole, or was cut.
    pub(super) fn latency(&self, now: Instant) -> Option<(Duration, Duration)> {
        let (attempt, head, end) = (self.attempt_started?, self.head_at?, self.answered_whole.or(self.head_at)?);
        let asked = attempt.max(self.completed);
        if !self.request_complete || head < asked {
            return None;
        }
        let theirs = end.saturating_duration_since(asked);
        let whole = now.saturating_duration_since(self.started);
        let upload = self.completed.saturating_duration_since(self.started);
        Some((theirs, whole.saturating_sub(theirs).saturating_sub(upload)))
    }

    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// Seconds since the process started, for windows.
    pub(super) fn second(&self, now: Instant) -> u32 {
        let since_intake: Duration = now.saturating_duration_since(self.started);
        (self.facts.now + since_intake).as_secs() as u32
    }
}
