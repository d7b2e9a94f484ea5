//! What is in force where nothing is written.

use std::time::Duration as Time;

use weir_config::bootstrap::{Drain, Limits};
use weir_config::mesh::{Rule, Upstream};

use crate::mesh;

#[test]
fn absent_limits_have_the_documented_values() {
    let limits = Limits::default();
    assert_eq!(limits.header_timeout(), Time::from_secs(10));
    assert_eq!((limits.header_bytes(), limits.headers(), limits.uri_bytes()), (60 * 1024, 100, 16 * 1024));
    assert_eq!((limits.body_bytes(), limits.body_rate(), Limits::BODY_GRACE), (None, 500, Time::from_secs(5)));
    assert_eq!(limits.connections_per_client(), 256);
    assert_eq!((limits.idle_timeout(), limits.write_timeout()), (Time::from_secs(60), Time::from_secs(30)));
    assert_eq!((limits.max_age(), limits.max_requests(), limits.h2_streams()), (Time::from_secs(3600), 10_000, 100));
    assert_eq!(limits.handshake_timeout(), Time::from_secs(10));
    assert_eq!((Drain::default().wait(), Drain::default().deadline()), (Time::from_secs(4), Time::from_secs(24)));
}

#[test]
fn connections_follow_the_descriptors() {
    let limits = Limits::default();
    assert_eq!([0, 1024, 1 << 20, u64::MAX].map(|limit| limits.connections(limit)), [1, 341, 20_000, 20_000]);
    assert_eq!(Limits { connections: Some(7), ..limits }.connections(1 << 20), 7);
}

#[test]
fn absent_times_of_upstreams_and_rules_have_the_documented_values() {
    let upstream = Upstream::default();
    assert_eq!(upstream.connect_timeout(), Time::from_secs(1));
    assert_eq!(upstream.handshake_timeout(), Time::from_secs(3));
    assert_eq!(upstream.write_timeout(), Time::from_secs(10));
    assert_eq!((upstream.keepalive(), upstream.h2_streams()), (Time::from_secs(4), 100));
    assert_eq!((Rule::default().idle_timeout(), Rule::HEAD_TIMEOUT), (Time::from_secs(300), Time::from_secs(15)));
}

#[test]
fn what_is_written_goes_before_the_default() {
    let mesh = mesh(
        r#"
        routes.a.rules = [{ to = "a", idle_timeout = "1m" }]
        upstreams.a = { endpoints = ["127.0.0.1:1"], keepalive = "1m" }
        "#,
    );
    assert_eq!(mesh.upstreams["a"].keepalive(), Time::from_secs(60));
    assert_eq!(mesh.routes["a"].rules[0].idle_timeout(), Time::from_secs(60));
}
