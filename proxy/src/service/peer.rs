//! The one place that builds a Pingora peer.

use std::sync::Arc;

use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{WrappedX509, parse_x509};
use weir_config::mesh::Protocol;
use weir_upstreams::{Trust, Upstream};

use crate::request::attempt::Dial;

/// Certificates in the form in which Pingora takes them.
type Authorities = Arc<[WrappedX509]>;

pub fn of(dial: &Dial) -> HttpPeer {
    let Dial { upstream, address, .. } = dial;
    // An address, never a name: Pingora would resolve it here, blocking, and panic where it can't.
    let mut peer = match &upstream.tls {
        None => HttpPeer::new(*address, false, String::new()),
        Some(tls) => HttpPeer::new(*address, true, tls.sni.clone()),
    };
    let options = &mut peer.options;
    options.connection_timeout = Some(dial.connect);
    options.total_connection_timeout = Some(dial.handshake);
    options.read_timeout = Some(dial.idle);
    options.write_timeout = Some(upstream.timeouts.write);
    options.idle_timeout = Some(upstream.timeouts.keepalive);
    options.alpn = match upstream.protocol {
        Protocol::H1 => ALPN::H1,
        Protocol::H2 => ALPN::H2,
        Protocol::Auto => ALPN::H2H1,
    };
    options.max_h2_streams = upstream.h2_streams;
    options.ca = authorities(upstream);
    // Pingora's pool tells connections apart by address and SNI, but not by CA and protocol.
    peer.group_key = upstream.pool_group;
    peer
}

/// `None`: the system's.
fn authorities(upstream: &Upstream) -> Option<Authorities> {
    let Trust::These(certificates) = &upstream.tls.as_ref()?.trust else { return None };
    let wrap = || -> Authorities {
        certificates.iter().map(|der| WrappedX509::new(der.to_vec(), parse_x509)).collect::<Vec<_>>().into()
    };
    upstream.kept_for_driver(|| Box::new(wrap())).downcast_ref::<Authorities>().cloned()
}
