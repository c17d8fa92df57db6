//! G6: for every phase some fault makes the call last exactly its limit, and the error says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{Outcome, Phase, Security};
use postbound_harness::{Case, run};

/// A plan that keeps the client waiting in `phase`, and what it takes to get there.
fn silence(phase: Phase) -> Option<&'static str> {
    Some(match phase {
        Phase::Resolve => "v1 | resolve: hang",
        Phase::Connect => "v1 | connect: blackhole",
        Phase::Greeting => "v1 | greeting: stall",
        Phase::TlsHandshake => "v1 | tls-handshake: stall",
        Phase::StartTls => "v1 | starttls: stall",
        Phase::Ehlo => "v1 | ehlo: stall",
        Phase::Mail => "v1 | mail: stall",
        Phase::Rcpt => "v1 | rcpt: stall",
        Phase::DataInitiation => "v1 | data-initiation: stall",
        Phase::DataBlock => "v1 | link: window 64 | data-block: stop after 1",
        Phase::DataTermination => "v1 | data-termination: stall",
        Phase::Command => "v1 | command: stall",
        Phase::Quit => "v1 | quit: stall",
        // Reset has a test of its own; the others are not reached by this release.
        _ => return None,
    })
}

/// What the client has to want for this phase to be met.
fn tls(phase: Phase) -> Security {
    match phase {
        Phase::TlsHandshake | Phase::StartTls => Security::StartTls,
        _ => Security::None,
    }
}

#[test]
fn g6_tight_silence_lasts_exactly_the_limit_of_its_phase() {
    for phase in Phase::ALL {
        let Some(plan) = silence(phase) else { continue };
        let plan = plan.parse().unwrap();
        let mut case = Case::new(plan);
        case.tls = tls(phase);
        case.noop = phase == Phase::Command;
        case.timeout = Duration::from_secs(100);
        case.timeouts = vec![(phase, Duration::from_millis(2_345))];
        let report = run::mem::run(&case);
        let waited = if phase == Phase::Quit {
            assert_eq!(report.claim.outcome, Outcome::Accepted);
            2_345
        } else {
            assert_eq!(report.claim.phase, Some(phase), "{}", report.events);
            assert_eq!(report.claim.kind, "timed-out");
            // 464 octets may still lie in the system's buffers: 57 ms at the minimum rate.
            2_345
                + if phase == Phase::DataTermination {
                    57
                } else {
                    0
                }
        };
        // What came before took a round trip of 2 ms each and no more.
        let before = report.elapsed - Duration::from_millis(waited);
        assert!(
            before <= Duration::from_millis(12),
            "{phase}: {before:?} before"
        );
    }
}

#[test]
fn g6_tight_a_reply_just_in_time_passes_and_one_a_millisecond_late_fails() {
    for phase in [
        Phase::Greeting,
        Phase::Ehlo,
        Phase::Mail,
        Phase::Rcpt,
        Phase::DataInitiation,
        Phase::DataTermination,
    ] {
        let limit = Duration::from_secs(3);
        let run = |delay: Duration| {
            let millis = delay.as_millis();
            let mut case: Case = format!("timeout=100s octets=0 -- v1 | {phase}: after {millis}ms")
                .parse()
                .unwrap();
            case.timeouts = vec![(phase, limit)];
            run::mem::run(&case)
        };
        // The limit runs at the client: from the command's departure to the reply's arrival, or, in
        // a group, from the reply before. The greeting travels one way only.
        let travel = match phase {
            Phase::Greeting => 1,
            Phase::Ehlo | Phase::Mail => 2,
            Phase::DataTermination => {
                // The message of 22 octets adds 3 ms at the minimum rate.
                0
            }
            _ => 0,
        };
        let travel = Duration::from_millis(travel);
        let limit = limit
            + match phase {
                Phase::DataTermination => Duration::from_millis(3) - Duration::from_millis(2),
                _ => Duration::ZERO,
            };
        let late = run(limit - travel + Duration::from_millis(1));
        assert_eq!(
            late.claim.kind, "timed-out",
            "{phase} late: {}",
            late.events
        );
        assert_eq!(late.claim.phase, Some(phase));
        // What arrives with the deadline has arrived.
        for early in [1, 0] {
            let in_time = run(limit - travel - Duration::from_millis(early));
            assert_eq!(
                in_time.claim.outcome,
                Outcome::Accepted,
                "{phase} {early} ms in time: {}",
                in_time.claim
            );
        }
    }
}

#[test]
fn g6_tight_no_octet_moves_a_deadline() {
    for phase in [
        "greeting",
        "ehlo",
        "mail",
        "rcpt",
        "data-initiation",
        "data-termination",
    ] {
        for every in [1, 50, 900] {
            let plan = format!("v1 | {phase}: endless-line; drip {every}ms");
            let case: Case = format!("timeout=1s octets=0 -- {plan}").parse().unwrap();
            let report = run::mem::run(&case);
            let limit = Duration::from_secs(1);
            let most = limit + Duration::from_millis(15);
            let capped = every == 1 && report.claim.kind == "protocol";
            assert!(
                capped || report.claim.kind == "timed-out",
                "{plan}: {}",
                report.claim
            );
            assert!(report.elapsed <= most, "{plan}: {:?}", report.elapsed);
            assert!(
                capped || report.elapsed >= limit,
                "{plan}: {:?}",
                report.elapsed
            );
        }
    }
}

#[test]
fn g6_tight_dead_addresses_share_the_one_limit() {
    let case: Case = "timeout=6s -- v1 | resolve: addresses 3 | connect: blackhole"
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.claim.phase, Some(Phase::Connect));
    assert_eq!(report.elapsed, Duration::from_secs(6));
}

#[test]
fn g6_tight_an_overall_deadline_ends_the_call_in_whatever_phase_it_passes() {
    for (phase, plan) in Phase::ALL
        .into_iter()
        .filter_map(|phase| Some((phase, silence(phase)?)))
    {
        // A command is a call of its own.
        if matches!(phase, Phase::Quit | Phase::Command) {
            continue;
        }
        let tls = tls(phase);
        let case: Case = format!("timeout=100s deadline=3s tls={tls} -- {plan}")
            .parse()
            .unwrap();
        let report = run::mem::run(&case);
        assert_eq!(report.claim.phase, Some(phase));
        assert_eq!(report.elapsed, Duration::from_secs(3), "{phase}");
    }
}

#[test]
fn g6_tight_mail_data_has_to_keep_up_with_the_minimum_rate() {
    // 4 KiB/s against a minimum of 8 KiB/s, although some octets leave all the time.
    let slow = "v1 | link: window 512 | data-block: trickle 512 every 125ms";
    let case: Case = format!("timeout=2s octets=40000 -- {slow}")
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(
        report.claim.to_string(),
        "not accepted, timed-out at data-block"
    );
    let elapsed = report.elapsed.as_millis();
    assert!((3_500..4_500).contains(&elapsed), "{elapsed}");

    let fast = "v1 | link: window 512 | data-block: trickle 512 every 50ms";
    let case: Case = format!("timeout=2s octets=40000 -- {fast}")
        .parse()
        .unwrap();
    assert_eq!(run::mem::run(&case).claim.outcome, Outcome::Accepted);
}

#[test]
fn g6_tight_a_chunk_that_is_not_answered_has_exactly_one_limit_of_a_data_block() {
    for (chunk, before) in [("data-block#1: stall", 0), ("data-block#2: stall", 2)] {
        let case: Case = format!(
            "timeout=100s timeout.data-block=2345ms chunking=150 pipelining=no -- v1 | {chunk}"
        )
        .parse()
        .unwrap();
        let report = run::mem::run(&case);
        assert_eq!(
            report.claim.to_string(),
            "not accepted, timed-out at data-block",
            "{}",
            report.events
        );
        // A way of 1 ms each: what came before, and the chunks before.
        assert_eq!(report.elapsed, Duration::from_millis(2_345 + 9 + before));
    }
}
