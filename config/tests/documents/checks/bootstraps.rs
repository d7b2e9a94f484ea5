//! The bootstrap document.

use super::each;
use crate::problems_of_bootstrap;

/// The problems of a document whose only listener `l` has these keys too.
fn listener(listener: &str) -> Vec<String> {
    problems_of_bootstrap(&format!(
        "state_dir = \"s\"\n[listeners.l]\naddress = \"127.0.0.1:0\"\ndefault = true\n{listener}"
    ))
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
