//! G5 and G7 over a pool and `send_all` with several servers: whatever goes wrong on any of them, no
//! message is there twice, one that was accepted is there once, and once all is healed the next
//! message takes no longer than a healthy one. The ledger over all mailboxes is the judge.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Client, Endpoint, Envelope, Error, Limits, Mail, Phase, Pool,
    Receipt, Timeouts,
};
use postbound_harness::run::paused;
use postbound_harness::{arbitrary, property, swarm};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use simnet::behaviour::{Behaviour, ServerTls};
use simnet::net::mem::{Connector, Topology};
use simnet::plan::vocabulary::{faults, link_faults};
use simnet::plan::{Rule, Say, Then};
use simnet::{Double, Plan};
use tokio::time::{Instant, sleep};

/// Long enough for the smallest window of the named faults: what was taken in half is never
/// accepted.
const TEXT: &str = "The quick brown fox jumps over the lazy dog, again and again and again.\r\n";
/// What a message takes where nothing is wrong.
const HEALTHY: Duration = Duration::from_millis(100);

fn name(place: usize) -> String {
    format!("mx{place}.example")
}

fn message(n: usize) -> String {
    format!("Subject: {n}\r\n\r\n{TEXT}{TEXT}.{n}\r\n")
}

fn envelope() -> Envelope {
    let from = "sender@client.example".parse().unwrap();
    Envelope::new(from, ["recipient@double.example".parse().unwrap()]).unwrap()
}

/// How the messages go out.
#[derive(Clone, Copy, Debug)]
enum By {
    /// One call for each, all at the same time.
    Send,
    SendAll,
}

/// Messages over a pool, and what happens meanwhile.
#[derive(Clone, Debug)]
struct Scenario {
    plans: Vec<Plan>,
    by: By,
    size: usize,
    messages: usize,
    deadline: Option<Duration>,
    cancel: Option<Duration>,
    /// A server that crashes, when, and how much later it is there again.
    crash: Option<(usize, Duration, Duration)>,
    seed: u64,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            by,
            size,
            messages,
            deadline,
            cancel,
            crash,
            seed,
            ..
        } = self;
        let plans: Vec<_> = self.plans.iter().map(Plan::one_line).collect();
        let plans = plans.join(" || ");
        write!(
            f,
            "{messages} messages by {by:?} over {size}, deadline {deadline:?}, cancel {cancel:?}, crash {crash:?}, seed {seed}, servers: {plans}"
        )
    }
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

type Results = BTreeMap<usize, Result<Receipt, Error>>;

impl Scenario {
    fn pool(&self, connector: Connector) -> Pool<Connector> {
        let mut limits = Limits::DEFAULT;
        limits.addresses = 4;
        let builder = Client::builder(name(0), 25)
            .timeouts(Timeouts::uniform(Duration::from_secs(1)).unwrap())
            .limits(limits)
            .seed(self.seed);
        let client = (1..self.plans.len())
            .fold(builder, |builder, place| {
                builder.endpoint(Endpoint::new(name(place), 25).unwrap())
            })
            .connector(connector)
            .build()
            .unwrap();
        Pool::builder(client).size(self.size).failures(2).build()
    }

    async fn send(
        &self,
        pool: &Pool<Connector>,
        bounds: Bounds<'static>,
    ) -> Result<Results, String> {
        let envelope = envelope();
        let octets = postbound::wire_octets(message(0).as_bytes()) + 2;
        let one = pool.worst_case(1, octets).total() + Duration::from_millis(1);
        match self.by {
            By::Send => {
                // Whoever comes behind waits for a slot, for its own limit at most.
                let most = self.deadline.map_or(one, |deadline| deadline.min(one));
                let mut calls = tokio::task::JoinSet::new();
                for n in 0..self.messages {
                    let (pool, envelope, bounds) = (pool.clone(), envelope.clone(), bounds.clone());
                    calls.spawn(async move {
                        let begun = Instant::now();
                        let sent = pool.send(&envelope, message(n), bounds).await;
                        (n, sent, begun.elapsed())
                    });
                }
                let mut results = Results::new();
                for (n, sent, took) in calls.join_all().await {
                    if took > most + Duration::from_millis(1) {
                        return Err(format!("message {n} took {took:?} of {most:?}"));
                    }
                    results.insert(n, sent);
                }
                Ok(results)
            }
            By::SendAll => {
                let mails = (0..self.messages).map(|n| Mail::new(envelope.clone(), message(n)));
                let mut all = pool.send_all(mails, bounds);
                let mut results = Results::new();
                loop {
                    let asked = Instant::now();
                    let Some(sent) = all.next().await else { break };
                    if asked.elapsed() > one {
                        return Err(format!("a result took {:?} of {one:?}", asked.elapsed()));
                    }
                    if results.insert(sent.index, sent.result).is_some() {
                        return Err(format!("two results for message {}", sent.index));
                    }
                }
                match results.len() == all.taken() {
                    true => Ok(results),
                    false => Err(format!("{} of {} told", results.len(), all.taken())),
                }
            }
        }
    }

    /// Everything that must hold, whatever happens.
    fn check(&self) -> Result<(), String> {
        paused(async {
            let doubles = self.plans.iter().enumerate().map(|(place, plan)| {
                let plan = match self.by {
                    By::Send => plan.clone(),
                    By::SendAll => answers_each(plan.clone()),
                };
                (name(place), Double::new(plan).without_trace())
            });
            let topology = Topology::new(doubles);
            let pool = self.pool(topology.connector());
            let token = CancellationToken::new();
            let mut bounds = Bounds::none().cancelled_by(&token).into_owned();
            if let Some(deadline) = self.deadline {
                bounds = bounds.within(deadline);
            }
            if let Some(after) = self.cancel {
                tokio::spawn(async move {
                    sleep(after).await;
                    token.cancel();
                });
            }
            let happens = async {
                if let Some((place, after, back)) = self.crash {
                    let place = name(place % self.plans.len());
                    sleep(after).await;
                    topology.crash(&place);
                    sleep(back).await;
                    topology.bounce(&place);
                }
                std::future::pending::<()>().await;
            };
            let results = tokio::select! {
                biased;
                results = self.send(&pool, bounds) => results?,
                () = happens => unreachable!("it never ends"),
            };
            if pool.in_use() != 0 || topology.client_streams() != pool.idle() {
                let (used, streams) = (pool.in_use(), topology.client_streams());
                return Err(format!("{used} slots are lost, {streams} streams are open"));
            }
            // Time for what the link holds back to arrive, and none for a pause to end: what is healed
            // is found at once, circuits or not.
            for place in 0..self.plans.len() {
                topology.crash(&name(place));
                topology.set_plan(&name(place), &Plan::healthy());
                topology.bounce(&name(place));
            }
            sleep(Duration::from_secs(4)).await;
            let next = self.messages;
            let begun = Instant::now();
            let sent = pool
                .send(&envelope(), message(next), Duration::from_secs(60))
                .await;
            let took = begun.elapsed();
            let _ = sent.map_err(|error| format!("all is healed, but: {error}"))?;
            if took > HEALTHY {
                return Err(format!("all is healed, but it took {took:?}"));
            }
            let mails = (1..=3).map(|n| Mail::new(envelope(), message(next + n)));
            let mut all = pool.send_all(mails, Bounds::none());
            let begun = Instant::now();
            while let Some(sent) = all.next().await {
                let _ = sent
                    .result
                    .map_err(|error| format!("all is healed, but: {error}"))?;
            }
            if begun.elapsed() > HEALTHY {
                return Err(format!(
                    "all is healed, but three took {:?}",
                    begun.elapsed()
                ));
            }
            // What is still under way arrives, so that the ledger has the last word.
            sleep(Duration::from_secs(3_600)).await;
            let ledger = topology.ledger();
            for n in 0..self.messages + 4 {
                let copies = ledger.copies(message(n).as_bytes());
                let honest = match results.get(&n) {
                    Some(Ok(_)) => copies == 1,
                    Some(Err(error)) if error.is_ambiguous() => copies <= 1,
                    Some(Err(_)) => copies == 0,
                    None => copies == usize::from(n >= self.messages),
                };
                if !honest {
                    let told = results.get(&n);
                    return Err(format!("message {n} is there {copies} times: {told:?}"));
                }
            }
            for receipt in results.values().flatten() {
                let server = receipt.endpoint().trim_end_matches(":25").to_owned();
                if !ledger.deliveries().iter().any(|d| d.server == server) {
                    return Err(format!("{server} has no mail, but accepted one"));
                }
            }
            assert_eq!(topology.panicked(), None, "the double panicked: {self}");
            match ledger.findings().first() {
                Some(finding) => Err(format!("the client did wrong: {finding}")),
                None => Ok(()),
            }
        })
    }
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let millis = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    let plan = prop_oneof![arbitrary::plan().boxed(), swarm::plan().boxed()];
    (
        vec(plan, 1..4),
        prop_oneof![Just(By::Send), Just(By::SendAll)],
        1usize..4,
        1usize..12,
        weighted(0.2, millis(1..8_000)),
        weighted(0.2, millis(0..6_000)),
        weighted(0.3, (0usize..4, millis(0..200), millis(1..3_000))),
        any::<u64>(),
    )
        .prop_map(
            |(plans, by, size, messages, deadline, cancel, crash, seed)| Scenario {
                plans,
                by,
                size,
                messages,
                deadline,
                cancel,
                crash,
                seed,
            },
        )
}

#[test]
fn g5_no_duplicates_g7_live_pool_and_send_all_over_servers_whatever_goes_wrong() {
    property(1_500, scenario(), Scenario::check);
}

/// The same fault on every server, and on the first of two: over a pool and by `send_all`.
fn each(named: impl IntoIterator<Item = (String, Plan)>) -> usize {
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (fault, plan) in named {
        for plans in [vec![plan.clone(); 2], vec![plan.clone(), Plan::healthy()]] {
            for by in [By::Send, By::SendAll] {
                let scenario = Scenario {
                    plans: plans.clone(),
                    by,
                    size: 2,
                    messages: 6,
                    deadline: None,
                    cancel: None,
                    crash: None,
                    // The first server comes first.
                    seed: 3,
                };
                tried += 1;
                if let Err(why) = scenario.check() {
                    wrong.push(format!("{fault}: {why}\n  {scenario}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tried
}

#[test]
fn g5_no_duplicates_pool_and_send_all_with_every_named_fault_at_every_phase() {
    let scale = Duration::from_secs(1);
    let named = Phase::ALL
        .into_iter()
        .flat_map(|phase| faults(phase, scale))
        .chain(link_faults(scale));
    let tried = each(named.map(|fault| (fault.name.to_string(), fault.plan)));
    assert!(tried > 600, "only {tried} were tried");
}

#[test]
fn g5_no_duplicates_pool_and_send_all_with_every_named_behaviour() {
    let all = Behaviour::all();
    // Those of TLS and of AUTH need a client that does both: they are played one by one elsewhere.
    let clear = all.iter().filter(|behaviour| {
        behaviour.needs.auth.is_none() && matches!(behaviour.needs.tls, ServerTls::No)
    });
    let tried = each(clear.map(|behaviour| (behaviour.name.to_owned(), behaviour.plan())));
    assert!(tried > 300, "only {tried} were tried");
}
