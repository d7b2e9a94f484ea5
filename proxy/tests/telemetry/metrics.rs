//! What is recorded is what is scraped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use weir_policy::Reason;
use weir_proxy::telemetry::labels::{
    AttemptOutcome, ConnectionRejection, H2Abuse, RateDecision, RetryOutcome, TlsVersion,
};
use weir_proxy::telemetry::metrics::ROUTES;
use weir_proxy::telemetry::{Metrics, chance, names};

use crate::exposition::Exposition;
use crate::{Still, name};

fn scrape(metrics: &Metrics) -> Exposition {
    Exposition::read(&metrics.gather(&Still))
}

const MS: Duration = Duration::from_millis(1);

/// One of everything.
pub fn record_everything(metrics: &Arc<Metrics>) {
    let (route, upstream) = (metrics.route(&name("papers")), metrics.upstream(&name("search")));
    for &reason in Reason::ALL {
        route.finish(Some(&upstream), 200, reason, MS);
    }
    route.finish(None, 0, Reason::ClientGone, MS);
    RateDecision::ALL.iter().for_each(|&decision| route.ratelimit(decision));
    AttemptOutcome::ALL.iter().for_each(|&outcome| upstream.attempt(outcome));
    RetryOutcome::ALL.iter().for_each(|&outcome| upstream.retry(outcome));
    upstream.duration(MS);
    upstream.added_latency(MS);
    let listener = metrics.listener(0);
    ConnectionRejection::ALL.iter().for_each(|&reason| listener.rejected(reason));
    TlsVersion::ALL.iter().for_each(|&version| listener.handshake(version));
    metrics.config_applied(MS);
    metrics.config_rejected();
    metrics.panicked();
    H2Abuse::ALL.iter().for_each(|&kind| metrics.h2_abuse(kind));
}

#[test]
fn every_family_is_scraped_with_its_labels() {
    let metrics = Metrics::new(&[name("edge")]);
    record_everything(&metrics);
    let scraped = scrape(&metrics);
    for family in names::ALL {
        let suffix = if family.kind == names::Kind::Histogram { "_count" } else { "" };
        let series = format!("{}{suffix}", family.name);
        let labels = |series: &str| -> Vec<String> {
            let labels = series.split_once('{').map_or("", |(_, labels)| labels);
            labels.split("\",").filter_map(|pair| pair.split_once('=')).map(|(label, _)| label.to_owned()).collect()
        };
        let mut found = scraped.select(&series, &[]).peekable();
        assert!(found.peek().is_some(), "{series} is missing");
        assert!(found.all(|(series, _)| labels(series) == family.labels), "{series} has other labels");
    }
}

#[test]
fn sums_are_exact_after_many_threads() {
    const THREADS: u64 = 48;
    const EACH: u64 = 5_000;
    let metrics = Metrics::new(&[name("edge")]);
    let routes = ["a", "b", "c"].map(|route| metrics.route(&name(route)));
    let upstreams = ["x", "y"].map(|upstream| metrics.upstream(&name(upstream)));
    let statuses = [200, 204, 301, 404, 503];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (metrics, routes, upstreams) = (&metrics, &routes, &upstreams);
            scope.spawn(move || {
                for n in 0..EACH {
                    let upstream = &upstreams[(n % 2) as usize];
                    let reason = if n % 10 == 0 { Reason::UpstreamReset } else { Reason::Ok };
                    let status = statuses[(n % 5) as usize];
                    let duration = Duration::from_micros(n % 20_000);
                    routes[(n % 3) as usize].finish(Some(upstream), status, reason, duration);
                    upstream.attempt(AttemptOutcome::Ok);
                    metrics.listener(0).opened();
                    if (thread + n) % 1_000 == 0 {
                        metrics.panicked();
                    }
                    metrics.listener(0).closed();
                }
            });
        }
        // A scrape in between sees what is whole and never goes back.
        let mut before = 0.0;
        for _ in 0..20 {
            let now = scrape(&metrics).sum("weir_requests_total", &[]);
            assert!(now >= before);
            before = now;
        }
    });

    let scraped = scrape(&metrics);
    let count = |wanted: &dyn Fn(u64) -> bool| (THREADS * (0..EACH).filter(|&n| wanted(n)).count() as u64) as f64;
    assert_eq!(scraped.sum("weir_requests_total", &[]), (THREADS * EACH) as f64);
    assert_eq!(scraped.sum("weir_requests_total", &["route=\"a\""]), count(&|n| n % 3 == 0));
    assert_eq!(scraped.sum("weir_requests_total", &["upstream=\"y\""]), count(&|n| n % 2 == 1));
    assert_eq!(scraped.sum("weir_requests_total", &["code_class=\"2xx\""]), count(&|n| n % 5 < 2));
    assert_eq!(scraped.sum("weir_requests_total", &["reason=\"upstream_reset\""]), count(&|n| n % 10 == 0));
    assert_eq!(scraped.sum("weir_request_duration_seconds_count", &["route=\"b\""]), count(&|n| n % 3 == 1));
    assert_eq!(scraped.sum("weir_request_duration_seconds_bucket", &["le=\"0.001\""]), count(&|n| n <= 1_000));
    let seconds = (THREADS * (0..EACH).sum::<u64>()) as f64 / 1e6;
    assert!((scraped.sum("weir_request_duration_seconds_sum", &[]) - seconds).abs() < 1e-6);
    assert_eq!(scraped.sum("weir_attempts_total", &["upstream=\"x\"", "outcome=\"ok\""]), count(&|n| n % 2 == 0));
    assert_eq!(scraped.value("weir_panics_total"), (THREADS * EACH / 1_000) as f64);
    assert_eq!(scraped.value("weir_connections{listener=\"edge\"}"), 0.0);
}

#[test]
fn connections_are_counted_until_whoever_ends_them() {
    let metrics = Metrics::new(&[name("edge"), name("plain")]);
    (0..7).for_each(|_| metrics.listener(0).opened());
    let open_now = || scrape(&metrics).value("weir_connections{listener=\"edge\"}");
    assert_eq!(open_now(), 7.0);
    thread::scope(|scope| {
        scope.spawn(|| (0..7).for_each(|_| metrics.listener(0).closed()));
    });
    assert_eq!(open_now(), 0.0);
    assert_eq!(scrape(&metrics).value("weir_connections{listener=\"plain\"}"), 0.0);
}

#[test]
fn a_push_of_many_routes_makes_no_series() {
    let metrics = Metrics::new(&[name("edge")]);
    let before: BTreeSet<String> = scrape(&metrics).0.into_keys().collect();
    let routes: Vec<_> = (0..10_000).map(|n| metrics.route(&name(&format!("route-{n}")))).collect();
    metrics.config_applied(MS);
    assert_eq!(scrape(&metrics).0.into_keys().collect::<BTreeSet<_>>(), before);
    drop(routes);
}

#[test]
fn trap_15_hostile_values_leave_the_number_of_series_unchanged() {
    let metrics = Metrics::new(&[name("edge")]);
    let (route, upstream) = (metrics.route(&name("papers")), metrics.upstream(&name("search")));
    let all_statuses = || (0..=999).chain([u16::MAX]);
    for status in all_statuses() {
        for &reason in Reason::ALL {
            route.finish(Some(&upstream), status, reason, Duration::MAX);
            route.finish(None, status, reason, Duration::ZERO);
        }
    }
    let series = scrape(&metrics).0.len();
    for _ in 0..1_000_000 {
        let any = chance();
        let reason = Reason::ALL[any as usize % Reason::ALL.len()];
        route.finish((any & 1 == 0).then_some(&upstream), (any >> 16) as u16, reason, Duration::from_nanos(any));
    }
    assert_eq!(scrape(&metrics).0.len(), series);
}

#[test]
fn names_beyond_the_bound_share_one_and_nothing_is_lost() {
    let metrics = Metrics::new(&[]);
    let names = ROUTES as u64 + 1_000;
    let pairs: Vec<_> = (0..names)
        .map(|n| (metrics.route(&name(&format!("r{n}"))), metrics.upstream(&name(&format!("u{n}")))))
        .collect();
    for _ in 0..2 {
        for (route, upstream) in &pairs {
            route.finish(Some(upstream), 200, Reason::Ok, MS);
            upstream.attempt(AttemptOutcome::Ok);
        }
    }
    let scraped = scrape(&metrics);
    assert_eq!(scraped.select("weir_requests_total", &[]).count(), ROUTES + 1);
    let other = r#"weir_requests_total{route="__other__",upstream="__other__",code_class="2xx",reason="ok"}"#;
    assert_eq!(scraped.value(other), 2_000.0);
    assert_eq!(scraped.sum("weir_requests_total", &[]), (2 * names) as f64);
    assert_eq!(scraped.sum("weir_attempts_total", &[]), (2 * names) as f64);
}

#[test]
fn a_route_that_goes_and_comes_back_counts_on() {
    let metrics = Metrics::new(&[]);
    let finish = || metrics.route(&name("papers")).finish(None, 200, Reason::Ok, MS);
    let papers = || scrape(&metrics).sum("weir_requests_total", &["route=\"papers\""]);
    finish();
    metrics.config_applied(MS);
    assert_eq!(papers(), 1.0, "scraped although no generation names it");
    finish();
    assert_eq!(papers(), 2.0);
}

#[test]
fn names_that_went_make_room_for_new_ones() {
    let metrics = Metrics::new(&[]);
    for generation in 0..4 {
        let routes: Vec<_> = (0..3_000).map(|n| metrics.route(&name(&format!("g{generation}-{n}")))).collect();
        let upstream = metrics.upstream(&name(&format!("u{generation}")));
        routes.iter().for_each(|route| route.finish(Some(&upstream), 200, Reason::Ok, MS));
        let own = format!("route=\"g{generation}-");
        assert_eq!(scrape(&metrics).select("weir_requests_total", &[&own]).count(), 3_000);
        drop(routes);
        metrics.config_applied(MS);
    }
}

#[test]
fn upstreams_of_one_route_beyond_the_bound_share_a_label() {
    let metrics = Metrics::new(&[]);
    let route = metrics.route(&name("papers"));
    for n in 0..100 {
        let upstream = metrics.upstream(&name(&format!("u{n}")));
        (0..3).for_each(|_| route.finish(Some(&upstream), 200, Reason::Ok, MS));
    }
    let scraped = scrape(&metrics);
    assert_eq!(scraped.sum("weir_requests_total", &[]), 300.0);
    assert_eq!(scraped.select("weir_requests_total", &[]).count(), 33);
    assert_eq!(scraped.sum("weir_requests_total", &["upstream=\"__other__\""]), 3.0 * 68.0);
}

#[test]
fn a_request_without_upstream_or_status_has_labels_too() {
    let metrics = Metrics::new(&[]);
    metrics.route(&name("papers")).finish(None, 0, Reason::ClientGone, MS);
    let series = r#"weir_requests_total{route="papers",upstream="-",code_class="none",reason="client_gone"}"#;
    assert_eq!(scrape(&metrics).value(series), 1.0);
}

#[test]
fn requests_that_no_route_took_are_counted_however_many_routes_there_are() {
    let metrics = Metrics::new(&[]);
    for n in 0..=ROUTES {
        metrics.route(&name(&format!("r{n}"))).finish(None, 200, Reason::Ok, MS);
    }
    (0..2).for_each(|_| metrics.no_route().finish(None, 404, Reason::NoRoute, MS));
    let series = r#"weir_requests_total{route="-",upstream="-",code_class="4xx",reason="no_route"}"#;
    assert_eq!(scrape(&metrics).value(series), 2.0);
}

#[test]
fn of_two_certificates_with_one_name_the_first_to_end_is_shown() {
    let scraped = scrape(&Metrics::new(&[]));
    assert_eq!(scraped.value(r#"weir_certificate_expiry_timestamp_seconds{certificate="edge.pem"}"#), 5.0);
    assert_eq!(scraped.select("weir_certificate_expiry_timestamp_seconds", &[]).count(), 2);
}
