//! The one place that spells a metric, a label or a field of the access log. They are an interface: dashboards, alerts
//! and archives are built on them.

/// A metric family: its name, what it says, and its labels in the order in which their values are given.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! families {
    ($($id:ident = $kind:ident $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(pub const $id: Family =
            Family { name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*] };)*
        /// Every family, sorted by name.
        pub const ALL: &[Family] = &[$($id),*];
    };
}

families! {
    ADDED_LATENCY = Histogram "weir_added_latency_seconds", ["upstream"],
        "Time that Weir itself added to a request: the whole exchange without the time spent on the upstream.";
    ATTEMPTS = Counter "weir_attempts_total", ["upstream", "outcome"],
        "Attempts at an endpoint, by what came of them.";
    CERTIFICATE_EXPIRY = Gauge "weir_certificate_expiry_timestamp_seconds", ["certificate"],
        "When a certificate in use ends, in seconds since 1970.";
    CONFIG_APPLY = Histogram "weir_config_apply_seconds", [],
        "Time from a mesh document's text to the table that serves.";
    CONFIG_GENERATIONS_ALIVE = Gauge "weir_config_generations_alive", [],
        "Generations still held by something: 1 once the requests of older ones have ended.";
    CONFIG_REJECTED = Counter "weir_config_rejected_total", [],
        "Mesh documents refused.";
    CONFIG_VERSION = Gauge "weir_config_version", [],
        "Version of the mesh document that serves.";
    CONNECTIONS = Gauge "weir_connections", ["listener"],
        "Connections from clients that are open.";
    CONNECTIONS_REJECTED = Counter "weir_connections_rejected_total", ["listener", "reason"],
        "Connections from clients that were closed before their first request, by why.";
    DEPENDENCY_UP = Gauge "weir_dependency_up", ["dependency"],
        "1 where a dependency answered when last asked, else 0.";
    ENDPOINTS = Gauge "weir_endpoints", ["upstream", "state"],
        "Endpoints of an upstream, by state.";
    H2_ABUSE = Counter "weir_h2_abuse_total", ["kind"],
        "What HTTP/2 clients did that no honest client does.";
    INFLIGHT = Gauge "weir_inflight", ["upstream"],
        "Requests on their way at an upstream.";
    LOG_DROPPED = Counter "weir_log_dropped_total", [],
        "Access log lines that were not written, because the log could not take them in time.";
    PANICS = Counter "weir_panics_total", [],
        "Panics caught; each ended one request or one connection.";
    RATELIMIT_DECISIONS = Counter "weir_ratelimit_decisions_total", ["quota", "decision"],
        "Decisions of the rate limits of a route, which names the quota.";
    REQUEST_DURATION = Histogram "weir_request_duration_seconds", ["route", "code_class"],
        "Time from a request's first byte to the last byte of its answer.";
    REQUESTS = Counter "weir_requests_total", ["route", "upstream", "code_class", "reason"],
        "Requests that ended, by the class of the status and the reason.";
    RETRIES = Counter "weir_retries_total", ["upstream", "outcome"],
        "Retries that were wanted, by what was decided.";
    RETRY_BUDGET = Gauge "weir_retry_budget_ratio", ["upstream"],
        "Share of the retry budget that is left, from 0 to 1.";
    TLS_HANDSHAKES = Counter "weir_tls_handshakes_total", ["listener", "version"],
        "TLS handshakes completed with clients, by protocol version.";
    UPSTREAM_DURATION = Histogram "weir_upstream_duration_seconds", ["upstream"],
        "Time that an upstream took: from an attempt's start to the last byte of the upstream's answer.";
}

/// The value of a `route` or `upstream` label that stands for all names beyond the bound on series.
pub const OTHER: &str = "__other__";
/// The value of a label where there is nothing to name: no route matched, no upstream was asked.
pub const NONE: &str = "-";

/// Fields of the access log, each as the JSON that stands before its value. ECS names (Elastic Common Schema), dotted;
/// what ECS has no word for is under `labels`.
pub mod field {
    /// The version of ECS that the names are from.
    pub const ECS: &str = "8.17.0";

    /// What stands before a value, with the quote where the value is a string.
    macro_rules! key {
        (first string $name:literal) => {
            concat!("{\"", $name, "\":\"")
        };
        (string $name:literal) => {
            concat!(",\"", $name, "\":\"")
        };
        (number $name:literal) => {
            concat!(",\"", $name, "\":")
        };
    }

    pub const TIMESTAMP: &str = key!(first string "@timestamp");
    pub const ECS_VERSION: &str = key!(string "ecs.version");
    pub const DURATION: &str = key!(number "event.duration");
    pub const METHOD: &str = key!(string "http.request.method");
    pub const REQUEST_ID: &str = key!(string "http.request.id");
    pub const PATH: &str = key!(string "url.path");
    pub const QUERY: &str = key!(string "url.query");
    pub const DOMAIN: &str = key!(string "url.domain");
    pub const HTTP_VERSION: &str = key!(string "http.version");
    pub const STATUS: &str = key!(number "http.response.status_code");
    pub const REQUEST_BYTES: &str = key!(number "http.request.body.bytes");
    pub const RESPONSE_BYTES: &str = key!(number "http.response.body.bytes");
    pub const CLIENT_IP: &str = key!(string "client.ip");
    pub const SOURCE_IP: &str = key!(string "source.ip");
    pub const SOURCE_PORT: &str = key!(number "source.port");
    pub const DESTINATION_IP: &str = key!(string "destination.ip");
    pub const DESTINATION_PORT: &str = key!(number "destination.port");
    pub const TLS_VERSION: &str = key!(string "tls.version");
    pub const TRACE_ID: &str = key!(string "trace.id");
    pub const SPAN_ID: &str = key!(string "span.id");
    pub const ROUTE: &str = key!(string "labels.route");
    pub const RULE: &str = key!(string "labels.rule");
    pub const UPSTREAM: &str = key!(string "labels.upstream");
    pub const ENDPOINT: &str = key!(string "labels.endpoint");
    pub const TENANT: &str = key!(string "labels.tenant");
    pub const REASON: &str = key!(string "labels.reason");
    pub const ATTEMPTS: &str = key!(number "labels.attempts");
    pub const VERSION: &str = key!(number "labels.version");
    pub const DRIVER: &str = key!(string "labels.driver");
    pub const LISTENER: &str = key!(string "labels.listener");
    /// Before the name of a field that a `log_fields` filter added. The filter takes no name from above.
    pub const ADDED: &str = ",\"";

    // Of the process log ([`super::super::logs`]), after its time.
    pub const LEVEL: &str = key!(string "log.level");
    pub const MESSAGE: &str = key!(string "message");
    pub const LOGGER: &str = key!(string "log.logger");
    /// Before the name of an event's own field.
    pub const LABEL: &str = ",\"labels.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_sorted_and_named_once() {
        assert!(ALL.windows(2).all(|pair| pair[0].name < pair[1].name), "the exposition is sorted by name");
    }
}
