//! Station 7: the request is over: it is counted and logged, once, and what it held goes back.

use std::time::{Duration, Instant, SystemTime};

use weir_policy::Reason;

use super::exchange::{Exchange, Version};
use crate::listen::{Connection, Refusal, TlsFacts};
use crate::node::Node;
use crate::telemetry::Line;
use crate::telemetry::labels::{AttemptOutcome, Driver, HttpVersion, TlsVersion};
use crate::telemetry::trace::RequestId;

/// The answer, the upstream's or our own, went out whole.
pub fn delivered(exchange: &mut Exchange, now: Instant) {
    if exchange.head_at.is_some() {
        exchange.reason = Reason::Ok;
    }
    finish(exchange, now);
}

/// The exchange ended otherwise; its reason says how.
pub fn broken_off(exchange: &mut Exchange, now: Instant) {
    finish(exchange, now);
}

fn finish(exchange: &mut Exchange, now: Instant) {
    if std::mem::replace(&mut exchange.finished, true) {
        return;
    }
    let duration = now.saturating_duration_since(exchange.started);
    let generation = &exchange.generation;
    let upstream = exchange.upstream.filter(|_| exchange.attempts > 0).map(|id| generation.upstream_cells(id));
    let route = match exchange.rule {
        Some(id) => generation.route_cells(id),
        None => &exchange.node.no_route,
    };
    route.finish(upstream.map(|cells| &**cells), exchange.status, exchange.reason, duration);
    if let Some(cells) = upstream.filter(|_| exchange.reason == Reason::Ok) {
        cells.attempt(AttemptOutcome::Ok);
        if let Some((theirs, ours)) = exchange.latency(now) {
            cells.duration(theirs);
            cells.added_latency(ours);
        }
    }
    exchange.lease = None;
    if exchange.node.access_log.is_on() {
        log(exchange, duration);
    }
}

fn log(exchange: &Exchange, duration: Duration) {
    let rule = exchange.rule.map(|id| exchange.generation.table.rule(id));
    let (path, query) = match exchange.target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (&*exchange.target, None),
    };
    let fields: Vec<(&str, &[u8])> = exchange.fields.iter().map(|(name, value)| (&**name, value.as_bytes())).collect();
    exchange.node.access_log.write(&Line {
        at: SystemTime::now().checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH),
        duration,
        method: exchange.method.as_str().as_bytes(),
        host: host(&exchange.authority),
        path: path.as_bytes(),
        query,
        http_version: match exchange.version {
            Version::Http10 => HttpVersion::V1_0,
            Version::Http11 => HttpVersion::V1_1,
            Version::Http2 => HttpVersion::V2,
        },
        status: exchange.status,
        request_bytes: exchange.received,
        response_bytes: exchange.sent,
        request_id: exchange.request_id.as_str(),
        client: exchange.facts.client,
        source: exchange.downstream.peer,
        destination: Some(exchange.downstream.local),
        tls: exchange.downstream.tls,
        trace: Some(&exchange.trace),
        listener: exchange.node.listener(exchange.downstream.listener).name.as_str(),
        route: rule.map(|rule| rule.route.as_str()),
        rule: rule.map(|rule| &*rule.name),
        upstream: exchange.upstream().map(|upstream| upstream.name.as_str()),
        endpoint: exchange.tried.last().copied(),
        tenant: None,
        reason: exchange.reason,
        attempts: u32::from(exchange.attempts),
        version: exchange.generation.version,
        driver: exchange.downstream.driver,
        fields: &fields,
    });
}

/// An authority without its port.
fn host(authority: &str) -> Option<&[u8]> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    (!host.is_empty()).then_some(host.as_bytes())
}

/// A request's future was dropped: the process ends, or its HTTP/2 stream was reset.
impl Drop for Exchange {
    fn drop(&mut self) {
        finish(self, Instant::now());
    }
}

/// Counts and logs a head that was refused before it became a request.
pub fn refused(node: &Node, connection: &Connection, refusal: &Refusal, status: u16, id: &RequestId, driver: Driver) {
    let reason = super::reply::head_reason(refusal.kind());
    node.no_route.finish(None, status, reason, Duration::ZERO);
    if !node.access_log.is_on() {
        return;
    }
    let target = shown(refusal.target.as_deref().unwrap_or_default());
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (target, None),
    };
    node.access_log.write(&Line {
        at: SystemTime::now(),
        duration: Duration::ZERO,
        method: refusal.method.as_deref().unwrap_or_default().as_bytes(),
        host: None,
        path: path.as_bytes(),
        query,
        http_version: HttpVersion::V1_1,
        status,
        request_bytes: 0,
        response_bytes: 0,
        request_id: id.as_str(),
        client: connection.peer.ip(),
        source: connection.peer,
        destination: Some(connection.local),
        tls: connection.tls.as_ref().map(tls_version),
        trace: None,
        listener: node.listener(connection.listener).name.as_str(),
        route: None,
        rule: None,
        upstream: None,
        endpoint: None,
        tenant: None,
        reason,
        attempts: 0,
        version: node.current.version(),
        driver,
        fields: &[],
    });
}

/// Path and query of a refused target. What may stand before them (`http://user:password@host`) or behind them
/// (`#access_token=…`) is no part of what is asked for, and may be a secret.
fn shown(target: &str) -> &str {
    let target = target.split('#').next().unwrap_or_default();
    if target.starts_with(['/', '?', '*']) {
        return target;
    }
    let authority = target.split_once("://").map_or(target, |(_, rest)| rest);
    authority.find(['/', '?']).map_or("", |end| &authority[end..])
}

/// The TLS version, as the telemetry names it.
pub fn tls_version(facts: &TlsFacts) -> TlsVersion {
    match facts.version {
        weir_config::bootstrap::TlsVersion::Tls12 => TlsVersion::V1_2,
        weir_config::bootstrap::TlsVersion::Tls13 => TlsVersion::V1_3,
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn of_a_refused_target_only_path_and_query_are_shown() {
        for (target, expected) in [
            ("/a?b=c", "/a?b=c"),
            ("/a@b:c", "/a@b:c"),
            ("*", "*"),
            ("/a#b", "/a"),
            ("/a?b#c", "/a?b"),
            ("http://me:pass@host/a?b", "/a?b"),
            ("http://me:pass@host?b=/c", "?b=/c"),
            ("http://me:pass@host", ""),
            ("http://me:pa", ""),
            ("me:pass@host:443", ""),
            ("", ""),
        ] {
            assert_eq!(shown(target), expected, "{target}");
        }
    }
}
