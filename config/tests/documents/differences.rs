//! What is said to have changed.

use serde_json::json;
use weir_config::diff::{Kind, diff};
use weir_config::mesh::Mesh;

use crate::mesh;

const BEFORE: &str = r#"
    [routes.papers]
    hosts = ["api.example.com", "b.example.com"]
    rules = [
      { name = "search", match = ["/v1/search/*"], to = { search-blue = 95, search-green = 5 }, timeout = "60s" },
      { name = "rest", match = ["GET /rest/*"], to = "rest" },
      { match = ["/old"], redirect = { path = "/new" } },
    ]
    [upstreams]
    search-blue.endpoints = ["127.0.0.1:7001", "127.0.0.1:7002"]
    search-green.endpoints = ["127.0.0.1:7003"]
    rest = { dns = "rest.internal:80" }
"#;

/// What is said of `BEFORE` with some texts replaced.
fn said(replacements: &[(&str, &str)]) -> Vec<String> {
    let mut after = BEFORE.to_owned();
    for (old, new) in replacements {
        assert!(after.contains(old), "{old}");
        after = after.replacen(old, new, 1);
    }
    diff(&mesh(BEFORE), &mesh(&after)).into_iter().map(|change| change.sentence).collect()
}

#[test]
fn each_change_is_said_as_a_person_would() {
    /// What is replaced by what, and what is said of it.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            &[("search-blue = 95, search-green = 5 }", "search-blue = 90, search-green = 10 }")],
            &[
                "route papers: rule search now sends 90% (was 95%) to search-blue",
                "route papers: rule search now sends 10% (was 5%) to search-green",
            ],
        ),
        (
            &[("search-blue = 95, search-green = 5 }", "search-blue = 190, search-green = 10 }")],
            &[
                "route papers: rule search: the split is written in other weights, the shares stay 95% search-blue, 5% search-green",
            ],
        ),
        (
            &[("to = \"rest\"", "to = \"search-blue\"")],
            &["route papers: rule rest now sends to search-blue (was rest)"],
        ),
        (
            &[("to = \"rest\"", "reply = { status = 410 }")],
            &["route papers: rule rest: requests are now answered with 410 (were sent to rest)"],
        ),
        (&[("timeout = \"60s\"", "timeout = \"2s\"")], &["route papers: rule search: `timeout` is now 2s (was 1m)"]),
        (
            &[(", timeout = \"60s\"", "")],
            &["route papers: rule search: `timeout` is now 15s until the response head by default (was 1m)"],
        ),
        (
            &[("to = \"rest\"", "to = \"rest\", idle_timeout = \"1m\"")],
            &["route papers: rule rest: `idle_timeout` is now 1m (was 5m by default)"],
        ),
        (
            &[("[\"GET /rest/*\"]", "[\"GET,POST /rest/*\", { path = \"/r\", headers = { x-a = \"1\" } }]")],
            &[
                "route papers: rule rest now also matches GET,POST /rest/*",
                "route papers: rule rest now also matches /r {x-a: 1}",
                "route papers: rule rest no longer matches GET /rest/*",
            ],
        ),
        (
            &[("{ path = \"/new\" }", "{ path = \"/newer\", status = 301 }")],
            &[
                "route papers: rule 2: `redirect.status` is now 301 (was not set)",
                "route papers: rule 2: `redirect.path` is now /newer (was /new)",
            ],
        ),
        (
            &[("\"b.example.com\"", "\"c.example.com\"")],
            &["route papers: host c.example.com added", "route papers: host b.example.com removed"],
        ),
        (
            &[("hosts = [\"api.example.com\", \"b.example.com\"]", "listeners = [\"edge\"]")],
            &[
                "route papers now answers for any host (was api.example.com, b.example.com)",
                "route papers is now served by edge (was the default listeners)",
            ],
        ),
        (
            &[("\"api.example.com\", \"b.example.com\"", "\"b.example.com\", \"api.example.com\"")],
            &["route papers: hosts in another order, which has no effect"],
        ),
        (&[("name = \"rest\"", "name = \"remainder\"")], &["route papers: rule rest is now called remainder"]),
        (
            &[("      { match = [\"/old\"], redirect = { path = \"/new\" } },\n", "")],
            &["route papers: rule 2 removed (/old redirected with path = /new)"],
        ),
        (
            &[("    rules = [\n", "    rules = [\n      { name = \"first\", match = [\"/first\"], to = \"rest\" },\n")],
            &["route papers: rule first added (/first sent to rest)"],
        ),
        (
            &[("\"127.0.0.1:7002\"", "\"127.0.0.1:7009\"")],
            &[
                "upstream search-blue: endpoint 127.0.0.1:7009 added",
                "upstream search-blue: endpoint 127.0.0.1:7002 removed",
            ],
        ),
        (
            &[(
                "rest = { dns = \"rest.internal:80\" }",
                "rest = { dns = \"rest.internal:443\", tls = { sni = \"rest.internal\" }, keepalive = \"1m\" }",
            )],
            &[
                "upstream rest: `dns` is now rest.internal:443 (was rest.internal:80)",
                "upstream rest: `tls` is now { sni = rest.internal } (was not set)",
                "upstream rest: `keepalive` is now 1m (was 4s by default)",
            ],
        ),
        (&[("[routes.papers]", "[routes.articles]")], &["route papers is now called articles"]),
        (
            &[("[upstreams]", "[routes.y]\nhosts = [\"y.com\"]\nrules = [{ to = \"rest\" }]\n[upstreams]")],
            &["route y added (host y.com, 1 rule)"],
        ),
        (
            &[(
                "[upstreams]",
                "[upstreams]\nextra = { dns = \"e.com:443\", protocol = \"auto\", tls = { sni = \"e.com\" } }",
            )],
            &["upstream extra added (e.com:443, TLS to e.com, HTTP/2 or HTTP/1.1)"],
        ),
    ];
    for (replacements, sentences) in cases {
        assert_eq!(said(replacements), *sentences, "{replacements:?}");
    }
}

#[test]
fn other_forms_of_the_same_are_no_change() {
    assert_eq!(
        said(&[
            ("\"60s\"", "\"1m\""),
            ("[\"GET /rest/*\"]", "[{ methods = [\"GET\"], path = \"/rest/*\" }]"),
            ("api.example.com", "API.example.com"),
        ]),
        [""; 0]
    );
}

#[test]
fn an_order_is_said_only_when_it_changed() {
    let rules = |names: [&str; 3]| {
        let rules = names.map(|name| format!("{{ name = \"{name}\", match = [\"/{name}\"], to = \"u\" }}"));
        mesh(&format!("upstreams.u.endpoints = [\"127.0.0.1:1\"]\nroutes.r.rules = [{}]", rules.join(", ")))
    };
    let sentences =
        |old: &Mesh, new: &Mesh| -> Vec<String> { diff(old, new).into_iter().map(|change| change.sentence).collect() };
    assert_eq!(
        sentences(&rules(["a", "b", "c"]), &rules(["c", "a", "b"])),
        ["route r: the rules' order is now c, a, b (was a, b, c)"]
    );
    // One that is gone and one that came do not make another order of the rest.
    assert_eq!(
        sentences(&rules(["a", "b", "c"]), &rules(["b", "x", "c"])),
        ["route r: rule x added (/x sent to u)", "route r: rule a removed (/a sent to u)"]
    );
}

#[test]
fn filters_go_by_their_kind() {
    let filters = |filters: &str| {
        mesh(&format!(
            "upstreams.u.endpoints = [\"127.0.0.1:1\"]\nroutes.r.rules = [{{ to = \"u\", filters = [{filters}] }}]"
        ))
    };
    let old = filters(r#"{ kind = "deny", paths = ["/a"] }, { kind = "rate_limit", rate = "100/s" }"#);
    let new = filters(r#"{ kind = "rate_limit", rate = "200/s", burst = 5 }, { kind = "log_fields", fields = {} }"#);
    let sentences: Vec<String> = diff(&old, &new).into_iter().map(|change| change.sentence).collect();
    assert_eq!(
        sentences,
        [
            "route r: rule 0: filter rate_limit: `rate` is now 200/s (was 100/s)",
            "route r: rule 0: filter rate_limit: `burst` is now 5 (was not set)",
            "route r: rule 0: filter log_fields added { kind = log_fields, fields = {} }",
            "route r: rule 0: filter deny removed",
        ]
    );
}

#[test]
fn a_change_has_its_path_its_kind_and_its_values() {
    let after = BEFORE.replace("timeout = \"60s\"", "timeout = \"2s\"");
    let changes = diff(&mesh(BEFORE), &mesh(&after));
    assert_eq!(
        serde_json::to_value(changes).expect("JSON"),
        json!([{
            "path": "routes.papers.rules[0].timeout",
            "kind": "changed",
            "sentence": "route papers: rule search: `timeout` is now 2s (was 1m)",
            "old": "1m",
            "new": "2s",
        }])
    );
    let removed = diff(&mesh(BEFORE), &Mesh::default());
    assert!(removed.iter().all(|change| change.kind == Kind::Removed && change.new.is_none()), "{removed:?}");
    let said: Vec<&str> = removed.iter().map(|change| change.sentence.as_str()).collect();
    assert_eq!(
        said,
        [
            "route papers removed",
            "upstream rest removed",
            "upstream search-blue removed",
            "upstream search-green removed"
        ]
    );
}
