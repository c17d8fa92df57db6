//! G6: for every phase some fault makes the call last exactly its limit, and the error says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::sasl::Mechanism;
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
        Phase::Auth => "v1 | auth: stall",
        Phase::Command => "v1 | command: stall",
        Phase::Reset => "v1 | mail#1: reply 451 4.7.1 later | reset: stall",
        Phase::Quit => "v1 | quit: stall",
        // The client waits for itself there: see `pool.rs` and `retry.rs`.
        Phase::Checkout | Phase::Backoff => return None,
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
        case.again = phase == Phase::Reset;
        case.auth = (phase == Phase::Auth).then_some(Mechanism::Plain);
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

/// What makes a wait in `phase` last as long as one likes (at `DELAY`), what the client has to want for
/// it, and how many milliseconds of the limit are spent on the way there and back.
fn slow(phase: Phase) -> &'static [(&'static str, &'static str, i64)] {
    match phase {
        Phase::Resolve => &[("", "resolve: after DELAY", 0)],
        Phase::Connect => &[("", "connect: after DELAY", 2)],
        // The server's delay begins with the connection, or with its reply to STARTTLS.
        Phase::TlsHandshake => &[
            ("tls=implicit", "tls-handshake: after DELAY", 1),
            ("tls=starttls", "tls-handshake: after DELAY", 0),
        ],
        // It travels one way only.
        Phase::Greeting => &[("", "greeting: after DELAY", 1)],
        Phase::Ehlo => &[
            ("", "ehlo: after DELAY", 2),
            ("", "ehlo#1: reply 502 no | ehlo#2: after DELAY", 2),
            ("tls=starttls", "ehlo#2: after DELAY", 2),
        ],
        Phase::StartTls => &[("tls=starttls", "starttls: after DELAY", 2)],
        Phase::Auth => &[
            ("auth=plain", "auth: after DELAY", 2),
            ("auth=login", "auth#2: after DELAY", 2),
            ("auth=scram-sha-256", "auth#2: after DELAY", 2),
        ],
        Phase::Command => &[("noop=yes", "command: after DELAY", 2)],
        Phase::Mail => &[("", "mail: after DELAY", 2)],
        // In a group the limit begins with the reply before.
        Phase::Rcpt => &[
            ("", "rcpt: after DELAY", 0),
            ("recipients=3", "rcpt#3: after DELAY", 0),
            ("pipelining=no", "rcpt: after DELAY", 2),
        ],
        Phase::DataInitiation => &[
            ("", "data-initiation: after DELAY", 0),
            ("pipelining=no", "data-initiation: after DELAY", 2),
        ],
        Phase::DataBlock => &[
            // One octet more leaves when the first is read, and moves the limit as all progress does.
            (
                "",
                "link: window 20 | data-block: stop after 1 heal DELAY",
                1,
            ),
            (
                "chunking=150 octets=400 pipelining=no",
                "data-block#1: after DELAY",
                2,
            ),
        ],
        // The message of 22 octets adds 3 ms at the minimum rate.
        Phase::DataTermination => &[("", "data-termination: after DELAY", 2 - 3)],
        Phase::Reset => &[(
            "again=yes pipelining=no",
            "mail#1: reply 451 4.7.1 later | reset: after DELAY",
            2,
        )],
        // QUIT has no say in the result, and in the others the client waits for itself.
        Phase::Quit | Phase::Checkout | Phase::Backoff => &[],
    }
}

#[test]
fn g6_tight_a_reply_just_in_time_passes_and_one_a_millisecond_late_fails() {
    let (mut places, mut wrong) = (0, Vec::new());
    for phase in Phase::ALL {
        for (settings, plan, travel) in slow(phase) {
            let limit = 3_000;
            let run = |delay: i64| {
                let plan = plan.replace("DELAY", &format!("{delay}ms"));
                let line = format!(
                    "timeout=100s timeout.{phase}={limit}ms octets=0 {settings} -- v1 | {plan}"
                );
                let case: Case = line.parse().unwrap();
                (run::mem::run(&case), line)
            };
            places += 1;
            // What arrives with the deadline has arrived.
            for early in [1, 0] {
                let (report, line) = run(limit - travel - early);
                if report.claim.outcome != Outcome::Accepted {
                    wrong.push(format!("{early} ms in time: {line}: {}", report.claim));
                }
            }
            let (report, line) = run(limit - travel + 1);
            if (report.claim.kind, report.claim.phase) != ("timed-out", Some(phase)) {
                wrong.push(format!("1 ms late: {line}: {}", report.claim));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(places, 23);
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
        // A command is a call of its own, and so is the transaction before RSET.
        if matches!(phase, Phase::Quit | Phase::Command | Phase::Reset) {
            continue;
        }
        let tls = tls(phase);
        let auth = if phase == Phase::Auth {
            "plain"
        } else {
            "none"
        };
        let case: Case = format!("timeout=100s deadline=3s tls={tls} auth={auth} -- {plan}")
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
