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
    /// What `log_fields` filters added: names from the document, which are none of ours, and values from the request. Of
    /// one name the last counts.
    pub fields: &'a [(&'a str, &'a [u8])],
}

impl Line<'_> {
    /// Appends the line with its line end.
    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut Clock, secrets: &Secrets) {
        put(out, field::TIMESTAMP);
        clock.write(out, self.at);
        put(out, "\"");
        word(out, field::ECS_VERSION, field::ECS);
        number(out, field::DURATION, u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX));
        self.write_request(out, secrets);
        self.write_network(out);
        self.write_labels(out);
        put(out, "}\n");
    }

    fn write_request(&self, out: &mut Vec<u8>, secrets: &Secrets) {
        text(out, field::METHOD, self.method);
        if let Some(host) = self.host {
            text(out, field::DOMAIN, host);
        }
        text(out, field::PATH, self.path);
        if let Some(query) = self.query {
            put(out, field::QUERY);
            let shown = cut(query);
            secrets.write(out, shown);
            put(out, if shown.len() < query.len() { "…\"" } else { "\"" });
        }
        word(out, field::HTTP_VERSION, self.http_version.as_str());
        if self.status > 0 {
            number(out, field::STATUS, self.status);
        }
        number(out, field::REQUEST_BYTES, self.request_bytes);
        number(out, field::RESPONSE_BYTES, self.response_bytes);
        text(out, field::REQUEST_ID, self.request_id.as_bytes());
        if let Some(trace) = self.trace {
            put(out, field::TRACE_ID);
            json::hex(out, &trace.trace_id);
            put(out, "\"");
            put(out, field::SPAN_ID);
            json::hex(out, &trace.span_id);
            put(out, "\"");
        }
    }

    fn write_network(&self, out: &mut Vec<u8>) {
        ip(out, field::CLIENT_IP, self.client);
        ip(out, field::SOURCE_IP, self.source.ip());
        number(out, field::SOURCE_PORT, self.source.port());
        if let Some(destination) = self.destination {
            ip(out, field::DESTINATION_IP, destination.ip());
            number(out, field::DESTINATION_PORT, destination.port());
        }
        if let Some(version) = self.tls {
            word(out, field::TLS_VERSION, version.as_str());
        }
    }

    fn write_labels(&self, out: &mut Vec<u8>) {
        text(out, field::LISTENER, self.listener.as_bytes());
        if let Some(route) = self.route {
            text(out, field::ROUTE, route.as_bytes());
        }
        if let Some(rule) = self.rule {
            text(out, field::RULE, rule.as_bytes());
        }
        if let Some(upstream) = self.upstream {
            text(out, field::UPSTREAM, upstream.as_bytes());
        }
        if let Some(tenant) = self.tenant {
            text(out, field::TENANT, tenant.as_bytes());
        }
        if let Some(endpoint) = self.endpoint {
            put(out, field::ENDPOINT);
            json::address(out, endpoint);
            put(out, "\"");
        }
        word(out, field::REASON, self.reason.as_str());
        number(out, field::ATTEMPTS, self.attempts);
        number(out, field::VERSION, self.version);
        word(out, field::DRIVER, self.driver.as_str());
        for (at, (name, value)) in self.fields.iter().enumerate() {
            if self.fields[at + 1..].iter().any(|(later, _)| later == name) {
                continue;
            }
            put(out, field::ADDED);
            json::escaped(out, name.as_bytes());
            put(out, "\":\"");
            value_from_outside(out, value);
        }
    }
}

// Inlined, so that a key, whose length is known, is written by a few stores.

/// A key and a string from outside.
#[inline(always)]
fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    put(out, key);
    value_from_outside(out, value);
}

/// A key and a word of ours.
#[inline(always)]
fn word(out: &mut Vec<u8>, key: &str, word: &str) {
    put(out, key);
    put(out, word);
    put(out, "\"");
}

#[inline(always)]
fn number(out: &mut Vec<u8>, key: &str, value: impl itoa::Integer) {
    put(out, key);
    json::number(out, value);
}

#[inline(always)]
fn ip(out: &mut Vec<u8>, key: &str, ip: IpAddr) {
    put(out, key);
    json::ip(out, ip);
    put(out, "\"");
}

#[inline(always)]
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// The rest of a string, with its quote.
fn value_from_outside(out: &mut Vec<u8>, value: &[u8]) {
    let shown = cut(value);
    json::escaped(out, shown);
    put(out, if shown.len() < value.len() { "…\"" } else { "\"" });
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
