//! Station 6: answers that we make ourselves. The one place that turns a reason into a status.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use weir_policy::{Reason, RequestHead, filters};

use super::exchange::Exchange;
use crate::listen::{Kind, Refusal as HeadRefusal};

/// An answer that is ready to be written. `content-length` and `date` are the driver's to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// Why a request is not served, and what the client should know beside the reason.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub reason: Reason,
    pub retry_after: Option<Duration>,
    pub headers: Vec<(&'static str, String)>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None, headers: Vec::new() }
    }
}

impl From<filters::Refusal> for Refusal {
    fn from(refusal: filters::Refusal) -> Self {
        Self { reason: refusal.reason, retry_after: refusal.retry_after, headers: refusal.headers }
    }
}

/// The status that stands for a reason, and a title for it. Nothing here says what is inside.
fn status(reason: Reason) -> (u16, &'static str) {
    match reason {
        Reason::Ok => (200, "OK"),
        Reason::NoRoute => (404, "No route for this host and path"),
        Reason::NoHealthy => (503, "The service has no endpoint at the moment"),
        Reason::ConnectFail => (502, "The service could not be reached"),
        Reason::ConnectTimeout => (504, "The service could not be reached in time"),
        Reason::UpstreamReset | Reason::RetryExhausted | Reason::BudgetExhausted => (502, "The service broke off"),
        Reason::UpstreamTimeout => (504, "The service did not answer in time"),
        Reason::RequestTimeout => (504, "The time for this request is over"),
        Reason::OverloadShed => (503, "Too much load"),
        Reason::QueueTimeout => (503, "The service is busy"),
        Reason::BreakerOpen => (503, "The service is failing"),
        Reason::RateLimited => (429, "Too many requests"),
        Reason::QuotaExceeded => (429, "The quota is used up"),
        Reason::AuthnFailed => (401, "Not authenticated"),
        Reason::AuthzDenied | Reason::VirtualPatch => (403, "Not allowed"),
        Reason::BadRequest => (400, "Malformed request"),
        Reason::HeaderTooLarge => (431, "The request's header fields are too large"),
        Reason::UriTooLong => (414, "The request's target is too long"),
        Reason::LoopDetected => (508, "The request runs in a circle"),
        Reason::FaultInjected => (503, "A fault was injected"),
        Reason::BodyTooLarge => (413, "The request's body is too large"),
        Reason::SlowClient => (408, "The request came too slowly"),
        // Nobody is left to read it; the status stands in no log.
        Reason::ClientGone => (400, "The client left"),
        Reason::CacheStaleServed | Reason::FallbackServed => (200, "OK"),
        Reason::Draining => (503, "The proxy is leaving"),
        Reason::Internal => (500, "Internal error"),
    }
}

/// `grpc-status` for an HTTP status (gRPC, "HTTP to gRPC Status Code Mapping"), except that a deadline which passed here
/// is told as what it is.
fn grpc_status(reason: Reason, status: u16) -> u8 {
    match (reason, status) {
        (Reason::RequestTimeout, _) => 4, // DEADLINE_EXCEEDED
        (Reason::BodyTooLarge, _) => 8,   // RESOURCE_EXHAUSTED
        (_, 400) => 13,                   // INTERNAL
        (_, 401) => 16,                   // UNAUTHENTICATED
        (_, 403) => 7,                    // PERMISSION_DENIED
        (_, 404) => 12,                   // UNIMPLEMENTED
        (_, 429 | 502 | 503 | 504) => 14, // UNAVAILABLE
        _ => 2,                           // UNKNOWN
    }
}

/// The answer to a request that is not served. Sets the exchange's reason and status.
pub fn refuse(exchange: &mut Exchange, refusal: &Refusal) -> LocalReply {
    let (code, title) = status(refusal.reason);
    exchange.reason = refusal.reason;
    let mut headers = refusal.headers.clone();
    if let Some(wait) = refusal.retry_after.filter(|_| matches!(code, 429 | 503)) {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.push(("retry-after", seconds.max(1).to_string()));
    }
    headers.push(("x-request-id", exchange.request_id.as_str().to_owned()));
    if exchange.grpc {
        exchange.status = 200;
        headers.push(("content-type", "application/grpc".into()));
        headers.push(("grpc-status", grpc_status(refusal.reason, code).to_string()));
        headers.push(("grpc-message", format!("{}: {title}", refusal.reason.as_str())));
        return LocalReply { status: 200, headers, body: Bytes::new() };
    }
    exchange.status = code;
    headers.push(("content-type", PROBLEM.into()));
    let body = problem(refusal.reason, code, title, None, exchange.request_id.as_str());
    LocalReply { status: code, headers, body }
}

/// What is served in general; a rule may take less.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const PROBLEM: &str = "application/problem+json";

/// RFC 9457. The words are ours and the id is ASCII without quotes, so nothing needs escaping.
fn problem(reason: Reason, status: u16, title: &str, detail: Option<&str>, request_id: &str) -> Bytes {
    let reason = reason.as_str();
    let mut body = String::with_capacity(192);
    let _ =
        write!(body, r#"{{"type":"urn:weir:reason:{reason}","title":"{title}","status":{status},"reason":"{reason}""#);
    if let Some(detail) = detail {
        let _ = write!(body, r#","detail":"{detail}""#);
    }
    let _ = writeln!(body, r#","request_id":"{request_id}"}}"#);
    body.into()
}

/// What a refused head is counted and logged as.
pub fn head_reason(kind: Kind) -> Reason {
    match kind {
        Kind::Malformed | Kind::Method | Kind::Version => Reason::BadRequest,
        Kind::HeadTooLarge => Reason::HeaderTooLarge,
        Kind::TargetTooLong => Reason::UriTooLong,
        Kind::TooSlow => Reason::SlowClient,
    }
}

/// The status and the whole HTTP/1.1 answer to a head that was refused before it became a request.
pub fn refuse_head(refusal: &HeadRefusal, request_id: &str) -> (u16, Bytes) {
    let kind = refusal.kind();
    let reason = head_reason(kind);
    let (code, title) = match kind {
        Kind::Method => (405, "This method is not served"),
        Kind::Version => (505, "This version of HTTP is not spoken"),
        _ => status(reason),
    };
    let body = problem(reason, code, title, Some(refusal.detail()), request_id);
    let phrase = http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
    let allow = if kind == Kind::Method { format!("allow: {METHODS}\r\n") } else { String::new() };
    let mut answer = format!(
        "HTTP/1.1 {code} {phrase}\r\ncontent-type: {PROBLEM}\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\
         {allow}connection: close\r\n\r\n",
        body.len(),
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    (code, answer.into())
}

/// The answer of a rule that redirects.
pub fn redirect(exchange: &mut Exchange, status: u16, location: &str) -> LocalReply {
    own(exchange, status, vec![("location", location.to_owned())], Bytes::new())
}

/// The answer of a plain listener whose clients belong on another one: the same URL by `https`.
pub fn to_https(exchange: &mut Exchange, head: &RequestHead<'_>, target: &str, port: u16) -> LocalReply {
    let host = head.host;
    let location = match port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    own(exchange, 308, vec![("location", location)], Bytes::new())
}

/// The answer of a rule that has one written down.
pub fn fixed(exchange: &mut Exchange, reply: &weir_policy::Reply) -> LocalReply {
    let content_type = reply.content_type.as_deref().map(|text| ("content-type", text.to_owned()));
    own(exchange, reply.status, content_type.into_iter().collect(), Bytes::copy_from_slice(reply.body.as_bytes()))
}

/// The answer to `OPTIONS *`, which asks about the server and not about a resource (RFC 9110 §9.3.7).
pub fn options(exchange: &mut Exchange) -> LocalReply {
    own(exchange, 204, vec![("allow", METHODS.to_owned())], Bytes::new())
}

/// The answer to a CORS preflight.
pub fn preflight(exchange: &mut Exchange, headers: Vec<(&'static str, String)>) -> LocalReply {
    own(exchange, 204, headers, Bytes::new())
}

fn own(exchange: &mut Exchange, status: u16, headers: Vec<(&'static str, String)>, body: Bytes) -> LocalReply {
    exchange.reason = Reason::Ok;
    exchange.status = status;
    LocalReply { status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_status_of_its_class() {
        for &reason in Reason::ALL {
            let (code, title) = status(reason);
            assert!((200..600).contains(&code) && !title.is_empty(), "{reason:?}");
        }
    }

    #[test]
    fn a_problem_body_is_json_with_the_five_members() {
        for &reason in Reason::ALL {
            let (code, title) = status(reason);
            let body = problem(reason, code, title, Some("a detail"), "abc-1");
            let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(read["reason"], reason.as_str());
            assert_eq!(read["status"], code);
            assert_eq!(read["request_id"], "abc-1");
            assert!(read["type"].is_string() && read["title"].is_string());
        }
    }
}
