//! What holds between the parts, and what is said when it does not.

use weir_config::mesh::Mesh;

use crate::{problems_of_bootstrap, problems_of_mesh};

/// The problems of a document with one route `r`, whose only rule is the inner of a table, and the upstreams `a` and
/// `b`. Warnings of unused upstreams are left out.
fn rule(rule: &str) -> Vec<String> {
    let text = format!(
        r#"
        routes.r.rules = [{{ {rule} }}]
        upstreams.a.endpoints = ["127.0.0.1:1"]
        upstreams.b.endpoints = ["127.0.0.1:2"]
        "#
    );
    problems_of_mesh(&text).into_iter().filter(|problem| !problem.contains("no rule uses")).collect()
}

fn upstream(upstream: &str) -> Vec<String> {
    problems_of_mesh(&format!("routes.r.rules = [{{ to = \"a\" }}]\nupstreams.a = {{ {upstream} }}"))
}

fn listener(listener: &str) -> Vec<String> {
    problems_of_bootstrap(&format!(
        "state_dir = \"s\"\n[listeners.l]\naddress = \"127.0.0.1:0\"\ndefault = true\n{listener}"
    ))
}

#[track_caller]
fn each(check: fn(&str) -> Vec<String>, cases: &[(&str, &str)]) {
    for (text, problem) in cases {
        let found = check(text);
        match *problem {
            "" => assert!(found.is_empty(), "{text}\n{found:#?}"),
            problem => assert_eq!(found, [problem], "{text}"),
        }
    }
}

#[test]
fn a_rule_says_exactly_what_becomes_of_a_request() {
    each(
        rule,
        &[
            (r#"to = "a""#, ""),
            (r#"reply = { status = 204 }"#, ""),
            (
                r#"name = "x""#,
                "routes.r.rules[0]: the rule does not say what becomes of a request \
                 (one of: to = \"upstream\", redirect = { … }, reply = { … })",
            ),
            (
                r#"to = "a", reply = { status = 200 }"#,
                "routes.r.rules[0].reply: the rule has both `to` and `reply` \
                 (keep exactly one of `to`, `redirect` and `reply`)",
            ),
            (
                r#"reply = { status = 200 }, timeout = "1s""#,
                "routes.r.rules[0].timeout: `timeout` has no effect beside `reply` \
                 (it is for requests that go to an upstream; leave it out)",
            ),
        ],
    );
}

#[test]
fn backends_exist_and_get_something() {
    each(
        rule,
        &[
            (r#"to = { a = 1, b = 0 }"#, ""),
            (r#"to = "search""#, "routes.r.rules[0].to: unknown upstream `search` (declare it: [upstreams.search])"),
            (
                r#"to = { a = 1, nowhere = 1 }"#,
                "routes.r.rules[0].to.nowhere: unknown upstream `nowhere` (declare it: [upstreams.nowhere])",
            ),
            (
                r#"to = "a", mirror = { to = "nowhere" }"#,
                "routes.r.rules[0].mirror.to: unknown upstream `nowhere` (declare it: [upstreams.nowhere])",
            ),
            (
                r#"to = { a = 0, b = 0 }"#,
                "routes.r.rules[0].to: all weights are 0, so no upstream gets a request (give at least one of them a weight)",
            ),
            (
                r#"to = "a", sticky = { address = true }"#,
                "routes.r.rules[0].sticky: there is no split to stick to (split `to` over upstreams: { a = 95, other = 5 })",
            ),
        ],
    );
}

#[test]
fn redirects_lead_somewhere() {
    each(
        rule,
        &[
            (r#"redirect = { scheme = "https" }"#, ""),
            (r#"redirect = { prefix = "/b" }, match = ["/a/*"]"#, ""),
            (r#"redirect = { prefix = "/b" }"#, ""),
            (
                r#"redirect = { status = 301 }"#,
                "routes.r.rules[0].redirect: the redirect leads to where it came from \
                 (say at least one of `scheme`, `host`, `port`, `path` and `prefix`)",
            ),
            (
                r#"redirect = { status = 304, path = "/b" }"#,
                "routes.r.rules[0].redirect.status: 304 is not a redirect's status \
                 (301 or 308 for ever, 302 or 307 for now, 303 to a page that is got)",
            ),
            (
                r#"redirect = { scheme = "httsp" }"#,
                "routes.r.rules[0].redirect.scheme: unknown scheme \"httsp\" (did you mean `https`?)",
            ),
            (
                r#"redirect = { path = "/b", prefix = "/c" }, match = ["/a/*"]"#,
                "routes.r.rules[0].redirect.prefix: `path` and `prefix` are both given \
                 (`path` is the whole new path, `prefix` stands in place of the one that matched)",
            ),
            (
                r#"redirect = { prefix = "/b" }, match = ["/a/*", "/a"]"#,
                "routes.r.rules[0].redirect.prefix: there is no prefix to replace in the match `/a` \
                 (use `path` for the whole new path, or match by prefixes (/a/*) only)",
            ),
            (
                r#"redirect = { path = "b" }"#,
                "routes.r.rules[0].redirect.path: \"b\" does not begin with `/` (write \"/b\")",
            ),
            (
                r#"redirect = { path = "/b?c=1" }"#,
                "routes.r.rules[0].redirect.path: \"/b?c=1\" has a `?` or `#`, which no path has \
                 (the query stays as the client sent it)",
            ),
            (
                r#"redirect = { prefix = "/b/*" }, match = ["/a/*"]"#,
                "routes.r.rules[0].redirect.prefix: \"/b/*\" ends with a star, which would be sent as it is (write \"/b\")",
            ),
            (r#"redirect = { port = 0 }"#, "routes.r.rules[0].redirect.port: 0 is not a port (a port is 1 to 65535)"),
            (
                r#"redirect = { host = "*.a.com" }"#,
                "routes.r.rules[0].redirect.host: \"*.a.com\" is not one host (write a host without a star)",
            ),
        ],
    );
}

#[test]
fn rewrites_change_something() {
    each(
        rule,
        &[
            (r#"to = "a", rewrite = { host = "b.internal:8080" }"#, ""),
            (
                r#"to = "a", rewrite = {}"#,
                "routes.r.rules[0].rewrite: the rewrite changes nothing (`prefix`, `path` or `host`)",
            ),
            (
                r#"to = "a", rewrite = { prefix = "/b" }, match = ["~^/a"]"#,
                "routes.r.rules[0].rewrite.prefix: there is no prefix to replace in the match `~^/a` \
                 (use `path` for the whole new path, or match by prefixes (/a/*) only)",
            ),
            (
                r#"to = "a", rewrite = { host = "b c" }"#,
                "routes.r.rules[0].rewrite.host: \"b c\" is not a host (labels of letters, digits, `-` and `_`, \
                 at most 63 each and 253 in all, with dots between)",
            ),
        ],
    );
}

#[test]
fn replies_are_answers() {
    each(
        rule,
        &[
            (r#"reply = { status = 100 }"#, "routes.r.rules[0].reply.status: 100 is no final status (200 to 599)"),
            (r#"reply = { status = 600 }"#, "routes.r.rules[0].reply.status: 600 is no final status (200 to 599)"),
            (
                r#"reply = { status = 204, body = "x" }"#,
                "routes.r.rules[0].reply.body: an answer with the status 204 has no body \
                 (leave `body` out, or use another status)",
            ),
            (
                r#"reply = { status = 200, content_type = "html" }"#,
                "routes.r.rules[0].reply.content_type: \"html\" is not a media type (\"text/html; charset=utf-8\")",
            ),
            (
                r#"reply = { status = 200, content_type = "text/html\r\nx: y" }"#,
                "routes.r.rules[0].reply.content_type: the value has the control character \\r \
                 (a header's value is one line of text)",
            ),
        ],
    );
}

#[test]
fn times_fit_into_each_other() {
    each(
        rule,
        &[
            (r#"to = "a", timeout = "0s", attempt_timeout = "2s""#, ""),
            (r#"to = "a", timeout = "2s", attempt_timeout = "2000ms""#, ""),
            (
                r#"to = "a", timeout = "1s", attempt_timeout = "2s""#,
                "routes.r.rules[0].attempt_timeout: one attempt may take 2s, but the whole exchange only 1s \
                 (`timeout` covers all attempts: make it the longer one)",
            ),
            (
                r#"to = "a", attempt_timeout = "0s""#,
                "routes.r.rules[0].attempt_timeout: nothing can happen in no time (leave it out for no limit of its own)",
            ),
            (
                r#"to = "a", idle_timeout = "0s""#,
                "routes.r.rules[0].idle_timeout: nothing can happen in no time (say a time, or leave it out for 5m)",
            ),
            (
                r#"to = "a", version = { name = "v1", deprecated = 2027-01-01, sunset = 2026-12-31 }"#,
                "routes.r.rules[0].version.sunset: the sunset, 2026-12-31, comes before the deprecation, 2027-01-01 \
                 (a version is deprecated first and gone at its sunset (RFC 9745 §4))",
            ),
        ],
    );
}

#[test]
fn header_edits_leave_the_framing_alone() {
    for header in ["connection", "Content-Length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"] {
        for (edit, at) in [
            (format!("set = {{ {header} = \"x\" }}"), format!("set.{}", header.to_lowercase())),
            (format!("add = {{ {header} = \"x\" }}"), format!("add.{}", header.to_lowercase())),
            (format!("remove = [\"{header}\"]"), "remove[0]".to_owned()),
        ] {
            for way in ["request_headers", "response_headers"] {
                let name = header.to_lowercase();
                assert_eq!(
                    rule(&format!("to = \"a\", {way} = {{ {edit} }}")),
                    [format!(
                        "routes.r.rules[0].{way}.{at}: `{name}` cannot be edited \
                         (it belongs to one connection or frames the message, so the proxy writes it)"
                    )]
                );
            }
        }
    }
    each(
        rule,
        &[
            (
                r#"to = "a", request_headers = { set = { Host = "b" } }"#,
                "routes.r.rules[0].request_headers.set.host: `host` cannot be edited \
                 (use the rule's `rewrite = { host = \"…\" }`)",
            ),
            (r#"to = "a", request_headers = { set = { x-a = "b\tc" } }"#, ""),
            (
                r#"to = "a", request_headers = { set = { x-a = "b\nx-c: d" } }"#,
                "routes.r.rules[0].request_headers.set.x-a: the value has the control character \\n \
                 (a header's value is one line of text)",
            ),
            (
                r#"to = "a", request_headers = { add = { x-a = " b" } }"#,
                "routes.r.rules[0].request_headers.add.x-a: the value begins or ends with a blank \
                 (blanks around it get lost)",
            ),
            (
                r#"to = "a", response_headers = {}"#,
                "routes.r.rules[0].response_headers: no edit is given (one of `set`, `add`, `remove`, or leave the key out)",
            ),
            (
                r#"to = "a", match = [{ headers = { host = "a.com" } }]"#,
                "routes.r.rules[0].match[0].headers.host: hosts are not matched as headers (use the route's `hosts`)",
            ),
        ],
    );
}

#[test]
fn cors_names_its_origins() {
    each(
        rule,
        &[
            (r#"to = "a", cors = { origins = ["*"], credentials = false }"#, ""),
            (
                r#"to = "a", cors = { origins = ["*"], credentials = true }"#,
                "routes.r.rules[0].cors.credentials: credentials are not for the origin `*` \
                 (name the origins; browsers refuse the two together (Fetch §3.2.5))",
            ),
            (
                r#"to = "a", cors = { max_age = "1m" }"#,
                "routes.r.rules[0].cors.origins: no origin is given ([\"https://app.example.com\"])",
            ),
        ],
    );
}

#[test]
fn upstreams_have_one_kind_of_place() {
    each(
        upstream,
        &[
            (r#"dns = "a.b:80", protocol = "h2", h2_streams = 1"#, ""),
            (r#"dns = "a.b:443", protocol = "auto", tls = { sni = "a.b" }, handshake_timeout = "2s""#, ""),
            (r#"endpoints = ["127.0.0.1:1"], tls = { sni = "10.0.0.1" }"#, ""),
            (
                "",
                "upstreams.a: the upstream has no endpoints \
                 (one of: endpoints = [\"127.0.0.1:7001\"], dns = \"search.internal:8080\")",
            ),
            (
                r#"endpoints = ["127.0.0.1:1"], dns = "a.b:80""#,
                "upstreams.a.dns: `endpoints` and `dns` are both given (keep one of them)",
            ),
            (
                r#"endpoints = ["1.1.1.1:0"]"#,
                "upstreams.a.endpoints[0]: 1.1.1.1:0 has the port 0 (a port is 1 to 65535)",
            ),
            (
                r#"endpoints = ["0.0.0.0:80"]"#,
                "upstreams.a.endpoints[0]: 0.0.0.0:80 is an address to listen on, not one to connect to \
                 (on this machine: \"127.0.0.1:80\")",
            ),
            (
                r#"endpoints = ["127.0.0.1:1", "127.0.0.1:1"]"#,
                "upstreams.a.endpoints[1]: the endpoint `127.0.0.1:1` is here twice",
            ),
            (
                r#"dns = "10.0.0.1:80""#,
                "upstreams.a.dns: 10.0.0.1 is an address, not a name (endpoints = [\"10.0.0.1:80\"])",
            ),
        ],
    );
}

#[test]
fn upstream_tls_can_be_verified() {
    each(
        upstream,
        &[
            (
                r#"dns = "a.b:443", tls = { sni = "" }"#,
                "upstreams.a.tls.sni: `sni` is empty, so no certificate could be verified \
                 (the name in the upstream's certificate: \"search.internal\")",
            ),
            (r#"dns = "a.b:443", tls = {}"#, "upstreams.a.tls.sni: `sni` is missing"),
            (
                r#"dns = "a.b:443", tls = { sni = "a.b:443" }"#,
                "upstreams.a.tls.sni: \"a.b:443\" is neither a DNS name nor an address \
                 (the name in the upstream's certificate: \"search.internal\")",
            ),
            (
                r#"dns = "a.b:443", tls = { sni = "*.b" }"#,
                "upstreams.a.tls.sni: \"*.b\" is neither a DNS name nor an address \
                 (the name in the upstream's certificate: \"search.internal\")",
            ),
            (
                r#"dns = "a.b:443", protocol = "auto""#,
                "upstreams.a.protocol: `auto` needs TLS, whose ALPN chooses the protocol \
                 (add tls = { sni = \"…\" }, or say \"h1\" or \"h2\")",
            ),
            (
                r#"dns = "a.b:443", tls = { sni = "a.b", ca = "ca.pem" }"#,
                "upstreams.a.tls.ca: unknown authorities \"ca.pem\" (for a file write \"file:ca.pem\")",
            ),
        ],
    );
}

#[test]
fn upstream_settings_have_an_effect() {
    each(
        upstream,
        &[
            (
                r#"dns = "a.b:80", handshake_timeout = "2s""#,
                "upstreams.a.handshake_timeout: `handshake_timeout` has no effect without `tls` \
                 (`connect_timeout` is for plain connections)",
            ),
            (
                r#"dns = "a.b:80", h2_streams = 5"#,
                "upstreams.a.h2_streams: `h2_streams` has no effect with the protocol `h1` \
                 (add protocol = \"h2\" or \"auto\", or leave it out)",
            ),
            (
                r#"dns = "a.b:80", connect_timeout = "0s""#,
                "upstreams.a.connect_timeout: nothing can happen in no time (say a time, or leave it out)",
            ),
            (
                r#"dns = "a.b:80", tls = { sni = "a.b" }, connect_timeout = "2s", handshake_timeout = "1s""#,
                "upstreams.a.handshake_timeout: connecting may take 2s, but connecting and the handshake together only 1s \
                 (`handshake_timeout` covers both: make it the longer one)",
            ),
        ],
    );
}

#[test]
fn names_and_hosts_are_there_once() {
    let document = r#"
        upstreams.a.endpoints = ["127.0.0.1:1"]
        [routes.r]
        hosts = ["a.com", "b.com", "A.com"]
        listeners = ["edge", "edge"]
        rules = [{ to = "a" }, { name = "x", to = "a" }, { name = "x", to = "a" }, { name = "0", to = "a" }]
    "#;
    assert_eq!(
        problems_of_mesh(document),
        [
            "routes.r.hosts[2]: the host `a.com` is here twice",
            "routes.r.listeners[1]: the listener `edge` is here twice",
            "routes.r.rules[2].name: two rules of this route go by the name `x` \
             (the other is routes.r.rules[1]; a rule without a name goes by its position)",
            "routes.r.rules[3].name: two rules of this route go by the name `0` \
             (the other is routes.r.rules[0]; a rule without a name goes by its position)",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>()
    );
}

#[test]
fn an_unused_upstream_is_a_warning() {
    let parsed = Mesh::parse_toml(
        r#"
        routes.r.rules = [{ to = "a", mirror = { to = "b" } }]
        upstreams.a.endpoints = ["127.0.0.1:1"]
        upstreams.b.endpoints = ["127.0.0.1:2"]
        upstreams.c.endpoints = ["127.0.0.1:3"]
        "#,
    );
    let [problem] = &parsed.problems[..] else { panic!("{:?}", parsed.problems) };
    assert_eq!(problem.to_string(), "upstreams.c: no rule uses the upstream `c`");
    assert!(!problem.is_error() && parsed.value.is_some());
}

#[test]
fn an_error_makes_no_noise_elsewhere() {
    for (document, problems) in [
        // The upstream is there, only its table is wrong.
        (
            "routes.r.rules = [{ to = \"a\" }]\nupstreams.a.endpoint = [\"127.0.0.1:1\"]",
            vec!["upstreams.a.endpoint: unknown key `endpoint` (did you mean `endpoints`?)"],
        ),
        // All of them are there, only the word is wrong.
        (
            "routes.r.rules = [{ to = \"a\" }]\nupstream.a.endpoints = [\"127.0.0.1:1\"]",
            vec!["upstream: unknown key `upstream` (did you mean `upstreams`?)"],
        ),
        // What the rule would do is said, in a wrong way.
        (
            "routes.r.rules = [{ too = { a = 1 }, sticky = { address = true } }]",
            vec!["routes.r.rules[0].too: unknown key `too` (did you mean `to`?)"],
        ),
        (
            "routes.r.rules = [{ to = \"A\", rewrite = { prefix = \"/\" } }]",
            vec!["routes.r.rules[0].to: `A` is not a name (names are lower-case: `a`)"],
        ),
        // Of a rule with an error the rest is looked at too, and of the rules after it, under their own numbers.
        (
            "routes.r.rules = [{ to = \"a\", timout = \"1s\", reply = { status = 1 } }, { to = \"nowhere\" }]\n\
             upstreams.a.endpoints = [\"127.0.0.1:1\"]",
            vec![
                "routes.r.rules[0].timout: unknown key `timout` (did you mean `timeout`?)",
                "routes.r.rules[0].reply.status: 1 is no final status (200 to 599)",
                "routes.r.rules[1].to: unknown upstream `nowhere` (declare it: [upstreams.nowhere])",
            ],
        ),
        (
            "routes.r = 5",
            vec!["routes.r: expected a table, found the number 5 (a table has the keys `listeners`, `hosts`, `rules`)"],
        ),
        ("[routes.r]", vec!["routes.r.rules: the route has no rules (add [[routes.r.rules]])"]),
    ] {
        assert_eq!(problems_of_mesh(document), problems, "{document}");
    }
}

#[test]
fn a_listener_is_plain_or_has_tls() {
    each(
        listener,
        &[
            ("h2c = true\nredirect_to_https = 8443", ""),
            (
                "redirect_to_https = 0",
                "listeners.l.redirect_to_https: 0 is not a port (the port that clients use for https: 443, 8443)",
            ),
            (
                "h2c = true\ntls.certificates = [{ cert = \"c\", key = \"k\" }]",
                "listeners.l.h2c: `h2c` is for listeners without `tls` \
                 (with TLS clients choose HTTP/2 by ALPN; leave `h2c` out)",
            ),
            (
                "redirect_to_https = 1\ntls.certificates = [{ cert = \"c\", key = \"k\" }]",
                "listeners.l.redirect_to_https: `redirect_to_https` is for listeners without `tls` \
                 (requests here come by https already)",
            ),
            (
                "tls.certificates = []",
                "listeners.l.tls.certificates: the list is empty (leave the key out, or say what is in the list)",
            ),
            (
                "tls = {}",
                "listeners.l.tls.certificates: there is no certificate \
                 (certificates = [{ cert = \"edge.pem\", key = \"edge.key\" }])",
            ),
            (
                "tls.certificates = [{ cert = \"\", key = \"k\" }]",
                "listeners.l.tls.certificates[0].cert: the file's path is empty (a PEM file)",
            ),
            (
                "trusted_hops = [\"0.0.0.0/0\"]",
                "listeners.l.trusted_hops[0]: \"0.0.0.0/0\" is everybody \
                 (any client can then say that it is another; name the proxies in front of this one)",
            ),
            (
                "trusted_hops = [\"10.1.2.3/8\"]",
                "listeners.l.trusted_hops[0]: \"10.1.2.3/8\" has bits beyond its first 8 \
                 (write the network \"10.0.0.0/8\", or the address \"10.1.2.3\" alone)",
            ),
        ],
    );
}

#[test]
fn limits_let_something_through_and_can_be_held() {
    each(
        listener,
        &[
            (
                "limits.connections = 0",
                "listeners.l.limits.connections: 0 is too little for `connections` (at least 1; leave it out for the default)",
            ),
            (
                "limits.header_timeout = \"0s\"",
                "listeners.l.limits.header_timeout: 0s is too little for `header_timeout` \
                 (at least 1ms; leave it out for the default)",
            ),
            (
                "limits.body_rate = \"1GiB\"",
                "listeners.l.limits.body_rate: 1GiB is too much for `body_rate` (at most 1MiB; leave it out for the default)",
            ),
            (
                "limits.headers = 1000",
                "listeners.l.limits.headers: 1000 is too much for `headers` (at most 256; leave it out for the default)",
            ),
            (
                "limits.body_bytes = \"0B\"",
                "listeners.l.limits.body_bytes: 0B is too little for `body_bytes` (at least 1B; leave it out for the default)",
            ),
            (
                "limits.header_bytes = \"8KiB\"",
                "listeners.l.limits.header_bytes: a request's target may have 16KiB, but its whole head only 8KiB \
                 (`header_bytes` covers the target too)",
            ),
        ],
    );
}

#[test]
fn each_server_has_its_own_socket() {
    let two = |a: &str, b: &str| {
        problems_of_bootstrap(&format!(
            "state_dir = \"s\"\nlisteners.a = {{ address = \"{a}\", default = true }}\nlisteners.b.address = \"{b}\""
        ))
    };
    for (a, b) in [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:1", "127.0.0.2:1"), ("127.0.0.1:1", "[::1]:1")] {
        assert_eq!(two(a, b), [""; 0], "{a} {b}");
    }
    for (a, b) in [("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:1", "127.0.0.1:1"), ("127.0.0.1:1", "[::]:1")] {
        let problem = format!(
            "listeners.b.address: the listener `a` has the address {a} already \
             (give each its own port; port 0 lets the kernel choose)"
        );
        assert_eq!(two(a, b), [problem], "{a} {b}");
    }
    assert_eq!(
        two("127.0.0.1:1", "127.0.0.1:15020"),
        ["listeners.b.address: `/metrics` has the address 127.0.0.1:15020 already \
          (give each its own port; port 0 lets the kernel choose)"]
    );
}

#[test]
fn a_process_has_what_it_needs() {
    let document = |text: &str| {
        problems_of_bootstrap(&format!("{text}\nlisteners.l = {{ address = \"127.0.0.1:0\", default = true }}"))
    };
    each(
        document,
        &[
            ("state_dir = \"s\"", ""),
            ("", "state_dir: `state_dir` is missing"),
            (
                "state_dir = \"\"",
                "state_dir: the state folder is empty (a folder that the process may write to: \"/var/lib/weir\")",
            ),
            (
                "state_dir = \"s\"\nworkers = 0",
                "workers: 0 workers do nothing (leave `workers` out for one for each core)",
            ),
            (
                "state_dir = \"s\"\nadmin.address = \"0.0.0.0:15000\"",
                "admin.address: 0.0.0.0:15000 can be reached from outside \
                 (the admin interface has no lock of its own; keep it at \"127.0.0.1:15000\")",
            ),
            ("state_dir = \"s\"\nmode = \"egde\"", "mode: unknown value \"egde\" (did you mean `edge`?)"),
        ],
    );
    assert_eq!(
        problems_of_bootstrap("state_dir = \"s\"\nlisteners = {}"),
        ["listeners: there is no listener ([listeners.edge] with address = \"127.0.0.1:8080\")"]
    );
    assert_eq!(
        problems_of_bootstrap("state_dir = \"s\"\nlisteners.l.address = \"127.0.0.1:0\""),
        ["listeners: no listener is marked `default` \
          (routes that name no listener are served nowhere; add default = true to one)"]
    );
    // One mistake does not hide another.
    assert_eq!(
        problems_of_bootstrap("workers = 0\nstate_dri = \"s\"\nlisteners.l = { address = \"127.0.0.1\", h2c = 1 }"),
        [
            "workers: 0 workers do nothing (leave `workers` out for one for each core)",
            "state_dri: unknown key `state_dri` (did you mean `state_dir`?)",
            "listeners.l.address: \"127.0.0.1\" is not an address (write the port: \"127.0.0.1:8080\")",
            "listeners.l.h2c: expected true or false, found the number 1",
        ]
    );
}
