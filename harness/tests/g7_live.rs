//! G7: a peer that answers within the limits never causes a timeout.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::Outcome;
use postbound_harness::{Case, property, run};
use proptest::prelude::*;
use proptest::sample::select;

/// Slow in every way, but never slower than the limits allow.
fn patient_plan() -> impl Strategy<Value = Case> {
    let delay = 0u64..9_000;
    (
        // Twice this, twice the coalescing and the longest delay are within the limit of 10 s.
        1u64..300,
        proptest::option::of(1u32..30),
        proptest::option::of(1u64..200),
        proptest::collection::vec(delay, 8),
        proptest::option::of(1_000u32..60_000),
        (
            1u16..5,
            0u32..5_000,
            any::<bool>(),
            proptest::option::of(prop_oneof![200u32..3_000, Just(u32::MAX)]),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                latency,
                fragment,
                coalesce,
                delays,
                window,
                (recipients, octets, all, chunking, pipelining),
            )| {
                let places = [
                    "resolve",
                    "greeting",
                    "ehlo",
                    "mail",
                    "rcpt",
                    "data-initiation",
                    "data-block",
                    "data-termination",
                ];
                let mut plan = format!("v1 | link: latency {latency}ms");
                for (place, delay) in places.iter().zip(&delays) {
                    if *delay > 0 {
                        plan += &format!(" | {place}: after {delay}ms");
                    }
                }
                if let Some(octets) = fragment {
                    plan += &format!(" | link: fragment {octets}");
                }
                if let Some(every) = coalesce {
                    plan += &format!(" | link: coalesce {every}ms");
                }
                if let Some(octets) = window {
                    plan += &format!(" | link: window {octets}");
                }
                let mut case = Case::new(plan.parse().unwrap());
                case.timeout = Duration::from_secs(10);
                case.recipients = recipients;
                case.octets = octets;
                case.all = all;
                case.chunking = chunking;
                case.ahead = chunking == Some(u32::MAX);
                case.pipelining = pipelining;
                case
            },
        )
}

#[test]
fn g7_live_slow_within_the_limits_is_no_timeout() {
    property(4_000, patient_plan(), |case| {
        let report = run::mem::run_quick(case);
        let violations = report.violations(case, run::mem::TOLERANCE);
        match (report.claim.outcome, violations.first()) {
            (Outcome::Accepted, None) => Ok(()),
            (_, Some(violation)) => Err(violation.to_string()),
            (_, None) => Err(format!("g7: {}", report.claim)),
        }
    });
}

#[test]
fn g7_live_single_octets_both_ways_make_no_difference() {
    let whole: Case = "timeout=10s recipients=3 -- v1".parse().unwrap();
    let split: Case = "timeout=10s recipients=3 -- v1 | link: fragment 1"
        .parse()
        .unwrap();
    assert_eq!(run::mem::run(&whole).claim, run::mem::run(&split).claim);
}

#[test]
fn g7_live_tls_in_any_fragmentation_and_at_any_latency() {
    let slow = (1u32..40, 1u64..300, select(vec!["starttls", "implicit"]));
    let case = slow.prop_map(|(octets, latency, tls)| -> Case {
        let link =
            format!("link: fragment {octets} | link: latency {latency}ms | link: window 700");
        format!("timeout=60s octets=3000 tls={tls} -- v1 | tls-handshake: tiny-records | {link}")
            .parse()
            .unwrap()
    });
    property(200, case, |case| {
        let report = run::mem::run_quick(case);
        match report.violations(case, run::mem::TOLERANCE).first() {
            Some(violation) => Err(violation.to_string()),
            None if report.claim.outcome == Outcome::Accepted => Ok(()),
            None => Err(format!("g7: {}", report.claim)),
        }
    });
}

#[test]
fn g7_live_mail_data_under_tls_that_keeps_up_with_the_minimum_rate() {
    // One record of 16 KiB takes longer than a block's limit here; octets of it leave all the time.
    let slow = "v1 | link: window 512 | data-block: trickle 512 every 50ms";
    let case: Case = format!("timeout=1s octets=40000 tls=implicit -- {slow}")
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.claim);
}

#[test]
fn g7_live_an_outage_that_heals_within_the_limit_is_survived() {
    for after in 1..20 {
        let case: Case = format!("timeout=10s -- v1 | link: blackhole after {after}ms heal 9s")
            .parse()
            .unwrap();
        let report = run::mem::run(&case);
        assert_eq!(
            report.claim.outcome,
            Outcome::Accepted,
            "{case}: {}",
            report.claim
        );
    }
}
