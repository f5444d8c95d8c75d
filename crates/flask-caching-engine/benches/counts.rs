//! What does counting cost a hit? It is done at every hit, and may cost 20 ns.
//! `cargo bench -p flask-caching-engine --features bench --bench counts`.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flask_caching_engine::telemetry::counts::{Counts, Event};

fn hits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("counting a hit");
    // A power of two: to divide would cost more than to count.
    for functions in [1_usize, 1024] {
        let counts: Vec<Counts> = (0..functions).map(|_| Counts::default()).collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("functions", functions), |b| {
            b.iter(|| {
                at = (at + 7_919) & (functions - 1);
                black_box(&counts[at]).count(black_box(Event::Hit));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
