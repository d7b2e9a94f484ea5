//! What changed in an upstream.

use super::Changes;
use super::value::{Same, listed, members, setting};
use crate::mesh::{Protocol, Upstream};
use crate::names::Name;
use crate::problem::Path;

pub(super) fn added(name: &Name, upstream: &Upstream) -> String {
    let place = match &upstream.dns {
        Some(dns) => dns.to_string(),
        None => listed(&upstream.endpoints),
    };
    let tls = upstream.tls.as_ref().map(|tls| format!(", TLS to {}", tls.sni)).unwrap_or_default();
    let protocol = match upstream.protocol() {
        Protocol::H1 => "",
        Protocol::H2 => ", HTTP/2",
        Protocol::Auto => ", HTTP/2 or HTTP/1.1",
    };
    format!("upstream {name} added ({place}{tls}{protocol})")
}

pub(super) fn changed(name: &Name, old: &Upstream, new: &Upstream, at: &Path, changes: &mut Changes) {
    if old == new {
        return;
    }
    let who = format!("upstream {name}");
    let said = |endpoint: &std::net::SocketAddr, verb: &str| format!("{who}: endpoint {endpoint} {verb}");
    let endpoints = at.key("endpoints");
    if members(&old.endpoints, &new.endpoints, &endpoints, changes, said) == Same::Reordered {
        let sentence = format!("{who}: endpoints in another order, which has no effect");
        changes.changed(&endpoints, sentence, &old.endpoints, &new.endpoints);
    }
    setting(&who, "dns", &old.dns, &new.dns, None, at, changes);
    setting(&who, "protocol", &old.protocol, &new.protocol, Some("h1"), at, changes);
    setting(&who, "tls", &old.tls, &new.tls, None, at, changes);
    setting(&who, "connect_timeout", &old.connect_timeout, &new.connect_timeout, Some("1s"), at, changes);
    setting(&who, "handshake_timeout", &old.handshake_timeout, &new.handshake_timeout, Some("3s"), at, changes);
    setting(&who, "write_timeout", &old.write_timeout, &new.write_timeout, Some("10s"), at, changes);
    setting(&who, "keepalive", &old.keepalive, &new.keepalive, Some("4s"), at, changes);
    setting(&who, "h2_streams", &old.h2_streams, &new.h2_streams, Some("100"), at, changes);
}
