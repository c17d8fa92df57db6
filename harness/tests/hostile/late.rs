//! What takes its time, or all of it; and what must not be shown of it.

use std::time::Duration;

use postbound::Phase;
use postbound_harness::case::SECRET;
use postbound_harness::{Case, run};

use super::{BEFORE, claim, error, run_one};

#[test]
fn hostile_39_an_octet_now_and_then_moves_no_limit() {
    for phase in BEFORE.into_iter().chain([Phase::DataTermination]) {
        let case: Case =
            format!("timeout=100s timeout.{phase}=2s -- v1 | {phase}: commit; drip 1999ms")
                .parse()
                .or_else(|_| {
                    format!("timeout=100s timeout.{phase}=2s -- v1 | {phase}: drip 1999ms").parse()
                })
                .unwrap();
        let report = run::mem::run(&case);
        assert_eq!(report.violations(&case, run::mem::TOLERANCE), []);
        assert_eq!(report.claim.phase, Some(phase));
        assert_eq!(report.claim.kind, "timed-out", "{phase}");
        assert!(
            report.elapsed < Duration::from_millis(2_100),
            "{:?}",
            report.elapsed
        );
    }
}

#[test]
fn hostile_40_a_window_that_closes_or_drains_slowly_has_a_limit_and_a_rate() {
    assert_eq!(
        claim("link: window 64 | data-block: stop after 1"),
        "not accepted, timed-out at data-block"
    );
    // Slower than the minimum rate, and never silent for as long as a block's limit.
    let case: Case =
        "timeout=2s octets=200000 -- v1 | link: window 64 | data-block: trickle 64 every 100ms"
            .parse()
            .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.violations(&case, run::mem::TOLERANCE), []);
    assert_eq!(
        report.claim.to_string(),
        "not accepted, timed-out at data-block"
    );
    assert_eq!(
        claim("link: window 64 | data-block: interrupt after 20; nothing; reset"),
        "not accepted, broken at data-block"
    );
}

#[test]
fn hostile_41_a_resolver_that_hangs_or_answers_with_a_crowd_is_under_the_limits() {
    assert_eq!(claim("resolve: hang"), "not accepted, timed-out at resolve");
    for plan in ["resolve: fail", "resolve: empty"] {
        let report = run_one(plan);
        assert_eq!(report.claim.phase, Some(Phase::Resolve), "{plan}");
    }
    // As many dead addresses as a plan can have: one limit for all, and a cap.
    let error = error("resolve: addresses 1000 | connect: blackhole");
    assert_eq!(error.phase(), Phase::Connect);
    assert!(error.is_timeout());
    assert!(error.attempts().len() <= 16, "{}", error.attempts().len());
    assert!(error.elapsed() <= Duration::from_millis(2_010));
    // One family leads nowhere.
    assert_eq!(
        claim("resolve: addresses v6 v4 | connect#1: blackhole"),
        "accepted (250)"
    );
}

#[test]
fn hostile_43_no_secret_is_in_anything_that_can_be_shown() {
    let plans = [
        "",
        " | auth: reply 535 5.7.8 no",
        " | auth: echo",
        " | auth: stall",
    ];
    for mechanism in ["plain", "login", "cram-md5", "xoauth2"] {
        for plan in plans {
            let case: Case = format!("timeout=2s auth={mechanism} -- v1{plan}")
                .parse()
                .unwrap();
            let report = run::mem::run(&case);
            let mut shown = vec![report.events.clone(), format!("{report:?}")];
            match run::mem::result(&case) {
                Ok(receipt) => shown.push(format!("{receipt:?}")),
                Err(error) => shown.extend([error.to_string(), format!("{error:?}")]),
            }
            shown.push(format!("{:?}", case.authentication()));
            for text in shown {
                assert!(!text.contains(SECRET), "{mechanism}{plan}: {text}");
            }
        }
    }
}
