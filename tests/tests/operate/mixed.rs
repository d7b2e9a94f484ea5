//! Traffic of every sort over HTTP/1.1 and HTTP/2, and the ledger of what its clients saw.

use std::collections::BTreeMap;
use std::io;

use futures::FutureExt;
use weir_tests::chance::Chance;
use weir_tests::metrics::Metrics;
use weir_tests::upstream::Refusing;
use weir_tests::{Exchange, Proxy, Request, Response, Setup, Upstream};

use crate::BOTH;

/// Connections of each protocol, and requests over each of them.
const CONNECTIONS: u64 = 6;
const REQUESTS: u64 = 60;

/// The labels of `weir_requests_total`: route, upstream, class of the status, reason.
pub type Labels = [String; 4];
/// Requests by their labels.
pub type Ledger = BTreeMap<Labels, u64>;

const ROUTES: &str = r#"
    [[routes.plain.rules]]
    match = ["/plain/*"]
    to = "a"
    [[routes.plain.rules]]
    match = ["/status/*"]
    to = "b"
    [[routes.cut.rules]]
    match = ["/cut/*"]
    to = "b"
    [[routes.late.rules]]
    match = ["/late/*"]
    to = "b"
    timeout = "100ms"
    [[routes.dead.rules]]
    match = ["/dead/*"]
    to = "dead"
    [[routes.own.rules]]
    match = ["/moved/*"]
    redirect = { status = 301, path = "/new" }
    [[routes.own.rules]]
    match = ["/fixed/*"]
    reply = { status = 200, body = "fixed" }
    [[routes.limited.rules]]
    match = ["/limited/*"]
    to = "a"
    filters = [{ kind = "rate_limit", rate = "1/h", burst = 3 }]
    [[routes.denied.rules]]
    match = ["/denied/*"]
    to = "a"
    filters = [{ kind = "deny", methods = ["GET"] }]
    [[routes.panics.rules]]
    match = ["/panics/*"]
    to = "a"
    filters = [{ kind = "panic" }]
    "#;

/// Paths, and the route and upstream that they lead to.
const SORTS: &[(&str, &str, &str)] = &[
    ("/plain/", "plain", "a"),
    ("/plain/", "plain", "a"),
    ("/plain/", "plain", "a"),
    ("/status/200/", "plain", "b"),
    ("/status/304/", "plain", "b"),
    ("/status/404/", "plain", "b"),
    ("/status/503/", "plain", "b"),
    ("/cut/", "cut", "b"),
    ("/late/", "late", "b"),
    ("/dead/", "dead", "dead"),
    ("/moved/", "own", NOBODY),
    ("/fixed/", "own", NOBODY),
    ("/limited/", "limited", "a"),
    ("/denied/", "denied", "a"),
    ("/panics/", "panics", "a"),
    ("/nowhere/", NOBODY, NOBODY),
    ("/plain/%00/", NOBODY, NOBODY),
];

const NOBODY: &str = "-";

/// Reasons that are given before an upstream is asked.
const BEFORE: &[&str] = &["rate_limited", "virtual_patch", "internal"];

/// A proxy with routes of every sort, and the upstreams behind it.
pub struct Mixed {
    pub proxy: Proxy,
    pub a: Upstream,
    pub b: Upstream,
    _dead: Refusing,
}

async fn b(x: &mut Exchange) -> io::Result<()> {
    x.drain().await?;
    let mut parts = x.path().split('/').skip(1);
    match (parts.next(), parts.next().and_then(|status| status.parse().ok())) {
        (Some("status"), Some(304)) => x.answer(304, &[], b"").await,
        (Some("status"), Some(status)) => x.answer(status, &[], b"said").await,
        (Some("cut"), _) => {
            x.head(200, &[("content-length", "100")]).await?;
            x.send("ten bytes.").await?;
            x.hang_up()
        }
        _ => x.given_up().await,
    }
}

impl Mixed {
    /// `more`: of the mesh document.
    pub async fn start(more: &str) -> anyhow::Result<Self> {
        let (a, dead) = (Upstream::h1("a").await?, Refusing::new()?);
        let b = Upstream::scripted("b", |x| b(x).boxed()).await?;
        let dead_table = format!("[upstreams.dead]\nendpoints = [\"{}\"]\n", dead.address());
        let mesh = format!("{ROUTES}\n{more}\n{}{}{dead_table}", a.table(), b.table());
        let proxy = Setup::new(mesh)?.listener("edge", BOTH)?.start().await?;
        Ok(Self { proxy, a, b, _dead: dead })
    }

    /// Sends some of everything, and gives what the clients saw.
    pub async fn run(&self) -> anyhow::Result<Ledger> {
        let http1 = (0..CONNECTIONS).map(|seed| self.over_http1(seed));
        let http2 = (0..CONNECTIONS).map(|seed| self.over_http2(CONNECTIONS + seed));
        let (http1, http2) =
            tokio::try_join!(futures::future::try_join_all(http1), futures::future::try_join_all(http2))?;
        let mut ledger = Ledger::new();
        for labels in http1.into_iter().chain(http2).flatten() {
            *ledger.entry(labels).or_default() += 1;
        }
        Ok(ledger)
    }

    async fn over_http1(&self, seed: u64) -> anyhow::Result<Vec<Labels>> {
        let mut chance = Chance::seeded(seed);
        let (mut seen, mut client) = (Vec::new(), self.proxy.h1().await?);
        for n in 0..REQUESTS {
            if chance.once_in(12) {
                let mut client = self.proxy.h1().await?;
                client.write(format!("GET /plain/{n} HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n")).await?;
                seen.push(labels(NOBODY, NOBODY, &client.response("GET").await?, "ok"));
                continue;
            }
            let (request, route, upstream) = sort(&mut chance, n);
            client.write(request.bytes()).await?;
            let mut response = client.head(&request.method).await?;
            let end = loop {
                match client.chunk(&mut response).await {
                    Ok(Some(chunk)) => response.body.extend_from_slice(&chunk),
                    Ok(None) => break "ok",
                    Err(_) => break "upstream_reset",
                }
            };
            if end != "ok" || response.header("connection") == Some("close") {
                client = self.proxy.h1().await?;
            }
            seen.push(labels(route, upstream, &response, end));
        }
        Ok(seen)
    }

    async fn over_http2(&self, seed: u64) -> anyhow::Result<Vec<Labels>> {
        let mut chance = Chance::seeded(seed);
        let (mut seen, client) = (Vec::new(), self.proxy.h2().await?);
        for n in 0..REQUESTS {
            let (request, route, upstream) = sort(&mut chance, n);
            let mut open = client.open(&request, request.body.is_empty()).await?;
            if !request.body.is_empty() {
                // It may be refused before all of it was taken.
                let _ = open.write(request.body.into(), true).await;
            }
            let mut response = open.head().await?;
            let end = loop {
                match open.chunk(&mut response).await {
                    Ok(Some(chunk)) => response.body.extend_from_slice(&chunk),
                    Ok(None) => break "ok",
                    Err(_) => break "upstream_reset",
                }
            };
            seen.push(labels(route, upstream, &response, end));
        }
        Ok(seen)
    }
}

fn sort(chance: &mut Chance, n: u64) -> (Request, &'static str, &'static str) {
    let &(path, route, upstream) = chance.of(SORTS);
    let target = format!("{path}{n}?n={n}");
    let request = match path {
        "/plain/" if chance.once_in(2) => Request::post(&target, vec![b'x'; chance.below(100_000) + 1]),
        "/panics/" if chance.once_in(2) => Request::get(&target).header("x-panic", "1"),
        _ => Request::get(&target),
    };
    (request, route, upstream)
}

fn labels(route: &str, upstream: &str, response: &Response, end: &str) -> Labels {
    let reason = response.reason().unwrap_or_else(|| end.to_owned());
    let upstream = if BEFORE.contains(&reason.as_str()) { NOBODY } else { upstream };
    [route.to_owned(), upstream.to_owned(), format!("{}xx", response.status / 100), reason]
}

/// What the proxy counted.
pub fn counted(metrics: &Metrics) -> Ledger {
    let label = |series: &weir_tests::metrics::Series, name: &str| series.labels.get(name).cloned().unwrap_or_default();
    let series = metrics.matching("weir_requests_total", &[]).filter(|series| series.value > 0.0);
    series
        .map(|series| {
            (["route", "upstream", "code_class", "reason"].map(|name| label(series, name)), series.value as u64)
        })
        .collect()
}

/// The sum over those of a ledger whose label at a position is this.
pub fn sum(ledger: &Ledger, at: usize, label: &str) -> u64 {
    ledger.iter().filter(|(labels, _)| labels[at] == label).map(|(_, count)| count).sum()
}
