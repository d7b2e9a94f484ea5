//! Upstreams.

use super::each;
use crate::problems_of_mesh;

/// The problems of a document whose only upstream `a` is the inner of a table.
fn upstream(upstream: &str) -> Vec<String> {
    problems_of_mesh(&format!("routes.r.rules = [{{ to = \"a\" }}]\nupstreams.a = {{ {upstream} }}"))
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
