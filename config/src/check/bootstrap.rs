//! The bootstrap document.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{entries, limits};
use crate::bootstrap::{Admin, Bootstrap, Listener, ListenerTls, Telemetry};
use crate::node::Node;
use crate::problem::{Path, Problem};
use crate::read::Read;

/// What is wrong with a bootstrap document that was read whole.
pub fn bootstrap(bootstrap: &Bootstrap) -> Vec<Problem> {
    let mut problems = Vec::new();
    let root = Path::root();
    process(bootstrap, &root, &mut problems);
    let mut places = own_places(bootstrap);
    for (name, listener) in &bootstrap.listeners {
        let at = root.key("listeners").key(name.to_string());
        self::listener(listener, &at, &mut problems);
        places.push((format!("the listener `{name}`"), listener.address, at.key("address")));
    }
    one_socket_each(&places, &mut problems);
    if bootstrap.listeners.is_empty() {
        let problem = Problem::error(&root.key("listeners"), "there is no listener");
        problems.push(problem.hint("[listeners.edge] with address = \"127.0.0.1:8080\""));
    } else if !bootstrap.listeners.values().any(Listener::default) {
        let problem = Problem::warning(&root.key("listeners"), "no listener is marked `default`");
        problems.push(problem.hint("routes that name no listener are served nowhere; add default = true to one"));
    }
    problems
}

/// What is wrong with those parts of a bootstrap document that could be read.
pub fn bootstrap_in_part(node: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let process = Bootstrap {
        mode: None,
        workers: node.get("workers").and_then(readable),
        state_dir: node.get("state_dir").and_then(readable).unwrap_or_else(|| ".".to_owned()),
        mesh: node.get("mesh").and_then(readable),
        admin: node.get("admin").and_then(readable),
        telemetry: node.get("telemetry").and_then(readable),
        drain: None,
        listeners: BTreeMap::new(),
    };
    self::process(&process, &Path::root(), &mut problems);
    let mut places = Vec::new();
    for (node, at) in entries(node, "listeners") {
        if let Some(listener) = readable::<Listener>(node) {
            self::listener(&listener, &at, &mut problems);
            places.push((format!("the listener at {at}"), listener.address, at.key("address")));
        }
    }
    one_socket_each(&places, &mut problems);
    problems
}

/// The value of a node with which nothing is wrong.
fn readable<T: Read>(node: &Node) -> Option<T> {
    let mut problems = Vec::new();
    let value = T::read(node, &Path::root(), &mut problems);
    value.filter(|_| problems.is_empty())
}

/// What belongs to the process as a whole.
fn process(bootstrap: &Bootstrap, root: &Path, problems: &mut Vec<Problem>) {
    if bootstrap.workers == Some(0) {
        let problem = Problem::error(&root.key("workers"), "0 workers do nothing");
        problems.push(problem.hint("leave `workers` out for one for each core"));
    }
    if bootstrap.state_dir.is_empty() {
        let problem = Problem::error(&root.key("state_dir"), "the state folder is empty");
        problems.push(problem.hint("a folder that the process may write to: \"/var/lib/weir\""));
    }
    if bootstrap.mesh.as_ref().is_some_and(String::is_empty) {
        let problem = Problem::error(&root.key("mesh"), "the mesh document's path is empty");
        problems.push(problem.hint("leave `mesh` out when `--mesh` or a control plane gives it"));
    }
    let admin = bootstrap.admin().address();
    if !admin.ip().is_loopback() {
        let problem = Problem::error(&root.key("admin").key("address"), format!("{admin} can be reached from outside"));
        let hint = format!("the admin interface has no lock of its own; keep it at \"127.0.0.1:{}\"", admin.port());
        problems.push(problem.hint(hint));
    }
    let secrets = bootstrap.telemetry.iter().flat_map(|telemetry| &telemetry.secret_query);
    for (index, _) in secrets.enumerate().filter(|(_, name)| name.is_empty()) {
        let at = root.key("telemetry").key("secret_query").index(index);
        problems.push(Problem::error(&at, "the parameter's name is empty"));
    }
}

fn listener(listener: &Listener, at: &Path, problems: &mut Vec<Problem>) {
    match &listener.tls {
        Some(tls) => with_tls(listener, tls, at, problems),
        None if listener.redirect_to_https == Some(0) => {
            let problem = Problem::error(&at.key("redirect_to_https"), "0 is not a port");
            problems.push(problem.hint("the port that clients use for https: 443, 8443"));
        }
        None => {}
    }
    for (index, hop) in listener.trusted_hops.iter().enumerate().filter(|(_, hop)| hop.bits == 0) {
        let problem = Problem::warning(&at.key("trusted_hops").index(index), format!("\"{hop}\" is everybody"));
        problems
            .push(problem.hint("any client can then say that it is another; name the proxies in front of this one"));
    }
    if let Some(limits) = &listener.limits {
        limits::limits(limits, &at.key("limits"), problems);
    }
}

fn with_tls(listener: &Listener, tls: &ListenerTls, at: &Path, problems: &mut Vec<Problem>) {
    if listener.h2c == Some(true) {
        let problem = Problem::error(&at.key("h2c"), "`h2c` is for listeners without `tls`");
        problems.push(problem.hint("with TLS clients choose HTTP/2 by ALPN; leave `h2c` out"));
    }
    if listener.redirect_to_https.is_some() {
        let problem =
            Problem::error(&at.key("redirect_to_https"), "`redirect_to_https` is for listeners without `tls`");
        problems.push(problem.hint("requests here come by https already"));
    }
    let at = at.key("tls").key("certificates");
    if tls.certificates.is_empty() {
        let problem = Problem::error(&at, "there is no certificate");
        problems.push(problem.hint("certificates = [{ cert = \"edge.pem\", key = \"edge.key\" }]"));
    }
    for (index, files) in tls.certificates.iter().enumerate() {
        for (key, file) in [("cert", &files.cert), ("key", &files.key)] {
            if file.is_empty() {
                let problem = Problem::error(&at.index(index).key(key), "the file's path is empty");
                problems.push(problem.hint("a PEM file"));
            }
        }
    }
}

/// What listens on an address: in words, where, and where that is written.
type Place = (String, SocketAddr, Path);

/// The process's own servers, which are there whether they are written or not.
fn own_places(bootstrap: &Bootstrap) -> Vec<Place> {
    let root = Path::root();
    let (admin, telemetry): (Admin, Telemetry) = (bootstrap.admin(), bootstrap.telemetry());
    vec![
        ("the admin interface".to_owned(), admin.address(), root.key("admin").key("address")),
        ("`/metrics`".to_owned(), telemetry.metrics(), root.key("telemetry").key("metrics")),
        ("`/readyz`".to_owned(), telemetry.health(), root.key("telemetry").key("health")),
    ]
}

fn one_socket_each(places: &[Place], problems: &mut Vec<Problem>) {
    for (position, (_, address, at)) in places.iter().enumerate() {
        let earlier = places[..position].iter().find(|(_, other, _)| clash(*address, *other));
        if let Some((what, other, _)) = earlier {
            let problem = Problem::error(at, format!("{what} has the address {other} already"));
            problems.push(problem.hint("give each its own port; port 0 lets the kernel choose"));
        }
    }
}

/// Whether two sockets cannot listen at the same time: the same port, and addresses of which one covers the other.
/// `[::]` covers IPv4 too, as Linux binds it.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |a: SocketAddr, b: SocketAddr| a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}
