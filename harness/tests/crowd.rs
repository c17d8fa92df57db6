//! Many senders over one small pool, some of which are cancelled or dropped: against random faults,
//! and a thousand of them against a hostile server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Client, Connector, Envelope, Error, Outcome, Phase, Pool, Receipt,
    Timeouts,
};
use postbound_harness::property::{runner, seed};
use postbound_harness::run::several::Several;
use postbound_harness::{arbitrary, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestError;
use simnet::net::loopback::Loopback;
use simnet::{Delivery, Double, Plan};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How a sender's call is ended before its time, if it is.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Itself,
    Deadline(Duration),
    Cancel(Duration),
    Drop(Duration),
}

/// Who sends, when, and how it ends.
#[derive(Clone, Copy, Debug)]
struct Sender {
    start: Duration,
    ending: Ending,
}

/// What became of a sender's message, as it was told; `None` if it was dropped.
type Told = (usize, Option<Result<Receipt, Error>>);

fn number_of(delivery: &Delivery) -> usize {
    let path = &delivery.reverse_path;
    let digits = path.strip_prefix("sender").unwrap().split('@').next();
    digits.unwrap().parse().unwrap()
}

async fn one<C: Connector + 'static>(pool: Pool<C>, n: usize, sender: Sender) -> Told {
    let envelope = Envelope::new(
        format!("sender{n}@client.example").parse().unwrap(),
        ["you@double.example".parse().unwrap()],
    )
    .unwrap();
    let message = format!("Subject: {n}\r\n\r\n{}", ".line\r\n".repeat(n % 40));
    sleep(sender.start).await;
    let send = |bounds: Bounds<'static>| {
        let (pool, envelope, message) = (pool.clone(), envelope.clone(), message.clone());
        async move { pool.send(&envelope, message, bounds).await }
    };
    let result = match sender.ending {
        Ending::Itself => Some(send(Bounds::none()).await),
        Ending::Deadline(after) => Some(send(after.into()).await),
        Ending::Cancel(after) => {
            let token = CancellationToken::new();
            let canceller = token.clone();
            let task = tokio::spawn(async move {
                sleep(after).await;
                canceller.cancel();
            });
            let result = send(Bounds::from(&token).into_owned()).await;
            task.abort();
            Some(result)
        }
        Ending::Drop(after) => {
            let call = tokio::spawn(send(Bounds::none()));
            sleep(after).await;
            call.abort();
            call.await.ok()
        }
    };
    (n, result)
}

async fn all<C: Connector + 'static>(pool: &Pool<C>, senders: &[Sender]) -> Vec<Told> {
    let mut tasks = JoinSet::new();
    for (n, sender) in senders.iter().enumerate() {
        tasks.spawn(one(pool.clone(), n, *sender));
    }
    let mut told = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        told.push(ended.unwrap());
    }
    told
}

/// The mailboxes against what everybody was told.
fn check(told: &[Told], deliveries: &[Delivery]) -> Result<(), String> {
    let mut committed: BTreeMap<usize, usize> = BTreeMap::new();
    for delivery in deliveries {
        *committed.entry(number_of(delivery)).or_default() += 1;
    }
    for (n, result) in told {
        let count = committed.get(n).copied().unwrap_or(0);
        let outcome = result.as_ref().map(|result| match result {
            Ok(_) => Outcome::Accepted,
            Err(error) => error.outcome(),
        });
        let honest = match outcome {
            Some(Outcome::Accepted) => count == 1,
            Some(Outcome::NotAccepted) => count == 0,
            _ => count <= 1,
        };
        if !honest {
            return Err(format!(
                "message {n} is {count} times in the mailboxes: {result:?}"
            ));
        }
    }
    Ok(())
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn sender() -> impl Strategy<Value = Sender> {
    let ending = prop_oneof![
        2 => Just(Ending::Itself),
        1 => millis(1..6_000).prop_map(Ending::Deadline),
        1 => millis(0..6_000).prop_map(Ending::Cancel),
        1 => millis(0..6_000).prop_map(Ending::Drop),
    ];
    (millis(0..3_000), ending).prop_map(|(start, ending)| Sender { start, ending })
}

fn crowd() -> impl Strategy<Value = (Vec<Plan>, usize, Vec<Sender>)> {
    (
        vec(arbitrary::plan(), 1..5),
        1usize..4,
        vec(sender(), 1..12),
    )
}

fn run_crowd(plans: &[Plan], size: usize, senders: &[Sender]) -> Result<(), String> {
    run::paused(async {
        let mut plans = plans.to_vec();
        plans.push(Plan::healthy());
        let single = plans
            .iter()
            .all(|plan| !plan.to_string().contains("addresses"));
        let network = Several::new(plans);
        let client = Client::builder("double.example", 25)
            .timeouts(Timeouts::uniform(Duration::from_secs(2)).unwrap())
            .connector(network.clone())
            .build()
            .unwrap();
        let pool = Pool::builder(client).size(size).build();
        let promise = pool.worst_case(1, 1_000).total();
        let begun = tokio::time::Instant::now();
        let told = all(&pool, senders).await;
        if begun.elapsed() > promise + Duration::from_secs(3) {
            return Err(format!("took {:?}, promised {promise:?}", begun.elapsed()));
        }
        if pool.in_use() != 0 || network.streams() != pool.idle() {
            let (used, streams) = (pool.in_use(), network.streams());
            return Err(format!("{used} slots are lost, {streams} streams are open"));
        }
        // Addresses race, so that one connection may open several streams for a moment.
        if single && network.most_streams() > size {
            return Err(format!("{} streams at once", network.most_streams()));
        }
        sleep(Duration::from_secs(3_600)).await;
        check(&told, &network.deliveries())?;
        match network.findings().first() {
            Some(finding) => Err(finding.to_string()),
            None => Ok(()),
        }
    })
}

#[test]
fn g5_no_duplicates_pool_whatever_goes_wrong_and_whoever_gives_up() {
    let cases = std::env::var("PROPTEST_CASES").map_or(1_500, |cases| cases.parse().unwrap());
    let result = runner(seed(), cases).run(&crowd(), |(plans, size, senders)| {
        run_crowd(&plans, size, &senders).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (plans, size, senders))) => {
            let plans: Vec<_> = plans.iter().map(Plan::one_line).collect();
            panic!(
                "{why}\n  seed {}, size {size}\n  {plans:#?}\n  {senders:#?}",
                seed()
            )
        }
        Err(error) => panic!("{error}"),
    }
}

/// A small generator with a seed: what is random here is random in the same way every time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A server that goes wrong in a different way at each of a connection's messages.
const HOSTILE: &str = "v1 | mail#3: reply 451 4.7.1 later | rcpt#5: after 30ms \
    | rcpt#7: reply 550 5.1.1 nobody | data-initiation#6: after 20ms \
    | data-termination#2: after 25ms | data-termination#4: commit; after 40ms \
    | data-termination#7: commit; reset";

const SENDERS: usize = 1_000;
const SIZE: usize = 8;

fn thousand(rng: &mut Seeded, spread: u64) -> Vec<Sender> {
    (0..SENDERS)
        .map(|_| Sender {
            start: Duration::from_millis(rng.below(spread)),
            ending: match rng.below(10) {
                0 => Ending::Cancel(Duration::from_millis(rng.below(400))),
                1 => Ending::Drop(Duration::from_millis(rng.below(400))),
                2 => Ending::Deadline(Duration::from_millis(1 + rng.below(400))),
                _ => Ending::Itself,
            },
        })
        .collect()
}

fn hostile_timeouts() -> Timeouts {
    // Long enough that nobody who waits in line gives up; short for a server that has stopped.
    Timeouts::uniform(Duration::from_millis(300))
        .unwrap()
        .with(Phase::Checkout, Duration::from_secs(120))
        .unwrap()
        .with_send_buffer(0)
}

/// Nobody waits longer than all the others would need if every one of them was as slow as can be.
fn starvation(pool_promise: Duration) -> Duration {
    pool_promise * u32::try_from(SENDERS.div_ceil(SIZE)).unwrap()
}

/// Who ended by itself was served, and how long it waited for its turn.
fn worst_wait(told: &[Told]) -> Duration {
    let waits = told
        .iter()
        .filter_map(|(_, result)| match result.as_ref()? {
            Ok(receipt) => receipt.timings().of(Phase::Checkout),
            Err(error) => error.timings().of(Phase::Checkout),
        });
    waits.max().unwrap()
}

/// The counts that say the crowd has met what it was to meet.
fn met(told: &[Told]) -> (usize, usize, usize) {
    let outcome = |wanted: Outcome| {
        told.iter()
            .filter(|(_, result)| match result {
                Some(Ok(_)) => wanted == Outcome::Accepted,
                Some(Err(error)) => error.outcome() == wanted,
                None => false,
            })
            .count()
    };
    (
        outcome(Outcome::Accepted),
        outcome(Outcome::NotAccepted),
        outcome(Outcome::Ambiguous),
    )
}

#[test]
fn a_thousand_senders_over_a_pool_of_eight_in_virtual_time() {
    for seed in [1, 2, 3] {
        run::paused(async {
            let network = Several::new([HOSTILE.parse().unwrap()]);
            let client = Client::builder("double.example", 25)
                .timeouts(hostile_timeouts())
                .connector(network.clone())
                .build()
                .unwrap();
            let pool = Pool::builder(client).size(SIZE).build();
            let senders = thousand(&mut Seeded(seed), 50);
            let told = all(&pool, &senders).await;

            assert!(network.most_streams() <= SIZE);
            assert_eq!(pool.in_use(), 0, "slots are lost");
            assert_eq!(network.streams(), pool.idle(), "sockets are lost");
            for (n, result) in &told {
                let timed_out = result.as_ref().and_then(|result| result.as_ref().err());
                let waited_in_vain = timed_out.is_some_and(|error| {
                    error.phase() == Phase::Checkout && matches!(senders[*n].ending, Ending::Itself)
                });
                assert!(!waited_in_vain, "sender {n} was never served");
            }
            let transaction = pool.worst_case(1, 400);
            let transaction = transaction.total() - Duration::from_secs(120);
            let bound = starvation(transaction);
            let worst = worst_wait(&told);
            assert!(worst <= bound, "waited {worst:?}, the bound is {bound:?}");
            // In truth a server that only now and then is slow costs far less.
            assert!(worst <= Duration::from_secs(5), "waited {worst:?}");

            sleep(Duration::from_secs(600)).await;
            check(&told, &network.deliveries()).unwrap();
            assert_eq!(network.findings(), []);
            let (accepted, not, ambiguous) = met(&told);
            assert!(
                accepted > 400 && not > 50 && ambiguous > 20,
                "{accepted} {not} {ambiguous}"
            );
            pool.shutdown(Bounds::none()).await;
            drop((pool, network));
            sleep(Duration::from_secs(1)).await;
            let tasks = tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks();
            assert_eq!(tasks, 0, "tasks are left");
        });
    }
}

#[test]
fn a_thousand_senders_over_a_pool_of_eight_on_real_sockets() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let double = Double::new(HOSTILE.parse().unwrap()).without_trace();
        let loopback = Loopback::bind(double, 0).await.unwrap();
        let client = Client::builder("double.example", 25)
            .timeouts(hostile_timeouts())
            .connector(loopback.connector())
            .build()
            .unwrap();
        let pool = Pool::builder(client).size(SIZE).build();
        let senders = thousand(&mut Seeded(4), 50);
        let told = all(&pool, &senders).await;
        assert_eq!(pool.in_use(), 0, "slots are lost");
        let worst = worst_wait(&told);
        assert!(worst < Duration::from_secs(110), "waited {worst:?}");
        pool.shutdown(Bounds::none()).await;
        // What the kernel still has under way reaches the double.
        sleep(Duration::from_millis(100)).await;
        check(&told, &loopback.double().ledger().deliveries()).unwrap();
        assert_eq!(loopback.double().ledger().findings(), []);
        let (accepted, ..) = met(&told);
        assert!(accepted > 300, "only {accepted} were accepted");
    });
    runtime.shutdown_background();
}
