//! Commands that a newcomer can paste. Each is put to the table first: only what the edge really serves is shown, and
//! for the research services only what they really answer.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use weir_config::mesh::{Match, Route, Rule};
use weir_config::names::{Host, PathPattern};
use weir_policy::{Decision, Facts, RequestHead, Table, decide, path};

use super::mesh::Good;
use super::services;
use super::tell::shell_quoted;

/// More would not be read.
const MOST: usize = 6;
/// What the research services are asked.
const QUERY: &str = "q=attention&limit=3";
/// Where they answer it.
const ANSWERED: [&str; 2] = ["/v1/search", "/v2/search"];
/// What may have to follow a prefix to come there.
const REST: [&str; 4] = ["", "/search", "/v1/search", "/v2/search"];

/// Something to ask the edge for.
#[derive(Debug)]
struct Try<'a> {
    host: &'a str,
    path: String,
    query: Option<&'static str>,
}

/// One command for each rule of the edge that can be asked by a plain `GET`, in the order of the document.
pub fn commands(good: &Good, edge_port: u16, ca: &Path) -> Vec<String> {
    let routes = good.mesh.routes.iter();
    let of_edge = routes.filter(|(_, route)| route.listeners.iter().flatten().all(|listener| listener == "edge"));
    let rules = of_edge.flat_map(|(name, route)| route.rules.iter().enumerate().map(move |rule| (name, route, rule)));
    let tries = rules.filter_map(|(name, route, (position, rule))| {
        let own = rule.name.as_ref().map_or_else(|| position.to_string(), ToString::to_string);
        candidates(route, rule).into_iter().find(|candidate| answers(&good.table, edge_port, candidate, name, &own))
    });
    tries.take(MOST).map(|one| command(&one, edge_port, ca)).collect()
}

fn command(one: &Try<'_>, port: u16, ca: &Path) -> String {
    let query = one.query.map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("https://{}:{port}{}{query}", one.host, one.path);
    format!("curl --cacert {} {}", shell_quoted(ca), shell_quoted(Path::new(&url)))
}

/// What may reach a rule, the likeliest to be answered first.
fn candidates<'a>(route: &'a Route, rule: &Rule) -> Vec<Try<'a>> {
    let Some(host) = host(route) else { return Vec::new() };
    let any = [Match::default()];
    let matches = if rule.r#match.is_empty() { any.as_slice() } else { &rule.r#match };
    let mut tries = Vec::new();
    for one in matches {
        let plain = one.headers.is_empty() && one.query.is_empty();
        if !plain || !(one.methods.is_empty() || one.methods.iter().any(|method| method.as_str() == "GET")) {
            continue;
        }
        let (base, rest): (&str, &[&str]) = match &one.path {
            PathPattern::Exact(path) => (path, &[""]),
            PathPattern::Prefix(prefix) => (prefix, &REST),
            PathPattern::Regex(_) => continue,
        };
        let queries = [Some(QUERY), None];
        tries.extend(queries.into_iter().flat_map(|query| {
            rest.iter().map(move |rest| {
                let path = format!("{base}{rest}");
                Try { host, path: if path.is_empty() { "/".to_owned() } else { path }, query }
            })
        }));
    }
    tries
}

/// A host of the route that leads to this machine, and that our certificate is for.
fn host(route: &Route) -> Option<&str> {
    const LOCAL: &str = "localhost";
    if route.hosts.is_empty() {
        return Some(LOCAL);
    }
    route.hosts.iter().find_map(|host| match host {
        Host::Exact(name) if &**name == LOCAL || name.ends_with(".localhost") => Some(&**name),
        _ => None,
    })
}

/// Whether it reaches this rule, and is something that is answered there.
fn answers(table: &Table, port: u16, one: &Try<'_>, route: &str, rule: &str) -> bool {
    let Ok(path) = path::normalise(&one.path, false) else { return false };
    let headers: [(&str, &str); 0] = [];
    let head = RequestHead {
        method: "GET",
        host: one.host,
        path: &path,
        query: one.query,
        headers: &headers,
        content_length: None,
    };
    let facts = Facts {
        listener: table.listener("edge", true),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        https: true,
        port,
        now: Duration::ZERO,
    };
    let decision = decide(table, &head, &facts, 0);
    let Some(found) = decision.rule().map(|id| table.rule(id)) else { return false };
    if found.route != *route || &*found.name != rule {
        return false;
    }
    let Decision::Forward(forward) = &decision else { return one.query.is_none() };
    let upstream = &table.upstreams()[forward.upstream.0 as usize];
    if !services::is_service(upstream) {
        return one.query.is_none();
    }
    let target = forward.target.as_deref().unwrap_or(&path);
    let target = target.split('?').next().unwrap_or_default();
    one.query.is_some() && ANSWERED.contains(&target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Source, check_mesh};

    fn shown(text: &str) -> Vec<String> {
        let source = Source { name: "mesh.toml".to_owned(), text: text.to_owned() };
        let checked = check_mesh(&source);
        let good = checked.good.unwrap_or_else(|| panic!("{:?}", checked.problems));
        let good = Good { source, mesh: good.mesh, table: good.table, warnings: Vec::new() };
        let commands = commands(&good, 8443, Path::new(".weir/ca.pem"));
        let strip = |command: &String| command.strip_prefix("curl --cacert .weir/ca.pem ").expect("a curl").to_owned();
        commands.iter().map(strip).collect()
    }

    #[test]
    fn a_service_is_asked_what_it_answers_through_whatever_rewrite() {
        let text = r#"
[routes.a]
rules = [{ match = ["/v1/arxiv/*"], to = "arxiv", rewrite = { prefix = "/v1" } }, { match = ["/v2/search"], to = "search" }]
[routes.b]
hosts = ["arxiv.localhost"]
rules = [{ to = "arxiv" }]
[upstreams]
arxiv = { endpoints = ["127.0.0.1:7001"] }
search = { endpoints = ["127.0.0.1:7005"] }
"#;
        assert_eq!(
            shown(text),
            [
                "'https://localhost:8443/v1/arxiv/search?q=attention&limit=3'",
                "'https://localhost:8443/v2/search?q=attention&limit=3'",
                "'https://arxiv.localhost:8443/v1/search?q=attention&limit=3'",
            ]
        );
    }

    #[test]
    fn what_cannot_be_asked_plainly_is_not_shown() {
        let text = r#"
[routes.a]
rules = [
  { match = ["POST /a"], reply = { status = 200 } },
  { match = [{ path = "/b", headers = { x-b = "1" } }], reply = { status = 200 } },
  { match = ["~^/c"], reply = { status = 200 } },
  { match = ["/d"], reply = { status = 200 } },
]
[routes.elsewhere]
hosts = ["example.com"]
rules = [{ reply = { status = 200 } }]
[routes.inside]
listeners = ["egress"]
rules = [{ reply = { status = 200 } }]
"#;
        assert_eq!(shown(text), ["https://localhost:8443/d"]);
    }
}
