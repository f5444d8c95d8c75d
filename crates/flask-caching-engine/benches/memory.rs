//! What does the in-process store cost, and how does that grow with entries, threads, sizes of
//! values and thresholds? `cargo bench -p flask-caching-engine --features bench`.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::thread;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::{Backend, Lifetime, Value};

const UNLIMITED: usize = 100_000_000;
const MILLION: usize = 1_000_000;

fn lifetime() -> Lifetime {
    Lifetime::from_seconds(300.0).unwrap_or(Lifetime::Forever)
}

fn keys(number: usize) -> Vec<Vec<u8>> {
    (0..number)
        .map(|i| format!("key {i}").into_bytes())
        .collect()
}

fn filled(keys: &[Vec<u8>], threshold: usize) -> MemoryStore<u64> {
    let store = MemoryStore::new(threshold);
    for (key, value) in keys.iter().zip(0..) {
        store.set(key, value, lifetime());
    }
    store
}

/// Visits keys far apart, so that the processor's caches hold no more than they would in use.
fn strided(keys: &[Vec<u8>]) -> impl Iterator<Item = &Vec<u8>> {
    const PRIME: usize = 7_919;
    let mut at = 0;
    std::iter::repeat_with(move || {
        at = (at + PRIME) % keys.len();
        &keys[at]
    })
}

fn entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entries");
    for number in [1, 1_000, 100_000, MILLION] {
        let keys = keys(number);
        let store = filled(&keys, UNLIMITED);
        let mut next = strided(&keys);
        group.bench_function(BenchmarkId::new("read", number), |b| {
            b.iter(|| next.next().and_then(|key| store.read(key, |value| *value)));
        });
        group.bench_function(BenchmarkId::new("overwrite", number), |b| {
            b.iter(|| next.next().map(|key| store.set(key, 7, lifetime())));
        });
    }
    group.finish();
}

fn threads(criterion: &mut Criterion) {
    const READS: usize = 10_000;
    let keys = keys(1_000);
    let store = filled(&keys, UNLIMITED);
    let mut group = criterion.benchmark_group("threads");
    group.throughput(Throughput::Elements(READS as u64));
    for number in [1, 2, 4, 8] {
        group.bench_function(BenchmarkId::new("read", number), |b| {
            b.iter(|| {
                thread::scope(|scope| {
                    for _ in 0..number {
                        scope.spawn(|| {
                            for key in strided(&keys).take(READS / number) {
                                black_box(store.read(key, |value| *value));
                            }
                        });
                    }
                });
            });
        });
    }
    group.finish();
}

fn sizes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bytes");
    for size in [100, 10_000, MILLION] {
        let store: MemoryStore<Value> = MemoryStore::new(UNLIMITED);
        let backend: &dyn Backend = &store;
        let value = Value::from(vec![b'x'; size]);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("set", size), |b| {
            b.iter(|| backend.set(b"key", &value, lifetime()));
        });
        group.bench_function(BenchmarkId::new("get", size), |b| {
            b.iter(|| backend.get(b"key"));
        });
    }
    group.finish();
}

fn thresholds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("new key, full at");
    for threshold in [500, MILLION] {
        let store = filled(&keys(threshold), threshold);
        let mut number = 0_u64;
        group.bench_function(BenchmarkId::from_parameter(threshold), |b| {
            b.iter(|| {
                number += 1;
                store.set(format!("new {number}").as_bytes(), number, lifetime())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, entries, threads, sizes, thresholds);
criterion_main!(benches);
