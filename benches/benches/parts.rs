//! The parts of a message without a network: replies, extensions, transparency, the session.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement of real time, which fails as it should by panicking"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::case::Case;
use harness::run::{mem, sansio, turmoil};
use postbound_benches::canned::WORKLOADS;
use postbound_benches::contest::message;
use postbound_benches::speed::encode;
use proto::ext::Extensions;
use proto::{Limits, Reply, ReplyReader};

const EHLO: &[u8] = b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n";

fn replies(c: &mut Criterion) {
    let mut group = c.benchmark_group("reply reader");
    for (name, reply) in [
        ("one line", b"250 2.1.0 OK\r\n".as_slice()),
        ("reply to EHLO", EHLO),
    ] {
        let mut reader = ReplyReader::new(&Limits::DEFAULT);
        group.throughput(Throughput::Bytes(reply.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| reader.receive(black_box(reply)).is_ok());
        });
    }
    group.finish();
    let reply = Reply::parse(EHLO).expect("a reply");
    c.bench_function("extension parser", |b| {
        b.iter(|| Extensions::from_ehlo(black_box(&reply), &Limits::DEFAULT));
    });
}

fn transparency(c: &mut Criterion) {
    let mut group = c.benchmark_group("transparency encoder");
    let text = message(64 * 1024);
    let dots = b".a line that begins with a dot\r\n".repeat(2_048);
    let unix = text
        .iter()
        .copied()
        .filter(|octet| *octet != b'\r')
        .collect();
    for (name, message) in [
        ("text", text),
        ("a dot on each line", dots),
        ("lines end with LF", unix),
    ] {
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |b| b.iter(|| encode(black_box(&message))));
    }
    let text = message(64 * 1024);
    let finder = memchr::memmem::Finder::new(b"\r\n.");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("raw: a search for dots alone", |b| {
        b.iter(|| finder.find(black_box(&text)));
    });
    group.finish();
}

fn session(c: &mut Criterion) {
    let mut group = c.benchmark_group("in memory");
    for workload in WORKLOADS {
        let mut round = workload.prepare().expect("a connection");
        group.bench_function(workload.name, |b| b.iter(|| round(1).expect("accepted")));
    }
    group.finish();
}

/// Healthy cases, as the sweeps run them: without an allocator that counts.
fn simulation(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulated case");
    group.throughput(Throughput::Elements(1));
    let case = Case::default();
    let mut runner = sansio::Runner::default();
    group.bench_function("sans-IO", |b| b.iter(|| runner.run(black_box(&case))));
    group.bench_function("mem", |b| b.iter(|| mem::run_quick(black_box(&case))));
    group.bench_function("turmoil", |b| b.iter(|| turmoil::run(black_box(&case))));
    group.finish();
}

criterion_group!(benches, replies, transparency, session, simulation);
criterion_main!(benches);
