//! A name with several addresses: they race, under one limit, and nothing of the losers stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use postbound::{CancellationToken, Client, Connector, FailureKind, Limit, Outcome, Phase};
use postbound_harness::{Case, run};
use simnet::net::mem::{self, Network};
use simnet::{Double, Event};
use tokio::time::{Instant, sleep};

fn elapsed(case: &str) -> Duration {
    let case: Case = case.parse().unwrap();
    let report = run::mem::run(&case);
    assert_eq!(report.claim.outcome, Outcome::Accepted, "{}", report.claim);
    assert_eq!(report.violations(&case, run::mem::TOLERANCE), []);
    report.elapsed
}

/// What a send takes over the first address: round trips of 2 ms.
fn healthy() -> Duration {
    elapsed("timeout=10s -- v1")
}

#[test]
fn g6_tight_a_dead_first_address_costs_the_attempt_delay_and_not_a_share_of_the_limit() {
    let dead = elapsed("timeout=10s -- v1 | resolve: addresses 3 | connect#1: blackhole");
    assert_eq!(dead, healthy() + Duration::from_millis(250));
    // A refused one costs its answer: the next is begun at once.
    let refused = elapsed("timeout=10s -- v1 | resolve: addresses 3 | connect#1: refuse");
    assert_eq!(refused, healthy() + Duration::from_millis(2));
}

#[test]
fn g6_tight_families_take_turns_so_that_a_dead_one_costs_one_delay() {
    let dead = elapsed(
        "timeout=10s -- v1 | resolve: addresses v6 v6 v6 v4 | connect#1: blackhole \
         | connect#2: blackhole | connect#3: blackhole",
    );
    assert_eq!(dead, healthy() + Duration::from_millis(250));
}

#[test]
fn g6_tight_the_second_address_is_begun_only_when_the_delay_has_passed() {
    // With its round trip of 2 ms the first one is there just before the delay of 250 ms passes.
    for (millis, connections) in [(247, 1), (300, 2)] {
        run::paused(async {
            let plan = format!("v1 | resolve: addresses 2 | connect#1: after {millis}ms");
            let network = Network::new(Double::new(plan.parse().unwrap()));
            let client = Client::builder("mx.example", 25)
                .connector(network.connector())
                .build()
                .unwrap();
            let connection = client.connect(Duration::from_secs(9)).await.unwrap();
            let first = connection.address().to_string() == "10.0.0.1:25";
            assert_eq!(first, connections == 1, "{millis} ms");
            assert_eq!(network.double().ledger().connections(), 1);
        });
    }
}

#[test]
fn g1_bounded_many_dead_addresses_use_the_connect_limit_once() {
    run::paused(async {
        for (limit, addresses) in [(10, 3), (1, 16), (2, 200)] {
            let plan = format!("v1 | resolve: addresses {addresses} | connect: blackhole");
            let case: Case = format!("timeout={limit}s -- {plan}").parse().unwrap();
            let network = Network::new(Double::new(case.plan.clone()));
            let begun = Instant::now();
            let error = case
                .client(network.connector())
                .connect(Duration::from_secs(3_600))
                .await
                .unwrap_err();
            assert_eq!(begun.elapsed(), Duration::from_secs(limit));
            assert_eq!(error.phase(), Phase::Connect);
            assert_eq!(error.limit(), Some(Duration::from_secs(limit)));
            // Every address was begun, up to the cap, and each is reported with the time it had.
            assert_eq!(error.attempts().len(), addresses.min(16));
            assert!(error.attempts().iter().all(|tried| tried.error.is_none()));
            let begun: Vec<_> = error.attempts().iter().map(|tried| tried.elapsed).collect();
            assert_eq!(begun[0], Duration::from_secs(limit));
            assert!(begun.is_sorted_by(|a, b| a > b), "{begun:?}");
        }
    });
}

#[test]
fn an_error_keeps_every_address_with_its_time_and_its_cause() {
    run::paused(async {
        let plan = "v1 | resolve: addresses 3 | connect#1: refuse | connect#2: unreachable \
            | connect#3: blackhole";
        let case: Case = format!("timeout=2s -- {plan}").parse().unwrap();
        let network = Network::new(Double::new(case.plan.clone()));
        let client = case.client(network.connector());
        let error = client.connect(Duration::from_secs(9)).await.unwrap_err();
        let tried: Vec<_> = error
            .attempts()
            .iter()
            .map(|tried| {
                let kind = tried.error.as_ref().map(io::Error::kind);
                (tried.address.to_string(), tried.elapsed.as_millis(), kind)
            })
            .collect();
        let address = |n: u8| format!("10.0.0.{n}:25");
        assert_eq!(
            tried,
            [
                (address(1), 2, Some(io::ErrorKind::ConnectionRefused)),
                (address(2), 0, Some(io::ErrorKind::HostUnreachable)),
                (address(3), 1_998, None),
            ]
        );
        assert!(error.is_timeout());
    });
}

/// Opens at once and says so later, as a tunnel does: a loser holds a stream that has to be closed.
#[derive(Clone, Debug)]
struct Tunnel {
    network: mem::Connector,
    first: Duration,
}

impl Connector for Tunnel {
    type Stream = mem::Stream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.network.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<mem::Stream> {
        let stream = self.network.connect(address).await?;
        if address.to_string() == "10.0.0.1:25" {
            sleep(self.first).await;
        }
        Ok(stream)
    }
}

fn tunnel(first: Duration) -> (Network, Client<Tunnel>) {
    let network = Network::new(Double::new("v1 | resolve: addresses 2".parse().unwrap()));
    let connector = Tunnel {
        network: network.connector(),
        first,
    };
    let client = Client::builder("mx.example", 25)
        .connector(connector)
        .build()
        .unwrap();
    (network, client)
}

#[test]
fn g3_drop_safe_the_loser_of_the_race_is_closed_in_the_instant_the_other_wins() {
    run::paused(async {
        let (network, client) = tunnel(Duration::from_secs(5));
        let connection = client.connect(Duration::from_secs(9)).await.unwrap();
        assert_eq!(connection.address().to_string(), "10.0.0.2:25");
        assert_eq!(
            network.client_streams(),
            1,
            "the loser's stream is still open"
        );
        let ledger = network.double().ledger();
        assert_eq!(ledger.connections(), 2);
        // Nor does it come back later.
        sleep(Duration::from_secs(10)).await;
        assert_eq!(network.client_streams(), 1);
        let closed = network.double().trace().entries();
        assert!(
            closed
                .iter()
                .any(|entry| entry.connection == 1 && matches!(entry.event, Event::Gone)),
            "{}",
            network.double().trace()
        );
        drop(connection);
    });
}

#[test]
fn g2_cancellable_and_g3_drop_safe_every_runner_ends_with_the_call() {
    run::paused(async {
        let both_hang = "v1 | resolve: addresses 2";
        for millis in [0, 1, 100, 249, 250, 251, 252] {
            let network = Network::new(Double::new(both_hang.parse().unwrap()));
            let connector = Hang(network.connector());
            let client = Client::builder("mx.example", 25)
                .connector(connector)
                .build()
                .unwrap();
            let token = CancellationToken::new();
            let (canceller, begun) = (token.clone(), Instant::now());
            tokio::spawn(async move {
                sleep(Duration::from_millis(millis)).await;
                canceller.cancel();
            });
            let error = client.connect(&token).await.unwrap_err();
            assert_eq!(*error.kind(), FailureKind::Cancelled);
            assert_eq!(begun.elapsed(), Duration::from_millis(millis));
            assert_eq!(network.client_streams(), 0, "after {millis} ms");
        }
    });
}

/// Opens and never says so.
#[derive(Clone, Debug)]
struct Hang(mem::Connector);

impl Connector for Hang {
    type Stream = mem::Stream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<mem::Stream> {
        let _held = self.0.connect(address).await?;
        std::future::pending().await
    }
}

#[test]
fn a_deadline_ends_the_race_and_is_named() {
    run::paused(async {
        let case: Case = "timeout=9s -- v1 | resolve: addresses 2 | connect: blackhole"
            .parse()
            .unwrap();
        let network = Network::new(Double::new(case.plan.clone()));
        let client = case.client(network.connector());
        let error = client
            .connect(Duration::from_millis(400))
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), FailureKind::TimedOut(Limit::Deadline));
        assert_eq!(error.elapsed(), Duration::from_millis(400));
        // An equal share of 400 ms is shorter than the delay.
        assert_eq!(error.attempts()[1].elapsed, Duration::from_millis(200));
    });
}

#[test]
fn the_attempt_delay_can_be_set_and_is_never_under_ten_milliseconds() {
    run::paused(async {
        for (set, taken) in [(1_000, 1_000), (40, 40), (10, 10), (0, 10)] {
            let plan = "v1 | resolve: addresses 2 | connect#1: blackhole";
            let network = Network::new(Double::new(plan.parse().unwrap()));
            let client = Client::builder("mx.example", 25)
                .attempt_delay(Duration::from_millis(set))
                .connector(network.connector())
                .build()
                .unwrap();
            let connection = client.connect(Duration::from_secs(9)).await.unwrap();
            let connect = connection.timings().of(Phase::Connect).unwrap();
            assert_eq!(connect, Duration::from_millis(taken + 2));
        }
    });
}
