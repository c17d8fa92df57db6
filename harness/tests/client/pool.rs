//! The pool: bounded, fair, and never a connection that is not at rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use postbound::{Bounds, CancellationToken, Circuit, FailureKind, Limit, Outcome, Phase, Pool};
use postbound_harness::run::several::Several;
use postbound_harness::{Case, run};
use simnet::Plan;
use simnet::plan::vocabulary;
use tokio::time::{Instant, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn plans<const N: usize>(plans: [&str; N]) -> Several {
    Several::new(plans.map(|plan| plan.parse().unwrap()))
}

fn pool(network: &Several, size: usize) -> Pool<Several> {
    let case: Case = "timeout=2s -- v1".parse().unwrap();
    Pool::builder(case.client(network.clone()))
        .size(size)
        .build()
}

async fn send<'t>(
    pool: &Pool<Several>,
    bounds: impl Into<Bounds<'t>>,
) -> Result<(), postbound::Error> {
    let case = Case::default();
    let result = pool.send(&case.envelope(), &case.message(), bounds).await;
    result.map(|receipt| assert_eq!(receipt.refused().count(), 0))
}

/// Polls `future` up to `polls` times, a millisecond apart, and drops it. Says whether it ended.
async fn poll_and_drop(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)))
            .await
            .is_ready()
        {
            return true;
        }
        sleep(ms(1)).await;
    }
    false
}

#[test]
fn g8_small_pool_never_opens_more_than_its_size() {
    for plan in [
        "v1 | link: latency 7ms",
        "v1 | data-termination: commit; reset",
        "v1 | mail: reply 451 4.7.1 later",
        "v1 | ehlo: after 500ms; close",
        "v1 | data-termination: twice",
    ] {
        run::paused(async {
            let network = plans([plan]);
            let pool = pool(&network, 2);
            let mut senders = tokio::task::JoinSet::new();
            for _ in 0..30 {
                let pool = pool.clone();
                senders.spawn(async move {
                    let _ = send(&pool, ms(60_000)).await;
                });
            }
            while senders.join_next().await.is_some() {
                assert!(pool.idle() + pool.in_use() <= 2);
            }
            assert!(network.most_streams() <= 2, "{plan}");
            assert_eq!(network.streams(), pool.idle(), "{plan}");
            if plan.contains("latency") {
                assert_eq!((network.connections(), pool.idle()), (2, 2));
                assert_eq!(network.deliveries().len(), 30);
            }
            assert_eq!(network.findings(), []);
        });
    }
}

#[test]
fn g3_drop_safe_pool_a_panic_in_the_callers_message_loses_no_slot() {
    struct Panics;
    impl tokio::io::AsyncRead for Panics {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            panic!("the caller's own");
        }
    }
    run::paused(async {
        let network = plans(["v1"]);
        let pool = pool(&network, 1);
        for _ in 0..3 {
            let panicking = pool.clone();
            let call = tokio::spawn(async move {
                let envelope = Case::default().envelope();
                let message = postbound::Message::reader(Panics);
                panicking.send(&envelope, message, Bounds::none()).await
            });
            assert!(call.await.unwrap_err().is_panic());
            assert_eq!((pool.in_use(), pool.idle(), network.streams()), (0, 0, 0));
            send(&pool, ms(100)).await.unwrap();
        }
        assert_eq!(network.findings(), []);
    });
}

#[test]
fn checkouts_are_served_in_the_order_in_which_they_were_made() {
    run::paused(async {
        let network = plans(["v1"]);
        let pool = pool(&network, 1);
        let held = pool.checkout(Bounds::none()).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let token = CancellationToken::new();
        let mut senders = tokio::task::JoinSet::new();
        for n in 0..6 {
            let (pool, order, token) = (pool.clone(), Arc::clone(&order), token.clone());
            senders.spawn(async move {
                let bounds = if n == 2 {
                    Bounds::from(&token)
                } else {
                    Bounds::none()
                };
                if pool.checkout(bounds).await.is_ok() {
                    order.lock().unwrap().push(n);
                }
            });
            sleep(ms(1)).await;
        }
        token.cancel();
        sleep(ms(1)).await;
        drop(held);
        while senders.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [0, 1, 3, 4, 5]);
        assert_eq!((pool.idle(), pool.in_use()), (1, 0));
    });
}

#[test]
fn g6_tight_pool_a_checkout_lasts_exactly_its_limit_and_says_so() {
    run::paused(async {
        let network = plans(["v1"]);
        let pool = pool(&network, 1);
        let held = pool.checkout(Bounds::none()).await.unwrap();
        let begun = Instant::now();
        let error = send(&pool, Bounds::none()).await.unwrap_err();
        assert_eq!(begun.elapsed(), ms(2_000));
        assert_eq!(error.phase(), Phase::Checkout);
        assert_eq!(error.limit(), Some(ms(2_000)));
        assert_eq!(error.timings().of(Phase::Checkout), Some(ms(2_000)));
        assert_eq!(error.outcome(), Outcome::NotAccepted);

        // The caller's own deadline is no less a bound here than anywhere.
        let begun = Instant::now();
        let error = send(&pool, ms(300)).await.unwrap_err();
        assert_eq!(begun.elapsed(), ms(300));
        assert_eq!(*error.kind(), FailureKind::TimedOut(Limit::Deadline));

        // What the checkout took is gone from the deadline.
        drop(held);
        let begun = Instant::now();
        let other = pool.clone();
        let slow = tokio::spawn(async move {
            let _held = other.checkout(Bounds::none()).await.unwrap();
            sleep(ms(700)).await;
        });
        sleep(ms(1)).await;
        send(&pool, ms(1_000)).await.unwrap();
        assert!(begun.elapsed() >= ms(700) && begun.elapsed() < ms(1_000));
        slow.await.unwrap();
    });
}

#[test]
fn g2_cancellable_pool_a_waiting_checkout_ends_at_once() {
    run::paused(async {
        let network = plans(["v1"]);
        let pool = pool(&network, 1);
        let _held = pool.checkout(Bounds::none()).await.unwrap();
        let token = CancellationToken::new();
        let canceller = token.clone();
        tokio::spawn(async move {
            sleep(ms(123)).await;
            canceller.cancel();
        });
        let begun = Instant::now();
        let error = send(&pool, &token).await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.phase(), Phase::Checkout);
        assert_eq!(begun.elapsed(), ms(123));
        assert_eq!(network.connections(), 1);
    });
}

#[test]
fn g3_drop_safe_pool_at_every_poll_of_a_send() {
    let mut polls = 0;
    let mut ended = false;
    while !ended {
        polls += 1;
        ended = run::paused(async {
            let network = plans(["v1 | link: window 16 | link: fragment 3 to-client", "v1"]);
            let pool = pool(&network, 1);
            let ended = poll_and_drop(send(&pool, Bounds::none()), polls).await;
            assert_eq!(pool.in_use(), 0, "the slot is lost at poll {polls}");
            assert_eq!(pool.idle(), usize::from(ended), "parked at poll {polls}");
            assert_eq!(network.streams(), pool.idle(), "at poll {polls}");
            network.heal();
            send(&pool, ms(100)).await.unwrap();
            assert_eq!(network.findings(), []);
            ended
        });
    }
    assert!(polls > 50, "only {polls} polls");
}

#[test]
fn g3_drop_safe_pool_at_every_poll_of_a_send_over_a_connection_that_was_at_rest() {
    let mut polls = 0;
    let mut ended = false;
    while !ended {
        polls += 1;
        ended = run::paused(async {
            let network = plans(["v1 | link: window 16 | link: fragment 3 to-client", "v1"]);
            let pool = pool(&network, 1);
            pool.warm(1, Bounds::none()).await.unwrap();
            let ended = poll_and_drop(send(&pool, Bounds::none()), polls).await;
            assert_eq!(pool.in_use(), 0, "the slot is lost at poll {polls}");
            assert_eq!(pool.idle(), usize::from(ended), "parked at poll {polls}");
            send(&pool, ms(1_000)).await.unwrap();
            assert_eq!(network.connections(), 1 + u32::from(!ended));
            assert_eq!(network.findings(), []);
            ended
        });
    }
    assert!(polls > 30, "only {polls} polls");
}

#[test]
fn g3_drop_safe_pool_a_slot_that_was_granted_and_never_taken_goes_to_the_next() {
    run::paused(async {
        let network = plans(["v1"]);
        let pool = pool(&network, 1);
        let held = pool.checkout(Bounds::none()).await.unwrap();
        let other = pool.clone();
        let mut first = Box::pin(async move { other.checkout(Bounds::none()).await.map(drop) });
        poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_ready())).await;
        let other = pool.clone();
        let second = tokio::spawn(async move { other.checkout(Bounds::none()).await.map(drop) });
        sleep(ms(1)).await;
        // The first is granted the slot and is dropped before it is polled again.
        drop(held);
        drop(first);
        second.await.unwrap().unwrap();
        assert_eq!((pool.idle(), pool.in_use()), (1, 0));
    });
}

#[test]
fn what_is_past_its_limits_is_closed_with_a_word_and_without_a_wait() {
    run::paused(async {
        let network = plans(["v1 | quit: stall"]);
        let case: Case = "timeout=2s -- v1".parse().unwrap();
        let pool = Pool::builder(case.client(network.clone()))
            .size(4)
            .idle(ms(10_000))
            .age(ms(25_000))
            .messages(3)
            .build();
        assert_eq!(pool.warm(3, Bounds::none()).await.unwrap(), 3);
        sleep(ms(9_000)).await;
        assert_eq!(pool.reap(), 0);
        // One is used again and again, and grows old all the same; the others are at rest too long.
        for _ in 0..2 {
            send(&pool, Bounds::none()).await.unwrap();
            sleep(ms(7_000)).await;
        }
        assert_eq!((pool.reap(), pool.idle()), (0, 1));
        assert_eq!(network.connections(), 3);
        sleep(ms(2_000)).await;
        let begun = Instant::now();
        send(&pool, Bounds::none()).await.unwrap();
        assert!(begun.elapsed() < ms(50), "the old one has cost time");
        assert_eq!(network.connections(), 4, "too old");
        for _ in 0..2 {
            send(&pool, Bounds::none()).await.unwrap();
        }
        assert_eq!(
            (network.connections(), pool.idle()),
            (4, 0),
            "three messages"
        );
        send(&pool, Bounds::none()).await.unwrap();
        assert_eq!(network.connections(), 5);
        sleep(ms(11_000)).await;
        assert_eq!((pool.reap(), pool.idle()), (1, 0));
        assert_eq!(network.streams(), 0);
        assert_eq!(network.findings(), []);
    });
}

#[test]
fn a_connection_that_ended_or_spoke_at_rest_is_not_handed_out() {
    for surplus in [
        r#"raw "250 2.0.0 queued\r\n"; close"#,
        r#"raw "250 2.0.0 queued\r\n421 4.3.2 bye\r\n""#,
        r#"raw "250 2.0.0 queued\r\n25""#,
        "twice",
        "normal; reset",
    ] {
        run::paused(async {
            let network = plans([&format!("v1 | data-termination: {surplus}"), "v1"]);
            let pool = pool(&network, 1);
            send(&pool, Bounds::none()).await.unwrap();
            sleep(ms(10)).await;
            let begun = Instant::now();
            send(&pool, Bounds::none()).await.unwrap();
            assert!(begun.elapsed() < ms(50), "{surplus}");
            assert_eq!(network.connections(), 2, "{surplus}");
            assert_eq!(network.streams(), 1, "{surplus}");
        });
        run::paused(async {
            let network = plans([&format!("v1 | data-termination: {surplus}"), "v1"]);
            let pool = pool(&network, 1);
            send(&pool, Bounds::none()).await.unwrap();
            sleep(ms(10)).await;
            let lent = pool.checkout(Bounds::none()).await.unwrap();
            assert_eq!(network.connections(), 2, "{surplus} was lent out");
            drop(lent);
        });
    }
}

#[test]
fn a_connection_that_ends_in_the_moment_of_its_use_is_replaced_once() {
    for end in [
        "mail#2: close",
        "mail#2: reset",
        "mail#2: reply 421 4.4.2 idle; close",
    ] {
        run::paused(async {
            let network = plans([&format!("v1 | {end}"), "v1"]);
            let pool = pool(&network, 1);
            send(&pool, Bounds::none()).await.unwrap();
            send(&pool, Bounds::none()).await.unwrap();
            assert_eq!((network.connections(), network.deliveries().len()), (2, 2));

            // A connection that is new is taken at its word, and the next one is not tried.
            let network = plans([&format!("v1 | {}", end.replace("#2", "")), "v1"]);
            let pool = self::pool(&network, 1);
            let error = send(&pool, Bounds::none()).await.unwrap_err();
            assert_eq!(
                (error.phase(), network.connections()),
                (Phase::Mail, 1),
                "{end}"
            );
        });
    }
    // Anything that was answered, and silence, are results.
    for end in [
        "rcpt#2: close",
        "mail#2: stall",
        "mail#2: reply 451 4.7.1 later",
        "data-termination#2: close",
    ] {
        run::paused(async {
            let network = plans([&format!("v1 | {end}"), "v1"]);
            let pool = pool(&network, 1);
            send(&pool, Bounds::none()).await.unwrap();
            send(&pool, Bounds::none()).await.unwrap_err();
            assert_eq!(network.connections(), 1, "{end}");
        });
    }
}

#[test]
fn warm_connections_are_opened_together_and_none_is_handed_out_twice() {
    run::paused(async {
        let network = plans(["v1 | greeting: after 1s"]);
        let pool = pool(&network, 3);
        let begun = Instant::now();
        assert_eq!(pool.warm(5, Bounds::none()).await.unwrap(), 3);
        assert!(begun.elapsed() < ms(1_100), "one after the other");
        assert_eq!(pool.warm(3, Bounds::none()).await.unwrap(), 3);
        assert_eq!(network.connections(), 3);
        let begun = Instant::now();
        send(&pool, Bounds::none()).await.unwrap();
        assert!(begun.elapsed() < ms(50));
    });
    run::paused(async {
        let network = plans(["v1", "v1 | greeting: reply 554 5.3.2 no", "v1"]);
        let pool = pool(&network, 3);
        let error = pool.warm(3, Bounds::none()).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Greeting);
        assert_eq!((pool.idle(), pool.in_use()), (2, 0));
    });
}

#[test]
fn after_failures_in_a_row_the_only_server_is_tried_by_one_call_at_a_time() {
    run::paused(async {
        let down = "v1 | greeting: reply 421 4.3.2 not now; close";
        let network = plans([down, down, down, down, down, down, "v1"]);
        let case: Case = "timeout=2s -- v1".parse().unwrap();
        let pool = Pool::builder(case.client(network.clone()))
            .size(4)
            .failures(3)
            .pause(ms(5_000))
            .build();
        for _ in 0..3 {
            assert_eq!(pool.circuit(), Circuit::Closed);
            let error = send(&pool, Bounds::none()).await.unwrap_err();
            assert_eq!(error.phase(), Phase::Greeting);
        }
        assert_eq!(pool.circuit(), Circuit::Open { left: ms(5_000) });
        let (one, other) = tokio::join!(send(&pool, ms(900)), send(&pool, ms(900)));
        assert_eq!(one.unwrap_err().phase(), Phase::Greeting);
        let error = other.unwrap_err();
        assert_eq!(*error.kind(), FailureKind::CircuitOpen(ms(5_000)));
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        assert_eq!(network.connections(), 4);

        sleep(ms(5_000)).await;
        assert_eq!(pool.circuit(), Circuit::HalfOpen);
        let (one, other) = tokio::join!(send(&pool, ms(900)), send(&pool, ms(900)));
        assert_eq!(one.unwrap_err().phase(), Phase::Greeting);
        let refused = FailureKind::CircuitOpen(Duration::ZERO);
        assert_eq!(*other.unwrap_err().kind(), refused);
        assert_eq!(network.connections(), 5);

        // A probe that is dropped says nothing, and the next one is let through.
        sleep(ms(5_000)).await;
        assert!(!poll_and_drop(send(&pool, Bounds::none()), 2).await);
        assert_eq!(pool.circuit(), Circuit::HalfOpen);
        network.heal();
        send(&pool, Bounds::none()).await.unwrap();
        assert_eq!(pool.circuit(), Circuit::Closed);
    });
}

#[test]
fn a_shutdown_is_graceful_and_bounded() {
    run::paused(async {
        // Three at rest that never answer QUIT: it costs the limit once.
        let network = plans(["v1 | quit: stall"]);
        let pool = pool(&network, 4);
        pool.warm(3, Bounds::none()).await.unwrap();
        let begun = Instant::now();
        assert_eq!(pool.shutdown(Bounds::none()).await, 0);
        assert_eq!(begun.elapsed(), ms(2_000));
        assert_eq!(network.streams(), 0);
        let error = send(&pool, Bounds::none()).await.unwrap_err();
        assert_eq!(*error.kind(), FailureKind::PoolClosed);
    });
    run::paused(async {
        // One in use that comes back in time, one that does not, and one that waits.
        let network = plans(["v1"]);
        let pool = pool(&network, 2);
        let quick = pool.checkout(Bounds::none()).await.unwrap();
        let slow = pool.checkout(Bounds::none()).await.unwrap();
        let waiting = pool.clone();
        let waiting = tokio::spawn(async move { send(&waiting, Bounds::none()).await });
        tokio::spawn(async move {
            sleep(ms(500)).await;
            drop(quick);
        });
        sleep(ms(1)).await;
        let begun = Instant::now();
        assert_eq!(pool.shutdown(Bounds::none()).await, 1);
        assert_eq!(begun.elapsed(), ms(2_000), "the checkout's limit");
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(*error.kind(), FailureKind::PoolClosed);
        drop(slow);
        assert_eq!((pool.idle(), network.streams()), (0, 0));
    });
    run::paused(async {
        let network = plans(["v1"]);
        let pool = pool(&network, 2);
        let held = pool.checkout(Bounds::none()).await.unwrap();
        tokio::spawn(async move {
            sleep(ms(500)).await;
            drop(held);
        });
        let begun = Instant::now();
        assert_eq!(pool.shutdown(ms(10_000)).await, 0);
        assert!(begun.elapsed() < ms(510), "it waits no longer than needed");
    });
}

#[test]
fn g7_live_pool_after_any_fault_is_healed_the_next_send_takes_its_healthy_time() {
    let mut faults = vocabulary::link_faults(ms(2_000));
    for phase in Phase::ALL {
        faults.extend(vocabulary::faults(phase, ms(2_000)));
    }
    assert!(faults.len() > 100);
    for fault in faults {
        run::paused(async {
            let network = Several::new([fault.plan.clone(), Plan::healthy()]);
            let pool = pool(&network, 1);
            let _ = send(&pool, ms(20_000)).await;
            network.heal();
            sleep(ms(10)).await;
            let begun = Instant::now();
            let result = send(&pool, Bounds::none()).await;
            let took = begun.elapsed();
            // A connection that is at rest behind a fault of the link is still behind it.
            let replaced = network.connections() > 1 || fault.harmless;
            assert!(
                result.is_ok() || !replaced,
                "{} {}: {result:?}",
                fault.name,
                fault.plan
            );
            assert!(took < ms(4_000), "{} {}: {took:?}", fault.name, fault.plan);
            assert_eq!(pool.in_use(), 0);
        });
    }
}
