//! Tables from the text of documents, and requests to them.

#![allow(dead_code)]

use std::net::IpAddr;
use std::time::Duration;

use weir_config::mesh::Mesh;
use weir_config::problem::Problem;
use weir_policy::{Compiled, Decision, Facts, Forward, Rule, Table, compile, decide};

pub use weir_policy::RequestHead;

/// The upstreams that every document here has.
const UPSTREAMS: &str = "
[upstreams]
blue  = { endpoints = [\"127.0.0.1:1\"] }
green = { endpoints = [\"127.0.0.1:2\"] }
";

pub fn mesh(text: &str) -> Mesh {
    let parsed = Mesh::parse_toml(&format!("{text}\n{UPSTREAMS}"));
    parsed.value.unwrap_or_else(|| panic!("{:#?}", parsed.problems))
}

pub fn compiled(text: &str) -> Compiled {
    compile(&mesh(text)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub fn table(text: &str) -> Table {
    compiled(text).table
}

/// The table of one route with these rules, without a host.
pub fn rules(rules: &str) -> Table {
    table(&format!("[routes.r]\nrules = [{rules}]"))
}

pub fn refused(text: &str) -> Vec<Problem> {
    compile(&mesh(text)).expect_err("compiled")
}

const NO_HEADERS: [(&str, &str); 0] = [];

pub const GET: RequestHead<'static> =
    RequestHead { method: "GET", host: "", path: "/", query: None, headers: &NO_HEADERS, content_length: None };

pub fn get(path: &str) -> RequestHead<'_> {
    RequestHead { path, ..GET }
}

/// What a request to a listener marked `default` brings with it.
pub fn facts(table: &Table) -> Facts {
    Facts {
        listener: table.listener("edge", true),
        client: IpAddr::from([192, 0, 2, 1]),
        https: true,
        port: 443,
        now: Duration::ZERO,
    }
}

pub fn ask(table: &Table, head: &RequestHead<'_>) -> Decision {
    decide(table, head, &facts(table), 0)
}

pub fn rule<'t>(table: &'t Table, head: &RequestHead<'_>) -> Option<&'t Rule> {
    ask(table, head).rule().map(|id| table.rule(id))
}

/// The name of the rule that takes a request, or "".
pub fn taken_by<'t>(table: &'t Table, head: &RequestHead<'_>) -> &'t str {
    rule(table, head).map_or("", |rule| &rule.name)
}

pub fn forward(table: &Table, head: &RequestHead<'_>) -> Forward {
    match ask(table, head) {
        Decision::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

/// The path and query that the upstream is asked for, if not the client's.
pub fn target(table: &Table, head: &RequestHead<'_>) -> Option<String> {
    forward(table, head).target
}
