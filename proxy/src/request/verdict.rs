//! Station 5: what came of an attempt, and what follows: pass the answer on, try once more, or give up.

use std::time::Instant;

use http::{HeaderName, HeaderValue};
use weir_policy::{Reason, cors_headers};

use super::attempt::{MAX_ATTEMPTS, deadline_reason};
use super::edits::HeadMut;
use super::exchange::Exchange;
use crate::telemetry::labels::{AttemptOutcome, RetryOutcome};

/// What an answer says about scripts from elsewhere (Fetch standard §3.3.3).
const CORS: [HeaderName; 3] = [
    http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
    http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    http::header::ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// How an attempt failed, whichever driver made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection: refused, unreachable, or the TLS handshake failed.
    Connect,
    ConnectTimeout,
    /// A kept connection proved dead before a byte of the answer came.
    DeadConnection,
    /// HTTP/2: the upstream says that it has not looked at the request: the stream was refused, or is beyond its farewell.
    Refused,
    /// The upstream broke off, or what it sent is no HTTP.
    Upstream,
    /// The upstream sent nothing for the rule's idle time.
    UpstreamIdle,
    /// The deadline of the attempt or of the exchange passed.
    Deadline,
    /// The client left.
    ClientGone,
    /// The client sends its body, or takes its answer, more slowly than the listener bears.
    SlowClient,
    /// What the client sent as its body breaks the protocol.
    BadBody,
    /// The body is longer than a limit, whose reason this is.
    BodyOver(Reason),
    /// The proxy's own doing.
    Internal,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Again,
    /// Give up; the exchange's reason says why.
    Reply,
}

/// Judges a failed attempt. `answered`: a byte of an answer went to the client, so nothing may be tried again.
/// `replayable`: all of the request's body so far can be sent once more.
pub fn failed(exchange: &mut Exchange, failure: Failure, answered: bool, replayable: bool, now: Instant) -> Next {
    exchange.reason = match failure {
        Failure::Connect => Reason::ConnectFail,
        Failure::ConnectTimeout => Reason::ConnectTimeout,
        Failure::DeadConnection | Failure::Refused | Failure::Upstream => Reason::UpstreamReset,
        Failure::UpstreamIdle => Reason::UpstreamTimeout,
        Failure::Deadline => deadline_reason(exchange, now),
        Failure::ClientGone => Reason::ClientGone,
        Failure::SlowClient => Reason::SlowClient,
        Failure::BadBody => Reason::BadRequest,
        Failure::BodyOver(reason) => reason,
        Failure::Internal => Reason::Internal,
    };
    let outcome = match failure {
        Failure::Connect => AttemptOutcome::ConnectFail,
        Failure::ConnectTimeout => AttemptOutcome::ConnectTimeout,
        Failure::DeadConnection | Failure::Refused | Failure::Upstream => AttemptOutcome::Reset,
        Failure::UpstreamIdle | Failure::Deadline => AttemptOutcome::Timeout,
        // Neither says anything about the endpoint.
        _ => AttemptOutcome::ClientGone,
    };
    if exchange.attempts > 0
        && let Some(id) = exchange.upstream
    {
        exchange.generation.upstream_cells(id).attempt(outcome);
    }
    exchange.lease = None;
    let may_repeat = match failure {
        // Nothing was sent, or nothing was done about it, so nothing can happen twice.
        Failure::Connect | Failure::ConnectTimeout | Failure::Refused => replayable,
        // The service may have acted on it before the connection died.
        Failure::DeadConnection => exchange.is_idempotent() && replayable,
        _ => return Next::Reply,
    };
    if answered {
        return Next::Reply;
    }
    let (Some(id), Some(upstream)) = (exchange.upstream, exchange.upstream()) else { return Next::Reply };
    let decision = if !may_repeat {
        RetryOutcome::NotReplayable
    } else if exchange.attempts >= MAX_ATTEMPTS {
        RetryOutcome::Exhausted
    } else if !upstream.charge_retry(exchange.second(now)) {
        RetryOutcome::OverBudget
    } else {
        RetryOutcome::Made
    };
    exchange.generation.upstream_cells(id).retry(decision);
    if decision == RetryOutcome::OverBudget {
        exchange.reason = Reason::BudgetExhausted;
    }
    if decision == RetryOutcome::Made { Next::Again } else { Next::Reply }
}

/// An answer's head came: it is passed on.
pub fn answered(exchange: &mut Exchange, status: u16, now: Instant) {
    exchange.head_at = Some(now);
    exchange.status = status;
}

/// Writes what the client is told beyond what the upstream answered. `origin` is the request's `Origin`.
pub fn edit_response(exchange: &mut Exchange, origin: Option<&[u8]>, head: &mut dyn HeadMut) {
    let Some(id) = exchange.rule else { return };
    if let Some(headers) = cors_headers(&exchange.generation.table, id, origin) {
        // The rule says who may read the answer; what the upstream says about it does not count.
        CORS.iter().for_each(|name| head.remove(name));
        for (name, value) in headers {
            let Ok(value) = HeaderValue::from_str(&value) else { continue };
            let name = HeaderName::from_static(name);
            if name == http::header::VARY { head.add(&name, value) } else { head.set(&name, value) }
        }
    }
    if let Some(cookie) = exchange.set_cookie.take()
        && let Ok(cookie) = HeaderValue::from_str(&cookie)
    {
        head.add(&http::header::SET_COOKIE, cookie);
    }
    if let Some(edits) = exchange.generation.response_edits(id) {
        edits.apply(head);
    }
}
