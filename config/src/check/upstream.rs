//! One upstream.

use std::net::IpAddr;

use super::{distinct, indexed, positive};
use crate::mesh::{Protocol, Upstream};
use crate::names::{Host, is_dns_name};
use crate::problem::{Path, Problem};
use crate::text::Text;

/// An upstream of which everything could be read.
pub(super) fn whole(upstream: &Upstream, at: &Path, problems: &mut Vec<Problem>) {
    parts(upstream, at, problems);
    match (upstream.endpoints.is_empty(), &upstream.dns) {
        (true, None) => {
            let problem = Problem::error(at, "the upstream has no endpoints");
            problems.push(problem.hint("one of: endpoints = [\"127.0.0.1:7001\"], dns = \"search.internal:8080\""));
        }
        (false, Some(_)) => {
            let problem = Problem::error(&at.key("dns"), "`endpoints` and `dns` are both given");
            problems.push(problem.hint("keep one of them"));
        }
        _ => {}
    }
    let protocol = upstream.protocol.unwrap_or_default();
    if upstream.tls.is_none() {
        if protocol == Protocol::Auto {
            let problem = Problem::error(&at.key("protocol"), "`auto` needs TLS, whose ALPN chooses the protocol");
            problems.push(problem.hint("add tls = { sni = \"…\" }, or say \"h1\" or \"h2\""));
        }
        if upstream.handshake_timeout.is_some() {
            let problem =
                Problem::error(&at.key("handshake_timeout"), "`handshake_timeout` has no effect without `tls`");
            problems.push(problem.hint("`connect_timeout` is for plain connections"));
        }
    }
    if upstream.h2_streams.is_some() && protocol == Protocol::H1 {
        let problem = Problem::error(&at.key("h2_streams"), "`h2_streams` has no effect with the protocol `h1`");
        problems.push(problem.hint("add protocol = \"h2\" or \"auto\", or leave it out"));
    }
}

/// What each key says by itself.
pub(super) fn parts(upstream: &Upstream, at: &Path, problems: &mut Vec<Problem>) {
    distinct(&upstream.endpoints, "endpoint", &at.key("endpoints"), problems);
    for (endpoint, at) in indexed(&upstream.endpoints, &at.key("endpoints")) {
        if endpoint.port() == 0 {
            problems.push(Problem::error(&at, format!("{endpoint} has the port 0")).hint("a port is 1 to 65535"));
        }
        if endpoint.ip().is_unspecified() {
            let problem = Problem::error(&at, format!("{endpoint} is an address to listen on, not one to connect to"));
            problems.push(problem.hint(format!("on this machine: \"127.0.0.1:{}\"", endpoint.port())));
        }
    }
    if let Some(dns) = upstream.dns.as_ref().filter(|dns| dns.host.parse::<IpAddr>().is_ok()) {
        let problem = Problem::error(&at.key("dns"), format!("{} is an address, not a name", dns.host));
        problems.push(problem.hint(format!("endpoints = [\"{dns}\"]")));
    }
    if let Some(tls) = &upstream.tls {
        sni(&tls.sni, &at.key("tls").key("sni"), problems);
    }
    let no_time = "say a time, or leave it out";
    positive(upstream.connect_timeout, at.key("connect_timeout"), no_time, problems);
    positive(upstream.handshake_timeout, at.key("handshake_timeout"), no_time, problems);
    positive(upstream.write_timeout, at.key("write_timeout"), no_time, problems);
    if let (Some(connect), Some(handshake)) = (upstream.connect_timeout, upstream.handshake_timeout)
        && handshake < connect
    {
        let message =
            format!("connecting may take {connect}, but connecting and the handshake together only {handshake}");
        let hint = "`handshake_timeout` covers both: make it the longer one";
        problems.push(Problem::error(&at.key("handshake_timeout"), message).hint(hint));
    }
    if upstream.h2_streams == Some(0) {
        problems.push(Problem::error(&at.key("h2_streams"), "with 0 streams there are no requests").hint("at least 1"));
    }
}

/// Without a name nothing could be verified.
fn sni(name: &str, at: &Path, problems: &mut Vec<Problem>) {
    if name.is_empty() {
        let problem = Problem::error(at, "`sni` is empty, so no certificate could be verified");
        problems.push(problem.hint("the name in the upstream's certificate: \"search.internal\""));
    } else if name.parse::<IpAddr>().is_err() && (Host::from_text(name).is_err() || !is_dns_name(name)) {
        let problem = Problem::error(at, format!("\"{}\" is neither a DNS name nor an address", name.escape_debug()));
        problems.push(problem.hint("the name in the upstream's certificate: \"search.internal\""));
    }
}
