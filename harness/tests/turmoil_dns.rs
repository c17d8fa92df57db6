//! MX delivery on turmoil: several hosts, and a DNS that is slow, dead, or wrong about some of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postbound::{Client, DomainProblem, Envelope, FailureKind, Mx, Outcome, Phase, Timeouts};
use simnet::dns::{Answer, Zone};
use simnet::net::turmoil::{Happening, Options, Topology};
use simnet::{Double, Plan};

const MESSAGE: &[u8] = b"Subject: one\r\n\r\nand only one\r\n";

fn healthy() -> Double {
    Double::new(Plan::healthy())
}

fn zone() -> Zone {
    let both = || Answer::mx([(10, "mx1.example"), (20, "mx2.example")]);
    let slow = Answer::After(Duration::from_secs(2), Box::new(both()));
    let too_slow = Answer::After(Duration::from_secs(9), Box::new(both()));
    Zone::new([
        ("a.example", both()),
        ("slow.example", slow),
        ("too-slow.example", too_slow),
        ("dead.example", Answer::Hang),
        ("broken.example", Answer::ServFail),
        (
            "nobody.example",
            Answer::mx([(1, "nobody.nowhere.example")]),
        ),
    ])
}

/// A domain, its outcome, the phase in which it ended, and after how many seconds.
type Told = (String, Outcome, Option<Phase>, u64);

/// One message to these domains together.
fn deliver(topology: &Topology, to: &[&str]) -> Vec<(Told, Option<FailureKind>)> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let inside = Arc::clone(&told);
    let to: Vec<_> = to
        .iter()
        .map(|domain| format!("x@{domain}").parse().unwrap())
        .collect();
    topology
        .run(Options::default(), move |connector| async move {
            let client = Client::builder("unused.example", 25)
                .timeouts(Timeouts::uniform(Duration::from_secs(4)).unwrap())
                .seed(1)
                .connector(connector)
                .build()
                .unwrap();
            let envelope = Envelope::new("a@client.example".parse().unwrap(), to).unwrap();
            let mx = Mx::new(client, zone());
            for one in mx.send(&envelope, MESSAGE, Duration::from_secs(300)).await {
                inside.lock().unwrap().push(match one.result {
                    Ok(receipt) => {
                        let seconds = receipt.elapsed().as_secs();
                        ((one.domain, Outcome::Accepted, None, seconds), None)
                    }
                    Err(error) => {
                        let seconds = error.elapsed().as_secs();
                        let phase = Some(error.phase());
                        let kind = Some(error.kind().clone());
                        ((one.domain, error.outcome(), phase, seconds), kind)
                    }
                });
            }
        })
        .unwrap();
    let told = told.lock().unwrap();
    told.clone()
}

#[test]
fn on_turmoil_a_slow_dns_costs_its_time_a_dead_one_its_limit_and_neither_another_domains_mail() {
    let topology = Topology::new([("mx1.example", healthy()), ("mx2.example", healthy())]);
    let domains = [
        "a.example",
        "slow.example",
        "too-slow.example",
        "dead.example",
        "broken.example",
        "nobody.example",
        "nowhere.example",
    ];
    let told = deliver(&topology, &domains);
    let find = |domain: &str| told.iter().find(|(told, _)| told.0 == domain).unwrap();
    for (domain, outcome, phase, seconds) in [
        ("a.example", Outcome::Accepted, None, 0),
        ("slow.example", Outcome::Accepted, None, 2),
        (
            "too-slow.example",
            Outcome::NotAccepted,
            Some(Phase::Resolve),
            4,
        ),
        (
            "dead.example",
            Outcome::NotAccepted,
            Some(Phase::Resolve),
            4,
        ),
        (
            "broken.example",
            Outcome::NotAccepted,
            Some(Phase::Resolve),
            0,
        ),
        (
            "nobody.example",
            Outcome::NotAccepted,
            Some(Phase::Resolve),
            0,
        ),
        (
            "nowhere.example",
            Outcome::NotAccepted,
            Some(Phase::Resolve),
            0,
        ),
    ] {
        let expected = (domain.to_owned(), outcome, phase, seconds);
        assert_eq!(find(domain).0, expected);
    }
    let problem = FailureKind::Domain(DomainProblem::NoSuchDomain);
    assert_eq!(find("nowhere.example").1, Some(problem));
    assert_eq!(find("broken.example").1, Some(FailureKind::Broken));
    // Every acceptance is one message in one mailbox.
    assert_eq!(topology.ledger().committed(), 2);
}

#[test]
fn on_turmoil_the_next_mx_takes_what_the_first_can_not() {
    for happening in [Happening::Crash, Happening::Hold] {
        let topology = Topology::new([("mx1.example", healthy()), ("mx2.example", healthy())]).at(
            Duration::ZERO,
            "mx1.example",
            happening,
        );
        let told = deliver(&topology, &["slow.example"]);
        assert_eq!(told[0].0.1, Outcome::Accepted, "{happening:?}: {told:?}");
        assert_eq!(topology.ledger().committed(), 1, "{happening:?}");
    }
}
