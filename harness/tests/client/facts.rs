//! What a connection and the errors of its calls say of themselves: where, since when, and to whom.

use std::time::Duration;

use postbound::{Bounds, Client, Endpoint, Envelope, FailureKind, Phase, Pool, Security, Tls};
use postbound_harness::case::authority;
use postbound_harness::run::paused;
use simnet::net::mem::{Network, Topology};
use simnet::{Double, Plan, tls};
use tokio::time::sleep;

const MESSAGE: &str = "Subject: one\r\n\r\nand only one\r\n";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn envelope() -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, ["b@double.example".parse().unwrap()]).unwrap()
}

fn network(plan: &str) -> Network {
    Network::new(Double::new(plan.parse().unwrap()))
}

#[test]
fn a_connection_knows_its_server_and_how_long_each_phase_of_dialling_took() {
    paused(async {
        let plan = "v1 | resolve: after 10ms | connect: after 20ms | greeting: after 30ms";
        let network = network(plan);
        let client = Client::builder("mx.example", 25).connector(network.connector());
        let connection = client
            .build()
            .unwrap()
            .connect(Bounds::none())
            .await
            .unwrap();
        assert_eq!(connection.endpoint(), "mx.example:25");
        assert_eq!(connection.address().port(), 25);
        assert!(connection.tls().is_none());
        let timings = connection.timings();
        for (phase, took) in [
            (Phase::Resolve, 10),
            (Phase::Connect, 20),
            (Phase::Greeting, 30),
        ] {
            let spent = timings.of(phase).unwrap();
            assert!(
                spent >= ms(took) && spent < ms(took + 5),
                "{phase}: {spent:?}"
            );
        }
    });
}

#[test]
fn a_connection_knows_which_servers_were_passed_over_for_it() {
    paused(async {
        let topology = Topology::new([
            (
                "a.example",
                Double::new("v1 | connect: refuse".parse().unwrap()),
            ),
            ("b.example", Double::new(Plan::healthy())),
        ]);
        let client = Client::builder("a.example", 25)
            .endpoint(Endpoint::new("b.example", 25).unwrap().priority(1))
            .connector(topology.connector())
            .build()
            .unwrap();
        let connection = client.connect(Bounds::none()).await.unwrap();
        assert_eq!(connection.endpoint(), "b.example:25");
        let passed_over = connection.passed_over();
        assert_eq!(passed_over.len(), 1);
        assert_eq!(passed_over[0].endpoint(), "a.example:25");
        // So does what a message sent by a pool is told with, in success and in failure.
        let pool = Pool::new(client.clone());
        let receipt = pool
            .send(&envelope(), MESSAGE, Bounds::none())
            .await
            .unwrap();
        assert_eq!(receipt.earlier().len(), 1);
        let receipt = client
            .send(&envelope(), MESSAGE, Bounds::none())
            .await
            .unwrap();
        assert_eq!(receipt.earlier().len(), 1);
    });
}

#[test]
fn an_error_of_a_transaction_says_where_it_was_and_how_long_each_phase_took() {
    paused(async {
        let network = network("v1 | mail: after 100ms | rcpt: reply 550 5.1.1 nobody; after 300ms");
        let client = Client::builder("mx.example", 25)
            .without_extension("PIPELINING")
            .connector(network.connector());
        let client = client.build().unwrap();
        let mut connection = client.connect(Bounds::none()).await.unwrap();
        let address = connection.address();
        let envelope = envelope();
        let transaction = connection.transaction(&envelope).unwrap();
        let error = transaction.send(MESSAGE, Bounds::none()).await.unwrap_err();
        assert_eq!(error.endpoint(), "mx.example:25");
        assert_eq!(error.address(), Some(address));
        // Each with a round trip.
        assert_eq!(error.elapsed(), ms(404));
        assert_eq!(error.timings().of(Phase::Mail), Some(ms(102)));
        assert_eq!(error.timings().of(Phase::Rcpt), Some(ms(302)));
    });
}

#[test]
fn a_connection_that_is_not_at_rest_says_so_and_which_it_is() {
    paused(async {
        let network = network("v1 | mail: stall");
        let client = Client::builder("mx.example", 25).connector(network.connector());
        let mut connection = client
            .build()
            .unwrap()
            .connect(Bounds::none())
            .await
            .unwrap();
        let address = connection.address();
        let envelope = envelope();
        let transaction = connection.transaction(&envelope).unwrap();
        let shown = format!("{transaction:?}");
        assert!(shown.starts_with("Transaction { "), "{shown}");
        let dropped = tokio::time::Instant::now();
        tokio::select! {
            _ = transaction.send(MESSAGE, Bounds::none()) => panic!("it does not answer"),
            () = sleep(ms(100)) => {}
        }
        assert_eq!(dropped.elapsed(), ms(100));
        let error = connection.transaction(&envelope).unwrap_err();
        assert_eq!(error.kind(), &FailureKind::NotIdle);
        assert_eq!(error.endpoint(), "mx.example:25");
        assert_eq!((error.address(), error.elapsed()), (Some(address), ms(0)));
    });
}

#[test]
fn quit_is_said_by_who_quits_and_by_a_pool_to_what_it_closes_at_rest() {
    for encrypted in [false, true] {
        let network = || {
            let double = Double::new(Plan::healthy());
            Network::new(if encrypted {
                double.with_tls(tls::Tls::starttls(authority()).unwrap())
            } else {
                double
            })
        };
        let client = |network: &Network| {
            let client = Client::builder("double.example", 25).connector(network.connector());
            let client = if encrypted {
                let pem = authority().pem();
                let trust = Tls::new().only_roots_pem(pem.as_bytes()).unwrap();
                client.security(Security::StartTls).tls(trust)
            } else {
                client
            };
            client.build().unwrap()
        };
        paused(async {
            let network = network();
            let connection = client(&network).connect(Bounds::none()).await.unwrap();
            assert_eq!(connection.tls().is_some(), encrypted);
            connection.quit(Bounds::none()).await;
            let said = network.double().trace().to_string();
            assert_eq!(said.matches("QUIT").count(), 1, "{said}");
        });
        paused(async {
            let network = network();
            let pool = Pool::builder(client(&network)).idle(ms(100)).build();
            assert_eq!(pool.warm(1, Bounds::none()).await.unwrap(), 1);
            sleep(ms(200)).await;
            assert_eq!(pool.reap(), 1);
            sleep(ms(10)).await;
            let said = network.double().trace().to_string();
            assert_eq!(said.matches("QUIT").count(), 1, "{said}");
        });
    }
}
