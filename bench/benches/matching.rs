//! What it costs to find a request's rule, by the number of routes: 10,000 must cost within twice of 10, be they hosts or
//! prefixes of one host. The figures are for one request.

mod common;

use common::{REQUESTS, asked, facts, head, host, hosts, prefix, prefixes, table};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_config::mesh::Mesh;
use weir_policy::{Decision, decide};

fn round(criterion: &mut Criterion, name: &str, mesh: &Mesh, requests: &[(String, String)]) {
    let table = table(mesh);
    let facts = facts(&table);
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(REQUESTS as u64)).sample_size(50);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let forwarded = requests.iter().filter(|(host, path)| {
                matches!(decide(&table, &head(host, path), &facts, 0), Decision::Forward(_))
            });
            assert_eq!(forwarded.count(), REQUESTS);
        });
    });
}

fn matching(criterion: &mut Criterion) {
    for routes in [10, 1_000, 10_000] {
        let requests: Vec<_> = asked(routes).map(|number| (host(number), "/v1/search".to_owned())).collect();
        round(criterion, &format!("{routes} hosts"), &hosts(routes), &requests);
    }
    for routes in [10, 1_000, 10_000] {
        let path = |number| format!("{}/search", prefix(number));
        let requests: Vec<_> = asked(routes).map(|number| ("api.example.com".to_owned(), path(number))).collect();
        round(criterion, &format!("{routes} prefixes of one host"), &prefixes(routes), &requests);
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
