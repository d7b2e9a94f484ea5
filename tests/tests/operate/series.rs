//! What clients send never becomes a label.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use weir_tests::chance::Chance;
use weir_tests::metrics::Metrics;
use weir_tests::tools::long;
use weir_tests::{Claim, H1, Proxy, Request, Setup, Upstream, patiently};

/// Requests that are written before their answers are read.
const AHEAD: usize = 100;
/// Connections of HTTP/1.1.
const CONNECTIONS: usize = 8;

/// Requests in all; ten times as many in a long run.
fn requests() -> usize {
    if long() { 1_000_000 } else { 100_000 }
}

fn series(metrics: &Metrics) -> BTreeSet<String> {
    metrics.series().iter().map(|series| format!("{}{:?}", series.name, series.labels)).collect()
}

/// Text that no two requests share, of bytes that a header value may have.
fn hostile(chance: &mut Chance) -> String {
    const BYTES: &[u8] = b"abcXYZ019-_.~!$&'()*+,;=:@\"\\{}<>|^`[]#?/%";
    let length = 1 + chance.below(40);
    let noise: String = (0..length).map(|_| char::from(*chance.of(BYTES))).collect();
    format!("{:016x}{noise}", chance.bits())
}

fn request(chance: &mut Chance) -> Request {
    let name = format!("{:016x}", chance.bits());
    let host = match chance.below(4) {
        0 => format!("{name}.evil.test"),
        1 => format!("{name}.known.test"),
        2 => format!("{name}:{}", 1 + chance.below(65_535)),
        _ => "known.test".to_owned(),
    };
    let path = match chance.below(4) {
        0 => format!("/limited/{name}"),
        1 => format!("/moved/{name}"),
        2 => format!("/{name}/route=\"evil\",reason=\"{name}\"").replace('"', "%22"),
        _ => format!("/a/{name}?{name}={name}&route={name}"),
    };
    let method = *chance.of(&["GET", "POST", "BREW", "DELETE", "OPTIONS"]);
    let method = if chance.once_in(8) { format!("M{}", &name[..12]) } else { method.to_owned() };
    let mut request = Request::new(&method, &path).host(&host);
    for line in ["x-api-key", "user-agent", "x-request-id", "x-forwarded-for", "accept-version", "origin", "x-tenant"] {
        if chance.once_in(3) {
            request = request.header(line, &hostile(chance));
        }
    }
    if chance.once_in(3) {
        request = request.header(&format!("x-{name}"), &hostile(chance));
    }
    if chance.once_in(10) {
        let traceparent = format!("00-{:016x}{:016x}-{:016x}-01", chance.bits(), chance.bits(), chance.bits());
        request = request.header("traceparent", &traceparent);
    }
    request
}

/// Many requests over kept connections, written ahead; gives how many were answered.
async fn flood(proxy: &Proxy, seed: u64, count: usize) -> anyhow::Result<usize> {
    let mut chance = Chance::seeded(seed);
    let mut client = proxy.h1().await?;
    let mut answered = 0;
    while answered < count {
        let batch: Vec<Request> = (0..AHEAD.min(count - answered)).map(|_| request(&mut chance)).collect();
        let bytes: Vec<u8> = batch.iter().flat_map(Request::bytes).collect();
        client.write(&bytes).await?;
        for request in &batch {
            client.response(&request.method).await?;
        }
        answered += batch.len();
    }
    Ok(answered)
}

/// Hostile streams of one HTTP/2 connection.
async fn streams(proxy: &Proxy, seed: u64, count: usize) -> anyhow::Result<usize> {
    let mut chance = Chance::seeded(seed);
    let client = proxy.h2().await?;
    for _ in 0..count / AHEAD {
        let batch: Vec<Request> = (0..AHEAD).map(|_| request(&mut chance)).collect();
        try_join_all(batch.iter().map(|request| client.send(request))).await?;
    }
    Ok(count / AHEAD * AHEAD)
}

/// Heads that are no requests, each over its own connection.
async fn refused(proxy: &Proxy, seed: u64, count: usize) -> anyhow::Result<usize> {
    let mut chance = Chance::seeded(seed);
    for _ in 0..count {
        let mut client: H1 = proxy.h1().await?;
        let noise = hostile(&mut chance);
        client.write(format!("GET /{noise} {noise} HTTP/1.1\r\nhost: {noise}\r\n\r\n")).await?;
        client.response("GET").await?;
    }
    Ok(count)
}

#[tokio::test]
async fn trap_15_hostile_hosts_paths_and_headers_add_no_series() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let mesh = format!(
        r#"
        [routes.known]
        hosts = ["known.test", "*.known.test"]
        [[routes.known.rules]]
        match = ["/limited/*"]
        reply = {{ status = 200, body = "in time" }}
        filters = [{{ kind = "rate_limit", key = "header:x-api-key", rate = "1/s" }}]
        [[routes.known.rules]]
        match = ["/moved/*"]
        redirect = {{ path = "/new" }}
        [[routes.known.rules]]
        match = ["/to/*"]
        to = "a"
        [[routes.any.rules]]
        match = ["/a/*"]
        reply = {{ status = 404, body = "nothing" }}
        {}"#,
        upstream.table()
    );
    let keys = format!("{}\nlimits.max_requests = 10_000_000\nlimits.h2_streams = 1000", crate::BOTH);
    let setup = Setup::new(mesh)?.listener("edge", &keys)?.bootstrap("telemetry.access_log = 'off'")?;
    let proxy = setup.start().await?;

    // Some of all that will come, so that what such requests may make is there.
    let mut sent = 0;
    sent += flood(&proxy, 1, 1000).await? + streams(&proxy, 2, 500).await? + refused(&proxy, 3, 10).await?;
    proxy.metric_becomes("weir_requests_total", &[], |total| total == sent as f64).await?;
    let before = series(&proxy.metrics().await?);

    let many = requests();
    let floods = (0..CONNECTIONS).map(|n| flood(&proxy, 100 + n as u64, many * 9 / 10 / CONNECTIONS));
    let (floods, streams, refused) =
        tokio::try_join!(try_join_all(floods), streams(&proxy, 4, many / 11), refused(&proxy, 5, many / 100))?;
    let hostile = floods.iter().sum::<usize>() + streams + refused;
    assert!(hostile >= many, "{hostile}");
    sent += hostile;
    proxy.metric_becomes("weir_requests_total", &[], |total| total == sent as f64).await?;
    let after = series(&proxy.metrics().await?);
    assert_eq!(before.symmetric_difference(&after).collect::<Vec<_>>(), Vec::<&String>::new());
    patiently("an honest request", proxy.send(&Request::get("/to/x").host("known.test"))).await??;
    Ok(())
}
