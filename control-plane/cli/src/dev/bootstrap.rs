//! The bootstrap document of the proxy that `weir dev` starts. It is written as text, comments included: it is also the
//! first bootstrap document that a newcomer reads.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::authority::{LEAF, LEAF_KEY};
use super::folder::{Access, Folder};
use super::ports::Claim;
use crate::args::DevArgs;
use crate::failure::{OrFail, Result};

/// Its file in the state folder.
pub const FILE: &str = "bootstrap.toml";
/// The proxy's own folder in the state folder.
pub const STATE: &str = "proxy";
/// The access log in the state folder.
pub const ACCESS_LOG: &str = "logs/access.log";
/// The listeners of the proxy.
pub const LISTENERS: [&str; 3] = ["edge", "plain", "egress"];

/// The ports of the proxy, all on loopback. 0 lets the kernel choose.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Never 0: the plain listener has to redirect to it.
    edge: u16,
    plain: u16,
    egress: u16,
    admin: u16,
    metrics: u16,
    health: u16,
}

impl Ports {
    pub fn chosen(args: &DevArgs) -> Result<Self> {
        Ok(Self {
            edge: if args.edge_port == 0 { free()? } else { args.edge_port },
            plain: args.plain_port,
            egress: args.egress_port,
            admin: args.admin_port,
            metrics: args.metrics_port,
            health: args.health_port,
        })
    }

    /// What must be free for the proxy to start.
    pub fn claims(&self) -> Vec<Claim> {
        let claim = |port, who: &str, setting: &str| Claim {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            who: who.to_owned(),
            setting: setting.to_owned(),
        };
        vec![
            claim(self.edge, "the edge", "--edge-port"),
            claim(self.plain, "the edge without TLS", "--plain-port"),
            claim(self.egress, "the way out", "--egress-port"),
            claim(self.admin, "the admin interface", "--admin-port"),
            claim(self.metrics, "the metrics", "--metrics-port"),
            claim(self.health, "the health server", "--health-port"),
        ]
    }
}

/// A port that is free right now.
fn free() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .or_fail("no free port could be found", "give one with --edge-port")
}

/// Writes the bootstrap document into the state folder.
pub fn write(folder: &Folder, ports: &Ports) -> Result<()> {
    folder.write(FILE, &text(ports), Access::Everyone)
}

fn text(ports: &Ports) -> String {
    let Ports { edge, plain, egress, admin, metrics, health } = ports;
    format!(
        r#"# Written by `weir dev` at each start: edits are lost. Relative paths count from the folder of this file.
mode = "edge"
state_dir = "{STATE}"

[admin]
address = "127.0.0.1:{admin}"

[telemetry]
metrics = "127.0.0.1:{metrics}"
health = "127.0.0.1:{health}"
access_log = "{ACCESS_LOG}"

# Where clients come in. Serves the routes that name no listener.
[listeners.edge]
address = "127.0.0.1:{edge}"
default = true
tls = {{ certificates = [{{ cert = "{LEAF}", key = "{LEAF_KEY}" }}] }}

# Without TLS: what no route takes here is redirected to the edge.
[listeners.plain]
address = "127.0.0.1:{plain}"
redirect_to_https = {edge}

# Where services go out: serves the routes that name `egress`.
[listeners.egress]
address = "127.0.0.1:{egress}"
"#
    )
}

#[cfg(test)]
mod tests {
    use weir_config::bootstrap::{AccessLog, Bootstrap};

    use super::*;

    #[test]
    fn the_written_document_is_a_good_one_with_the_ports_that_were_asked_for() {
        let ports = Ports { edge: 8443, plain: 8080, egress: 0, admin: 15000, metrics: 15020, health: 15021 };
        let parsed = Bootstrap::parse_toml(&text(&ports));
        assert_eq!(parsed.problems, []);
        let bootstrap = parsed.value.expect("no problem, so a value");
        let names: Vec<_> = bootstrap.listeners.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["edge", "egress", "plain"]);
        assert!(LISTENERS.iter().all(|name| names.contains(name)));
        let edge = &bootstrap.listeners["edge"];
        assert_eq!((edge.address.port(), edge.default, edge.tls.is_some()), (8443, Some(true), true));
        let plain = &bootstrap.listeners["plain"];
        assert_eq!((plain.address.port(), plain.default, plain.redirect_to_https), (8080, None, Some(8443)));
        let telemetry = bootstrap.telemetry.expect("written");
        assert_eq!(telemetry.access_log, Some(AccessLog::File(ACCESS_LOG.to_owned())));
        assert!(ports.claims().iter().all(|claim| claim.address.ip().is_loopback()));
    }
}
