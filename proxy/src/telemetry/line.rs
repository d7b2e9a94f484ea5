//! One line of the access log.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use weir_policy::Reason;

use super::clock::Clock;
use super::json;
use super::labels::{Driver, HttpVersion, TlsVersion};
use super::names::field;
use super::query::Secrets;
use super::trace::TraceContext;

/// Longest part of a client's text (path, query, host, a field of `log_fields`) that is logged, in bytes. Archives cut
/// keywords too (Elasticsearch: at 32,766).
const TEXT: usize = 4096;

/// What is said about a request when it has ended. None and empty are left out.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// When its first byte came.
    pub at: SystemTime,
    /// From then to the last byte of the answer.
    pub duration: Duration,
    pub method: &'a [u8],
    /// The host that was asked for, without its port.
    pub host: Option<&'a [u8]>,
    /// As the client sent it.
    pub path: &'a [u8],
    /// What follows `?`. Secret values are replaced here.
    pub query: Option<&'a [u8]>,
    pub http_version: HttpVersion,
    /// What was sent to the client; 0 if nothing was.
    pub status: u16,
    /// Bytes of the body that came from the client.
    pub request_bytes: u64,
    /// Bytes of the body that went to the client.
    pub response_bytes: u64,
    pub request_id: &'a str,
    /// Who the client is: the source, or whom trusted hops name.
    pub client: IpAddr,
    /// Who connected.
    pub source: SocketAddr,
    /// Our address that it connected to.
    pub destination: Option<SocketAddr>,
    pub tls: Option<TlsVersion>,
    /// With our own span.
    pub trace: Option<&'a TraceContext>,
    pub listener: &'a str,
    pub route: Option<&'a str>,
    pub rule: Option<&'a str>,
    pub upstream: Option<&'a str>,
    /// The endpoint of the last attempt.
    pub endpoint: Option<SocketAddr>,
    pub tenant: Option<&'a str>,
    pub reason: Reason,
    pub attempts: u32,
    /// Version of the mesh document that decided.
    pub version: u64,
    pub driver: Driver,
    /// What `log_fields` filters added: names from the document, values from the request. Of one name the last counts.
    pub fields: &'a [(&'a str, &'a [u8])],
}

impl Line<'_> {
    /// Appends the line with its line end.
    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut Clock, secrets: &Secrets) {
        put(out, field::TIMESTAMP);
        clock.write(out, self.at);
        put(out, field::ECS_VERSION);
        out.push(b'"');
        put(out, field::ECS);
        out.push(b'"');
        put(out, field::DURATION);
        json::number(out, u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX));
        self.write_request(out, secrets);
        self.write_network(out);
        self.write_labels(out);
        out.extend_from_slice(b"}\n");
    }

    fn write_request(&self, out: &mut Vec<u8>, secrets: &Secrets) {
        text(out, field::METHOD, self.method);
        if let Some(host) = self.host {
            text(out, field::DOMAIN, host);
        }
        text(out, field::PATH, self.path);
        if let Some(query) = self.query {
            put(out, field::QUERY);
            out.push(b'"');
            let shown = cut(query);
            secrets.write(out, shown);
            if shown.len() < query.len() {
                put(out, "…");
            }
            out.push(b'"');
        }
        word(out, field::HTTP_VERSION, self.http_version.as_str());
        if self.status > 0 {
            put(out, field::STATUS);
            json::number(out, self.status);
        }
        put(out, field::REQUEST_BYTES);
        json::number(out, self.request_bytes);
        put(out, field::RESPONSE_BYTES);
        json::number(out, self.response_bytes);
        text(out, field::REQUEST_ID, self.request_id.as_bytes());
        if let Some(trace) = self.trace {
            for (key, id) in [(field::TRACE_ID, &trace.trace_id[..]), (field::SPAN_ID, &trace.span_id[..])] {
                put(out, key);
                out.push(b'"');
                json::hex(out, id);
                out.push(b'"');
            }
        }
    }

    fn write_network(&self, out: &mut Vec<u8>) {
        put(out, field::CLIENT_IP);
        json::ip(out, self.client);
        put(out, field::SOURCE_IP);
        json::ip(out, self.source.ip());
        put(out, field::SOURCE_PORT);
        json::number(out, self.source.port());
        if let Some(destination) = self.destination {
            put(out, field::DESTINATION_IP);
            json::ip(out, destination.ip());
            put(out, field::DESTINATION_PORT);
            json::number(out, destination.port());
        }
        if let Some(version) = self.tls {
            word(out, field::TLS_VERSION, version.as_str());
        }
    }

    fn write_labels(&self, out: &mut Vec<u8>) {
        text(out, field::LISTENER, self.listener.as_bytes());
        for (key, name) in [
            (field::ROUTE, self.route),
            (field::RULE, self.rule),
            (field::UPSTREAM, self.upstream),
            (field::TENANT, self.tenant),
        ] {
            if let Some(name) = name {
                text(out, key, name.as_bytes());
            }
        }
        if let Some(endpoint) = self.endpoint {
            put(out, field::ENDPOINT);
            json::address(out, endpoint);
        }
        word(out, field::REASON, self.reason.as_str());
        put(out, field::ATTEMPTS);
        json::number(out, self.attempts);
        put(out, field::VERSION);
        json::number(out, self.version);
        word(out, field::DRIVER, self.driver.as_str());
        for (at, (name, value)) in self.fields.iter().enumerate() {
            if self.fields[at + 1..].iter().any(|(later, _)| later == name) {
                continue;
            }
            put(out, field::EXTRA);
            json::escaped(out, name.as_bytes());
            put(out, "\":");
            text(out, "", value);
        }
    }
}

/// A key and a string from outside.
#[inline]
fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    put(out, key);
    let shown = cut(value);
    if shown.len() == value.len() {
        json::string(out, value);
    } else {
        out.push(b'"');
        json::escaped(out, shown);
        put(out, "…\"");
    }
}

/// A key and a word of ours.
#[inline]
fn word(out: &mut Vec<u8>, key: &str, word: &str) {
    put(out, key);
    out.push(b'"');
    put(out, word);
    out.push(b'"');
}

#[inline]
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// At most [`TEXT`] bytes, not within a character.
#[inline]
fn cut(value: &[u8]) -> &[u8] {
    if value.len() <= TEXT {
        return value;
    }
    // A character has at most three bytes after its first.
    let continues = |at: &usize| value[*at] & 0xc0 == 0x80;
    let end = (TEXT - 3..=TEXT).rev().find(|at| !continues(at)).unwrap_or(TEXT);
    &value[..end]
}
