//! Parts measured alone: the encoder, the readers, and simulated cases.

use std::hint::black_box;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use harness::case::Case;
use harness::run::{mem, sansio, turmoil};
use proto::transparency::{Encoder, LineEndings};
use proto::{Limits, ReplyReader};

use crate::contest::{median, message};

/// Seconds of processor time of one call, the median of short rounds.
pub fn seconds(each: Duration, rounds: usize, mut call: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut calls = 0_u32;
    while begun.elapsed() < each {
        call();
        calls += 1;
    }
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begun = ThreadTime::now();
        for _ in 0..calls {
            call();
        }
        times.push(begun.elapsed().as_secs_f64() / f64::from(calls));
    }
    median(&mut times)
}

/// Hands out all slices of a message, as a transport that takes everything does.
pub fn encode(message: &[u8]) {
    let mut encoder = Encoder::new(LineEndings::Normalize);
    while !encoder.is_finished() {
        if encoder.prepare(message, true).is_err() {
            break;
        }
        let mut slices = [IoSlice::new(&[]); 16];
        let count = encoder.slices(message, &mut slices);
        let octets = slices.iter().take(count).map(|slice| slice.len()).sum();
        black_box(&slices);
        encoder.taken(octets);
    }
}

/// GiB a second of the encoder, and of a search that only looks for lines that begin with a dot.
#[must_use]
pub fn encoder(rounds: usize) -> (f64, f64) {
    let text = message(64 * 1024);
    let gib = text.len() as f64 / f64::from(1_u32 << 30);
    let each = Duration::from_millis(20);
    let ours = seconds(each, rounds, || encode(black_box(&text)));
    let finder = memchr::memmem::Finder::new(b"\r\n.");
    let limit = seconds(each, rounds, || {
        black_box(finder.find(black_box(&text)));
    });
    (gib / ours, gib / limit)
}

/// Nanoseconds of one reply of one line.
///
/// # Panics
/// If it is not read.
#[must_use]
pub fn reply(rounds: usize) -> f64 {
    let mut reader = ReplyReader::new(&Limits::DEFAULT);
    let each = Duration::from_millis(20);
    let seconds = seconds(each, rounds, || {
        let read = reader.receive(black_box(b"250 2.1.0 OK\r\n"));
        assert!(black_box(read).is_ok_and(|(_, reply)| reply.is_some()));
    });
    seconds * 1e9
}

/// Cases a second and core of the healthy dialogue: sans-IO, in memory, on turmoil.
#[must_use]
pub fn simulation(rounds: usize) -> [f64; 3] {
    let case = Case::default();
    let each = Duration::from_millis(50);
    let mut runner = sansio::Runner::default();
    let alone = seconds(each, rounds, || {
        black_box(runner.run(black_box(&case)));
    });
    let memory = seconds(each, rounds, || {
        black_box(mem::run_quick(black_box(&case)));
    });
    let hosts = seconds(each, rounds, || {
        black_box(turmoil::run(black_box(&case)));
    });
    [alone, memory, hosts].map(|seconds| 1.0 / seconds)
}
