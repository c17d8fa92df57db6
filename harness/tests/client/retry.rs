//! Retries: what is tried again and what is final, when, how often, and never twice by accident.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{
    Bounds, Budget, CancellationToken, Client, Endpoint, Envelope, Error, Message, Outcome, Phase,
    Receipt, Retry, Timeouts,
};
use postbound_harness::run::paused;
use simnet::net::mem::{Connector, Topology};
use simnet::{Double, Plan};
use tokio::time::{Instant, sleep};

const MESSAGE: &str = "Message-ID: <1@client.example>\r\nSubject: one\r\n\r\nand only one\r\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn envelope() -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, ["b@double.example".parse().unwrap()]).unwrap()
}

fn client(plan: &str, retry: Retry) -> (Topology, Client<Connector>) {
    let topology = Topology::new([("mx.example", Double::new(plan.parse().unwrap()))]);
    let client = Client::builder("mx.example", 25)
        .timeouts(Timeouts::uniform(secs(8)).unwrap())
        .retry(retry)
        .seed(7)
        .connector(topology.connector())
        .build()
        .unwrap();
    (topology, client)
}

async fn send(client: &Client<Connector>) -> Result<Receipt, Error> {
    client.send(&envelope(), MESSAGE, Bounds::none()).await
}

/// Heals the server after a while.
fn heal(topology: Topology, after: Duration) -> tokio::task::JoinHandle<Topology> {
    tokio::spawn(async move {
        sleep(after).await;
        topology.set_plan("mx.example", &Plan::healthy());
        topology.bounce("mx.example");
        topology
    })
}

#[test]
fn what_may_help_is_tried_again_until_it_does() {
    for plan in [
        "v1 | resolve: fail",
        "v1 | connect: refuse",
        "v1 | greeting: reply 421 4.3.2 closing; close",
        "v1 | mail: reply 451 4.3.0 later",
        "v1 | rcpt: reply 452 4.5.3 too many",
        "v1 | data-initiation: close",
        "v1 | data-termination: reply 450 4.2.0 later",
        "v1 | mail: garbage",
    ] {
        paused(async {
            let (topology, client) = client(plan, Retry::attempts(3));
            let healing = heal(topology, millis(100));
            let receipt = send(&client)
                .await
                .unwrap_or_else(|error| panic!("{plan}: {error}"));
            assert_eq!(receipt.earlier().len(), 1, "{plan}");
            let topology = healing.await.unwrap();
            assert_eq!(topology.ledger().copies(MESSAGE.as_bytes()), 1);
            assert_eq!(topology.client_streams(), 0);
        });
    }
}

#[test]
fn what_is_final_is_not() {
    for plan in [
        "v1 | greeting: reply 554 5.7.1 no",
        "v1 | mail: reply 550 5.7.1 no",
        "v1 | rcpt: reply 550 5.1.1 nobody",
        "v1 | data-termination: reply 554 5.6.0 no",
    ] {
        paused(async {
            let (topology, client) = client(plan, Retry::attempts(5));
            let error = send(&client).await.unwrap_err();
            assert!(error.is_permanent() && error.earlier().is_empty(), "{plan}");
            assert_eq!(topology.ledger().connections(), 1);
        });
    }
}

#[test]
fn g5_no_duplicates_after_ambiguous_unless_the_policy_says_that_it_may_duplicate() {
    for plan in ["commit; close", "close", "commit; stall", "commit; garbage"] {
        paused(async {
            let plan = format!("v1 | data-termination: {plan}");
            let (topology, client) = client(&plan, Retry::attempts(5));
            let error = send(&client).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Ambiguous, "{plan}");
            assert_eq!(topology.ledger().connections(), 1, "{plan}");
            assert!(topology.ledger().copies(MESSAGE.as_bytes()) <= 1);
        });
    }
    paused(async {
        let plan = "v1 | data-termination: commit; close";
        let (topology, client) = client(plan, Retry::attempts(2).may_duplicate());
        let healing = heal(topology, millis(100));
        let receipt = send(&client).await.unwrap();
        assert!(receipt.earlier()[0].is_ambiguous());
        // The very same octets, and so the same Message-ID.
        let topology = healing.await.unwrap();
        assert_eq!(topology.ledger().copies(MESSAGE.as_bytes()), 2);
    });
}

#[test]
fn g4_honest_an_ambiguous_attempt_leaves_the_call_ambiguous_whatever_comes_later() {
    paused(async {
        let plan = "v1 | data-termination: commit; close";
        let (topology, client) = client(plan, Retry::attempts(3).may_duplicate());
        let crash = tokio::spawn(async move {
            sleep(millis(100)).await;
            topology.crash("mx.example");
            topology
        });
        let error = send(&client).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Connect);
        assert_eq!(error.outcome(), Outcome::Ambiguous);
        assert_eq!(error.earlier().len(), 2);
        assert_eq!(crash.await.unwrap().ledger().committed(), 1);
    });
}

#[test]
fn waits_double_up_to_the_phases_limit_and_half_of_each_is_chance() {
    paused(async {
        let retry = Retry::attempts(8).first_wait(secs(1));
        let waits = |seed| {
            let retry = retry.clone();
            async move {
                let (_topology, client) = client("v1 | connect: refuse", retry.clone());
                let client = Client::builder("mx.example", 25)
                    .timeouts(*client.timeouts())
                    .retry(retry.budget(Budget::new(0, 100)))
                    .seed(seed)
                    .connector(_topology.connector())
                    .build()
                    .unwrap();
                let error = send(&client).await.unwrap_err();
                let spent = |error: &Error| error.timings().of(Phase::Backoff).unwrap();
                error.earlier().iter().map(spent).collect::<Vec<_>>()
            }
        };
        let drawn = waits(1).await;
        assert_eq!(drawn.len(), 7);
        for (wait, whole) in drawn.iter().zip([1, 2, 4, 8, 8, 8, 8]) {
            assert!((secs(whole) / 2..=secs(whole)).contains(wait), "{drawn:?}");
        }
        assert_eq!(drawn, waits(1).await);
        assert_ne!(drawn, waits(2).await);
    });
}

#[test]
fn g6_tight_a_greylisting_server_is_waited_for_as_long_as_the_limit_allows() {
    paused(async {
        let plan = "v1 | rcpt: reply 451 4.7.1 greylisted";
        let (topology, client) = client(plan, Retry::attempts(2).first_wait(millis(1)));
        let healing = heal(topology, secs(5));
        let receipt = send(&client).await.unwrap();
        let waited = receipt.earlier()[0].timings().of(Phase::Backoff);
        assert_eq!(waited, Some(secs(8)));
        assert_eq!(healing.await.unwrap().ledger().committed(), 1);
    });
}

#[test]
fn g1_bounded_no_wait_is_begun_that_the_deadline_would_end() {
    paused(async {
        let (_topology, client) = client("v1 | connect: refuse", Retry::attempts(9));
        let begun = Instant::now();
        let error = client
            .send(&envelope(), MESSAGE, secs(3))
            .await
            .unwrap_err();
        assert!(begun.elapsed() <= secs(3));
        assert!(!error.is_timeout(), "it says what was wrong: {error}");
        assert!(!error.earlier().is_empty());
        // Nor one that would end just then: a greylisting server is waited for 8 s, to the instant.
        let (_topology, client) =
            self::client("v1 | rcpt: reply 451 4.7.1 greylisted", Retry::attempts(2));
        let begun = Instant::now();
        let error = client.send(&envelope(), MESSAGE, secs(8)).await;
        assert!(error.unwrap_err().earlier().is_empty());
        let failed = begun.elapsed();
        for (more, attempts) in [(0, 1), (1, 2)] {
            let bounds = secs(8) + failed + millis(more);
            let error = client.send(&envelope(), MESSAGE, bounds).await.unwrap_err();
            assert_eq!(error.earlier().len() + 1, attempts, "{more} ms more");
        }
        // What is kept for the final reply is not waited away.
        let bounds = Bounds::from(secs(3)).reserve(millis(2_900));
        let begun = Instant::now();
        let error = client.send(&envelope(), MESSAGE, bounds).await.unwrap_err();
        assert!(begun.elapsed() <= millis(100));
        assert!(error.earlier().is_empty());
    });
}

#[test]
fn g6_tight_the_worst_case_with_retries_is_reached() {
    paused(async {
        // Each attempt is refused at the end of a dialogue that takes all of its limits.
        let plan = "v1 | resolve: after 7998ms | connect: after 7996ms | greeting: after 7998ms \
            | ehlo#1: reply 502 no; after 7996ms | ehlo#2: after 7996ms | mail: after 7996ms \
            | rcpt: after 7996ms | data-initiation: after 7996ms \
            | data-termination: reply 451 4.7.1 greylisted; after 7996ms";
        let (_topology, client) = client(plan, Retry::attempts(3));
        let promise = client.worst_case(1, postbound::wire_octets(MESSAGE.as_bytes()));
        let begun = Instant::now();
        let error = send(&client).await.unwrap_err();
        assert_eq!(error.earlier().len(), 2);
        let unused = promise.total() - begun.elapsed();
        // Three times the mail data, which leaves at once, and a QUIT that is not said.
        assert!(
            unused < secs(4 * 8) + millis(300),
            "{unused:?} of\n{promise}"
        );
    });
}

#[test]
fn g2_cancellable_in_the_middle_of_a_wait() {
    paused(async {
        let (topology, client) =
            client("v1 | rcpt: reply 451 4.7.1 greylisted", Retry::attempts(3));
        let token = CancellationToken::new();
        let canceller = token.clone();
        tokio::spawn(async move {
            sleep(secs(2)).await;
            canceller.cancel();
        });
        let error = client.send(&envelope(), MESSAGE, &token).await.unwrap_err();
        assert_eq!(error.elapsed(), secs(2));
        assert_eq!(error.phase(), Phase::Backoff);
        assert!(error.is_cancelled());
        assert_eq!(error.endpoint(), "mx.example:25");
        assert_eq!(error.earlier()[0].phase(), Phase::Rcpt);
        assert_eq!(
            topology.client_streams(),
            0,
            "nothing is held while waiting"
        );
    });
}

#[test]
fn an_outage_does_not_multiply_the_load() {
    paused(async {
        let retry = Retry::attempts(3).first_wait(millis(1));
        let (topology, client) = client("v1 | mail: close", retry);
        for _ in 0..100 {
            assert!(send(&client.clone()).await.is_err());
        }
        // A hundred calls, a fifth of them again, and the minimum of ten.
        let connections = topology.ledger().connections();
        assert!((125..=130).contains(&connections), "{connections}");
        // In the next window there is a budget again.
        sleep(Budget::WINDOW).await;
        topology.set_plan("mx.example", &"v1 | mail: close".parse().unwrap());
        assert_eq!(send(&client).await.unwrap_err().earlier().len(), 2);
    });
}

#[test]
fn a_message_that_was_read_is_not_sent_again_and_one_that_was_not_is() {
    paused(async {
        let (topology, client) = client(
            "v1 | data-termination: reply 450 4.2.0 later",
            Retry::attempts(3),
        );
        let reader = Message::reader(MESSAGE.as_bytes());
        let error = client
            .send(&envelope(), reader, Bounds::none())
            .await
            .unwrap_err();
        assert!(error.earlier().is_empty());
        topology.set_plan(
            "mx.example",
            &"v1 | rcpt: reply 450 4.2.0 later".parse().unwrap(),
        );
        let healing = heal(topology, millis(100));
        let reader = Message::reader(MESSAGE.as_bytes());
        let receipt = client
            .send(&envelope(), reader, Bounds::none())
            .await
            .unwrap();
        assert_eq!(receipt.earlier().len(), 1);
        assert_eq!(
            healing.await.unwrap().ledger().copies(MESSAGE.as_bytes()),
            1
        );
    });
}

#[test]
fn a_server_that_breaks_off_is_tried_last_and_one_that_only_refuses_first() {
    for (plan, second) in [
        ("v1 | mail: close", "mx2.example"),
        ("v1 | mail: reply 421 4.3.2 closing; close", "mx2.example"),
        ("v1 | rcpt: reply 450 4.2.0 later", "mx1.example"),
    ] {
        paused(async {
            let topology = Topology::new([
                ("mx1.example", Double::new(plan.parse().unwrap())),
                ("mx2.example", Double::new(Plan::healthy())),
            ]);
            let client = Client::builder("mx1.example", 25)
                .endpoint(Endpoint::new("mx2.example", 25).unwrap().priority(1))
                .retry(Retry::attempts(2))
                .seed(7)
                .connector(topology.connector())
                .build()
                .unwrap();
            let healing = tokio::spawn(async move {
                sleep(millis(100)).await;
                topology.set_plan("mx1.example", &Plan::healthy());
                topology
            });
            let receipt = send(&client).await.unwrap();
            assert_eq!(receipt.endpoint(), format!("{second}:25"), "{plan}");
            assert_eq!(healing.await.unwrap().ledger().committed(), 1);
        });
    }
}
