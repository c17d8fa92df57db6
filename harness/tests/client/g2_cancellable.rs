//! G2: once its token is cancelled, a call ends at its next poll and writes nothing more.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that can't be set up has to fail"
)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use postbound::{Bounds, CancellationToken, Outcome, Phase};
use postbound_harness::exhaustive::{Exhaustive, Transport};
use postbound_harness::polls::{self, At};
use postbound_harness::{Case, arbitrary, keeps, property, run};
use simnet::Plan;
use simnet::double::{Claim, SmtpDouble};
use simnet::{Double, net::mem::Network};

#[test]
fn g2_cancellable_whatever_goes_wrong() {
    property(4_000, arbitrary::case(), |case| keeps("g2", case));
}

#[test]
fn g2_cancellable_at_every_virtual_millisecond() {
    for plan in [
        "v1 | link: latency 7ms",
        "v1 | link: latency 3ms | link: fragment 5",
        "v1 | link: window 32 | data-block: trickle 8 every 2ms",
        "v1 | link: latency 2ms | ehlo: endless-lines; drip 1ms",
        "v1 | link: latency 2ms | data-termination: commit; nothing; stall",
        "tls=starttls -- v1 | link: latency 2ms",
        "tls=implicit -- v1 | link: latency 2ms | link: fragment 40",
        "tls=starttls -- v1 | link: latency 2ms | data-termination: commit; nothing; stall",
    ] {
        let separator = if plan.starts_with("tls") { "" } else { "-- " };
        let mut case: Case = format!("timeout=300ms recipients=2 {separator}{plan}")
            .parse()
            .unwrap();
        let whole = run::mem::run(&case).elapsed;
        let millis = u64::try_from(whole.as_millis()).unwrap();
        assert!(millis > 20, "{plan} is over too soon to be cancelled");
        for at in 0..millis {
            let at = Duration::from_millis(at);
            case.cancel = Some(at);
            let report = run::mem::run_quick(&case);
            assert_eq!(report.violations(&case, run::mem::TOLERANCE), [], "{case}");
            if report.claim.outcome != Outcome::Accepted {
                assert_eq!(report.claim.kind, "cancelled", "{case}");
                assert_eq!(report.elapsed, at, "{case}");
            }
        }
    }
}

#[test]
fn g2_cancellable_at_every_poll() {
    at_every_poll("recipients=3 -- v1 | link: window 16 | link: fragment 3 to-client");
}

#[test]
fn g2_cancellable_at_every_poll_of_tls() {
    for tls in ["starttls", "implicit"] {
        at_every_poll(&format!(
            "tls={tls} -- v1 | link: window 24 | link: fragment 5"
        ));
    }
}

fn at_every_poll(settings: &str) {
    let case: Case = format!("timeout=1s {settings}").parse().unwrap();
    let polls = polls::every(&case, At::Cancel).unwrap();
    assert!(polls > 50, "only {polls} polls");
}

#[test]
fn g2_cancellable_and_g3_drop_safe_at_every_poll_of_every_configuration() {
    let mut cases = Vec::new();
    for transport in [Transport::Clear, Transport::Tls] {
        for case in Exhaustive::new(transport).healthy() {
            let mut case = case.clone();
            case.plan = Plan::of(polls::in_parts(4));
            cases.push(case);
        }
    }
    let (next, polls) = (AtomicUsize::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for what in [At::Cancel, At::Drop] {
                        let some = polls::every(case, what).unwrap_or_else(|how| panic!("{how}"));
                        assert!(some > 30, "only {some} polls: {case}");
                        polls.fetch_add(some, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!(
        "{} polls of {} configurations",
        polls.into_inner(),
        cases.len()
    );
}

#[test]
fn g2_cancellable_before_the_first_poll() {
    run::paused(async {
        let network = Network::new(Double::new("v1".parse().unwrap()));
        let case = Case::default();
        let token = CancellationToken::new();
        token.cancel();
        let error = case
            .client(network.connector())
            .connect(&token)
            .await
            .unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(network.double().ledger().connections(), 0);
    });
}

#[test]
fn g2_cancellable_by_any_of_several_tokens() {
    run::paused(async {
        let network = Network::new(Double::new("v1 | greeting: stall".parse().unwrap()));
        let case = Case::default();
        let tokens = [CancellationToken::new(), CancellationToken::new()];
        let second = tokens[1].clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            second.cancel();
        });
        let begun = tokio::time::Instant::now();
        let error = case
            .client(network.connector())
            .connect(tokens.as_slice())
            .await
            .unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(begun.elapsed(), Duration::from_millis(50));
    });
}

#[test]
fn g2_cancellable_and_a_reply_that_has_already_arrived_is_still_the_truth() {
    // The final reply arrives in the very millisecond of the cancellation.
    let mut case: Case = "timeout=1s -- v1 | data-termination: after 100ms"
        .parse()
        .unwrap();
    let whole = run::mem::run(&case).elapsed;
    // QUIT takes the last round trip.
    case.cancel = Some(whole - Duration::from_millis(2));
    let report = run::mem::run(&case);
    assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.events);
}

#[test]
fn g2_cancellable_with_a_linger_that_turns_ambiguous_into_the_truth() {
    let mut case: Case = "timeout=1s cancel=50ms -- v1 | data-termination: after 100ms"
        .parse()
        .unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.claim.outcome, Outcome::Ambiguous);
    assert_eq!(report.elapsed, Duration::from_millis(50));

    case.linger = Duration::from_millis(100);
    let report = run::mem::run(&case);
    assert_eq!(report.claim.outcome, Outcome::Accepted);
    assert!(report.elapsed < Duration::from_millis(150));

    case.linger = Duration::from_millis(20);
    let report = run::mem::run(&case);
    assert_eq!(report.claim.outcome, Outcome::Ambiguous);
    assert_eq!(report.elapsed, Duration::from_millis(70));
}

#[test]
fn g2_cancellable_and_g4_honest_exactly_between_the_commitment_and_its_reply() {
    // No clock says when: the server has taken the message, is about to say so, and waits for this test.
    let late = Duration::from_millis(400);
    for (linger, outcome, claim, lasts) in [
        (
            Duration::ZERO,
            Outcome::Ambiguous,
            Claim::Unknown,
            Duration::ZERO,
        ),
        (late * 2, Outcome::Accepted, Claim::Delivered, late),
        (late / 2, Outcome::Ambiguous, Claim::Unknown, late / 2),
    ] {
        run::paused(async {
            let double = SmtpDouble::in_memory();
            let held = double.on(Phase::DataTermination).hold().scoped();
            let case = Case::default();
            let client = case.client(double.network().connector());
            let token = CancellationToken::new();
            let bounds = Bounds::none().cancelled_by(&token).linger(linger);

            let (envelope, message) = (case.envelope(), case.message());
            let call = async {
                let sent = client.send(&envelope, &message, bounds).await;
                let sent = sent.map_or_else(|error| error.outcome(), |_| Outcome::Accepted);
                (sent, tokio::time::Instant::now())
            };
            let test = async {
                assert_eq!(held.waiting_within(1, Duration::from_secs(5)).await, [1]);
                assert_eq!(double.received().len(), 1);
                let cancelled = tokio::time::Instant::now();
                token.cancel();
                tokio::time::sleep(late).await;
                held.release();
                cancelled
            };
            let ((sent, ended), cancelled) = tokio::join!(call, test);
            assert_eq!(sent, outcome, "with a linger of {linger:?}");
            assert!(double.verify().agrees(claim));
            let took = ended - cancelled;
            assert!(
                took >= lasts && took <= lasts + Duration::from_millis(2),
                "{took:?}"
            );
            assert!(double.idle_within(Duration::from_secs(5)).await);
        });
    }
}
