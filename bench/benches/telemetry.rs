//! What telemetry costs a request, and a scrape.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use weir_config::bootstrap;
use weir_policy::Reason;
use weir_proxy::telemetry::labels::{AttemptOutcome, Driver, HttpVersion, TlsVersion};
use weir_proxy::telemetry::metrics::ROUTES;
use weir_proxy::telemetry::{AccessLog, Gauges, Line, Metrics, RequestId, TraceContext, UpstreamGauges, chance};

/// Lines between two flushes of the log.
const LINES: usize = 500;

struct Still;

impl Gauges for Still {
    fn config_version(&self) -> u64 {
        1
    }

    fn generations_alive(&self) -> u64 {
        1
    }

    fn upstreams(&self) -> Vec<UpstreamGauges> {
        Vec::new()
    }

    fn certificates(&self) -> Vec<(String, i64)> {
        Vec::new()
    }

    fn dependencies(&self) -> Vec<(String, bool)> {
        Vec::new()
    }
}

fn recording(criterion: &mut Criterion) {
    let name = |name: &str| name.parse().expect("a name");
    let metrics = Metrics::new(&[]);
    let (route, upstream) = (metrics.route(&name("papers")), metrics.upstream(&name("search")));
    let mut ns = 0;
    // Another bucket each time, as traffic has it.
    let mut duration = move || {
        ns = (ns + 777_777) % 30_000_000;
        Duration::from_nanos(ns)
    };
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("request", |bencher| {
        bencher.iter(|| route.finish(Some(&upstream), black_box(200), black_box(Reason::Ok), duration()));
    });
    group.bench_function("request, attempt and their durations", |bencher| {
        bencher.iter(|| {
            upstream.attempt(black_box(AttemptOutcome::Ok));
            upstream.duration(duration());
            upstream.added_latency(duration());
            route.finish(Some(&upstream), black_box(200), black_box(Reason::Ok), duration());
        });
    });
    group.finish();
}

fn scrape(criterion: &mut Criterion) {
    let metrics = Metrics::new(&[]);
    let upstream = metrics.upstream(&"search".parse().expect("a name"));
    let routes: Vec<_> = (0..ROUTES).map(|n| metrics.route(&format!("route-{n}").parse().expect("a name"))).collect();
    for route in &routes {
        route.finish(Some(&upstream), 200, Reason::Ok, Duration::from_millis(3));
    }
    criterion
        .bench_function("metrics/scrape of 5,000 active routes", |bencher| bencher.iter(|| metrics.gather(&Still)));
}

fn log_line(criterion: &mut Criterion) {
    let target = bootstrap::AccessLog::File("null".to_owned());
    let log = AccessLog::start(&target, Path::new("/dev"), &[]).expect("/dev/null opens");
    let trace = TraceContext::root([1, 2, 3], 0);
    let client = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    let line = Line {
        at: SystemTime::now(),
        duration: Duration::from_micros(1_234),
        method: b"GET",
        host: Some(b"api.example.com"),
        path: b"/v1/search/papers",
        query: None,
        http_version: HttpVersion::V2,
        status: 200,
        request_bytes: 0,
        response_bytes: 1_024,
        request_id: "0123456789abcdef0123456789abcdef",
        client,
        source: SocketAddr::new(client, 40_000),
        destination: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8443))),
        tls: Some(TlsVersion::V1_3),
        trace: Some(&trace),
        listener: "edge",
        route: Some("papers"),
        rule: Some("search"),
        upstream: Some("search-blue"),
        endpoint: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7001))),
        tenant: None,
        reason: Reason::Ok,
        attempts: 1,
        version: 17,
        driver: Driver::Pingora,
        fields: &[],
    };
    // The writing thread may have no processor of its own here, and a dropped line costs nothing: only the writing of
    // as many lines as a batch takes is timed.
    let lines = |line: &Line<'_>, count: u64| {
        let mut took = Duration::ZERO;
        for start in (0..count).step_by(LINES) {
            let since = Instant::now();
            for _ in start..count.min(start + LINES as u64) {
                log.write(black_box(line));
            }
            took += since.elapsed();
            log.flush();
        }
        took
    };
    let mut group = criterion.benchmark_group("access log");
    group.bench_function("line", |bencher| bencher.iter_custom(|count| lines(&line, count)));
    let query = Line { query: Some(b"q=rust+proxy&limit=20&api_key=s3cret&offset=40"), ..line };
    group.bench_function("line with a query", |bencher| bencher.iter_custom(|count| lines(&query, count)));
    group.finish();
    assert_eq!(log.dropped(), 0);
}

fn identity(criterion: &mut Criterion) {
    let traceparent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    criterion.bench_function("identity/ids made", |bencher| {
        bencher.iter(|| {
            let trace = TraceContext::root([chance(), chance(), chance()], 0);
            (RequestId::made([chance(), chance()]), trace.traceparent())
        });
    });
    criterion.bench_function("identity/trace read and gone on with", |bencher| {
        bencher.iter(|| TraceContext::parse(black_box(traceparent)).map(|trace| trace.child(chance()).traceparent()));
    });
}

criterion_group!(telemetry, recording, scrape, log_line, identity);
criterion_main!(telemetry);
