//! How the bootstrap document's tables are read: each key is a field.

use super::*;
use crate::node::Node;
use crate::problem::{Path, Problem};
use crate::read::{Read, Word, word};
use crate::read_table;

read_table!(Bootstrap { mode, workers, state_dir, mesh, admin, telemetry, drain, listeners });
read_table!(Admin { address });
read_table!(Telemetry { metrics, health, access_log, secret_query });
read_table!(Drain { wait, deadline });
read_table!(Listener { address, default, tls, h2c, redirect_to_https, trusted_hops, encoded_slashes, limits });
read_table!(ListenerTls { certificates, min_version });
read_table!(CertificateFiles { cert, key });
read_table!(Limits {
    connections,
    connections_per_client,
    handshake_timeout,
    header_timeout,
    header_bytes,
    headers,
    uri_bytes,
    body_bytes,
    body_rate,
    idle_timeout,
    write_timeout,
    max_age,
    max_requests,
    h2_streams,
});

impl Word for Mode {
    const WORDS: &'static [(&'static str, Self)] = &[("edge", Self::Edge)];
}

impl Read for Mode {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        word(node, at, problems)
    }
}

impl Word for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::Tls12), ("1.3", Self::Tls13)];
}

impl Read for TlsVersion {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        word(node, at, problems)
    }
}
