//! What a deadline and a cancellation around a step cost, by technique, with other timers alive, and
//! in a whole message.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement of real time, which fails as it should by panicking"
)]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use postbound_benches::canned::WORKLOADS;
use postbound_benches::contest::{Entrant, runtime};
use postbound_benches::sink::Sink;
use postbound_benches::steps::{Technique, take};

fn steps(c: &mut Criterion) {
    for (name, pending) in [("ready step", false), ("pending step", true)] {
        let mut group = c.benchmark_group(name);
        for timers in [1, 100, 10_000] {
            let runtime = runtime().expect("a runtime");
            let mut others = tokio::task::JoinSet::new();
            for n in 0..timers {
                let after = Duration::from_secs(3_600) + Duration::from_millis(n);
                others.spawn_on(
                    async move { tokio::time::sleep(after).await },
                    runtime.handle(),
                );
            }
            runtime.block_on(tokio::task::yield_now());
            for technique in Technique::ALL {
                let id = BenchmarkId::new(technique.name(), timers);
                group.bench_function(id, |b| {
                    b.iter_custom(|steps| {
                        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
                        let begun = Instant::now();
                        runtime.block_on(take(technique, steps, pending));
                        begun.elapsed()
                    });
                });
            }
            let _inside = runtime.enter();
            drop(others);
        }
        group.finish();
    }
}

fn message(c: &mut Criterion) {
    let mut group = c.benchmark_group("guard in a whole message");
    for workload in WORKLOADS {
        if workload.name.starts_with("send 1 KiB") {
            let mut round = workload.prepare().expect("a connection");
            group.bench_function(format!("mem, {}", workload.name), |b| {
                b.iter(|| round(1).expect("accepted"));
            });
        }
    }
    let sink = Sink::start_from(env!("CARGO_BIN_EXE_postbound-benches")).expect("a sink");
    for entrant in [Entrant::Single, Entrant::SingleGuarded] {
        let mut round = entrant.enter(sink.port(), 1, 1024).expect("a connection");
        group.bench_function(format!("loopback, {}", entrant.name()), |b| {
            b.iter(|| round(1).expect("accepted"));
        });
    }
    group.finish();
}

criterion_group!(benches, steps, message);
criterion_main!(benches);
