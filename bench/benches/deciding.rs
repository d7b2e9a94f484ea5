//! What it costs to decide what becomes of one request, by what its rule does with it; and to bring its host and path
//! into their one spelling before.

mod common;

use std::hint::black_box;

use common::{facts, head, table};
use criterion::{Criterion, criterion_group, criterion_main};
use weir_config::mesh::Mesh;
use weir_policy::filters::FilterContext;
use weir_policy::{RequestHead, decide, host, path};

const DOCUMENT: &str = r#"
[routes.api]
hosts = ["api.example.com", "*.example.com"]
rules = [
  { match = ["GET /plain/*"], to = "blue" },
  { match = ["GET /split/*"], to = { blue = 95, green = 5 } },
  { match = ["GET /sticky/*"], to = { blue = 95, green = 5 }, sticky = { header = "x-api-key" } },
  { match = ["GET /rewrite/*"], to = "blue", rewrite = { prefix = "/api" } },
  { match = [{ path = "/conditions/*", headers = { x-api-key = { regex = "^[0-9a-f]+$" }, accept = "*/*" } }], to = "blue" },
  { match = ["~^/regex/[a-z]+/[0-9]+$"], to = "blue" },
  { match = ["GET /redirect/*"], redirect = { scheme = "https", prefix = "/new" } },
  { match = ["GET /limited/*"], to = "blue", filters = [{ kind = "rate_limit", key = "header:x-api-key", rate = "1000000000/s" }] },
]
[upstreams]
blue  = { endpoints = ["127.0.0.1:1"] }
green = { endpoints = ["127.0.0.1:2"] }
"#;

fn deciding(criterion: &mut Criterion) {
    let mesh = Mesh::parse_toml(DOCUMENT).value.expect("a document");
    let table = table(&mesh);
    let facts = facts(&table);
    let mut group = criterion.benchmark_group("decide");
    group.sample_size(50);
    let mut bench = |name: &str, head: RequestHead<'_>| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| decide(&table, black_box(&head), &facts, black_box(1 << 60)))
        });
    };
    bench("plain", head("api.example.com", "/plain/x"));
    bench("plain, by a wildcard host", head("a.b.example.com", "/plain/x"));
    bench("no route", head("other.test", "/plain/x"));
    bench("split", head("api.example.com", "/split/x"));
    bench("sticky split", head("api.example.com", "/sticky/x"));
    bench("rewrite", head("api.example.com", "/rewrite/x"));
    bench("headers, one by regex", head("api.example.com", "/conditions/x"));
    bench("path by regex", head("api.example.com", "/regex/abc/123"));
    bench("redirect", head("api.example.com", "/redirect/x"));
    group.finish();

    let limited = head("api.example.com", "/limited/x");
    let rule = decide(&table, &limited, &facts, 0).rule().expect("a rule");
    let filter = &table.rule(rule).filters[0];
    let mut log = Vec::new();
    criterion.bench_function("filter/rate_limit by header", |bencher| {
        let mut facts = facts;
        bencher.iter(|| {
            facts.now += std::time::Duration::from_micros(1);
            filter.request(&mut FilterContext { head: black_box(&limited), facts: &facts, log: &mut log })
        });
    });

    criterion.bench_function("normalise/a normal path", |bencher| {
        bencher.iter(|| path::normalise(black_box("/v1/search/papers/2024/caf%C3%A9"), false));
    });
    criterion.bench_function("normalise/dots and escapes", |bencher| {
        bencher.iter(|| path::normalise(black_box("/v1/./search/%70apers/../x"), false));
    });
    criterion.bench_function("canonical/a host with its port", |bencher| {
        bencher.iter(|| host::canonical(black_box("api.example.com:8443")));
    });
}

criterion_group!(benches, deciding);
criterion_main!(benches);
