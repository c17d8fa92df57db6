//! Every octet of the server's handshake, and everything that can become of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postbound::{Outcome, Phase, Security};
use postbound_harness::{Case, run};
use simnet::plan::Break;

const MODES: [Security; 2] = [Security::Implicit, Security::StartTls];
/// What is not the handshake: a round trip each for the name's address, the connection, and in clear
/// the greeting, EHLO and STARTTLS.
const BEFORE: Duration = Duration::from_millis(12);
const LIMIT: Duration = Duration::from_secs(2);

fn case(security: Security, plan: &str) -> Case {
    format!("timeout=2s octets=0 tls={security} -- {plan}")
        .parse()
        .unwrap()
}

/// How many octets the server's side of a healthy handshake has.
fn octets(security: Security) -> u32 {
    let report = run::mem::run(&case(security, "v1"));
    assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.events);
    let (_, rest) = report.events.split_once("a handshake of ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Runs `check` for each octet of the handshake in both modes, on as many threads as there are cores.
fn for_each_octet(check: impl Fn(Security, u32) -> usize + Sync) -> usize {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut total = 0;
    for security in MODES {
        let octets = octets(security);
        assert!(octets > 800, "a handshake of {octets} octets is none");
        let check = &check;
        total += std::thread::scope(|scope| {
            let shards: Vec<_> = (0..threads)
                .map(|shard| {
                    scope.spawn(move || {
                        (1..=octets)
                            .skip(shard)
                            .step_by(threads)
                            .map(|octet| check(security, octet))
                            .sum::<usize>()
                    })
                })
                .collect();
            shards
                .into_iter()
                .map(|shard| shard.join().expect("a shard holds"))
                .sum::<usize>()
        });
    }
    total
}

/// Runs one case and checks what holds for all of them.
fn broken_at(security: Security, octet: u32, how: Break) -> postbound_harness::Report {
    let case = case(
        security,
        &format!("v1 | tls-handshake: {} at {octet}", how.name()),
    );
    let report = run::mem::run_quick(&case);
    assert_eq!(report.violations(&case, run::mem::TOLERANCE), [], "{case}");
    assert!(report.elapsed <= LIMIT + BEFORE, "{case}");
    if report.claim.outcome != Outcome::Accepted {
        assert_eq!(report.claim.phase, Some(Phase::TlsHandshake), "{case}");
        assert_eq!(report.committed, 0, "{case}");
    }
    report
}

#[test]
fn g1_bounded_at_every_octet_of_the_handshake_when_it_stalls() {
    let cases = for_each_octet(|security, octet| {
        let report = broken_at(security, octet, Break::Stall);
        assert_eq!(report.claim.kind, "timed-out", "{security} {octet}");
        assert!(report.elapsed >= LIMIT, "{security} {octet}");
        1
    });
    assert!(cases > 1_600, "{cases}");
}

#[test]
fn g1_bounded_at_every_octet_of_the_handshake_when_it_closes_or_resets() {
    let cases = for_each_octet(|security, octet| {
        let closed = broken_at(security, octet, Break::Close);
        assert_eq!(closed.claim.kind, "closed", "{security} {octet}");
        let reset = broken_at(security, octet, Break::Reset);
        assert_eq!(reset.claim.kind, "broken", "{security} {octet}");
        assert!(closed.elapsed < BEFORE && reset.elapsed < BEFORE);
        2
    });
    assert!(cases > 3_200, "{cases}");
}

#[test]
fn g1_bounded_at_every_octet_of_the_handshake_when_it_is_corrupt() {
    let stalled = AtomicUsize::new(0);
    // The second octet of a record's version has no meaning and no protection (RFC 8446 §5.1): a
    // handshake survives that. A length that was made longer looks like a stall.
    let survived = for_each_octet(|security, octet| {
        let report = broken_at(security, octet, Break::Corrupt);
        match report.claim.kind {
            "tls" => 0,
            "timed-out" => {
                assert!(report.elapsed >= LIMIT, "{security} {octet}");
                stalled.fetch_add(1, Ordering::Relaxed);
                0
            }
            "accepted" => 1,
            other => panic!("{security} {octet}: {other}"),
        }
    });
    assert!(
        stalled.load(Ordering::Relaxed) > 0,
        "no length looks like a stall"
    );
    assert!(
        survived <= 2 * 6,
        "{survived} corrupt handshakes went through"
    );
}
