//! How the mesh document's tables are read: each key is a field.

use super::*;
use crate::problem::{Path, Problem};
use crate::read::{Read, Word, word};
use crate::read_table;

read_table!(partly Mesh { routes, upstreams });
read_table!(partly Route { listeners, hosts, rules });
read_table!(partly Rule {
    name, r#match, to, redirect, reply, sticky, timeout, attempt_timeout, idle_timeout, filters, version, rewrite,
    request_headers, response_headers, mirror, cors,
});
read_table!(Redirect { status, scheme, host, port, path, prefix });
read_table!(Reply { status, body, content_type });
read_table!(Rewrite { prefix, path, host });
read_table!(HeaderEdits { set, add, remove });
read_table!(Mirror { to, share });
read_table!(Cors { origins, methods, headers, expose, credentials, max_age });
read_table!(Version { name, deprecated, sunset });
read_table!(partly Upstream {
    endpoints, dns, protocol, tls, connect_timeout, handshake_timeout, write_timeout, keepalive, h2_streams,
});
read_table!(UpstreamTls { sni, ca });

impl Word for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[("h1", Self::H1), ("h2", Self::H2), ("auto", Self::Auto)];
}

impl Read for Protocol {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        word(node, at, problems)
    }
}
