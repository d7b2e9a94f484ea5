//! Two API versions of 52 upstreams behind one edge, and more than a thousand requests. Who must answer each, and what
//! the upstream must then be asked, is written by the naive matcher; who does, and what it is asked, is what the
//! upstreams echo.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Context;
use weir_config::mesh::Mesh;
use weir_policy::reference::{self, Found};
use weir_tests::chance::Chance;
use weir_tests::upstream::sha256;
use weir_tests::{Authority, Claim, H1, H2, Request, Response, Setup, Upstream, authority};

/// Four upstreams for each of 13 hosts.
const HOSTS: usize = 13;
const UPSTREAMS: usize = 4 * HOSTS;
const SEED: u64 = 0x5eed_0052;

fn upstream_name(number: usize) -> String {
    format!("svc-{number:02}")
}

/// The hosts of an upstream's route, as the document writes them: exact, wildcard, or any.
fn hosts_of(number: usize) -> String {
    match number / 4 {
        group if group == HOSTS - 1 => String::new(),
        group if group % 2 == 0 => format!("hosts = [\"g{group}.api.test\"]"),
        group => format!("hosts = [\"*.g{group}.test\", \"g{group}.api.test\"]"),
    }
}

/// The document: each upstream's route has both versions, in one of four ways of writing them.
fn document(tables: &str) -> String {
    let mut text = String::new();
    for number in 0..UPSTREAMS {
        let (name, hosts) = (upstream_name(number), hosts_of(number));
        let rules: &[(&str, &str)] = match number % 4 {
            0 => &[("\"/v1/NAME/*\"", V1), ("\"/v2/NAME/*\"", V2)],
            1 => &[
                ("\"GET,POST /v1/NAME\", \"/v1/NAME/items/*\"", V1),
                ("\"/v2/NAME/*\"", V2),
                ("\"~^/v2/NAME/items/[0-9]+$\"", V2),
            ],
            2 => &[
                ("\"/v1/NAME/*\"", V1),
                ("{ path = \"/v1/NAME/*\", headers = { x-beta = \"1\" } }", V1),
                ("\"/v2/NAME/*\"", V2),
                ("{ path = \"/v2/NAME/items/*\", query = { lang = \"en\" } }", V2),
                ("\"PUT /v2/NAME/*\"", V2),
            ],
            _ => &[("\"/NAME/*\"", V1), ("\"/NAME/*\"", REWRITTEN), ("\"/NAME/items/*\"", "")],
        };
        let _ = writeln!(text, "[routes.{name}]\n{hosts}");
        for (position, (matches, more)) in rules.iter().enumerate() {
            let (matches, more) = (matches.replace("NAME", &name), more.replace("NAME", &name));
            let _ = writeln!(
                text,
                "[[routes.{name}.rules]]\nmatch = [{matches}]\nto = \"{name}\"\n{more}\n\
                 request_headers = {{ set = {{ x-rule = \"{name}.{position}\" }} }}"
            );
        }
    }
    // Falls in where a host's own routes have no rule.
    let _ = writeln!(
        text,
        "[routes.wild]\nhosts = [\"*.test\"]\n[[routes.wild.rules]]\nmatch = [\"/v1/*\"]\nto = \"svc-00\"\n\
         request_headers = {{ set = {{ x-rule = \"wild.0\" }} }}"
    );
    text + tables
}

const V1: &str = "version = { name = \"v1\", deprecated = 2026-12-01, sunset = 2027-06-01 }";
const V2: &str = "version = { name = \"v2\" }";
const REWRITTEN: &str = "version = { name = \"v2\" }\nrewrite = { prefix = \"/v2/NAME\" }";

/// A request in the two forms: as a client writes it, and in normal form for the matcher.
struct Row {
    host: String,
    path: String,
    query: Option<&'static str>,
    request: Request,
}

fn row(number: usize, version: usize, chance: &mut Chance) -> Row {
    let name = upstream_name(number);
    let group = number / 4;
    let host = match chance.below(8) {
        0 => "elsewhere.example".to_owned(),
        1 => format!("g{}.api.test", chance.below(HOSTS)),
        _ if group % 2 == 1 && group < HOSTS - 1 => format!("a.b.g{group}.test"),
        _ if group == HOSTS - 1 => "any.example".to_owned(),
        _ => format!("g{group}.api.test"),
    };
    // The ways of upstreams without the version in their paths, more often where that is what they have.
    let bare = number % 4 == 3 || chance.once_in(4);
    let head = if bare { format!("/{name}") } else { format!("/v{version}/{name}") };
    let path = match chance.below(8) {
        0 => head,
        1 => head + "/",
        2 => head + "/items",
        3 | 4 => format!("{head}/items/{}", chance.below(100)),
        5 => head + "/items/x",
        6 => head + "x",
        _ => head + "/deep/er/path",
    };
    let query = *chance.of(&[None, None, Some("lang=en"), Some("a=b&lang=en"), Some("lang=de"), Some("")]);
    let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
    let written_host = match chance.below(4) {
        0 => host.to_uppercase(),
        1 => format!("{host}:8443"),
        _ => host.clone(),
    };
    let mut request = match *chance.of(&["GET", "GET", "POST", "PUT", "DELETE"]) {
        method @ ("POST" | "PUT") => {
            Request { method: method.into(), ..Request::post(&target, format!("body of {target}")) }
        }
        method => Request::new(method, &target),
    };
    request = request.host(&written_host);
    if bare && !chance.once_in(5) {
        request = request.header("Accept-Version", &format!("v{version}"));
    } else if chance.once_in(6) {
        request = request.header("accept-version", chance.of::<&str>(&["v1", "v2", "v3"]));
    }
    if chance.once_in(3) {
        request = request.header("x-beta", chance.of::<&str>(&["1", "2"]));
    }
    Row { host, path, query, request }
}

impl Row {
    fn expected(&self, mesh: &Mesh) -> Option<Found> {
        let headers: Vec<_> =
            self.request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        reference::find(
            mesh,
            &reference::Request {
                listener: "edge",
                default: true,
                method: &self.request.method,
                host: &self.host,
                path: &self.path,
                query: self.query,
                headers: &headers,
            },
        )
    }

    /// What is wrong with an answer, if anything is.
    fn wrong(&self, mesh: &Mesh, answer: &Response) -> Option<String> {
        let Some(found) = self.expected(mesh) else {
            return (answer.refusal() != (404, "no_route".into()))
                .then(|| format!("no route expected, got {}", answer.text()));
        };
        let Ok(echo) = answer.echo() else { return Some(format!("{found:?} expected, got {}", answer.text())) };
        let target = self.query.map_or(found.path.clone(), |query| format!("{}?{query}", found.path));
        let rule = &mesh.routes.iter().find(|(name, _)| name.as_str() == found.route)?.1.rules[found.rule];
        let is_v1 = rule.version.as_ref().is_some_and(|version| version.name.as_str() == "v1");
        let mut wrong = Vec::new();
        let mut same = |what: &str, got: &str, expected: &str| {
            if got != expected {
                wrong.push(format!("{what}: {got:?} instead of {expected:?}"));
            }
        };
        same("rule", echo.header("x-rule").unwrap_or_default(), &format!("{}.{}", found.route, found.rule));
        same("target", &echo.target, &target);
        same("method", &echo.method, &self.request.method);
        same("host", &echo.authority.to_lowercase(), &self.request.host.to_lowercase());
        same("body", &echo.body_sha256, &sha256(&self.request.body));
        same("deprecation", answer.header("deprecation").unwrap_or("-"), if is_v1 { "@1796083200" } else { "-" });
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_to_52_upstreams_in_two_versions_go_where_the_naive_matcher_says() -> Claim {
    let mut upstreams = Vec::new();
    for number in 0..UPSTREAMS {
        upstreams.push(Upstream::h1(&upstream_name(number)).await?);
    }
    let text = document(&upstreams.iter().map(Upstream::table).collect::<String>());
    let mesh = Mesh::parse_toml(&text).value.context("the document")?;
    let ca = Authority::new("golden")?;
    let setup = Setup::new(text)?;
    let files = ca.issue(&["edge.test"])?.write(setup.folder(), "edge")?;
    let keys = format!("default = true\ntls.certificates = [{files}]");
    let proxy = setup.listener("edge", &keys)?.start().await?;

    let mut chance = Chance::seeded(SEED);
    let mut rows = Vec::new();
    for number in 0..UPSTREAMS {
        for version in [1, 2] {
            rows.extend((0..20).map(|_| row(number, version, &mut chance)));
        }
    }
    let mut one = H1::connect_tls(proxy.edge(), ca.client(authority::H1)?, "edge.test").await?;
    let two = H2::connect_tls(proxy.edge(), ca.client(authority::H2)?, "edge.test").await?;
    let (mut wrong, mut answered, mut misses) = (Vec::new(), BTreeSet::new(), 0);
    for (number, row) in rows.iter().enumerate() {
        let answer = if number % 2 == 0 { one.send(&row.request).await? } else { two.send(&row.request).await? };
        if let Some(what) = row.wrong(&mesh, &answer) {
            wrong.push(format!("{number}: {what}\n  {:?}", row.request));
        }
        match answer.echo() {
            Ok(echo) => drop(answered.insert(echo.header("x-rule").unwrap_or_default().to_owned())),
            Err(_) => misses += 1,
        }
    }
    assert!(wrong.is_empty(), "{} of {} with seed {SEED:#x}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));

    // The table is worth something only if it reaches every rule, and not only rules.
    assert!(rows.len() >= 1000, "{}", rows.len());
    let rules: usize = mesh.routes.values().map(|route| route.rules.len()).sum();
    assert!(answered.len() * 20 >= rules * 19, "{} of {rules} rules answered", answered.len());
    assert!((rows.len() / 50..rows.len() / 2).contains(&misses), "{misses} without a route");
    Ok(())
}
