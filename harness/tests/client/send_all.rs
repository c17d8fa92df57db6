//! Many messages over few connections, each with its own truthful outcome.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Client, Envelope, FailureKind, Mail, Message, Phase, Pool, Require,
    Timeouts,
};
use postbound_harness::property::{runner, seed};
use postbound_harness::run::several::Several;
use postbound_harness::{arbitrary, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestError;
use simnet::plan::vocabulary;
use simnet::plan::{Rule, Say, Then};
use simnet::{Double, Plan, Script};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn mail(n: usize, recipients: usize) -> Mail<'static> {
    let to = (1..=recipients).map(|to| format!("r{to}@double.example").parse().unwrap());
    let from = format!("s{n}@client.example").parse().unwrap();
    let message = format!("Subject: {n}\r\n\r\n{}", ".line\r\n".repeat(n % 7 * 20));
    Mail::new(Envelope::new(from, to).unwrap(), message)
}

fn pool(network: &Several, size: usize) -> Pool<Several> {
    let client = Client::builder("double.example", 25)
        .timeouts(Timeouts::uniform(ms(2_000)).unwrap())
        .connector(network.clone())
        .build()
        .unwrap();
    Pool::builder(client).size(size).build()
}

/// How often each message is in the mailboxes.
fn committed(network: &Several) -> BTreeMap<usize, usize> {
    let mut committed = BTreeMap::new();
    for delivery in network.deliveries() {
        let n: usize = delivery.reverse_path[1..]
            .split('@')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let text = String::from_utf8(delivery.octets).unwrap();
        assert!(text.starts_with(&format!("Subject: {n}\r\n")), "mixed up");
        *committed.entry(n).or_default() += 1;
    }
    committed
}

/// One experiment.
#[derive(Clone, Debug)]
struct Batch {
    plans: Vec<Plan>,
    mails: usize,
    recipients: usize,
    connections: usize,
    deadline: Option<Duration>,
    cancel: Option<Duration>,
    linger: Duration,
}

/// A server that leaves the final reply out and goes on with the group says the next command's reply
/// in its place, which no client that pipelines can see. It is made to stop instead.
fn answers_each(mut plan: Plan) -> Plan {
    for rule in &mut plan.rules {
        if let Rule::Server { phase, fault, .. } = rule
            && *phase == Phase::DataTermination
            && fault.then == Then::Continue
            && matches!(fault.say, Say::Nothing | Say::Raw(_))
        {
            fault.then = Then::Stall;
        }
    }
    plan
}

impl Batch {
    fn run(&self) -> Result<(), String> {
        run::paused(async {
            let mut plans: Vec<_> = self.plans.iter().cloned().map(answers_each).collect();
            plans.push(Plan::healthy());
            let network = Several::new(plans);
            let pool = pool(&network, self.connections);
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
            let begun = Instant::now();
            let mut results = BTreeMap::new();
            let recipients = self.recipients;
            let mails = (0..self.mails).map(|n| mail(n, recipients));
            let mut all = pool.send_all(mails, bounds);
            loop {
                let asked = Instant::now();
                let Some(sent) = all.next().await else { break };
                if asked.elapsed() > wait {
                    return Err(format!("a result took {:?} of {wait:?}", asked.elapsed()));
                }
                if all.taken() > results.len() + 2 * self.connections + 1 {
                    return Err(format!("{} messages are held", all.taken()));
                }
                if results.insert(sent.index, sent.result).is_some() {
                    return Err(format!("two results for message {}", sent.index));
                }
            }
            let taken = all.taken();
            drop(all);
            if results.len() != taken {
                return Err(format!("{} results for {taken} messages", results.len()));
            }
            let ends = self.deadline.into_iter().chain(self.cancel);
            match ends.min() {
                Some(end) if begun.elapsed() > end + self.linger + ms(2) => {
                    return Err(format!("ended at {:?}, not {end:?}", begun.elapsed()));
                }
                None if taken != self.mails => return Err(format!("took only {taken}")),
                _ => {}
            }
            if pool.in_use() != 0 || network.streams() != pool.idle() {
                return Err("slots or sockets are lost".to_owned());
            }
            sleep(Duration::from_secs(3_600)).await;
            let committed = committed(&network);
            for n in 0..self.mails {
                let count = committed.get(&n).copied().unwrap_or(0);
                let honest = match results.get(&n) {
                    Some(Ok(_)) => count == 1,
                    Some(Err(error)) if error.is_ambiguous() => count <= 1,
                    Some(Err(_)) | None => count == 0,
                };
                if !honest {
                    let result = results.get(&n);
                    return Err(format!("message {n} is there {count} times: {result:?}"));
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
        vec(arbitrary::plan(), 0..5),
        1usize..25,
        1usize..4,
        1usize..4,
        proptest::option::weighted(0.2, millis(1..8_000)),
        proptest::option::weighted(0.2, millis(0..8_000)),
        prop_oneof![3 => Just(Duration::ZERO), 1 => millis(1..1_000)],
    )
        .prop_map(
            |(plans, mails, recipients, connections, deadline, cancel, linger)| Batch {
                plans,
                mails,
                recipients,
                connections,
                deadline,
                cancel,
                linger,
            },
        )
}

#[test]
fn g4_honest_send_all_g5_no_duplicates_send_all_whatever_goes_wrong() {
    let cases = std::env::var("PROPTEST_CASES").map_or(1_500, |cases| cases.parse().unwrap());
    let result =
        runner(seed(), cases).run(&batch(), |batch| batch.run().map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, batch)) => {
            let plans: Vec<_> = batch.plans.iter().map(Plan::one_line).collect();
            panic!("{why}\n  seed {}\n  {plans:#?}\n  {batch:?}", seed())
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn g5_no_duplicates_send_all_over_every_fault_at_every_phase() {
    let mut faults = vocabulary::link_faults(ms(2_000));
    for phase in Phase::ALL {
        faults.extend(vocabulary::faults(phase, ms(2_000)));
    }
    assert!(faults.len() > 100);
    for fault in faults {
        for connections in [1, 2] {
            let batch = Batch {
                plans: vec![fault.plan.clone(); 2],
                mails: 8,
                recipients: 2,
                connections,
                deadline: None,
                cancel: None,
                linger: Duration::ZERO,
            };
            if let Err(why) = batch.run() {
                panic!("{} over {connections}: {why}", fault.plan.one_line());
            }
        }
    }
}

/// Every result by its message's number.
async fn all(
    pool: &Pool<Several>,
    mails: usize,
) -> BTreeMap<usize, Result<postbound::Receipt, postbound::Error>> {
    let mut results = BTreeMap::new();
    let mut all = pool.send_all((0..mails).map(|n| mail(n, 1)), Bounds::none());
    while let Some(sent) = all.next().await {
        results.insert(sent.index, sent.result);
    }
    results
}

#[test]
fn a_message_costs_one_round_trip_where_pipelining_is_offered() {
    for (script, round_trips) in [
        (Script::default(), 1),
        (Script::default().without("PIPELINING"), 4),
    ] {
        run::paused(async {
            let plan = "v1 | link: latency 50ms".parse().unwrap();
            let network = Several::of([Double::new(plan).with_script(script)]);
            let pool = pool(&network, 1);
            pool.warm(1, Bounds::none()).await.unwrap();
            let begun = Instant::now();
            let results = all(&pool, 100).await;
            assert!(results.values().all(Result::is_ok));
            let ideal = ms(100) * 100 * round_trips;
            // Behind the first message's own round trips.
            let took = begun.elapsed();
            assert!(took >= ideal && took <= ideal + ms(300), "{took:?}");
            assert_eq!(network.findings(), []);
            assert_eq!(network.connections(), 1);
        });
    }
}

#[test]
fn when_a_connection_breaks_one_is_ambiguous_and_none_is_lost() {
    for end in ["commit; reset", "commit; stall", "close", "stall"] {
        run::paused(async {
            let plan = format!("v1 | data-termination#5: {end}").parse().unwrap();
            let network = Several::new([plan, Plan::healthy()]);
            let pool = pool(&network, 1);
            let results = all(&pool, 20).await;
            let ambiguous: Vec<_> = results.iter().filter(|(_, r)| r.is_err()).collect();
            assert_eq!(ambiguous.len(), 1, "{end}");
            let (n, result) = ambiguous[0];
            assert_eq!(*n, 4);
            assert!(result.as_ref().unwrap_err().is_ambiguous(), "{end}");
            let expected = usize::from(end.contains("commit"));
            let committed = committed(&network);
            assert_eq!(committed.get(&4).copied().unwrap_or(0), expected);
            assert_eq!(committed.values().sum::<usize>(), 19 + expected);
            assert_eq!(network.connections(), 2);
        });
    }
}

#[test]
fn a_refused_message_does_not_cost_the_others_their_connection() {
    for refusal in [
        "mail#3: reply 550 5.7.1 no",
        "rcpt#3: reply 550 5.1.1 nobody",
        "data-initiation#3: reply 451 4.3.0 later",
        "data-termination#3: reply 554 5.6.0 no",
    ] {
        run::paused(async {
            let network = Several::new([format!("v1 | {refusal}").parse().unwrap()]);
            let results = all(&pool(&network, 1), 10).await;
            let refused: Vec<_> = results
                .iter()
                .filter(|(_, result)| result.is_err())
                .map(|(n, _)| *n)
                .collect();
            assert_eq!(refused, [2], "{refusal}");
            assert!(results[&2].as_ref().unwrap_err().is_refused());
            assert_eq!(network.connections(), 1, "{refusal}");
            assert_eq!(network.findings(), []);
        });
    }
}

#[test]
fn what_the_server_says_it_takes_at_a_time_is_kept_to_by_splitting() {
    run::paused(async {
        let mut script = Script::default();
        script
            .extensions
            .push("LIMITS MAILMAX=3 RCPTMAX=2".to_owned());
        let network = Several::of([Double::new(Plan::healthy()).with_script(script)]);
        let pool = pool(&network, 1);
        let mut parts = Vec::new();
        let mut all = pool.send_all((0..3).map(|n| mail(n, 5)), Bounds::none());
        while let Some(sent) = all.next().await {
            let receipt = sent.result.unwrap();
            assert_eq!(receipt.recipients().len(), sent.recipients.len());
            parts.push((sent.index, sent.recipients));
        }
        let expected: Vec<_> = (0..3)
            .flat_map(|n| [(n, 0..2), (n, 2..4), (n, 4..5)])
            .collect();
        assert_eq!(parts, expected);
        // Nine transactions, three over each connection.
        assert_eq!(network.connections(), 3);
        assert_eq!(network.findings(), []);
        let paths = network.deliveries();
        let recipients = paths.iter().flat_map(|d| d.forward_paths.iter());
        assert_eq!(recipients.count(), 15);
    });
    // All or nobody can't be had in parts.
    run::paused(async {
        let mut script = Script::default();
        script.extensions.push("LIMITS RCPTMAX=2".to_owned());
        let network = Several::of([Double::new(Plan::healthy()).with_script(script)]);
        let client = Client::builder("double.example", 25)
            .require(Require::AllRecipients)
            .connector(network.clone())
            .build()
            .unwrap();
        let pool = Pool::new(client);
        let mut all = pool.send_all([mail(0, 5)], Bounds::none());
        let error = all.next().await.unwrap().result.unwrap_err();
        assert!(matches!(error.kind(), FailureKind::Unsupported(_)));
        assert!(all.next().await.is_none());
        assert_eq!(network.deliveries().len(), 0);
    });
}

#[test]
fn who_waits_for_a_connection_of_many_messages_gets_it_in_its_turn() {
    for connections in [1, 2] {
        run::paused(async {
            let network = Several::new(["v1 | data-termination: after 100ms".parse().unwrap()]);
            let pool = pool(&network, connections);
            let many = pool.clone();
            let many = tokio::spawn(async move {
                let mails = (0..300).map(|n| mail(n, 1));
                let mut all = many.send_all(mails, Bounds::none());
                let mut accepted = 0;
                while let Some(sent) = all.next().await {
                    accepted += usize::from(sent.result.is_ok());
                }
                accepted
            });
            for n in 300..320 {
                sleep(ms(777)).await;
                let begun = Instant::now();
                let one = mail(n, 1);
                let sent = pool.send(
                    one.envelope(),
                    format!("Subject: {n}\r\n\r\n"),
                    Bounds::none(),
                );
                let receipt = sent.await.unwrap();
                let waited = receipt.timings().of(Phase::Checkout).unwrap_or_default();
                assert!(waited <= ms(100) * 11, "waited {waited:?}");
                assert!(begun.elapsed() < ms(1_300));
            }
            assert_eq!(many.await.unwrap(), 300);
            assert_eq!(committed(&network).len(), 320);
            assert!(network.most_streams() <= connections);
            assert_eq!(network.findings(), []);
        });
    }
}

#[test]
fn once_the_bounds_are_over_no_further_message_is_taken() {
    run::paused(async {
        let network = Several::new(["v1 | data-termination: after 100ms".parse().unwrap()]);
        let pool = pool(&network, 2);
        let endless = (0..).map(|n| mail(n, 1));
        let token = CancellationToken::new();
        let cancelled = token.clone();
        tokio::spawn(async move {
            sleep(ms(3_000)).await;
            cancelled.cancel();
        });
        // By either of them alone.
        for bounds in [Bounds::from(ms(1_000)), Bounds::from(&token)] {
            let mut all = pool.send_all(endless.clone(), bounds);
            let (mut accepted, mut others) = (0, 0);
            while let Some(sent) = all.next().await {
                match sent.result {
                    Ok(_) => accepted += 1,
                    Err(error) => {
                        assert!(error.is_timeout() || error.is_cancelled());
                        others += 1;
                        assert!(others <= 4, "it takes more");
                    }
                }
            }
            assert!(accepted >= 10, "{accepted}");
            assert!(others >= 2, "{others}");
            assert_eq!(all.taken(), accepted + others);
        }
    });
}

#[test]
fn a_connection_of_many_messages_is_kept_for_ten_of_them_while_somebody_waits() {
    run::paused(async {
        let network = Several::new(["v1 | data-termination: after 100ms".parse().unwrap()]);
        let pool = pool(&network, 1);
        let many = pool.clone();
        let many = tokio::spawn(async move { all(&many, 30).await });
        // In the middle of the first of them.
        sleep(ms(50)).await;
        let one = mail(300, 1);
        let sent = pool.send(one.envelope(), "Subject: 300\r\n\r\n", Bounds::none());
        let _ = sent.await.unwrap();
        assert!(many.await.unwrap().values().all(Result::is_ok));
        let deliveries = network.deliveries();
        let waited = deliveries
            .iter()
            .position(|delivery| delivery.octets.starts_with(b"Subject: 300\r\n"));
        assert_eq!(waited, Some(10));
    });
}

#[test]
fn a_connection_that_had_ended_at_rest_is_replaced_once_and_no_message_is_lost() {
    for (plans, accepted) in [
        (["v1 | mail#2: close", "v1"], 3),
        (["v1 | mail#2: close", "v1 | mail#1: close"], 2),
    ] {
        run::paused(async {
            let plans = plans.into_iter().chain(["v1"]);
            let network = Several::new(plans.map(|plan| plan.parse().unwrap()));
            let pool = pool(&network, 1);
            let first = mail(0, 1);
            let first = pool.send(first.envelope(), "Subject: 0\r\n\r\n", Bounds::none());
            let _ = first.await.unwrap();
            let results = all(&pool, 3).await;
            let sent = results.values().filter(|result| result.is_ok()).count();
            assert_eq!(sent, accepted);
            assert_eq!(network.deliveries().len(), 1 + accepted);
            assert_eq!(network.findings(), []);
        });
    }
}

#[test]
fn g3_drop_safe_send_all_at_every_poll() {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::task::Poll;
    for polls in 1.. {
        let ended = run::paused(async {
            let plan = "v1 | link: window 16 | link: fragment 3 to-client";
            let network = Several::new([plan.parse().unwrap()]);
            let pool = pool(&network, 2);
            let mails = (0..5).map(|n| mail(n, 1));
            let mut ended = false;
            {
                let mut all = pin!(pool.send_all(mails, Bounds::none()));
                for _ in 0..polls {
                    let mut next = pin!(all.as_mut().get_mut().next());
                    let next = poll_fn(|cx| Poll::Ready(Pin::as_mut(&mut next).poll(cx))).await;
                    ended = matches!(next, Poll::Ready(None));
                    if next.is_pending() {
                        sleep(ms(1)).await;
                    }
                }
            }
            assert_eq!(pool.in_use(), 0, "poll {polls}");
            assert_eq!(network.streams(), pool.idle(), "poll {polls}");
            pool.shutdown(Bounds::none()).await;
            sleep(ms(5_000)).await;
            let committed = committed(&network);
            assert!(committed.values().all(|count| *count == 1));
            assert_eq!(network.findings(), [], "poll {polls}");
            ended
        });
        if ended {
            assert!(polls > 50, "only {polls} polls");
            break;
        }
    }
}

#[test]
fn a_message_from_a_reader_goes_the_same_way() {
    run::paused(async {
        let network = Several::new([Plan::healthy()]);
        let pool = pool(&network, 1);
        let mails = (0..4).map(|n| {
            let envelope = mail(n, 1).envelope().clone();
            let text = format!("Subject: {n}\r\n\r\nfrom a reader\r\n");
            Mail::new(envelope, Message::reader(io::Cursor::new(text)))
        });
        let mut all = pool.send_all(mails, Bounds::none());
        while let Some(sent) = all.next().await {
            assert_eq!(sent.result.unwrap().recipients().len(), 1);
        }
        assert_eq!(committed(&network).len(), 4);
        assert_eq!((network.connections(), network.findings()), (1, vec![]));
    });
}

#[test]
fn g3_drop_safe_send_all_a_connection_with_a_transaction_begun_is_not_kept() {
    run::paused(async {
        let network = Several::new([Plan::healthy()]);
        let pool = pool(&network, 1);
        let mut all = pool.send_all((0..5).map(|n| mail(n, 1)), Bounds::none());
        assert!(all.next().await.unwrap().result.is_ok());
        drop(all);
        assert_eq!((pool.idle(), pool.in_use()), (0, 0));
        assert_eq!(network.streams(), 0);
        let one = mail(9, 1);
        let sent = pool.send(one.envelope(), "Subject: 9\r\n\r\n", Bounds::none());
        assert!(sent.await.is_ok());
        assert_eq!(network.connections(), 2);
    });
}

#[test]
fn many_messages_are_polled_once_for_all_that_has_come_and_never_for_nothing() {
    for connections in [1, 3] {
        run::paused(async {
            let network = Several::new(["v1 | data-termination: after 100ms".parse().unwrap()]);
            let pool = pool(&network, connections);
            pool.warm(connections, Bounds::none()).await.unwrap();
            let mut all = pool.send_all((0..60).map(|n| mail(n, 1)), Bounds::none());
            let (mut waits, mut accepted) = (0, 0);
            loop {
                let mut next = pin!(all.next());
                let sent = poll_fn(|cx| {
                    let sent = next.as_mut().poll(cx);
                    waits += usize::from(sent.is_pending());
                    sent
                });
                let Some(sent) = sent.await else { break };
                accepted += usize::from(sent.result.is_ok());
            }
            assert_eq!(accepted, 60);
            // For the replies to each group, for its own end, and for a beginning and an end.
            assert!(waits <= 2 * 60 + 10, "{waits} waits");
        });
    }
}

/// What becomes of the next result if something of the caller's panics; `None` if it does.
async fn caught<T>(next: impl Future<Output = T>) -> Option<T> {
    let mut next = pin!(next);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| next.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

#[test]
fn g1_bounded_send_all_g3_drop_safe_send_all_when_what_the_caller_gave_panics() {
    run::paused(async {
        // The messages' iterator, once the first is sent: the others go their way. The result that was
        // to be handed out just then goes with the panic.
        let network = Several::new([Plan::healthy()]);
        let pool = pool(&network, 1);
        let mails = (0..4).map(|n| match n {
            2 => panic!("the third can't be had"),
            n => mail(n, 1),
        });
        let mut results = pool.send_all(mails, Bounds::none());
        let mut accepted = Vec::new();
        let mut panics = 0;
        loop {
            match caught(results.next()).await {
                Some(Some(sent)) => accepted.extend(sent.result.is_ok().then_some(sent.index)),
                Some(None) => break,
                None => panics += 1,
            }
        }
        assert_eq!((accepted, panics), (vec![1, 2], 1));
        assert_eq!(committed(&network).len(), 3);
        drop(results);

        // A message's reader: its connection is closed, and the pool has room for another.
        struct Panics;
        impl AsyncRead for Panics {
            fn poll_read(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
                _: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                panic!("the reader has a bug")
            }
        }
        let envelope = mail(7, 1).envelope().clone();
        let bad = Mail::new(envelope, Message::reader(Panics));
        let mut results = pool.send_all([bad], Bounds::none());
        assert!(caught(results.next()).await.is_none());
        assert!(caught(results.next()).await.unwrap().is_none());
        let mut results = pool.send_all([mail(8, 1)], Bounds::none());
        assert!(results.next().await.unwrap().result.is_ok());
    });
}
