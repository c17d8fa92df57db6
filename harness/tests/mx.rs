//! Delivery by MX records: whom a domain's mail goes to, in which order, and what its DNS can do to it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::io;
use std::time::Duration;

use postbound::{
    Bounds, Client, Delivered, DomainProblem, Envelope, FailureKind, Limit, Mx, Outcome, Phase,
    Timeouts,
};
use postbound_harness::run::paused;
use simnet::dns::{Answer, Zone};
use simnet::net::mem::{Connector, Topology};
use simnet::{Double, Plan};
use tokio::time::Instant;

const MESSAGE: &[u8] = b"Subject: one\r\n\r\nand only one\r\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn envelope(to: &[&str]) -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, to.iter().map(|path| path.parse().unwrap())).unwrap()
}

fn mx(
    hosts: &[(&str, &str)],
    zone: impl IntoIterator<Item = (&'static str, Answer)>,
    seed: u64,
) -> (Topology, Mx<Zone, Connector>) {
    let topology = Topology::new(
        hosts
            .iter()
            .map(|(host, plan)| (*host, Double::new(plan.parse().unwrap()))),
    );
    let client = Client::builder("unused.example", 25)
        .timeouts(Timeouts::uniform(secs(2)).unwrap())
        .seed(seed)
        .connector(topology.connector())
        .build()
        .unwrap();
    (topology, Mx::new(client, Zone::new(zone)))
}

async fn deliver(mx: &Mx<Zone, Connector>, to: &[&str]) -> Vec<Delivered> {
    mx.send(&envelope(to), MESSAGE, Bounds::none()).await
}

/// What the only domain's delivery failed with.
fn why(mut delivered: Vec<Delivered>) -> postbound::Error {
    assert_eq!(delivered.len(), 1);
    delivered.remove(0).result.unwrap_err()
}

#[test]
fn recipients_are_grouped_by_domain_and_each_domain_has_one_result() {
    paused(async {
        let (topology, mx) = mx(
            &[
                ("mx.a.example", "v1"),
                ("mx.b.example", "v1 | rcpt: reply 550 5.1.1 nobody"),
            ],
            [
                ("a.example", Answer::mx([(10, "mx.a.example")])),
                ("b.example", Answer::mx([(10, "mx.b.example")])),
            ],
            1,
        );
        let to = ["1@a.example", "2@b.example", "3@A.EXAMPLE"];
        let delivered = deliver(&mx, &to).await;
        assert_eq!(delivered.len(), 2);
        assert_eq!(delivered[0].domain, "a.example");
        assert_eq!(delivered[0].recipients.len(), 2);
        assert_eq!(
            delivered[0].result.as_ref().unwrap().endpoint(),
            "mx.a.example:25"
        );
        let refused = delivered[1].result.as_ref().unwrap_err();
        assert_eq!(
            (refused.phase(), refused.is_permanent()),
            (Phase::Rcpt, true)
        );
        let deliveries = topology.ledger().deliveries();
        assert_eq!(deliveries.len(), 1);
        assert_eq!(deliveries[0].forward_paths, ["1@a.example", "3@A.EXAMPLE"]);
    });
}

#[test]
fn the_lowest_preference_comes_first_and_the_others_stand_in() {
    paused(async {
        let zone = || {
            [(
                "a.example",
                Answer::mx([(20, "second.example"), (10, "first.example.")]),
            )]
        };
        let both = [("first.example", "v1"), ("second.example", "v1")];
        let (_topology, mx_) = mx(&both, zone(), 1);
        let delivered = deliver(&mx_, &["b@a.example"]).await;
        assert_eq!(
            delivered[0].result.as_ref().unwrap().endpoint(),
            "first.example:25"
        );
        let dead = [
            ("first.example", "v1 | connect: blackhole"),
            ("second.example", "v1"),
        ];
        let (topology, mx_) = mx(&dead, zone(), 1);
        let delivered = deliver(&mx_, &["b@a.example"]).await;
        let receipt = delivered[0].result.as_ref().unwrap();
        assert_eq!(receipt.endpoint(), "second.example:25");
        assert_eq!(receipt.earlier()[0].endpoint(), "first.example:25");
        assert_eq!(topology.ledger().copies(MESSAGE), 1);
    });
}

#[test]
fn equal_preferences_take_turns_as_the_seed_decides() {
    paused(async {
        let run = |seed| async move {
            let hosts = [
                ("mx1.example", "v1"),
                ("mx2.example", "v1"),
                ("mx3.example", "v1"),
            ];
            let answer = Answer::mx(hosts.map(|(host, _)| (10, host)));
            let (topology, mx) = mx(&hosts, [("a.example", answer)], seed);
            for _ in 0..30 {
                assert!(deliver(&mx, &["b@a.example"]).await[0].result.is_ok());
            }
            let deliveries = topology.ledger().deliveries();
            deliveries.into_iter().map(|d| d.server).collect::<Vec<_>>()
        };
        let servers = run(1).await;
        assert_eq!(servers, run(1).await);
        for host in ["mx1.example", "mx2.example", "mx3.example"] {
            assert!(servers.iter().filter(|server| *server == host).count() >= 4);
        }
    });
}

#[test]
fn without_records_the_domain_itself_is_the_server_and_a_literal_needs_no_look_up() {
    paused(async {
        let (topology, mx) = mx(
            &[("a.example", "v1")],
            [("a.example", Answer::NoRecords)],
            1,
        );
        let delivered = deliver(&mx, &["b@a.example"]).await;
        assert_eq!(
            delivered[0].result.as_ref().unwrap().endpoint(),
            "a.example:25"
        );
        // The topology's first address.
        let delivered = deliver(&mx, &["b@[10.0.0.1]"]).await;
        assert_eq!(
            delivered[0].result.as_ref().unwrap().endpoint(),
            "10.0.0.1:25"
        );
        assert_eq!(topology.ledger().committed(), 2);
    });
}

#[test]
fn no_such_domain_and_a_null_mx_are_permanent_and_a_failed_look_up_is_not() {
    paused(async {
        let zone = [
            ("null.example", Answer::mx([(0, ".")])),
            ("failing.example", Answer::ServFail),
        ];
        let (topology, mx) = mx(
            &[("failing.example", "v1"), ("null.example", "v1")],
            zone,
            1,
        );
        for (to, problem) in [
            ("b@gone.example", DomainProblem::NoSuchDomain),
            ("b@null.example", DomainProblem::NullMx),
        ] {
            let error = why(deliver(&mx, &[to]).await);
            assert_eq!(*error.kind(), FailureKind::Domain(problem));
            assert!(error.is_permanent() && !error.is_transient());
            assert_eq!(error.outcome(), Outcome::NotAccepted);
        }
        let error = why(deliver(&mx, &["b@failing.example"]).await);
        assert_eq!(
            (error.phase(), error.kind()),
            (Phase::Resolve, &FailureKind::Broken)
        );
        assert!(error.is_transient() && !error.is_permanent());
        // Nobody was bothered.
        assert_eq!(topology.ledger().connections(), 0);
    });
}

#[test]
fn g6_tight_a_look_up_that_hangs_lasts_its_limit() {
    paused(async {
        let (_topology, mx) = mx(&[], [("a.example", Answer::Hang)], 1);
        let error = why(deliver(&mx, &["b@a.example"]).await);
        assert_eq!(error.elapsed(), secs(2));
        assert_eq!(*error.kind(), FailureKind::TimedOut(Limit::Phase(secs(2))));
        // One that is late but in time is as good as any.
        let late = Answer::After(Duration::from_millis(1_999), Box::new(Answer::NoRecords));
        let (_topology, mx_) = self::mx(&[("a.example", "v1")], [("a.example", late)], 1);
        assert!(deliver(&mx_, &["b@a.example"]).await[0].result.is_ok());
    });
}

#[test]
fn g8_small_a_huge_answer_is_cut_to_the_servers_of_lowest_preference() {
    paused(async {
        let (_topology, mx) = mx(&[], [("a.example", Answer::Many(10_000))], 1);
        let error = why(deliver(&mx, &["b@a.example"]).await);
        assert_eq!(error.earlier().len(), 4, "five servers in all");
        assert_eq!(error.earlier()[0].endpoint(), "mx10000.a.example:25");
        let error = why(deliver(&mx.most(2), &["b@a.example"]).await);
        assert_eq!(error.earlier().len(), 1);
    });
}

#[test]
fn hosts_that_are_none_are_left_out() {
    paused(async {
        let lies = Answer::mx([
            (1, "10.0.0.1"),
            (2, "mx example"),
            (3, "\r\nDATA"),
            (4, "."),
            (5, "mx.example"),
        ]);
        let only_lies = Answer::mx([(1, "10.0.0.1"), (2, "::1")]);
        let zone = [("a.example", lies), ("b.example", only_lies)];
        let (_topology, mx) = mx(&[("mx.example", "v1")], zone, 1);
        let delivered = deliver(&mx, &["b@a.example"]).await;
        let receipt = delivered[0].result.as_ref().unwrap();
        assert_eq!(receipt.endpoint(), "mx.example:25");
        assert!(receipt.earlier().is_empty());
        let error = why(deliver(&mx, &["b@b.example"]).await);
        assert_eq!(
            (error.phase(), error.is_transient()),
            (Phase::Resolve, true)
        );
        let cause = std::error::Error::source(&error).unwrap();
        assert!(cause.downcast_ref::<io::Error>().is_some());
    });
}

#[test]
fn g1_bounded_one_deadline_for_all_domains_and_the_worst_case_counts_them() {
    paused(async {
        let zone = || {
            ["a.example", "b.example", "c.example"]
                .map(|domain| (domain, Answer::mx([(1, "dead.example")])))
        };
        let to = ["1@a.example", "1@b.example", "1@c.example"];
        let (_topology, mx_) = mx(&[("dead.example", "v1 | mail: stall")], zone(), 1);
        let begun = Instant::now();
        let delivered = mx_.send(&envelope(&to), MESSAGE, secs(3)).await;
        assert_eq!(begun.elapsed(), secs(3));
        for one in &delivered {
            assert_eq!(one.result.as_ref().unwrap_err().elapsed(), secs(1));
        }
        let begun = Instant::now();
        assert_eq!(deliver(&mx_, &to).await.len(), 3);
        let promise = mx_.worst_case(&envelope(&to), 100).total();
        assert!(begun.elapsed() >= secs(6) && begun.elapsed() <= promise);
        let greetings = mx_.worst_case(&envelope(&to), 100);
        let row = |phase| {
            greetings
                .items()
                .iter()
                .find(|row| row.phase == phase)
                .unwrap()
                .times
        };
        assert_eq!(
            (row(Phase::Greeting), row(Phase::Resolve), row(Phase::Mail)),
            (15, 18, 3)
        );
        // The plan's other half: a healthy server takes all three.
        let (topology, mx_) = mx(&[("dead.example", &Plan::healthy().one_line())], zone(), 1);
        assert!(
            deliver(&mx_, &to)
                .await
                .iter()
                .all(|one| one.result.is_ok())
        );
        assert_eq!(topology.ledger().copies(MESSAGE), 3);
    });
}
