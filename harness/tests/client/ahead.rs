//! Messages ahead of the replies (RFC 3030 §4.2): a window of them on one connection, each with its
//! own truthful outcome whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that can't be set up has to fail, and one call is dropped at a time of its own"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Chunking, Client, Connector, Envelope, Error, Mail, Phase, Pool,
    Protocol, Receipt, Timeouts,
};
use postbound_harness::property::{runner, seed};
use postbound_harness::run::several::Several;
use postbound_harness::{arbitrary, run};
use proptest::collection::vec;
use proptest::prelude::*;
use simnet::plan::{Direction, IntakeFault, LinkFault, Rule, Say, Strike, Then, vocabulary};
use simnet::{Double, Plan, Script};
use tokio::time::{Instant, sleep};

const MAILS: usize = 8;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn text(n: usize) -> String {
    format!("Subject: {n}\r\n\r\n{}", ".line\r\n".repeat(n % 7 * 20))
}

fn mail(n: usize, recipients: usize) -> Mail<'static> {
    let from = format!("s{n}@client.example").parse().unwrap();
    let to = (1..=recipients).map(|to| format!("r{to}@double.example").parse().unwrap());
    Mail::new(Envelope::new(from, to).unwrap(), text(n))
}

fn doubles(plans: impl IntoIterator<Item = Plan>) -> Several {
    Several::of(plans.into_iter().map(|plan| {
        let double = Double::new(plan).with_script(Script::full());
        double.without_trace()
    }))
}

fn pool<C: Connector>(connector: C, window: u32, size: usize) -> Pool<C> {
    let client = Client::builder("double.example", 25)
        .timeouts(Timeouts::uniform(ms(2_000)).unwrap())
        .chunking(Chunking::Ahead(window))
        .connector(connector)
        .build()
        .unwrap();
    let pool = Pool::builder(client).size(size).messages(u32::MAX);
    pool.build()
}

async fn all(pool: &Pool<Several>, mails: usize) -> BTreeMap<usize, Result<Receipt, Error>> {
    let mut results = BTreeMap::new();
    let mut all = pool.send_all((0..mails).map(|n| mail(n, 1)), Bounds::none());
    while let Some(sent) = all.next().await {
        let told = results.insert(sent.index, sent.result);
        assert!(told.is_none(), "told twice");
    }
    results
}

/// How often each message is in the mailboxes, each as it was sent.
fn committed(network: &Several) -> BTreeMap<usize, usize> {
    let mut committed = BTreeMap::new();
    for delivery in network.deliveries() {
        let n = delivery.reverse_path[1..].split('@').next().unwrap();
        let n: usize = n.parse().unwrap();
        assert_eq!(
            String::from_utf8(delivery.octets).unwrap(),
            text(n),
            "mixed up"
        );
        *committed.entry(n).or_default() += 1;
    }
    committed
}

/// What is not true of the results.
fn dishonest(
    results: &BTreeMap<usize, Result<Receipt, Error>>,
    committed: &BTreeMap<usize, usize>,
) -> Option<String> {
    let lie = results.iter().find(|(n, result)| {
        let count = committed.get(n).copied().unwrap_or(0);
        !match result {
            Ok(_) => count == 1,
            Err(error) if error.is_ambiguous() => count <= 1,
            Err(_) => count == 0,
        }
    });
    lie.map(|(n, result)| {
        format!(
            "message {n} is there {:?} times: {result:?}",
            committed.get(n)
        )
    })
}

/// A server that says a reply twice, or leaves one out and goes on with the group, says it in another's
/// place, and one that refuses in the middle of a chunk and takes it all the same answers twice: no
/// client that pipelines can see any of these. They are made to say it once, or to stop.
fn answers_each(mut plan: Plan) -> Plan {
    let said = [
        Phase::Mail,
        Phase::Rcpt,
        Phase::Reset,
        Phase::DataBlock,
        Phase::DataTermination,
    ];
    for rule in &mut plan.rules {
        match rule {
            Rule::Server { phase, fault, .. } if said.contains(phase) => match fault.say {
                Say::Twice => fault.say = Say::Normal,
                Say::Nothing | Say::Raw(_) if fault.then == Then::Continue => {
                    fault.then = Then::Stall;
                }
                _ => {}
            },
            Rule::Intake(IntakeFault::Interrupt { fault, .. }) if fault.then == Then::Continue => {
                fault.then = Then::Stall;
            }
            _ => {}
        }
    }
    plan
}

#[test]
fn a_window_of_messages_costs_one_round_trip() {
    run::paused(async {
        let network = doubles(["v1 | link: latency 50ms".parse().unwrap()]);
        let pool = pool(network.clone(), 32, 1);
        pool.warm(1, Bounds::none()).await.unwrap();
        let begun = Instant::now();
        let results = all(&pool, 640).await;
        assert!(results.values().all(Result::is_ok));
        // A parked connection is asked with one message first.
        let took = begun.elapsed();
        assert!(took >= ms(2_000) && took <= ms(2_000 + 500), "{took:?}");
        assert_eq!(committed(&network).len(), 640);
        assert_eq!((network.connections(), network.findings()), (1, vec![]));
    });
}

#[test]
fn a_single_message_costs_one_round_trip() {
    run::paused(async {
        let network = doubles(["v1 | link: latency 50ms".parse().unwrap()]);
        let client = Client::builder("double.example", 25)
            .chunking(Chunking::AHEAD)
            .connector(network.clone())
            .build()
            .unwrap();
        let mut connection = client.connect(Bounds::none()).await.unwrap();
        for n in 0..10 {
            let begun = Instant::now();
            let envelope = mail(n, 3).envelope().clone();
            let transaction = connection.transaction(&envelope).unwrap();
            let transaction = transaction.chunking(Chunking::AHEAD);
            let receipt = transaction.send(text(n), Bounds::none()).await.unwrap();
            assert_eq!(receipt.recipients().len(), 3);
            assert!(begun.elapsed() <= ms(101), "{:?}", begun.elapsed());
        }
        assert_eq!(network.findings(), []);
    });
}

#[test]
fn the_pool_asks_a_connection_that_was_at_rest_before_anything_is_ambiguous() {
    // The server hangs up on the second message's commands, which have been said to it.
    for fault in ["mail#2: nothing; close", "rcpt#2: nothing; reset"] {
        run::paused(async {
            let plan = format!("v1 | {fault}").parse().unwrap();
            let network = doubles([plan, Plan::healthy()]);
            let pool = pool(network.clone(), 32, 1);
            for n in 0..2 {
                let mail = mail(n, 1);
                let result = pool.send(mail.envelope(), text(n), Bounds::none()).await;
                assert!(!result.is_err_and(|error| error.is_ambiguous()), "{fault}");
            }
        });
    }
}

#[test]
fn g4_honest_ahead_a_refused_message_does_not_disturb_the_others() {
    for place in 1..=MAILS {
        for (refusal, phase) in [
            (format!("mail#{place}: reply 550 5.7.1 no"), Phase::Mail),
            (format!("rcpt#{place}: reply 550 5.1.1 nobody"), Phase::Rcpt),
            (
                format!("data-termination#{place}: reply 554 5.6.0 no"),
                Phase::DataTermination,
            ),
        ] {
            for window in [1, 3, 32] {
                run::paused(async {
                    let network = doubles([format!("v1 | {refusal}").parse().unwrap()]);
                    let results = all(&pool(network.clone(), window, 1), MAILS).await;
                    let refused: Vec<_> = results
                        .iter()
                        .filter_map(|(n, result)| Some((*n, result.as_ref().err()?.phase())))
                        .collect();
                    // A refused MAIL's RCPT is no occasion of a fault.
                    assert_eq!(refused, [(place - 1, phase)], "{refusal}");
                    assert_eq!(dishonest(&results, &committed(&network)), None, "{refusal}");
                    assert_eq!(committed(&network).len(), MAILS - 1, "{refusal}");
                    assert_eq!(
                        (network.connections(), network.findings()),
                        (1, vec![]),
                        "{refusal} in a window of {window}"
                    );
                });
            }
        }
    }
}

#[test]
fn g5_no_duplicates_ahead_over_every_fault_at_every_phase() {
    let mut faults = vocabulary::link_faults(ms(2_000));
    for phase in Phase::ALL {
        faults.extend(vocabulary::faults(phase, ms(2_000)));
    }
    assert!(faults.len() > 100);
    for fault in faults {
        for (window, size) in [(32, 1), (3, 2)] {
            let what = format!("{} in {window}", fault.plan.one_line());
            run::paused(async {
                let plan = answers_each(fault.plan.clone());
                let network = doubles([plan.clone(), plan, Plan::healthy()]);
                let pool = pool(network.clone(), window, size);
                let results = all(&pool, MAILS).await;
                assert_eq!(results.len(), MAILS, "{what}");
                assert_eq!(pool.in_use(), 0, "{what}");
                assert_eq!(network.streams(), pool.idle(), "{what}");
                sleep(Duration::from_secs(3_600)).await;
                assert_eq!(dishonest(&results, &committed(&network)), None, "{what}");
                assert_eq!(network.findings(), [], "{what}");
            });
        }
    }
}

#[test]
fn g4_honest_ahead_wherever_in_the_dialogue_it_breaks() {
    let strikes = [Strike::Reset, Strike::Close, Strike::Stall, Strike::Shut];
    let mut ambiguous_at_once = 0;
    for (direction, octets) in [(Direction::ToServer, 5_400), (Direction::ToClient, 700)] {
        for (kind, strike) in strikes.into_iter().enumerate() {
            if direction == Direction::ToClient && strike == Strike::Shut {
                continue;
            }
            // A prime apart, and each kind at others: together at every tenth octet or so.
            let step = if direction == Direction::ToServer {
                37
            } else {
                7
            };
            for octet in (1 + kind as u64..octets).step_by(step) {
                let what = format!("{strike:?} at {octet} {direction:?}");
                run::paused(async {
                    let plan = Plan::of([Rule::Link(LinkFault::At {
                        octet,
                        direction,
                        strike,
                    })]);
                    let network = doubles([plan, Plan::healthy()]);
                    let pool = pool(network.clone(), 32, 1);
                    let results = all(&pool, MAILS).await;
                    assert_eq!(results.len(), MAILS, "{what}");
                    sleep(Duration::from_secs(3_600)).await;
                    let committed = committed(&network);
                    assert_eq!(dishonest(&results, &committed), None, "{what}");
                    assert_eq!(network.findings(), [], "{what}");
                    let ambiguous = |result: &&Result<Receipt, Error>| {
                        result.as_ref().is_err_and(|error| error.is_ambiguous())
                    };
                    let count = results.values().filter(ambiguous).count();
                    ambiguous_at_once = ambiguous_at_once.max(count);
                    // The current one may end without being told of; no other is lost.
                    let others = results.values().filter(|r| r.is_err()).count() - count;
                    assert!(others <= 1, "{what}: {results:?}");
                });
            }
        }
    }
    assert!(ambiguous_at_once > 3, "the window was open");
}

/// One experiment.
#[derive(Clone, Debug)]
struct Batch {
    plans: Vec<Plan>,
    mails: usize,
    recipients: usize,
    window: u32,
    connections: usize,
    lmtp: bool,
    deadline: Option<Duration>,
    cancel: Option<Duration>,
    drop: Option<Duration>,
    linger: Duration,
}

impl Batch {
    fn network(&self) -> Several {
        let plans = self.plans.iter().cloned().map(answers_each);
        Several::of(plans.chain([Plan::healthy()]).map(|plan| {
            let script = Script::full();
            let script = if self.lmtp {
                script.with_lmtp()
            } else {
                script
            };
            Double::new(plan).with_script(script).without_trace()
        }))
    }

    fn run(&self) -> Result<(), String> {
        run::paused(async {
            let network = self.network();
            let protocol = if self.lmtp {
                Protocol::Lmtp
            } else {
                Protocol::Smtp
            };
            let client = Client::builder("double.example", 25)
                .timeouts(Timeouts::uniform(ms(2_000)).unwrap())
                .chunking(Chunking::Ahead(self.window))
                .protocol(protocol)
                .connector(network.clone())
                .build()
                .unwrap();
            let pool = Pool::builder(client).size(self.connections).build();
            let token = CancellationToken::new();
            let mut bounds = Bounds::none().cancelled_by(&token).linger(self.linger);
            if let Some(deadline) = self.deadline {
                bounds = bounds.within(deadline);
            }
            if let Some(after) = self.cancel {
                let token = token.clone();
                tokio::spawn(async move {
                    sleep(after).await;
                    token.cancel();
                });
            }
            let wait = pool.worst_case(self.recipients, 2_000).total() + self.linger + ms(2);
            let held = self.connections * (self.window.max(2) as usize);
            let begun = Instant::now();
            let mut results = BTreeMap::new();
            let recipients = self.recipients;
            let mails = (0..self.mails).map(|n| mail(n, recipients));
            let mut all = pool.send_all(mails, bounds);
            let dropped = self.drop.map(|after| begun + after);
            loop {
                let asked = Instant::now();
                let next = match dropped {
                    None => all.next().await,
                    Some(at) => match tokio::time::timeout_at(at, all.next()).await {
                        Ok(next) => next,
                        Err(_) => break,
                    },
                };
                let Some(sent) = next else { break };
                if asked.elapsed() > wait {
                    return Err(format!("a result took {:?} of {wait:?}", asked.elapsed()));
                }
                if all.taken() > results.len() + held + 1 {
                    return Err(format!("{} messages are held", all.taken()));
                }
                if results.insert(sent.index, sent.result).is_some() {
                    return Err(format!("two results for message {}", sent.index));
                }
            }
            let taken = all.taken();
            drop(all);
            let ends = self.deadline.into_iter().chain(self.cancel);
            if self.drop.is_none() {
                if results.len() != taken {
                    return Err(format!("{} results for {taken} messages", results.len()));
                }
                match ends.min() {
                    Some(end) if begun.elapsed() > end + self.linger + ms(2) => {
                        return Err(format!("ended at {:?}, not {end:?}", begun.elapsed()));
                    }
                    None if taken != self.mails => return Err(format!("took only {taken}")),
                    _ => {}
                }
            }
            if pool.in_use() != 0 || network.streams() != pool.idle() {
                return Err("slots or sockets are lost".to_owned());
            }
            sleep(Duration::from_secs(3_600)).await;
            let copies = committed(&network);
            if self.lmtp {
                // Each recipient has a mailbox, and an outcome of its own.
                if let Some((n, count)) = copies.iter().find(|(_, count)| **count > recipients) {
                    return Err(format!("message {n} is there {count} times"));
                }
                let none = |n: &usize| copies.get(n).is_none_or(|count| *count == 0);
                for (n, result) in &results {
                    let lie = match result {
                        Ok(receipt) => {
                            let accepted = receipt.recipients().iter();
                            let took = |r: &&postbound::Recipient| {
                                r.outcome() == postbound::Outcome::Accepted
                            };
                            accepted.filter(took).count() != copies.get(n).copied().unwrap_or(0)
                        }
                        Err(error) => !error.is_ambiguous() && !none(n),
                    };
                    if lie {
                        return Err(format!("message {n}: {result:?}, {:?}", copies.get(n)));
                    }
                }
            } else {
                if let Some(lie) = dishonest(&results, &copies) {
                    return Err(lie);
                }
                // Those of which nothing was told, because nobody waited, are there once at most.
                if let Some((n, count)) = copies.iter().find(|(_, count)| **count > 1) {
                    return Err(format!("message {n} is there {count} times"));
                }
            }
            match network.findings().first() {
                Some(finding) => Err(finding.to_string()),
                None => Ok(()),
            }
        })
    }
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn batch() -> impl Strategy<Value = Batch> {
    (
        vec(arbitrary::plan(), 0..4),
        1usize..60,
        1usize..4,
        prop_oneof![Just(32u32), 0u32..8],
        1usize..3,
        any::<bool>(),
        (
            proptest::option::weighted(0.2, millis(1..8_000)),
            proptest::option::weighted(0.2, millis(0..8_000)),
            proptest::option::weighted(0.1, millis(0..3_000)),
        ),
        prop_oneof![3 => Just(Duration::ZERO), 1 => millis(1..1_000)],
    )
        .prop_map(
            |(plans, mails, recipients, window, connections, lmtp, ends, linger)| Batch {
                plans,
                mails,
                recipients,
                window,
                connections,
                lmtp,
                deadline: ends.0,
                cancel: ends.1,
                drop: ends.2,
                linger,
            },
        )
}

#[test]
fn g4_honest_ahead_g5_no_duplicates_ahead_whatever_goes_wrong() {
    let cases = std::env::var("PROPTEST_CASES").map_or(1_500, |cases| cases.parse().unwrap());
    let result =
        runner(seed(), cases).run(&batch(), |batch| batch.run().map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(proptest::test_runner::TestError::Fail(why, batch)) => {
            let plans: Vec<_> = batch.plans.iter().map(Plan::one_line).collect();
            panic!("{why}\n  seed {}\n  {plans:#?}\n  {batch:?}", seed())
        }
        Err(error) => panic!("{error}"),
    }
}
