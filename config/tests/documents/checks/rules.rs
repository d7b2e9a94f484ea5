//! Rules.

use super::each;
use crate::problems_of_mesh;

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
