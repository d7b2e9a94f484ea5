//! A walk through documents: each moves routes, shifts weights, brings upstreams and takes others away.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use weir_tests::chance::Chance;

/// Routes of each document, `/r0/…` and so on.
pub const ROUTES: usize = 4;

/// A server that documents may name.
#[derive(Clone)]
pub struct Server {
    pub name: String,
    pub address: SocketAddr,
    pub h2: bool,
}

/// One document, and what it allows.
pub struct Document {
    pub text: String,
    /// Weights by server, for each route.
    pub routes: Vec<BTreeMap<usize, u32>>,
}

impl Document {
    /// A document that differs from every one with another number. Requests and answers of its rules bear the number as
    /// `x-document`.
    pub fn at_random(number: usize, servers: &[Server], chance: &mut Chance) -> Self {
        let routes: Vec<_> = (0..ROUTES).map(|_| split(servers.len(), chance)).collect();
        let mut text = String::new();
        for (route, split) in routes.iter().enumerate() {
            let to: Vec<_> = split.iter().map(|(at, weight)| format!("{} = {weight}", servers[*at].name)).collect();
            let mark = format!("{{ set = {{ x-document = \"{number}\" }} }}");
            let _ = writeln!(
                text,
                "[[routes.r{route}.rules]]\nmatch = [\"/r{route}/*\"]\nto = {{ {} }}\n\
                 request_headers = {mark}\nresponse_headers = {mark}",
                to.join(", ")
            );
        }
        for (_, server) in servers.iter().enumerate().filter(|(at, _)| routes.iter().any(|r| r.contains_key(at))) {
            let protocol = if server.h2 { "h2" } else { "h1" };
            let _ = writeln!(
                text,
                "[upstreams.{}]\nendpoints = [\"{}\"]\nprotocol = \"{protocol}\"",
                server.name, server.address
            );
        }
        // By name, so that the upstreams are ready a moment after the routes. No route goes there: the name has two
        // addresses, at one of which nobody may listen.
        let _ = writeln!(text, "[upstreams.named-{}]\ndns = \"localhost:9\"", number % 2);
        Self { text, routes }
    }

    /// Whether a request of this route may go to this server.
    pub fn allows(&self, route: usize, server: usize) -> bool {
        self.routes[route].get(&server).is_some_and(|weight| *weight > 0)
    }

    pub fn names(&self, server: usize) -> bool {
        self.routes.iter().any(|route| route.contains_key(&server))
    }
}

/// One to three servers, the first of which has a weight above zero.
fn split(servers: usize, chance: &mut Chance) -> BTreeMap<usize, u32> {
    let mut split = BTreeMap::new();
    for _ in 0..1 + chance.below(3) {
        let weight = chance.below(4) as u32 + u32::from(split.is_empty());
        split.entry(chance.below(servers)).or_insert(weight);
    }
    split
}
