//! Many messages by BDAT (RFC 3030): pipelined across messages, and honest whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use postbound::{Bounds, Chunking, Client, Envelope, Error, Mail, Phase, Pool, Receipt, Timeouts};
use postbound_harness::run;
use postbound_harness::run::several::Several;
use simnet::plan::vocabulary;
use simnet::plan::{IntakeFault, Rule, Say, Then};
use simnet::{Double, Plan, Script};
use tokio::time::{Instant, sleep};

const MAILS: usize = 8;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn mail(n: usize) -> Mail<'static> {
    let from = format!("s{n}@client.example").parse().unwrap();
    let to = ["r@double.example".parse().unwrap()];
    let message = format!("Subject: {n}\r\n\r\n{}", ".line\r\n".repeat(n % 7 * 20));
    Mail::new(Envelope::new(from, to).unwrap(), message)
}

fn doubles(plans: impl IntoIterator<Item = Plan>) -> Several {
    Several::of(plans.into_iter().map(|plan| {
        let double = Double::new(plan).with_script(Script::full());
        double.without_trace()
    }))
}

fn pool(network: &Several, chunking: Chunking, size: usize) -> Pool<Several> {
    let client = Client::builder("double.example", 25)
        .timeouts(Timeouts::uniform(ms(2_000)).unwrap())
        .chunking(chunking)
        .connector(network.clone())
        .build()
        .unwrap();
    Pool::builder(client).size(size).build()
}

async fn all(pool: &Pool<Several>, mails: usize) -> BTreeMap<usize, Result<Receipt, Error>> {
    let mut results = BTreeMap::new();
    let mut all = pool.send_all((0..mails).map(mail), Bounds::none());
    while let Some(sent) = all.next().await {
        assert!(
            results.insert(sent.index, sent.result).is_none(),
            "told twice"
        );
    }
    results
}

/// How often each message is in the mailboxes, each as it was sent.
fn committed(network: &Several) -> BTreeMap<usize, usize> {
    let mut committed = BTreeMap::new();
    for delivery in network.deliveries() {
        let n = delivery.reverse_path[1..].split('@').next().unwrap();
        let n: usize = n.parse().unwrap();
        let text = String::from_utf8(delivery.octets).unwrap();
        let lines = ".line\r\n".repeat(n % 7 * 20);
        assert_eq!(text, format!("Subject: {n}\r\n\r\n{lines}"), "mixed up");
        *committed.entry(n).or_default() += 1;
    }
    committed
}

#[test]
fn a_message_in_one_chunk_costs_one_round_trip() {
    run::paused(async {
        let network = doubles(["v1 | link: latency 50ms".parse().unwrap()]);
        let pool = pool(&network, Chunking::IF_OFFERED, 1);
        pool.warm(1, Bounds::none()).await.unwrap();
        let begun = Instant::now();
        let results = all(&pool, 100).await;
        assert!(results.values().all(Result::is_ok));
        let took = begun.elapsed();
        assert!(took >= ms(10_000) && took <= ms(10_300), "{took:?}");
        assert_eq!(committed(&network).len(), 100);
        assert_eq!((network.connections(), network.findings()), (1, vec![]));
    });
}

/// A server that leaves a reply out and goes on with the group says the next command's reply in its
/// place, and one that refuses in the middle of a chunk and takes it all the same answers twice: no
/// client that pipelines can see either. They are made to stop instead.
fn answers_each(mut plan: Plan) -> Plan {
    for rule in &mut plan.rules {
        match rule {
            Rule::Server { phase, fault, .. }
                if matches!(*phase, Phase::DataBlock | Phase::DataTermination)
                    && fault.then == Then::Continue
                    && matches!(fault.say, Say::Nothing | Say::Raw(_)) =>
            {
                fault.then = Then::Stall;
            }
            Rule::Intake(IntakeFault::Interrupt { fault, .. }) if fault.then == Then::Continue => {
                fault.then = Then::Stall;
            }
            _ => {}
        }
    }
    plan
}

#[test]
fn g5_no_duplicates_send_all_by_bdat_over_every_fault_at_every_phase() {
    let mut faults = vocabulary::link_faults(ms(2_000));
    for phase in Phase::ALL {
        faults.extend(vocabulary::faults(phase, ms(2_000)));
    }
    assert!(faults.len() > 100);
    for fault in faults {
        for (chunking, size) in [(Chunking::IF_OFFERED, 2), (Chunking::UpTo(150), 1)] {
            let what = format!("{} by {chunking:?}", fault.plan.one_line());
            run::paused(async {
                let plan = answers_each(fault.plan.clone());
                let network = doubles([plan.clone(), plan, Plan::healthy()]);
                let pool = pool(&network, chunking, size);
                let results = all(&pool, MAILS).await;
                assert_eq!(results.len(), MAILS, "{what}");
                assert_eq!(pool.in_use(), 0, "{what}");
                assert_eq!(network.streams(), pool.idle(), "{what}");
                sleep(Duration::from_secs(3_600)).await;
                let committed = committed(&network);
                for (n, result) in &results {
                    let count = committed.get(n).copied().unwrap_or(0);
                    let honest = match result {
                        Ok(_) => count == 1,
                        Err(error) if error.is_ambiguous() => count <= 1,
                        Err(_) => count == 0,
                    };
                    assert!(
                        honest,
                        "{what}: message {n} is there {count} times: {result:?}"
                    );
                }
                assert_eq!(network.findings(), [], "{what}");
            });
        }
    }
}
