//! Pingora's heads in the stations' terms.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{ErrorType, OrErr};
use smallvec::SmallVec;
use weir_policy::Headers;

use crate::node::Node;
use crate::request::edits::HeadMut;
use crate::request::{Exchange, Inbound, Noted, Version, attempt, verdict};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// A request's header lines, for reading.
pub struct Lines<'a>(pub &'a HeaderMap);

impl Headers for Lines<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }

    fn for_each(&self, name: &str, f: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).iter().for_each(|value| f(value.as_bytes()));
    }
}

/// The view of a request. `lines` are those of `head`.
pub fn inbound<'a>(head: &'a RequestHeader, lines: &'a Lines<'a>, has_body: bool, upgrade: bool) -> Inbound<'a> {
    // HTTP/2 has it in the URI, HTTP/1 in `Host`; the head reader has seen to it that two of them agree.
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    Inbound {
        method: &head.method,
        authority,
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()),
        version: match head.version {
            http::Version::HTTP_10 => Version::Http10,
            http::Version::HTTP_2 => Version::Http2,
            _ => Version::Http11,
        },
        headers: lines,
        noted: Noted::of(head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))),
        has_body,
        upgrade,
    }
}

impl HeadMut for ResponseHeader {
    fn remove(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }

    fn set(&mut self, name: &HeaderName, value: HeaderValue) {
        let _ = self.insert_header(name, value);
    }

    fn add(&mut self, name: &HeaderName, value: HeaderValue) {
        let _ = self.append_header(name, value);
    }
}

/// Makes the client's head into the one that the upstream gets. `head` is a copy of `original`, without the headers that
/// belong to one hop.
///
/// It is taken apart and put together again without Pingora's record of how each name was spelled: names go on in lower
/// case, and a header costs one map entry instead of two.
pub fn write_request(
    node: &Node,
    exchange: &Exchange,
    original: &RequestHeader,
    head: &mut RequestHeader,
) -> pingora::Result<()> {
    let placeholder = RequestHeader::build_no_case("GET", b"/", Some(0))?;
    let mut parts: http::request::Parts = std::mem::replace(head, placeholder).into();
    parts.headers.reserve(attempt::ADDED);
    let claimed: SmallVec<[HeaderName; 4]> =
        parts.headers.keys().filter(|name| attempt::is_identity(name.as_str())).cloned().collect();
    for name in claimed {
        parts.headers.remove(&name);
    }
    if original.version == http::Version::HTTP_2 {
        join_cookies(&mut parts.headers);
    }
    // The one value that HTTP/2 knows (RFC 9113 §8.2.2). Pingora takes it for HTTP/1's, which ends here; gRPC's servers
    // answer nobody who does not send it.
    if parts.version == http::Version::HTTP_2 && original.headers.get(header::TE).is_some_and(|te| te == "trailers") {
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let lines = Lines(&original.headers);
    let inbound = inbound(original, &lines, false, false);
    attempt::edit_request(node, exchange, &inbound, &mut parts.headers);
    *head = RequestHeader::from(parts);
    // In origin form, whatever form it came in: the authority is in `Host`.
    match attempt::target(exchange) {
        Some(target) => head.set_raw_path(target.as_bytes()),
        None if original.uri.authority().is_some() => head.set_raw_path(inbound.target.as_bytes()),
        None => Ok(()),
    }
}

/// HTTP/2 may split cookies over several lines; outside of it they are one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let joined = {
        let cookies: SmallVec<[&[u8]; 4]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        (cookies.len() > 1).then(|| cookies.join(&b"; "[..]))
    };
    if let Some(Ok(joined)) = joined.map(HeaderValue::try_from) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Makes a copy's head into HTTP/1's: a body of unknown length is chunked.
pub fn into_h1(head: &mut RequestHeader, has_body: bool) -> pingora::Result<()> {
    head.set_version(http::Version::HTTP_11);
    head.remove_header(&header::TE);
    if has_body && !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    Ok(())
}

/// Makes a copy's head into HTTP/2's: the authority goes into the target.
pub fn into_h2(head: &mut RequestHeader, tls: bool) -> pingora::Result<()> {
    let host = head.remove_header(&header::HOST);
    let uri = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(host.as_ref().map_or(&b""[..], HeaderValue::as_bytes))
        .path_and_query(head.uri.path_and_query().map_or("/", |target| target.as_str()))
        .build();
    head.set_uri(uri.or_err(ErrorType::InvalidHTTPHeader, "a copy's target")?);
    head.remove_header(&header::TRANSFER_ENCODING);
    head.set_version(http::Version::HTTP_2);
    Ok(())
}

/// Makes the upstream's head into the one that the client gets.
pub fn write_response(exchange: &mut Exchange, original: &RequestHeader, head: &mut ResponseHeader) {
    if head.status != http::StatusCode::SWITCHING_PROTOCOLS {
        strip_hop_by_hop(head);
    }
    // The version is ours to say, whatever the upstream speaks (RFC 9110 §6.2).
    if head.version != http::Version::HTTP_2 {
        head.set_version(http::Version::HTTP_11);
    }
    if original.version == http::Version::HTTP_10 {
        // It knows no chunks; the end of the connection ends the body.
        head.remove_header(&header::TRANSFER_ENCODING);
    }
    let origin = original.headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    verdict::edit_response(exchange, origin, head);
}

/// What the upstream said about its own connection (RFC 9110 §7.6.1). `Transfer-Encoding` is the driver's.
fn strip_hop_by_hop(head: &mut ResponseHeader) {
    if head.headers.contains_key(header::CONNECTION) {
        let lines = head.headers.get_all(header::CONNECTION).iter().filter_map(|line| line.to_str().ok());
        let names = lines.flat_map(|line| line.split(',')).filter_map(|name| HeaderName::try_from(name.trim()).ok());
        let nominated: SmallVec<[HeaderName; 4]> =
            names.filter(|name| !matches!(*name, header::TRANSFER_ENCODING | header::CONTENT_LENGTH)).collect();
        nominated.iter().chain([&header::CONNECTION]).for_each(|name| drop(head.remove_header(name)));
    }
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &header::UPGRADE, &header::TE] {
        if head.headers.contains_key(name) {
            head.remove_header(name);
        }
    }
}
