//! What a call may use, in every form in which a caller may say it.

use std::time::Duration;

use postbound::{Bounds, CancellationToken, Client, Error, FailureKind, Limit, Phase, Timeouts};
use postbound_harness::run::paused;
use simnet::net::mem::Network;
use simnet::{Double, Plan};
use tokio::time::{Instant, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How a call to a server that says nothing ends, and after how many milliseconds. What is bounded
/// is said in the instant of the call, and the token is cancelled 500 ms later.
fn bounded(bounds: impl FnOnce(Instant, &CancellationToken) -> Bounds<'_>) -> (Error, u128) {
    paused(async {
        let plan: Plan = "v1 | greeting: stall".parse().unwrap();
        let network = Network::new(Double::new(plan));
        let client = Client::builder("mx.example", 25)
            .connector(network.connector())
            .build()
            .unwrap();
        // So that no instant is by chance the one in which the clock began.
        sleep(ms(100)).await;
        let token = CancellationToken::new();
        let cancelled = token.clone();
        tokio::spawn(async move {
            sleep(ms(500)).await;
            cancelled.cancel();
        });
        let begun = Instant::now();
        let result = client.connect(bounds(begun, &token)).await;
        (result.unwrap_err(), begun.elapsed().as_millis())
    })
}

fn ends(
    bounds: impl FnOnce(Instant, &CancellationToken) -> Bounds<'_>,
    kind: &FailureKind,
    after: u128,
) {
    let (error, elapsed) = bounded(bounds);
    assert_eq!((error.kind(), elapsed), (kind, after));
}

#[test]
fn g1_bounded_by_a_time_in_every_form_that_a_caller_may_say_it_in() {
    let deadline = FailureKind::TimedOut(Limit::Deadline);
    ends(|_, _| ms(300).into(), &deadline, 300);
    ends(|now, _| (now + ms(300)).into(), &deadline, 300);
    ends(|now, _| (now + ms(300)).into_std().into(), &deadline, 300);
    ends(|_, token| (ms(300), token).into(), &deadline, 300);
    let instant = |now: Instant| (now + ms(300)).into_std();
    ends(|now, token| (instant(now), token).into(), &deadline, 300);
    ends(|now, _| Bounds::none().until(instant(now)), &deadline, 300);
}

#[test]
fn g2_cancellable_by_a_token_in_every_form_that_a_caller_may_say_it_in() {
    let cancelled = FailureKind::Cancelled;
    ends(|_, token| token.into(), &cancelled, 500);
    ends(|_, token| (ms(700), token).into(), &cancelled, 500);
    let late = |now: Instant| (now + ms(700)).into_std();
    ends(|now, token| (late(now), token).into(), &cancelled, 500);
    let never = CancellationToken::new();
    let none = Bounds::none;
    ends(
        |_, token| none().cancelled_by(token).cancelled_by(&never).into_owned(),
        &cancelled,
        500,
    );
    ends(
        |_, token| none().cancelled_by(&never).cancelled_by(token).into_owned(),
        &cancelled,
        500,
    );
    let two = |token: &CancellationToken| [never.clone(), token.clone()];
    ends(
        |_, token| Bounds::from(two(token).as_slice()).into_owned(),
        &cancelled,
        500,
    );
}

#[test]
fn g1_bounded_g2_cancellable_by_bounds_that_are_kept_for_each_call_anew() {
    paused(async {
        let network = Network::new(Double::new("v1 | greeting: stall".parse().unwrap()));
        let client = Client::builder("mx.example", 25)
            .connector(network.connector())
            .build()
            .unwrap();
        let stops = [CancellationToken::new(), CancellationToken::new()];
        // What it was made of is gone, and the tokens are the same.
        let kept = {
            let [first, second] = stops.clone();
            let bounds = Bounds::from(ms(300)).cancelled_by(&first);
            bounds.cancelled_by(&second).into_owned()
        };
        for _ in 0..2 {
            let begun = Instant::now();
            let error = client.connect(&kept).await.unwrap_err();
            assert_eq!(error.kind(), &FailureKind::TimedOut(Limit::Deadline));
            assert_eq!(begun.elapsed(), ms(300));
        }
        let cancel = async {
            sleep(ms(100)).await;
            stops[1].cancel();
        };
        let (result, ()) = tokio::join!(client.connect(&kept), cancel);
        assert_eq!(result.unwrap_err().kind(), &FailureKind::Cancelled);
        let begun = Instant::now();
        let error = client.connect(kept.clone()).await.unwrap_err();
        assert_eq!(error.kind(), &FailureKind::Cancelled);
        assert_eq!(begun.elapsed(), ms(0));
    });
}

#[test]
fn g1_bounded_of_several_times_the_first_to_come_holds() {
    let deadline = FailureKind::TimedOut(Limit::Deadline);
    let none = Bounds::none;
    for (first, second) in [(300, 400), (400, 300)] {
        ends(
            |_, _| none().within(ms(first)).within(ms(second)),
            &deadline,
            300,
        );
        let at = |now: Instant, millis| (now + ms(millis)).into_std();
        ends(
            |now, _| none().until(at(now, first)).until(at(now, second)),
            &deadline,
            300,
        );
        ends(
            |now, _| none().within(ms(first)).until(at(now, second)),
            &deadline,
            300,
        );
    }
}

#[test]
fn g6_tight_where_both_end_in_the_same_instant_the_phase_is_named_that_used_up_its_limit() {
    for (deadline, limit) in [
        (299, Limit::Deadline),
        (300, Limit::Phase(ms(300))),
        (301, Limit::Phase(ms(300))),
    ] {
        paused(async {
            let network = Network::new(Double::new("v1 | resolve: hang".parse().unwrap()));
            let client = Client::builder("mx.example", 25)
                .timeouts(Timeouts::uniform(ms(300)).unwrap())
                .connector(network.connector())
                .build()
                .unwrap();
            let error = client.connect(ms(deadline)).await.unwrap_err();
            assert_eq!(error.phase(), Phase::Resolve);
            assert_eq!(error.kind(), &FailureKind::TimedOut(limit), "{deadline} ms");
        });
    }
}
