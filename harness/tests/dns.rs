//! MX delivery by a real resolver, over real UDP and TCP, with the double as name server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postbound::{
    CancellationToken, Client, Connector, Delivered, Dns, DomainProblem, Envelope, Error,
    Exchanges, FailureKind, Limit, LookupError, Mx, Outcome, Phase, TcpConnector, Timeouts,
};
use simnet::dns::{Answer, Server, Zone};
use simnet::net::loopback::Loopback;
use simnet::{Double, Plan};
use tokio::time::{Instant, sleep};

const MESSAGE: &[u8] = b"Subject: one\r\n\r\nand only one\r\n";

/// TCP, and names from a list: the zone's name server knows of mail exchanges only.
#[derive(Clone)]
struct Hosts {
    addresses: Arc<BTreeMap<String, SocketAddr>>,
}

impl Connector for Hosts {
    type Stream = <TcpConnector as Connector>::Stream;

    async fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        let address = self.addresses.get(host.trim_end_matches('.'));
        Ok(address.copied().into_iter().collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        TcpConnector::new().connect(address).await
    }
}

/// A name server, and a mail server for each host.
struct World {
    name_server: Server,
    hosts: BTreeMap<String, Loopback>,
}

impl World {
    async fn new(
        zone: impl IntoIterator<Item = (&'static str, Answer)>,
        hosts: &[(&str, &str)],
    ) -> Self {
        let mut servers = BTreeMap::new();
        for (host, plan) in hosts {
            let double = Double::new(plan.parse::<Plan>().unwrap());
            servers.insert((*host).to_owned(), Loopback::bind(double, 0).await.unwrap());
        }
        Self {
            name_server: Server::bind(Zone::new(zone)).await.unwrap(),
            hosts: servers,
        }
    }

    fn dns(&self) -> Dns {
        Dns::with_servers([self.name_server.local_addr()])
    }

    fn mx(&self, limit: Duration) -> Mx<Dns, Hosts> {
        let hosts = self.hosts.iter();
        let addresses = hosts.map(|(host, server)| (host.clone(), server.local_addr().unwrap()));
        let client = Client::builder("unused.example", 25)
            .timeouts(Timeouts::uniform(limit).unwrap())
            .connector(Hosts {
                addresses: Arc::new(addresses.collect()),
            })
            .build()
            .unwrap();
        Mx::new(client, self.dns())
    }

    fn taken(&self, host: &str) -> usize {
        self.hosts[host].double().ledger().deliveries().len()
    }
}

fn envelope(to: &[&str]) -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, to.iter().map(|path| path.parse().unwrap())).unwrap()
}

async fn deliver(world: &World, to: &[&str]) -> Vec<Delivered> {
    let mx = world.mx(Duration::from_secs(5));
    mx.send(&envelope(to), MESSAGE, Duration::from_secs(20))
        .await
}

async fn failure(world: &World, to: &str) -> Error {
    let mut delivered = deliver(world, &[to]).await;
    delivered.remove(0).result.unwrap_err()
}

/// No task is left once the servers, which have theirs, are gone; one that has ended may take a moment.
async fn nothing_is_left(world: World) {
    drop(world);
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..500 {
        if metrics.num_alive_tasks() == 0 {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("{} tasks are left", metrics.num_alive_tasks());
}

#[tokio::test]
async fn mail_goes_to_the_host_that_is_preferred_and_to_the_next_if_it_is_dead() {
    let zone = [
        (
            "a.example",
            Answer::mx([(20, "two.example"), (10, "one.example")]),
        ),
        (
            "b.example",
            Answer::mx([(5, "dead.example"), (10, "two.example")]),
        ),
        ("implicit.example", Answer::NoRecords),
    ];
    let hosts = [
        ("one.example", "v1"),
        ("two.example", "v1"),
        ("dead.example", "v1 | connect: refuse"),
        ("implicit.example", "v1"),
    ];
    let world = World::new(zone, &hosts.map(|(host, plan)| (host, plan))).await;
    let to = [
        "x@a.example",
        "y@b.example",
        "z@implicit.example",
        "w@A.Example",
    ];
    let delivered = deliver(&world, &to).await;
    let domains: Vec<_> = delivered
        .iter()
        .map(|one| (&*one.domain, one.recipients.len(), one.result.is_ok()))
        .collect();
    let expected = [
        ("a.example", 2, true),
        ("b.example", 1, true),
        ("implicit.example", 1, true),
    ];
    assert_eq!(domains, expected, "{delivered:?}");
    for host in ["one.example", "two.example", "implicit.example"] {
        assert_eq!(world.taken(host), 1, "{host}");
    }
}

#[tokio::test]
async fn what_the_dns_says_is_permanent_only_where_it_is() {
    let zone = [
        ("null.example", Answer::mx([(0, ".")])),
        ("broken.example", Answer::ServFail),
        (
            "liar.example",
            Answer::mx([(1, "192.0.2.1"), (2, "not a host")]),
        ),
    ];
    let world = World::new(zone, &[]).await;
    for (to, kind, permanent) in [
        ("x@nowhere.example", Some(DomainProblem::NoSuchDomain), true),
        ("x@null.example", Some(DomainProblem::NullMx), true),
        ("x@broken.example", None, false),
        ("x@liar.example", None, false),
    ] {
        let error = failure(&world, to).await;
        assert_eq!(error.phase(), Phase::Resolve, "{to}: {error}");
        assert_eq!(error.outcome(), Outcome::NotAccepted);
        match kind {
            Some(problem) => assert_eq!(*error.kind(), FailureKind::Domain(problem), "{to}"),
            None => assert_eq!(*error.kind(), FailureKind::Broken, "{to}"),
        }
        assert_eq!(error.is_permanent(), permanent, "{to}: {error}");
        assert_eq!(error.is_transient(), !permanent, "{to}: {error}");
    }
}

#[tokio::test]
async fn aliases_are_followed_and_a_circle_of_them_ends() {
    let zone = [
        ("alias.example", Answer::Alias("again.example".to_owned())),
        ("again.example", Answer::Alias("real.example".to_owned())),
        ("real.example", Answer::mx([(1, "mx.example")])),
        ("round.example", Answer::Alias("about.example".to_owned())),
        ("about.example", Answer::Alias("round.example".to_owned())),
    ];
    let world = World::new(zone, &[("mx.example", "v1")]).await;
    let found = world.dns().exchanges("alias.example").await.unwrap();
    assert_eq!(found[0].host.trim_end_matches('.'), "mx.example");
    let delivered = deliver(&world, &["x@alias.example"]).await;
    assert!(delivered[0].result.is_ok(), "{delivered:?}");
    assert_eq!(world.taken("mx.example"), 1);
    let begun = Instant::now();
    let error = failure(&world, "x@round.example").await;
    assert!(!error.is_permanent(), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_huge_answer_comes_over_tcp_and_no_more_hosts_are_dialled_than_the_cap() {
    let world = World::new([("many.example", Answer::Many(1_000))], &[]).await;
    let found = world.dns().exchanges("many.example").await.unwrap();
    assert_eq!(found.len(), 1_000);
    let error = failure(&world, "x@many.example").await;
    // None of them has an address: the last one that was tried has the others behind it.
    assert_eq!(error.earlier().len() + 1, Mx::<Dns, Hosts>::MOST, "{error}");
}

#[tokio::test]
async fn a_name_server_that_hangs_costs_the_limit_and_leaves_nothing_behind() {
    let world = World::new([("hang.example", Answer::Hang)], &[]).await;
    let limit = Duration::from_millis(700);
    let mx = world.mx(limit);
    let to = envelope(&["x@hang.example"]);
    let begun = Instant::now();
    let error = mx
        .send(&to, MESSAGE, Duration::from_secs(20))
        .await
        .remove(0);
    let error = error.result.unwrap_err();
    let took = begun.elapsed();
    assert_eq!(*error.kind(), FailureKind::TimedOut(Limit::Phase(limit)));
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(
        took >= limit && took < limit + Duration::from_secs(1),
        "{took:?}"
    );
    nothing_is_left(world).await;
}

#[tokio::test]
async fn a_look_up_that_is_cancelled_or_dropped_ends_at_once_and_leaves_nothing_behind() {
    let world = World::new([("hang.example", Answer::Hang)], &[]).await;
    let mx = world.mx(Duration::from_secs(60));
    let to = envelope(&["x@hang.example"]);
    let token = CancellationToken::new();
    let (delivered, at) = tokio::join!(mx.send(&to, MESSAGE, &token), async {
        sleep(Duration::from_millis(100)).await;
        token.cancel();
        Instant::now()
    });
    assert!(at.elapsed() < Duration::from_millis(500));
    assert!(delivered[0].result.as_ref().unwrap_err().is_cancelled());
    {
        let mut send = std::pin::pin!(mx.send(&to, MESSAGE, Duration::from_secs(60)));
        tokio::select! {
            biased;
            _ = &mut send => panic!("it hangs"),
            () = sleep(Duration::from_millis(100)) => {}
        }
    }
    nothing_is_left(world).await;
}

#[tokio::test]
async fn a_name_server_that_is_not_there_does_not_make_the_domain_one_that_is_not() {
    let mut world = World::new([], &[]).await;
    let mx = world.mx(Duration::from_millis(500));
    world.name_server = Server::bind(Zone::default()).await.unwrap();
    let to = envelope(&["x@a.example"]);
    let mut delivered = mx.send(&to, MESSAGE, Duration::from_secs(20)).await;
    let error = delivered.remove(0).result.unwrap_err();
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    assert_eq!(
        (error.phase(), error.outcome()),
        (Phase::Resolve, Outcome::NotAccepted)
    );
}

#[tokio::test]
async fn a_domain_that_can_be_no_name_does_not_exist() {
    let world = World::new([], &[]).await;
    let long = format!("{}.example", "a".repeat(64));
    let error = world.dns().exchanges(&long).await.unwrap_err();
    assert!(matches!(error, LookupError::NoSuchDomain), "{error:?}");
}
