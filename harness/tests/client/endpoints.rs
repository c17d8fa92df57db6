//! Several servers: which is tried when, what each may use, and when none of the others is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::time::Duration;

use postbound::{
    Bounds, Client, ClientBuilder, ClientError, Endpoint, Envelope, Error, FailureKind, Limit,
    Outcome, Phase, Security, TcpConnector, Timeouts,
};
use postbound_harness::run::paused;
use simnet::Double;
use simnet::net::mem::{Connector, Topology};
use tokio::time::Instant;

const MESSAGE: &str = "Subject: one\r\n\r\nand only one\r\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn envelope() -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, ["b@double.example".parse().unwrap()]).unwrap()
}

/// Hosts `mx1`, `mx2` and so on with these plans, and a client that knows them in this order.
fn servers(
    plans: &[&str],
    set: impl FnOnce(Settings) -> Settings,
) -> (Topology, Client<Connector>) {
    let name = |place: usize| format!("mx{}.example", place + 1);
    let topology = Topology::new(
        plans
            .iter()
            .enumerate()
            .map(|(place, plan)| (name(place), Double::new(plan.parse().unwrap()))),
    );
    let first = Client::builder(name(0), 25).seed(1);
    let builder = (1..plans.len()).fold(first, |builder, place| {
        let priority = u16::try_from(place).unwrap();
        builder.endpoint(Endpoint::new(name(place), 25).unwrap().priority(priority))
    });
    let client = set(builder)
        .connector(topology.connector())
        .build()
        .unwrap();
    (topology, client)
}

type Settings = ClientBuilder<TcpConnector>;

fn as_it_is(builder: Settings) -> Settings {
    builder
}

fn limited(limit: Duration) -> impl Fn(Settings) -> Settings {
    move |builder| builder.timeouts(Timeouts::uniform(limit).unwrap())
}

fn told(errors: &[Error]) -> Vec<String> {
    errors
        .iter()
        .map(|error| format!("{} {}", error.endpoint(), error.phase()))
        .collect()
}

#[test]
fn the_next_server_takes_it_when_one_cannot() {
    for (plan, phase) in [
        ("v1 | resolve: fail", Phase::Resolve),
        ("v1 | resolve: hang", Phase::Resolve),
        ("v1 | connect: refuse", Phase::Connect),
        ("v1 | connect: blackhole", Phase::Connect),
        (
            "v1 | greeting: reply 421 4.3.2 closing; close",
            Phase::Greeting,
        ),
        ("v1 | greeting: reply 450 4.3.2 busy", Phase::Greeting),
        ("v1 | greeting: stall", Phase::Greeting),
        ("v1 | greeting: garbage", Phase::Greeting),
        ("v1 | greeting: reset", Phase::Greeting),
        ("v1 | ehlo: close", Phase::Ehlo),
        ("v1 | ehlo: reply 451 4.3.0 later", Phase::Ehlo),
    ] {
        paused(async {
            let (topology, client) = servers(&[plan, "v1"], as_it_is);
            let receipt = client
                .send(&envelope(), MESSAGE, secs(60))
                .await
                .unwrap_or_else(|error| panic!("{plan}: {error}"));
            assert_eq!(receipt.endpoint(), "mx2.example:25");
            assert_eq!(told(receipt.earlier()), [format!("mx1.example:25 {phase}")]);
            assert_eq!(topology.ledger().copies(MESSAGE.as_bytes()), 1);
            assert_eq!(topology.ledger().deliveries()[0].server, "mx2.example");
            assert_eq!(topology.client_streams(), 0);
        });
    }
}

#[test]
fn a_server_without_the_required_tls_is_passed_over_and_never_for_one_in_clear() {
    paused(async {
        let required = |builder: Settings| builder.security(Security::StartTls);
        let (topology, client) = servers(&["v1", "v1"], required);
        let error = client
            .send(&envelope(), MESSAGE, secs(60))
            .await
            .unwrap_err();
        assert_eq!(error.earlier().len(), 1);
        assert_eq!(error.endpoint(), "mx2.example:25");
        assert_eq!(topology.ledger().committed(), 0);
        let mixed = Client::submission("mx1.example").endpoint(
            Endpoint::new("mx2.example", 25)
                .unwrap()
                .security(Security::None),
        );
        assert_eq!(mixed.build().unwrap_err(), ClientError::MixedSecurity);
        let both = Client::submission("mx1.example").endpoint(
            Endpoint::new("mx1.example", 587)
                .unwrap()
                .security(Security::StartTls),
        );
        let promise = both.build().unwrap().worst_case(1, 100);
        let times = |phase| {
            let rows = promise.items();
            rows.iter().find(|row| row.phase == phase).unwrap().times
        };
        let tls = [Phase::TlsHandshake, Phase::StartTls, Phase::Ehlo].map(times);
        assert_eq!(tls, [2, 1, 5]);
    });
}

#[test]
fn no_other_server_is_asked_what_this_one_has_refused_for_good() {
    for plan in [
        "v1 | greeting: reply 554 5.7.1 go away",
        "v1 | ehlo: reply 550 5.7.1 not you",
    ] {
        paused(async {
            let (topology, client) = servers(&[plan, "v1"], as_it_is);
            let error = client
                .send(&envelope(), MESSAGE, secs(60))
                .await
                .unwrap_err();
            assert!(error.is_permanent());
            assert_eq!(error.endpoint(), "mx1.example:25");
            assert_eq!(topology.ledger().connections(), 1);
        });
    }
}

#[test]
fn g5_no_duplicates_a_transaction_that_began_stays_with_its_server() {
    for plan in [
        "v1 | mail: close",
        "v1 | rcpt: reply 451 4.7.1 greylisted",
        "v1 | data-termination: commit; close",
        "v1 | data-termination: close",
    ] {
        paused(async {
            let (topology, client) = servers(&[plan, "v1"], as_it_is);
            let error = client
                .send(&envelope(), MESSAGE, secs(60))
                .await
                .unwrap_err();
            assert_eq!(error.endpoint(), "mx1.example:25", "{plan}");
            assert_eq!(topology.ledger().connections(), 1, "{plan}");
        });
    }
}

#[test]
fn the_error_lists_the_failure_of_each_server() {
    paused(async {
        let plans = [
            "v1 | connect: refuse",
            "v1 | greeting: stall",
            "v1 | ehlo: reply 450 4.3.2 busy",
        ];
        let (_topology, client) = servers(&plans, limited(secs(2)));
        let error = client
            .send(&envelope(), MESSAGE, Bounds::none())
            .await
            .unwrap_err();
        assert_eq!(
            told(error.earlier()),
            ["mx1.example:25 connect", "mx2.example:25 greeting"]
        );
        assert_eq!(told(std::slice::from_ref(&error)), ["mx3.example:25 ehlo"]);
        // Each has its own time, the whole has the sum.
        assert_eq!(error.earlier()[0].elapsed(), Duration::from_millis(2));
        assert_eq!(error.earlier()[1].elapsed(), Duration::from_millis(2_002));
        assert_eq!(error.elapsed(), Duration::from_millis(2_004 + 5));
        assert!(
            error.to_string().contains("behind 2 earlier failures"),
            "{error}"
        );
    });
}

#[test]
fn g1_bounded_one_deadline_for_all_servers_and_an_equal_share_for_each() {
    paused(async {
        let stall = "v1 | greeting: stall";
        let (_topology, client) = servers(&[stall, stall, stall], limited(secs(100)));
        let begun = Instant::now();
        let error = client.connect(secs(9)).await.unwrap_err();
        assert_eq!(
            begun.elapsed(),
            secs(9),
            "the deadline is the call's, not each server's"
        );
        assert_eq!(error.elapsed(), secs(9));
        assert_eq!(error.earlier().len(), 2, "a server was starved");
        for (earlier, seconds) in error.earlier().iter().zip([3, 3]) {
            assert_eq!(earlier.elapsed(), secs(seconds));
            assert_eq!(
                *earlier.kind(),
                FailureKind::TimedOut(Limit::Share(secs(seconds)))
            );
        }
        assert_eq!(*error.kind(), FailureKind::TimedOut(Limit::Deadline));
    });
}

#[test]
fn what_one_server_does_not_use_is_divided_among_the_others() {
    paused(async {
        let stall = "v1 | greeting: stall";
        let (_topology, client) =
            servers(&["v1 | connect: refuse", stall, stall], limited(secs(100)));
        let bounds = Bounds::from(Duration::from_millis(9_002)).reserve(secs(1));
        let error = client.connect(bounds).await.unwrap_err();
        // 8 s are left without the reserve, for two.
        assert_eq!(error.earlier()[1].elapsed(), secs(4));
        assert_eq!(error.elapsed(), Duration::from_millis(8_002));
        assert_eq!(
            *error.kind(),
            FailureKind::TimedOut(Limit::Reserve(secs(1)))
        );
    });
}

#[test]
fn g6_tight_the_worst_case_of_several_servers_is_reached() {
    paused(async {
        // Everything takes its limit of one second, less the milliseconds that keep it in time.
        let slow = "v1 | resolve: after 998ms | connect: after 996ms | greeting: after 998ms \
            | ehlo#1: reply 502 no; after 996ms";
        let first = format!("{slow} | ehlo#2: stall");
        let second = format!(
            "{slow} | ehlo#2: after 996ms | mail: after 996ms | rcpt: after 996ms \
             | data-initiation: after 996ms | data-termination: after 996ms | quit: stall"
        );
        let (_topology, client) = servers(&[&first, &second], limited(secs(1)));
        let promise = client.worst_case(1, postbound::wire_octets(MESSAGE.as_bytes()));
        let begun = Instant::now();
        let _ = client
            .send(&envelope(), MESSAGE, Bounds::none())
            .await
            .unwrap();
        let elapsed = begun.elapsed();
        assert!(elapsed <= promise.total(), "{elapsed:?} of\n{promise}");
        // The mail data leaves at once; little else is missing.
        assert!(
            promise.total() - elapsed < secs(1) + Duration::from_millis(100),
            "{elapsed:?} of\n{promise}"
        );
    });
}

#[test]
fn equal_servers_are_tried_in_an_order_that_the_seed_decides() {
    paused(async {
        let hosts = ["a.example", "b.example", "c.example"];
        let doubles = || hosts.map(|host| (host, Double::new("v1".parse().unwrap())));
        let run = |seed| async move {
            let topology = Topology::new(doubles());
            let client = Client::builder(hosts[0], 25)
                .endpoint(Endpoint::new(hosts[1], 25).unwrap())
                .endpoint(Endpoint::new(hosts[2], 25).unwrap())
                .seed(seed)
                .connector(topology.connector())
                .build()
                .unwrap();
            for _ in 0..30 {
                let _ = client.send(&envelope(), MESSAGE, secs(9)).await.unwrap();
            }
            let deliveries = topology.ledger().deliveries();
            deliveries.into_iter().map(|d| d.server).collect::<Vec<_>>()
        };
        let servers = run(5).await;
        assert_eq!(servers, run(5).await);
        assert_ne!(servers, run(6).await);
        for host in hosts {
            let taken = servers.iter().filter(|server| *server == host).count();
            assert!(taken >= 4, "{host} took {taken} of 30");
        }
    });
}

#[test]
fn a_cancelled_call_asks_no_other_server() {
    paused(async {
        let (topology, client) = servers(&["v1 | greeting: stall", "v1"], as_it_is);
        let token = postbound::CancellationToken::new();
        let canceller = token.clone();
        tokio::spawn(async move {
            tokio::time::sleep(secs(1)).await;
            canceller.cancel();
        });
        let error = client.send(&envelope(), MESSAGE, &token).await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.elapsed(), secs(1));
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        assert_eq!(topology.ledger().connections(), 1);
        assert_eq!(topology.client_streams(), 0);
    });
}
