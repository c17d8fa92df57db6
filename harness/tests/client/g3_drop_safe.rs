//! G3: dropping a future frees what it held, and leaves no connection that could mislead another.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use postbound::{Bounds, FailureKind};
use postbound_harness::polls::{self, At};
use postbound_harness::{Case, arbitrary, keeps, property, run};
use simnet::{Double, net::mem::Network};

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
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

#[test]
fn g3_drop_safe_nothing_is_open_after_a_call() {
    property(4_000, arbitrary::case(), |case| keeps("g3", case));
}

#[test]
fn g3_drop_safe_at_every_poll_of_a_whole_send() {
    at_every_poll("recipients=3 -- v1 | link: window 16 | link: fragment 3 to-client");
}

#[test]
fn g3_drop_safe_at_every_poll_of_a_whole_send_under_tls() {
    for tls in ["starttls", "implicit"] {
        at_every_poll(&format!(
            "tls={tls} -- v1 | link: window 24 | link: fragment 5"
        ));
    }
}

fn at_every_poll(settings: &str) {
    let case: Case = format!("timeout=1s {settings}").parse().unwrap();
    let polls = polls::every(&case, At::Drop).unwrap();
    assert!(polls > 50, "only {polls} polls");
}

#[test]
fn g3_drop_safe_a_connection_is_never_reused_after_a_dropped_transaction() {
    let case: Case = "timeout=1s recipients=3 -- v1 | link: window 16 | link: fragment 3 to-client"
        .parse()
        .unwrap();
    let mut polls = 0;
    let mut ended = false;
    while !ended {
        polls += 1;
        ended = run::paused(async {
            let network = Network::new(case.double());
            let client = case.client(network.connector());
            let (envelope, message) = (case.envelope(), case.message());
            let mut connection = client.connect(Bounds::none()).await.unwrap();
            assert!(connection.is_idle());
            let send = connection
                .transaction(&envelope)
                .unwrap()
                .send(&message, Bounds::none());
            let ended = poll_and_drop(send, polls).await;
            if ended {
                assert!(connection.is_idle());
            } else {
                assert!(!connection.is_idle());
                assert_eq!(
                    network.client_streams(),
                    0,
                    "the socket survives the drop at poll {polls}"
                );
                let refused = connection.transaction(&envelope).unwrap_err();
                assert_eq!(*refused.kind(), FailureKind::NotIdle);
                assert!(connection.reset(Bounds::none()).await.is_err());
            }
            ended
        });
    }
    assert!(polls > 30, "only {polls} polls");
}

#[test]
fn g3_drop_safe_a_connection_is_used_again_after_a_refusal_and_only_then() {
    run::paused(async {
        let plan = "v1 | mail#1: reply 451 4.7.1 greylisted | rcpt#3: reply 550 5.1.1 nobody";
        let network = Network::new(Double::new(plan.parse().unwrap()));
        let case: Case = "timeout=1s recipients=2 -- v1".parse().unwrap();
        let client = case.client(network.connector());
        let (envelope, message) = (case.envelope(), case.message());
        let mut connection = client.connect(Bounds::none()).await.unwrap();

        let refused = connection
            .transaction(&envelope)
            .unwrap()
            .send(&message, Bounds::none())
            .await
            .unwrap_err();
        assert!(refused.is_refused() && !refused.is_permanent());
        assert!(connection.is_idle());

        let receipt = connection
            .transaction(&envelope)
            .unwrap()
            .send(&message, Bounds::none())
            .await
            .unwrap();
        assert_eq!(receipt.refused().count(), 1);
        connection.quit(Bounds::none()).await;
        assert_eq!(network.double().ledger().committed(), 1);
        assert_eq!(network.double().ledger().findings(), []);
        assert_eq!(network.client_streams(), 0);
    });
}

#[test]
fn g3_drop_safe_octets_that_come_at_rest_are_never_taken_for_a_reply() {
    for surplus in [
        r#"raw "250 2.0.0 queued\r\n250 2.0.0 late\r\n""#,
        r#"raw "250 2.0.0 queued\r\n25""#,
        r#"raw "250 2.0.0 queued\r\n421 4.3.2 bye\r\n""#,
        r#"raw "250 2.0.0 queued\r\n"; close"#,
    ] {
        run::paused(async {
            let plan = format!("v1 | data-termination#1: {surplus}");
            let network = Network::new(Double::new(plan.parse().unwrap()));
            let case = Case::default();
            let client = case.client(network.connector());
            let (envelope, message) = (case.envelope(), case.message());
            let mut connection = client.connect(Bounds::none()).await.unwrap();
            let transaction = connection.transaction(&envelope).unwrap();
            // What was accepted stays accepted, whatever follows it.
            let accepted = transaction.send(&message, Bounds::none()).await;
            assert!(accepted.is_ok(), "{surplus}");
            let again = match connection.transaction(&envelope) {
                Ok(transaction) => transaction
                    .send(&message, Bounds::none())
                    .await
                    .unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(
                again.outcome(),
                postbound::Outcome::NotAccepted,
                "{surplus}"
            );
            assert!(!connection.is_idle(), "{surplus}");
            assert_eq!(network.client_streams(), 0, "{surplus}");
        });
    }
}
