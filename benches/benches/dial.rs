//! From the look-up to the first acceptance, and from a pool that many ask at once.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement of real time, which fails as it should by panicking"
)]

use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use postbound::{Bounds, Pool, Security};
use postbound_benches::canned::Canned;
use postbound_benches::contest::runtime;
use postbound_benches::idle::Dial;
use postbound_benches::sink::Sink;

fn dial(c: &mut Criterion) {
    let sink = Sink::start_from(env!("CARGO_BIN_EXE_postbound-benches")).expect("a sink");
    let mut group = c.benchmark_group("dial to first acceptance");
    group.sample_size(20);
    for (name, security, port) in [
        ("in clear", Security::None, sink.port()),
        ("STARTTLS", Security::StartTls, sink.port()),
        ("implicit TLS", Security::Implicit, sink.tls_port()),
    ] {
        for auth in [false, true] {
            if auth && security == Security::None {
                continue; // The policy refuses PLAIN in clear, as it should.
            }
            let dial = Dial::new(port, security, auth).expect("a client");
            let name = if auth {
                format!("{name}, AUTH PLAIN")
            } else {
                name.to_owned()
            };
            group.bench_function(name, |b| b.iter(|| dial.once().expect("accepted")));
        }
    }
    group.finish();
}

fn checkout(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool checkout");
    for tasks in [1, 8, 64] {
        let runtime = runtime().expect("a runtime");
        let client = postbound::Client::builder("canned.example", 25).connector(Canned);
        let pool = Arc::new(
            Pool::builder(client.build().expect("a client"))
                .size(8)
                .messages(u32::MAX)
                .build(),
        );
        runtime
            .block_on(pool.warm(8, Bounds::none()))
            .expect("connections");
        group.bench_function(BenchmarkId::new("tasks", tasks), |b| {
            b.iter_custom(|checkouts| {
                let begun = Instant::now();
                runtime.block_on(async {
                    let mut all = tokio::task::JoinSet::new();
                    for _ in 0..tasks {
                        let pool = Arc::clone(&pool);
                        all.spawn(async move {
                            for _ in 0..checkouts {
                                drop(pool.checkout(Bounds::none()).await.expect("a connection"));
                                tokio::task::yield_now().await;
                            }
                        });
                    }
                    all.join_all().await;
                });
                begun.elapsed() / tasks
            });
        });
    }
    group.finish();
}

criterion_group!(benches, dial, checkout);
criterion_main!(benches);
