//! Documents of many routes, and requests that ask for them.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use weir_config::mesh::{Backends, Match, Mesh, Route, Rule, Upstream};
use weir_config::names::{Host, Name, PathPattern};
use weir_policy::{Facts, RequestHead, Table, compile};

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// A document whose routes have hosts and paths of their own.
pub fn mesh(routes: usize, host: impl Fn(usize) -> Option<String>, path: impl Fn(usize) -> String) -> Mesh {
    let route = |number: usize| Route {
        listeners: None,
        hosts: host(number).into_iter().map(|host| Host::parse(&host).expect("a host")).collect(),
        rules: vec![Rule {
            r#match: vec![Match { path: PathPattern::parse(&path(number)).expect("a path"), ..Match::default() }],
            to: Some(Backends::One(name("backend"))),
            ..Rule::default()
        }],
    };
    let upstream = Upstream { endpoints: vec![([127, 0, 0, 1], 1).into()], ..Upstream::default() };
    Mesh {
        routes: (0..routes).map(|number| (name(&format!("route-{number}")), route(number))).collect(),
        upstreams: BTreeMap::from([(name("backend"), upstream)]),
    }
}

/// A document with a host for each route.
pub fn hosts(routes: usize) -> Mesh {
    mesh(routes, |number| Some(host(number)), |_| "/v1/*".to_owned())
}

/// A document with a prefix for each route, all at one host.
pub fn prefixes(routes: usize) -> Mesh {
    mesh(routes, |_| Some("api.example.com".to_owned()), |number| format!("{}/*", prefix(number)))
}

pub fn host(number: usize) -> String {
    format!("service-{number}.example.com")
}

pub fn prefix(number: usize) -> String {
    format!("/v1/service-{number}")
}

pub fn table(mesh: &Mesh) -> Table {
    compile(mesh).unwrap_or_else(|problems| panic!("{problems:?}")).table
}

pub fn facts(table: &Table) -> Facts {
    Facts {
        listener: table.listener("edge", true),
        client: IpAddr::from([127, 0, 0, 1]),
        https: true,
        port: 443,
        now: Duration::ZERO,
    }
}

const HEADERS: [(&str, &str); 4] =
    [("user-agent", "curl/8.5"), ("accept", "*/*"), ("x-api-key", "0123456789abcdef"), ("accept-encoding", "gzip")];

pub fn head<'a>(host: &'a str, path: &'a str) -> RequestHead<'a> {
    RequestHead { method: "GET", host, path, query: None, headers: &HEADERS, content_length: None }
}
