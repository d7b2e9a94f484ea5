//! What it costs to find a request's rule, by the number of routes: 10,000 must cost within twice of 10, be they hosts or
//! prefixes of one host.
//!
//! `match/again` asks for one route, the last, again and again. `match/in turn` asks for all routes, in an order that no
//! cache can guess, so what it adds is the cache misses of the table; the figure is for [`REQUESTS`] requests, and the
//! throughput counts single ones.

mod common;

use std::hint::black_box;
use std::ops::Range;

use common::{facts, head, host, hosts, prefix, prefixes, table};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_config::mesh::Mesh;
use weir_policy::{Decision, RequestHead, decide};

/// Requests of one round; as many whatever the number of routes.
const REQUESTS: usize = 10_000;
const HOST: &str = "api.example.com";
const PATH: &str = "/v1/search";

/// The part of the requests in which they differ, in one text, so that it takes as little of the caches as it can: a
/// request that was just read stands in them anyway.
struct Requests {
    text: String,
    spans: Vec<Range<usize>>,
}

impl Requests {
    fn new(routes: usize, part: impl Fn(usize) -> String) -> Self {
        let mut requests = Self { text: String::new(), spans: Vec::new() };
        for request in 0..REQUESTS {
            let start = requests.text.len();
            requests.text.push_str(&part(request * 7919 % REQUESTS % routes));
            requests.spans.push(start..requests.text.len());
        }
        requests
    }
}

fn bench(
    criterion: &mut Criterion,
    name: &str,
    mesh: &Mesh,
    requests: &Requests,
    head: impl for<'a> Fn(&'a str) -> RequestHead<'a>,
) {
    let table = table(mesh);
    let facts = facts(&table);
    let forwards = |part: &str| matches!(decide(&table, &head(part), &facts, 0), Decision::Forward(_));

    let last = &requests.text[requests.spans[REQUESTS - 1].clone()];
    criterion.bench_function(&format!("match/again/{name}"), |bencher| {
        bencher.iter(|| assert!(forwards(black_box(last))));
    });
    let mut group = criterion.benchmark_group("match/in turn");
    group.throughput(Throughput::Elements(REQUESTS as u64)).sample_size(50);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let forwarded = requests.spans.iter().filter(|span| forwards(&requests.text[(*span).clone()]));
            assert_eq!(forwarded.count(), REQUESTS);
        });
    });
}

fn matching(criterion: &mut Criterion) {
    for routes in [10, 1_000, 10_000] {
        let requests = Requests::new(routes, host);
        bench(criterion, &format!("{routes} hosts"), &hosts(routes), &requests, |host| head(host, PATH));
    }
    for routes in [10, 1_000, 10_000] {
        let requests = Requests::new(routes, |number| format!("{}/search", prefix(number)));
        let name = format!("{routes} prefixes of one host");
        bench(criterion, &name, &prefixes(routes), &requests, |path| head(HOST, path));
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
