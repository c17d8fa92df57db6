//! Messages over one connection on loopback: ours, the peers and a socket program, in one group.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement of real time, which fails as it should by panicking"
)]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use postbound_benches::contest::Entrant;
use postbound_benches::peers::smtp_source;
use postbound_benches::sink::Sink;

fn messages(c: &mut Criterion) {
    let sink = Sink::start_from(env!("CARGO_BIN_EXE_postbound-benches")).expect("a sink");
    let sizes = [1 << 10, 1 << 16, 10 << 20];
    let shapes = sizes.map(|octets| [1, 10, 100].map(|recipients| (recipients, octets)));
    for (recipients, octets) in shapes.into_iter().flatten() {
        let mut group = c.benchmark_group(format!("{octets} octets, {recipients} recipients"));
        group.throughput(Throughput::Bytes(octets as u64));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(1));
        for entrant in Entrant::ALL {
            // An entrant that has had enough of the server's patience says so here and not later.
            let mut round = match entrant.enter(sink.port(), recipients, octets) {
                Ok(round) => round,
                Err(error) => panic!("{}: {error}", entrant.name()),
            };
            group.bench_function(BenchmarkId::from_parameter(entrant.name()), |b| {
                b.iter_custom(|messages| {
                    let messages = usize::try_from(messages).unwrap_or(usize::MAX);
                    let begun = Instant::now();
                    round(messages).expect("accepted");
                    begun.elapsed()
                });
            });
        }
        // Where it is installed; its start and its dial are shared among the messages of a sample.
        if smtp_source(sink.port(), 1, 1024, 1).is_ok_and(|status| status.success()) {
            group.bench_function(BenchmarkId::from_parameter("smtp-source"), |b| {
                b.iter_custom(|messages| {
                    let messages = usize::try_from(messages).unwrap_or(usize::MAX);
                    let begun = Instant::now();
                    let status = smtp_source(sink.port(), recipients, octets, messages);
                    assert!(status.is_ok_and(|status| status.success()));
                    begun.elapsed()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
