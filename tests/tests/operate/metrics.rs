//! Metrics say what the clients saw.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use weir_tests::Claim;

use crate::mixed::{Ledger, Mixed, counted, sum};

#[tokio::test]
async fn metrics_and_log_equal_the_clients_ledger() -> Claim {
    let mut mixed = Mixed::start("").await?;
    let ledger = mixed.run().await?;
    let sent: u64 = ledger.values().sum();
    // What a client has in full is counted a moment later.
    mixed.proxy.metric_becomes("weir_requests_total", &[], |total| total == sent as f64).await?;
    let metrics = mixed.proxy.metrics().await?;
    assert_eq!(counted(&metrics), ledger);
    for reason in [
        "ok",
        "no_route",
        "bad_request",
        "upstream_reset",
        "request_timeout",
        "rate_limited",
        "virtual_patch",
        "internal",
    ] {
        assert!(sum(&ledger, 3, reason) > 0, "the run has no {reason}: {ledger:?}");
    }

    // The upstreams' own ledgers.
    for upstream in [&mixed.a, &mixed.b] {
        let name = upstream.name();
        assert_eq!(upstream.ledger().count() as u64, sum(&ledger, 1, name), "requests at {name}");
        let attempts = metrics.sum("weir_attempts_total", &[("upstream", name)]);
        assert_eq!(attempts as u64, sum(&ledger, 1, name), "attempts at {name}");
        assert_eq!(metrics.sum("weir_inflight", &[("upstream", name)]), 0.0);
    }
    // Every request has its duration.
    for (route, class) in ledger.keys().map(|[route, _, class, _]| (route, class)) {
        let labels = [("route", route.as_str()), ("code_class", class.as_str())];
        let of_both = |labels: &&[String; 4]| &labels[0] == route && &labels[2] == class;
        let expected: u64 = ledger.keys().filter(of_both).map(|labels| ledger[labels]).sum();
        assert_eq!(metrics.sum("weir_request_duration_seconds_count", &labels) as u64, expected, "{labels:?}");
    }
    let limited = metrics.sum("weir_ratelimit_decisions_total", &[("decision", "limited")]);
    assert_eq!(limited as u64, sum(&ledger, 3, "rate_limited"));
    assert_eq!(metrics.sum("weir_panics_total", &[]) as u64, sum(&ledger, 3, "internal"));
    assert_eq!(metrics.sum("weir_log_dropped_total", &[]), 0.0);

    // One line a request, with the same words. Its end writes what is left.
    mixed.proxy.process.signal(Signal::SIGINT)?;
    assert_eq!(mixed.proxy.process.exit_code().await?, 0);
    let mut logged: BTreeMap<[String; 3], u64> = BTreeMap::new();
    for line in mixed.proxy.access_log().lines() {
        let route = Some(line.text("labels.route")).filter(|route| !route.is_empty()).unwrap_or("-".into());
        let class = format!("{}xx", &line.status()[..1]);
        *logged.entry([route, class, line.reason()]).or_default() += 1;
    }
    assert_eq!(logged, without_upstream(&ledger));
    Ok(())
}

fn without_upstream(ledger: &Ledger) -> BTreeMap<[String; 3], u64> {
    let mut sums = BTreeMap::new();
    for ([route, _, class, reason], count) in ledger {
        *sums.entry([route.clone(), class.clone(), reason.clone()]).or_default() += count;
    }
    sums
}
