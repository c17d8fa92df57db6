//! Several hosts with a double each: names, ports, crashes, and one ledger over all mailboxes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postbound::{Client, Connector, Envelope, Error, Outcome, Phase, Receipt};
use postbound_harness::run::paused;
use simnet::net::{mem, turmoil};
use simnet::{Double, Plan};
use tokio::time::sleep;

const MESSAGE: &str = "Subject: one\r\n\r\nand only one\r\n";

fn healthy() -> Double {
    Double::new(Plan::healthy())
}

fn faulty(plan: &str) -> Double {
    Double::new(plan.parse().unwrap())
}

async fn send<C: Connector>(connector: C, host: &str, port: u16) -> Result<Receipt, Error> {
    let client = Client::builder(host, port)
        .connector(connector)
        .build()
        .unwrap();
    let envelope = Envelope::new(
        "a@client.example".parse().unwrap(),
        ["b@double.example".parse().unwrap()],
    )
    .unwrap();
    client
        .send(&envelope, MESSAGE, Duration::from_secs(20))
        .await
}

#[test]
fn each_name_leads_to_its_own_double_and_the_ledger_is_one() {
    paused(async {
        let topology = mem::Topology::new([
            ("mx1.example", healthy()),
            ("mx2.example", faulty("v1 | resolve: addresses v6 v4")),
        ]);
        for host in ["mx1.example", "mx2.example", "MX1.example"] {
            let _ = send(topology.connector(), host, 25).await.unwrap();
        }
        let servers: Vec<_> = topology
            .ledger()
            .deliveries()
            .into_iter()
            .map(|delivery| delivery.server)
            .collect();
        assert_eq!(servers, ["mx1.example", "mx2.example", "mx1.example"]);
        assert_eq!(topology.ledger().copies(MESSAGE.as_bytes()), 3);
        assert_eq!(topology.ledger().copies(b"another"), 0);
        let error = send(topology.connector(), "mx3.example", 25)
            .await
            .unwrap_err();
        assert_eq!(error.phase(), Phase::Resolve);
    });
}

#[test]
fn a_name_with_a_port_answers_on_that_port_alone() {
    paused(async {
        let topology = mem::Topology::new([
            ("mx.example", healthy()),
            (
                "mx.example:587",
                faulty("v1 | greeting: reply 421 4.3.2 no"),
            ),
        ]);
        let error = send(topology.connector(), "mx.example", 587)
            .await
            .unwrap_err();
        assert_eq!(error.phase(), Phase::Greeting);
        let _ = send(topology.connector(), "mx.example", 25).await.unwrap();
        let _ = send(topology.connector(), "mx.example", 465).await.unwrap();
    });
}

#[test]
fn a_crash_ends_what_is_under_way_and_a_bounced_host_is_as_good_as_new() {
    paused(async {
        let topology = mem::Topology::new([("mx.example", faulty("v1 | mail: stall"))]);
        let sending = tokio::spawn({
            let connector = topology.connector();
            async move { send(connector, "mx.example", 25).await }
        });
        sleep(Duration::from_millis(500)).await;
        assert_eq!(topology.server_streams(), 1);
        topology.crash("mx.example");
        let error = sending.await.unwrap().unwrap_err();
        assert_eq!(error.phase(), Phase::Mail);
        assert!(!error.is_timeout(), "{error}");
        let error = send(topology.connector(), "mx.example", 25)
            .await
            .unwrap_err();
        assert_eq!(error.phase(), Phase::Connect);
        topology.bounce("mx.example");
        topology.set_plan("mx.example", &Plan::healthy());
        let _ = send(topology.connector(), "mx.example", 25).await.unwrap();
        assert_eq!(topology.ledger().committed(), 1);
        assert_eq!(topology.client_streams(), 0);
        assert_eq!(topology.panicked(), None);
    });
}

/// What sends at these seconds come to, in a simulation.
fn outcomes(topology: &turmoil::Topology, at: &[u64]) -> Vec<(Outcome, Option<Phase>)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (inside, at) = (Arc::clone(&seen), at.to_vec());
    topology
        .run(turmoil::Options::default(), move |connector| async move {
            for second in at {
                tokio::time::sleep_until(
                    tokio::time::Instant::now()
                        + Duration::from_secs(second).saturating_sub(::turmoil::elapsed()),
                )
                .await;
                let result = send(connector.clone(), "mx.example", 25).await;
                inside.lock().unwrap().push(match result {
                    Ok(_) => (Outcome::Accepted, None),
                    Err(error) => (error.outcome(), Some(error.phase())),
                });
            }
        })
        .unwrap();
    seen.lock().unwrap().clone()
}

#[test]
fn on_turmoil_hosts_crash_and_bounce_and_links_are_held_and_released() {
    use turmoil::Happening::{Bounce, Crash, Hold, Release};
    let topology = turmoil::Topology::new([("mx.example", healthy()), ("mx2.example", healthy())])
        .at(Duration::from_secs(10), "mx.example", Crash)
        .at(Duration::from_secs(20), "mx.example", Bounce)
        .at(Duration::from_secs(30), "mx.example", Hold)
        .at(Duration::from_secs(50), "mx.example", Release);
    assert_eq!(
        outcomes(&topology, &[1, 12, 22, 32, 55]),
        [
            (Outcome::Accepted, None),
            (Outcome::NotAccepted, Some(Phase::Connect)),
            (Outcome::Accepted, None),
            (Outcome::NotAccepted, Some(Phase::Connect)),
            (Outcome::Accepted, None),
        ]
    );
    assert_eq!(topology.ledger().committed(), 3);
}
