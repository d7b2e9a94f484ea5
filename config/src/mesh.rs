//! The mesh document: routes and upstreams, as an operator writes them. What is typed here is not what runs: the
//! policy crate compiles it into a table.

mod defaults;
mod digest;
mod forms;
mod read;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::names::{Authority, HeaderName, Host, Method, Name, Origin, PathPattern};
use crate::node::Node;
use crate::units::{Date, Duration, Share};

/// A whole mesh document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Mesh {
    /// Routes by name: hosts and the rules that hold for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<Name, Route>,
    /// Upstreams by name: the services behind the proxy.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub upstreams: BTreeMap<Name, Upstream>,
}

/// Hosts, and the rules for requests to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Route {
    /// Listeners that serve this route. Absent: the listeners marked `default`, never all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Vec<Name>>,
    /// Hosts that this route answers for: exact (`api.example.com`) or wildcard (`*.example.com`, one or more labels
    /// in place of the star). Absent: any host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// The rules. Order counts only between rules that are equally specific.
    pub rules: Vec<Rule>,
}

/// Which requests, and what becomes of them. Exactly one of `to`, `redirect` and `reply` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Rule {
    /// The rule's name in logs and explanations. Absent: its position in the route, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Alternatives, any of which matches. Absent: every request to the route's hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub r#match: Vec<Match>,
    /// The upstream, or a weighted split over several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Backends>,
    /// Answer with a redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Answer by the proxy itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// What keeps a client on one side of a split. Absent: by chance, for each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Time for the whole exchange with all its attempts; `"0s"` turns it off. Absent: 15 s until the response head,
    /// then only `idle_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Time for one attempt, until its response head. Absent: only the time of the whole exchange bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// Longest pause between two bytes of the exchange. Absent: 5 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// Filters, in the order in which they see a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// The API version that this rule serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What is asked of the upstream instead of the original path or host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Edits of the request's headers on their way to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<HeaderEdits>,
    /// Edits of the answer's headers on their way to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderEdits>,
    /// Send a share of the requests to a second upstream too, whose answers are thrown away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Cross-origin resource sharing: preflights are answered here, allowed origins get their headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

/// One alternative of a rule. All of its keys hold together. Written as `"[METHOD[,METHOD] ]PATH"` or as a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// Any of these; empty: any method.
    pub methods: Vec<Method>,
    /// Exact (`/a`), element-wise prefix (`/a/*`: `/a` and `/a/b`, never `/ab`) or regex (`~^/p/[0-9]+$`).
    pub path: PathPattern,
    /// Every one must match at least one line of that header.
    pub headers: BTreeMap<HeaderName, ValuePattern>,
    /// Every one must match the first parameter of that name, percent-decoded.
    pub query: BTreeMap<String, ValuePattern>,
}

/// What a header's or a query parameter's value must be: `"v"`, or `{ regex = "^v" }` (a search, so anchor it).
#[derive(Clone, Debug, PartialEq)]
pub enum ValuePattern {
    Exact(String),
    Regex(String),
}

/// `to = "name"`, or `to = { one = 95, other = 5 }`. A weight of 0 gets no traffic at all.
#[derive(Clone, Debug, PartialEq)]
pub enum Backends {
    One(Name),
    Split(BTreeMap<Name, u32>),
}

/// A redirect. Parts that are absent stay as the client had them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Redirect {
    /// 301, 302 (when absent), 303, 307 or 308.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The whole new path. The query stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Put this in place of the prefix that matched. Only in rules whose paths are prefixes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// An answer by the proxy itself.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Absent: empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Absent: `text/plain; charset=utf-8` where there is a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// What keeps a client on one side of a split. As a weight grows, clients only move towards it.
#[derive(Clone, Debug, PartialEq)]
pub enum Sticky {
    /// `{ cookie = "name" }`: the proxy sets it where it is missing.
    Cookie(String),
    /// `{ header = "x-user" }`; a request without it is split by chance.
    Header(HeaderName),
    /// `{ address = true }`: the client's address.
    Address,
}

/// What is asked of the upstream. At most one of `prefix` and `path`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Rewrite {
    /// Put this in place of the prefix that matched. Only in rules whose paths are prefixes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The whole new path. The query stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The `Host` that the upstream sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Header edits: first `remove`, then `set` (in place of what was there), then `add` (one more line).
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct HeaderEdits {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<HeaderName, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<HeaderName, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<HeaderName>,
}

/// A copy of some requests to a second upstream, whose answers are thrown away.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Mirror {
    pub to: Name,
    /// Absent: 100%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// Cross-origin resource sharing (Fetch standard, §3.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Cors {
    /// `https://app.example.com`, `https://*.example.com` or `*`.
    pub origins: Vec<Origin>,
    /// Absent: GET, HEAD and POST.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// Request headers that a script may send.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderName>,
    /// Response headers that a script may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<HeaderName>,
    /// Let cookies and authorization through. Not together with the origin `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<bool>,
    /// How long a browser may keep a preflight's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

/// The API version that a rule serves. A rule whose path begins with `/{name}` is also found without it, by
/// `Accept-Version: {name}`; the upstream sees the same path either way. A rule whose path does not name the version
/// asks for that header.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Version {
    pub name: Name,
    /// Sent as `Deprecation` (RFC 9745) with each answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Date>,
    /// Sent as `Sunset` (RFC 8594) with each answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sunset: Option<Date>,
}

/// A filter: its `kind`, and that kind's settings. The kinds and their settings are the policy crate's catalogue
/// (`weir filters`), which reads the rest of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub kind: String,
    /// The whole table, `kind` among it.
    pub settings: Node,
}

/// A named service behind the proxy. Exactly one of `endpoints` and `dns` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Upstream {
    /// Addresses, `"127.0.0.1:7001"` or `"[::1]:7001"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<std::net::SocketAddr>,
    /// A name whose A and AAAA records are the endpoints, with the port: `"search.internal:8080"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Authority>,
    /// `h1` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Absent: plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
    /// Time for the TCP connection. Absent: 1 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// Time for the TCP connection and the TLS handshake together. Absent: 3 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_timeout: Option<Duration>,
    /// Time in which the upstream must take a chunk. Absent: 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Duration>,
    /// How long an unused connection is kept. Absent: 4 s, since uvicorn closes idle connections after 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<Duration>,
    /// Requests at a time over one HTTP/2 connection. Absent: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2_streams: Option<u32>,
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2; without TLS by prior knowledge.
    H2,
    /// HTTP/2 where the upstream offers it by ALPN, else HTTP/1.1. Needs TLS.
    Auto,
}

/// TLS to an upstream. The certificate is always verified.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UpstreamTls {
    /// The name that is sent as SNI and that the certificate must bear. Without it nothing could be verified, so it
    /// is required.
    pub sni: String,
    /// Who may have signed it: `"system"` (when absent) or `"file:ca.pem"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
}

/// A set of trusted authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ca {
    #[default]
    System,
    /// A PEM file; a relative path counts from the folder of the bootstrap document.
    File(String),
}
