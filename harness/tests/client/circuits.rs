//! A pool over several servers: one that is down is left alone at no cost, tried by one call at a
//! time, and used again once it is back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postbound::{
    Bounds, Circuit, Client, Connector, Endpoint, Envelope, Error, FailureKind, Mail, Outcome,
    Pool, PoolBuilder, Receipt, Retry, Timeouts,
};
use postbound_harness::run::paused;
use simnet::net::mem::{self, Topology};
use simnet::{Double, Plan};
use tokio::time::{Instant, sleep};

const MESSAGE: &str = "Subject: one\r\n\r\nand only one\r\n";
/// What the pools below leave a server alone for.
const PAUSE: Duration = Duration::from_secs(10);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn name(place: usize) -> String {
    format!("mx{place}.example")
}

fn envelope() -> Envelope {
    let from = "a@client.example".parse().unwrap();
    Envelope::new(from, ["b@double.example".parse().unwrap()]).unwrap()
}

/// The in-memory network, and the name of every server that was dialled.
#[derive(Clone, Debug)]
struct Dialled {
    network: mem::Connector,
    names: Arc<Mutex<Vec<String>>>,
}

impl Dialled {
    fn times(&self, name: &str) -> usize {
        let names = self.names.lock().unwrap();
        names.iter().filter(|known| *known == name).count()
    }
}

impl Connector for Dialled {
    type Stream = mem::Stream;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.names.lock().unwrap().push(host.to_owned());
        self.network.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        self.network.connect(address).await
    }
}

/// Servers with these plans, `mx0.example` first, and a client that prefers them in this order.
fn servers(plans: &[&str]) -> (Topology, Dialled, Client<Dialled>) {
    let doubles = plans.iter().enumerate().map(|(place, plan)| {
        let double = Double::new(plan.parse().unwrap()).without_trace();
        (name(place), double)
    });
    let topology = Topology::new(doubles);
    let dialled = Dialled {
        network: topology.connector(),
        names: Arc::default(),
    };
    let builder = Client::builder(name(0), 25)
        .timeouts(Timeouts::uniform(ms(1_000)).unwrap())
        .retry(Retry::attempts(3).first_wait(ms(10)))
        .seed(1);
    let client = (1..plans.len())
        .fold(builder, |builder, place| {
            let priority = u16::try_from(place).unwrap();
            builder.endpoint(Endpoint::new(name(place), 25).unwrap().priority(priority))
        })
        .connector(dialled.clone())
        .build()
        .unwrap();
    (topology, dialled, client)
}

/// Every message needs a connection of its own, and three failures are too many.
fn eager(client: Client<Dialled>) -> PoolBuilder<Dialled> {
    Pool::builder(client).messages(1).failures(3).pause(PAUSE)
}

async fn send(pool: &Pool<Dialled>) -> Result<Receipt, Error> {
    pool.send(&envelope(), MESSAGE, Bounds::none()).await
}

const DEAD: [&str; 4] = [
    "v1 | connect: refuse",
    "v1 | connect: blackhole",
    "v1 | greeting: stall",
    "v1 | greeting: reply 421 4.3.2 not now; close",
];

#[test]
fn pool_a_dead_server_among_two_costs_a_thousand_sends_a_bounded_number_of_dials() {
    for dead in DEAD {
        let run = || {
            paused(async {
                let (topology, dialled, client) = servers(&[dead, "v1"]);
                let pool = eager(client).size(4).build();
                let begun = Instant::now();
                let mut in_vain = 0;
                for n in 0..1_000 {
                    let (asked, before) = (Instant::now(), dialled.times(&name(0)));
                    let receipt = send(&pool).await.unwrap();
                    assert_eq!(receipt.endpoint(), "mx1.example:25");
                    if dialled.times(&name(0)) == before {
                        let took = asked.elapsed();
                        assert!(took < ms(50), "{dead}: message {n} took {took:?}");
                    } else {
                        in_vain += 1;
                        assert_eq!(receipt.earlier().len(), 1);
                    }
                    sleep(ms(100)).await;
                }
                // Three to open the circuit, and one for each pause.
                let pauses = begun.elapsed().as_millis() / PAUSE.as_millis();
                let most = 3 + usize::try_from(pauses).unwrap();
                assert!(
                    (most - 2..=most).contains(&in_vain),
                    "{dead}: {in_vain} dials in {:?}",
                    begun.elapsed()
                );
                assert_eq!(topology.ledger().committed(), 1_000);
                assert_eq!(topology.ledger().findings(), []);
                let names = dialled.names.lock().unwrap();
                (names.clone(), begun.elapsed())
            })
        };
        assert_eq!(run(), run(), "{dead}: one seed, one run");
    }
}

#[test]
fn pool_behind_the_pause_one_call_tries_the_server_and_the_others_pass_it_over() {
    for (dead, healed) in [
        ("v1 | greeting: stall", false),
        ("v1 | greeting: stall", true),
    ] {
        paused(async {
            let (topology, dialled, client) = servers(&[dead, "v1"]);
            let pool = eager(client).size(20).build();
            for _ in 0..3 {
                let _ = send(&pool).await.unwrap();
            }
            let open = Circuit::Open {
                left: PAUSE - ms(5),
            };
            let states = pool.circuits();
            assert_eq!(states[1].1, Circuit::Closed);
            assert!(
                matches!(states[0].1, Circuit::Open { left } if left <= PAUSE),
                "{open:?}"
            );
            assert_eq!(pool.circuit(), Circuit::Closed, "one of them is dialled");
            let shown = format!("{pool:?}");
            assert!(
                shown.contains("mx0.example") && shown.contains("Open"),
                "{shown}"
            );

            sleep(PAUSE).await;
            assert_eq!(pool.circuits()[0].1, Circuit::HalfOpen);
            if healed {
                topology.set_plan(&name(0), &Plan::healthy());
            }
            let before = dialled.times(&name(0));
            let begun = Instant::now();
            let mut senders = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let pool = pool.clone();
                senders.spawn(async move {
                    let receipt = send(&pool).await.unwrap();
                    (receipt.endpoint().to_owned(), begun.elapsed())
                });
            }
            let ended = senders.join_all().await;
            assert_eq!(dialled.times(&name(0)) - before, 1, "one of them tries");
            let late = ended.iter().filter(|(_, took)| *took > ms(50)).count();
            assert_eq!(late, usize::from(!healed), "the others lose no time");
            let first = ended
                .iter()
                .filter(|(server, _)| server == "mx0.example:25");
            assert_eq!(first.count(), usize::from(healed));
            let state = pool.circuits()[0].1;
            if healed {
                assert_eq!(state, Circuit::Closed);
                assert_eq!(send(&pool).await.unwrap().endpoint(), "mx0.example:25");
            } else {
                assert!(matches!(state, Circuit::Open { .. }), "{state:?}");
            }
        });
    }
}

#[test]
fn pool_a_call_that_gives_up_on_the_server_it_tries_leaves_the_next_one_to() {
    paused(async {
        let (topology, dialled, client) = servers(&["v1 | greeting: stall", "v1"]);
        let pool = eager(client).build();
        for _ in 0..3 {
            let _ = send(&pool).await.unwrap();
        }
        sleep(PAUSE).await;
        let trying = pool.clone();
        let trying = tokio::spawn(async move { send(&trying).await });
        sleep(ms(100)).await;
        assert_eq!(send(&pool).await.unwrap().endpoint(), "mx1.example:25");
        trying.abort();
        assert!(trying.await.unwrap_err().is_cancelled());
        topology.set_plan(&name(0), &Plan::healthy());
        let before = dialled.times(&name(0));
        assert_eq!(send(&pool).await.unwrap().endpoint(), "mx0.example:25");
        assert_eq!(dialled.times(&name(0)) - before, 1);
        assert_eq!(pool.circuits()[0].1, Circuit::Closed);
    });
}

#[test]
fn g7_live_pool_where_every_circuit_is_open_the_first_call_behind_the_outage_succeeds() {
    for dead in DEAD {
        for count in [1, 2, 3] {
            paused(async {
                let (topology, dialled, client) = servers(&vec![dead; count]);
                let pool = eager(client).size(30).build();
                let mut sends = 0;
                while pool.circuit() == Circuit::Closed {
                    sends += 1;
                    assert!(sends <= 3, "{dead}");
                    let error = send(&pool).await.unwrap_err();
                    assert_eq!(error.outcome(), Outcome::NotAccepted);
                }
                // An outage is not multiplied: as many dials at a time as there are servers.
                let before = dialled.names.lock().unwrap().len();
                let mut senders = tokio::task::JoinSet::new();
                for _ in 0..30 {
                    let pool = pool.clone();
                    senders.spawn(async move { send(&pool).await.unwrap_err() });
                }
                let errors = senders.join_all().await;
                let dials = dialled.names.lock().unwrap().len() - before;
                assert_eq!(dials, count, "{dead}");
                let refused = errors.iter().filter(|error| {
                    matches!(error.kind(), FailureKind::CircuitOpen(_))
                        && error.elapsed() == ms(0)
                        && error.is_transient()
                });
                assert_eq!(refused.count(), 30 - count, "{dead}");

                // One is there again, whichever it is: it is found by as many calls as there are.
                for place in 0..count {
                    topology.set_plan(&name(place), &Plan::healthy());
                }
                let begun = Instant::now();
                let _ = send(&pool).await.unwrap();
                assert!(begun.elapsed() < ms(50), "{dead}: {:?}", begun.elapsed());
                assert_eq!(pool.circuit(), Circuit::Closed);
            });
        }
    }
}

/// How the messages of one run go out, one after the other.
#[derive(Clone, Copy, Debug)]
enum By {
    Client,
    Pool,
    SendAll,
}

async fn ten(by: By, client: Client<Dialled>) -> Vec<Result<String, Error>> {
    let server = |receipt: Receipt| receipt.endpoint().to_owned();
    let pool = Pool::builder(client.clone()).size(1).build();
    let mut told = Vec::new();
    match by {
        By::SendAll => {
            let mails = (0..10).map(|_| Mail::new(envelope(), MESSAGE));
            let mut all = pool.send_all(mails, Bounds::none());
            while let Some(sent) = all.next().await {
                told.push(sent.result.map(server));
            }
        }
        By::Pool => {
            for _ in 0..10 {
                told.push(send(&pool).await.map(server));
            }
        }
        By::Client => {
            for _ in 0..10 {
                let sent = client.send(&envelope(), MESSAGE, Bounds::none()).await;
                told.push(sent.map(server));
            }
        }
    }
    told
}

#[test]
fn who_breaks_off_in_the_middle_comes_last_for_a_client_a_pool_and_send_all() {
    for (plan, failed) in [
        (
            "v1 | mail: reply 421 4.3.2 closing; close",
            Outcome::NotAccepted,
        ),
        ("v1 | mail: close", Outcome::NotAccepted),
        ("v1 | rcpt: reset", Outcome::NotAccepted),
        ("v1 | data-initiation: stall", Outcome::NotAccepted),
        ("v1 | data-termination: commit; close", Outcome::Ambiguous),
    ] {
        for by in [By::Client, By::Pool, By::SendAll] {
            paused(async {
                let (topology, _, client) = servers(&[plan, "v1"]);
                let told = ten(by, client).await;
                let what = format!("{plan} by {by:?}");
                let ambiguous = failed == Outcome::Ambiguous;
                match by {
                    // It tries again, on the other server, and begins the next call as ever.
                    By::Client => {
                        for result in &told {
                            match result {
                                Ok(server) => assert_eq!(server, "mx1.example:25", "{what}"),
                                Err(error) => assert!(ambiguous && error.is_ambiguous(), "{what}"),
                            }
                        }
                    }
                    // The first one is lost, and the others do not pay for the same server.
                    By::Pool | By::SendAll => {
                        let mut told = told.into_iter();
                        let error = told.next().unwrap().unwrap_err();
                        assert_eq!(error.outcome(), failed, "{what}");
                        for result in told {
                            assert_eq!(result.unwrap(), "mx1.example:25", "{what}");
                        }
                    }
                }
                assert_eq!(topology.ledger().findings(), [], "{what}");
            });
        }
    }
    // Who answers is as good as the others, even if the answer is no.
    for by in [By::Client, By::Pool, By::SendAll] {
        paused(async {
            let plan = "v1 | mail: reply 451 4.3.0 not now";
            let (_, dialled, client) = servers(&[plan, "v1"]);
            let told = ten(by, client).await;
            assert!(told.iter().all(Result::is_err), "{by:?}");
            assert_eq!(dialled.times(&name(1)), 0, "{by:?}");
        });
    }
}

#[test]
fn pool_who_broke_off_comes_first_again_when_a_transaction_ended_well_or_the_pause_is_over() {
    paused(async {
        let (_, _, client) = servers(&["v1 | mail#1: reply 421 4.3.2 closing; close", "v1"]);
        let pool = eager(client).build();
        let _ = send(&pool).await.unwrap_err();
        assert_eq!(send(&pool).await.unwrap().endpoint(), "mx1.example:25");
        sleep(PAUSE).await;
        let _ = send(&pool).await.unwrap_err();
        assert_eq!(send(&pool).await.unwrap().endpoint(), "mx1.example:25");
    });
    paused(async {
        // Alone, it is tried again at once.
        let (topology, _, client) = servers(&["v1 | mail: reply 421 4.3.2 closing; close"]);
        let pool = eager(client).build();
        let _ = send(&pool).await.unwrap_err();
        topology.set_plan(&name(0), &Plan::healthy());
        assert_eq!(send(&pool).await.unwrap().endpoint(), "mx0.example:25");
    });
}
