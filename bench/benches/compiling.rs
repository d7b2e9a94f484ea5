//! What it costs to compile a document that is read already: 10,000 routes without regexes take under 20 ms.

mod common;

use common::{hosts, prefixes};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use weir_policy::compile;

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(30);
    for routes in [10, 1_000, 10_000] {
        for (what, mesh) in [("hosts", hosts(routes)), ("prefixes of one host", prefixes(routes))] {
            assert!(compile(&mesh).is_ok_and(|compiled| compiled.warnings.is_empty()));
            // The tables are dropped outside of the time.
            group.bench_function(format!("{routes} {what}"), |bencher| {
                bencher.iter_batched(|| (), |()| compile(&mesh), BatchSize::PerIteration);
            });
        }
    }
}

criterion_group!(benches, compiling);
criterion_main!(benches);
