//! Which rule takes a request: the contract's list, line by line.

mod common;

use common::{GET, RequestHead, ask, facts, get, rules, table, taken_by, target};
use weir_policy::{Decision, Facts, decide};

#[test]
fn a_prefix_matches_whole_elements_and_an_exact_path_itself() {
    let table = rules(
        r#"{ name = "exact", match = ["/a"], to = "blue" }, { name = "prefix", match = ["/a/*", "/b/*"], to = "blue" }"#,
    );
    for (path, rule) in [
        ("/a", "exact"),
        ("/a/", "prefix"),
        ("/a/b", "prefix"),
        ("/ab", ""),
        ("/b", "prefix"),
        ("/b/", "prefix"),
        ("/b/c/d", "prefix"),
        ("/bc", ""),
        ("/", ""),
    ] {
        assert_eq!(taken_by(&table, &get(path)), rule, "{path}");
    }
}

#[test]
fn hosts_rank_and_do_not_capture() {
    let table = table(
        r#"
        [routes.exact]
        hosts = ["api.example.com"]
        rules = [{ name = "exact", match = ["/only/*"], to = "blue" }]
        [routes.long]
        hosts = ["*.eu.example.com"]
        rules = [{ name = "long", to = "blue" }]
        [routes.short]
        hosts = ["*.example.com"]
        rules = [{ name = "short", match = ["/*"], to = "blue" }]
        [routes.any]
        rules = [{ name = "any", match = ["/only/deep/*", "/any"], to = "blue" }]
        "#,
    );
    for (host, path, rule) in [
        ("api.example.com", "/only", "exact"),
        ("api.example.com", "/only/deep/x", "exact"),
        ("api.example.com", "/other", "short"),
        ("api.example.com", "/any", "short"),
        ("a.eu.example.com", "/", "long"),
        ("a.b.eu.example.com", "/", "long"),
        ("eu.example.com", "/", "short"),
        ("example.com", "/", ""),
        ("example.com", "/any", "any"),
        ("badexample.com", "/", ""),
        ("", "/any", "any"),
    ] {
        assert_eq!(taken_by(&table, &RequestHead { host, ..get(path) }), rule, "{host}{path}");
    }
}

#[test]
fn a_regex_stands_where_its_literal_head_would() {
    let table = rules(
        r#"
        { name = "exact",   match = ["/p/12"], to = "blue" },
        { name = "digits",  match = ["~^/p/[0-9]+$"], to = "blue" },
        { name = "longer",  match = ["/p/99/*"], to = "blue" },
        { name = "shorter", match = ["/p/*"], to = "blue" },
        { name = "same",    match = ["~^/q.*z$"], to = "blue" },
        { name = "equal",   match = ["/q/*"], to = "blue" },
        { name = "loose",   match = ["~z$"], to = "blue" },
        { name = "all",     match = ["/*"], to = "blue" },
        "#,
    );
    for (path, rule) in [
        ("/p/12", "exact"),
        ("/p/13", "digits"),
        ("/p/99", "longer"),
        ("/p/x", "shorter"),
        ("/q/z", "equal"),
        ("/qz", "same"),
        ("/z", "all"),
    ] {
        assert_eq!(taken_by(&table, &get(path)), rule, "{path}");
    }
}

#[test]
fn then_methods_count_then_headers_then_query_then_names_then_order() {
    let table = table(
        r#"
        [routes.b]
        rules = [
          { name = "plain", to = "blue" },
          { name = "again", match = ["/*"], to = "green" },
          { name = "method", match = ["GET,HEAD /*"], to = "blue" },
          { name = "one", match = [{ headers = { x-a = "1" } }], to = "blue" },
          { name = "two", match = [{ headers = { x-a = "1", x-b = { regex = "^2" } } }], to = "blue" },
          { name = "query", match = [{ headers = { x-a = "1" }, query = { q = "v" } }], to = "blue" },
        ]
        [routes.a]
        rules = [{ name = "first", match = ["POST /*"], to = "blue" }]
        [routes.c]
        rules = [{ name = "last", match = ["POST,PUT /*"], to = "blue" }]
        "#,
    );
    let ask = |method, headers: &[(&str, &str)], query| {
        taken_by(&table, &RequestHead { method, headers: &headers, query, ..GET })
    };
    assert_eq!(ask("DELETE", &[], None), "plain");
    assert_eq!(ask("DELETE", &[("X-A", "1")], None), "one");
    assert_eq!(ask("DELETE", &[("x-a", "1"), ("x-b", "23")], None), "two");
    assert_eq!(ask("DELETE", &[("x-a", "1"), ("x-b", "32")], None), "one");
    assert_eq!(ask("DELETE", &[("x-a", "0"), ("x-a", "1")], Some("q=v&q=w")), "query");
    assert_eq!(ask("DELETE", &[("x-a", "1")], Some("q=w&q=v")), "one");
    assert_eq!(ask("GET", &[("x-a", "1"), ("x-b", "23")], Some("q=v")), "method");
    assert_eq!(ask("HEAD", &[], None), "method");
    assert_eq!(ask("POST", &[], None), "first");
    assert_eq!(ask("PUT", &[], None), "last");
}

#[test]
fn a_route_is_served_by_the_listeners_it_names_else_by_the_default_ones() {
    let table = table(
        r#"
        [routes.named]
        listeners = ["egress", "internal"]
        rules = [{ name = "named", to = "blue" }]
        [routes.unnamed]
        rules = [{ name = "unnamed", match = ["/u/*"], to = "blue" }]
        "#,
    );
    let ask = |listener, default, path| {
        let facts = Facts { listener: table.listener(listener, default), ..facts(&table) };
        let rule = decide(&table, &get(path), &facts, 0).rule();
        rule.map_or("", |id| &table.rule(id).name)
    };
    assert_eq!(ask("egress", false, "/"), "named");
    assert_eq!(ask("internal", false, "/u"), "named");
    assert_eq!(ask("egress", true, "/u"), "unnamed");
    assert_eq!(ask("edge", true, "/u"), "unnamed");
    assert_eq!(ask("edge", true, "/"), "");
    assert_eq!(ask("edge", false, "/u"), "");
    let named: Vec<_> = table.listeners_named().collect();
    assert_eq!(named, [("egress", "named"), ("internal", "named")]);
}

#[test]
fn a_version_is_asked_for_by_path_or_by_header() {
    let table = rules(
        r#"
        { name = "v1", match = ["/v1/search/*", "/v1/exact", "~^/v1/r[0-9]$"], to = "blue", version = { name = "v1" } },
        { name = "v2", match = ["/v2/search/*"], to = "green", version = { name = "v2" } },
        { name = "whole", match = ["/v3/*", "/v3"], to = "green", version = { name = "v3" } },
        { name = "header", match = ["/things/*"], to = "green", version = { name = "v9" } },
        { name = "newest", match = ["/search/*"], to = "green" },
        "#,
    );
    for (path, accept, rule, asked) in [
        ("/v1/search/x", None, "v1", None),
        ("/v1/search/x", Some("v2"), "v1", None),
        ("/v2/search", None, "v2", None),
        ("/search/x", Some("v1"), "v1", Some("/v1/search/x")),
        ("/search", Some("v2"), "v2", Some("/v2/search")),
        ("/search", None, "newest", None),
        ("/search", Some("v7"), "newest", None),
        ("/exact", Some("v1"), "v1", Some("/v1/exact")),
        ("/exact", None, "", None),
        ("/v1/r7", None, "v1", None),
        ("/r7", Some("v1"), "", None),
        ("/", Some("v3"), "whole", Some("/v3")),
        ("/x", Some("v3"), "whole", Some("/v3/x")),
        ("/v3", None, "whole", None),
        ("/things/1", Some("v9"), "header", None),
        ("/things/1", None, "", None),
    ] {
        let headers: Vec<(&str, &str)> = accept.map(|version| ("Accept-Version", version)).into_iter().collect();
        let head = RequestHead { headers: &headers, ..get(path) };
        assert_eq!(taken_by(&table, &head), rule, "{path} {accept:?}");
        if !rule.is_empty() {
            assert_eq!(target(&table, &head).as_deref(), asked, "{path} {accept:?}");
        }
    }
}

#[test]
fn a_rewrite_works_on_the_path_with_its_version() {
    let table = rules(
        r#"
        { match = ["/v1/search/*"], to = "blue", version = { name = "v1" }, rewrite = { prefix = "/api" } },
        { match = ["/old/*"], to = "blue", rewrite = { path = "/whole" } },
        { match = ["/host/*"], to = "blue", rewrite = { host = "rest.internal" } },
        "#,
    );
    let versioned = RequestHead { headers: &[("accept-version", "v1")], query: Some("q=%20"), ..get("/search/x") };
    assert_eq!(target(&table, &versioned).unwrap(), "/api/x?q=%20");
    assert_eq!(target(&table, &get("/v1/search")).unwrap(), "/api");
    assert_eq!(target(&table, &get("/old/x")).unwrap(), "/whole");
    assert_eq!(target(&table, &get("/host/x")), None);
    assert_eq!(common::rule(&table, &get("/host/x")).unwrap().host_rewrite.as_deref(), Some("rest.internal"));
}

#[test]
fn a_redirect_replaces_the_prefix_that_matched() {
    let table = rules(
        r#"
        { match = ["/v1/old/*", "/v1/older/*"], redirect = { status = 308, prefix = "/new" }, version = { name = "v1" } },
        { match = ["/tls"], redirect = { scheme = "https", host = "api.example.com", port = 8443, path = "/in" } },
        "#,
    );
    let location = |head: &RequestHead<'_>| match ask(&table, head) {
        Decision::Redirect { status, location, .. } => (status, location),
        other => panic!("{other:?}"),
    };
    let head = RequestHead { host: "a.b", query: Some("x"), ..get("/v1/old/y") };
    assert_eq!(location(&head), (308, "https://a.b/new/y?x".to_owned()));
    let short = RequestHead { path: "/older", headers: &[("accept-version", "v1")], ..head };
    assert_eq!(location(&short), (308, "https://a.b/new?x".to_owned()));
    assert_eq!(location(&get("/tls")), (302, "https://api.example.com:8443/in".to_owned()));
}

#[test]
fn a_preflight_finds_the_rule_that_would_take_the_request_it_asks_for() {
    let table = rules(
        r#"
        { name = "shared", match = ["PUT /a"], to = "blue", cors = { origins = ["https://app.example.com"], methods = ["PUT"] } },
        { name = "closed", match = ["OPTIONS,GET /a"], to = "blue" },
        "#,
    );
    let ask = |headers: &[(&str, &str)]| {
        let head = RequestHead { method: "OPTIONS", headers: &headers, ..get("/a") };
        (taken_by(&table, &head), ask(&table, &head))
    };
    let (rule, decision) = ask(&[("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT")]);
    assert_eq!(rule, "shared");
    let Decision::Preflight { headers, .. } = decision else { panic!("{decision:?}") };
    assert!(headers.contains(&("access-control-allow-methods", "PUT".to_owned())));

    let (rule, decision) = ask(&[("Origin", "https://evil.example"), ("Access-Control-Request-Method", "PUT")]);
    assert_eq!(rule, "shared");
    let Decision::Preflight { headers, .. } = decision else { panic!("{decision:?}") };
    assert_eq!(headers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["vary"]);

    // Another method is another rule's, and to a rule without `cors` a preflight is an OPTIONS like any other.
    let (rule, decision) = ask(&[("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "GET")]);
    assert_eq!(rule, "closed");
    assert!(matches!(decision, Decision::Forward(_)));
    assert_eq!(ask(&[("Origin", "https://app.example.com")]).0, "closed");
}

#[test]
fn a_mirror_gets_its_share_whatever_the_split_does() {
    let table = rules(
        r#"{ to = { blue = 1, green = 1 }, mirror = { to = "green", share = "25%" } }, { match = ["/all/*"], to = "blue", mirror = { to = "green" } }"#,
    );
    let (mut mirrored, mut both) = (0, 0);
    for step in 0..40_000u64 {
        let Decision::Forward(forward) = decide(&table, &GET, &facts(&table), step * (u64::MAX / 40_000)) else {
            panic!("not forwarded")
        };
        mirrored += u32::from(forward.mirror.is_some());
        both += u32::from(forward.mirror.is_some() && forward.upstream.0 == 0);
    }
    assert!(mirrored.abs_diff(10_000) < 300, "{mirrored}");
    assert!(both.abs_diff(5_000) < 300, "{both}");
    assert!((0..100).all(|chance| {
        let decision = decide(&table, &get("/all"), &facts(&table), chance << 57);
        matches!(decision, Decision::Forward(forward) if forward.mirror.is_some())
    }));
}

#[test]
fn methods_and_headers_that_nobody_knows_are_matched_as_they_are() {
    let table =
        rules(r#"{ name = "dav", match = ["PROPFIND,REPORT /*"], to = "blue" }, { name = "any", to = "blue" }"#);
    let by = |method| taken_by(&table, &RequestHead { method, ..GET });
    assert_eq!(by("PROPFIND"), "dav");
    assert_eq!(by("REPORT"), "dav");
    assert_eq!(by("propfind"), "any");
    assert_eq!(by("BREW"), "any");
}
