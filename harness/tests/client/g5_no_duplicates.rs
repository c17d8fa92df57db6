//! G5: nothing is ever sent again after an ambiguous outcome, over several servers, failover and
//! retries, with every fault at every phase, crashes, cancellations and deadlines. The ledger over all
//! mailboxes is the judge.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::fmt;
use std::time::Duration;

use postbound::{
    Bounds, CancellationToken, Client, Endpoint, Envelope, Error, Limits, Outcome, Phase, Receipt,
    Retry, Timeouts,
};
use postbound_harness::run::paused;
use postbound_harness::{arbitrary, property};
use proptest::prelude::*;
use simnet::net::mem::{Connector, Topology};
use simnet::plan::vocabulary::{faults, link_faults};
use simnet::{Double, Plan};
use tokio::time::{Instant, sleep};

/// More than the smallest window of the named faults: what was taken in half is never accepted.
const MESSAGE: &str = "Subject: one\r\n\r\n\
    The quick brown fox jumps over the lazy dog, again and again and again.\r\n\
    The quick brown fox jumps over the lazy dog, again and again and again.\r\n\
    .and only one\r\n";
const NEXT: &str = "Subject: two\r\n\r\nafter everything was healed\r\n";

/// One call over several servers, and what happens meanwhile.
#[derive(Clone, Debug)]
struct Scenario {
    plans: Vec<Plan>,
    attempts: u32,
    may_duplicate: bool,
    deadline: Option<Duration>,
    cancel: Option<Duration>,
    /// A server that crashes, when, and how much later it is there again.
    crash: Option<(usize, Duration, Duration)>,
    seed: u64,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans: Vec<_> = self.plans.iter().map(Plan::one_line).collect();
        write!(
            f,
            "{} attempts, may duplicate: {}, deadline {:?}, cancel {:?}, crash {:?}, seed {}, servers: {}",
            self.attempts,
            self.may_duplicate,
            self.deadline,
            self.cancel,
            self.crash,
            self.seed,
            plans.join(" || ")
        )
    }
}

fn name(place: usize) -> String {
    format!("mx{place}.example")
}

/// Everything that a call with these limits did, and what the next one does once all is healed.
struct Seen {
    result: Result<Receipt, Error>,
    elapsed: Duration,
    promise: Duration,
    copies: usize,
    servers: Vec<String>,
    open: usize,
    findings: Vec<String>,
    next: Result<Receipt, Error>,
    next_elapsed: Duration,
    next_copies: usize,
}

impl Scenario {
    fn client(&self, connector: Connector) -> Client<Connector> {
        let mut limits = Limits::DEFAULT;
        limits.addresses = 4;
        let retry = Retry::attempts(self.attempts).first_wait(Duration::from_millis(200));
        let retry = if self.may_duplicate {
            retry.may_duplicate()
        } else {
            retry
        };
        let builder = Client::builder(name(0), 25)
            .timeouts(Timeouts::uniform(Duration::from_secs(1)).unwrap())
            .limits(limits)
            .retry(retry)
            .seed(self.seed);
        (1..self.plans.len())
            .fold(builder, |builder, place| {
                builder.endpoint(Endpoint::new(name(place), 25).unwrap())
            })
            .connector(connector)
            .build()
            .unwrap()
    }

    fn run(&self) -> Seen {
        paused(async {
            let doubles = self.plans.iter().enumerate();
            let topology = Topology::new(
                doubles
                    .map(|(place, plan)| (name(place), Double::new(plan.clone()).without_trace())),
            );
            let client = self.client(topology.connector());
            let envelope = Envelope::new(
                "sender@client.example".parse().unwrap(),
                ["recipient@double.example".parse().unwrap()],
            )
            .unwrap();
            let token = CancellationToken::new();
            let mut bounds = Bounds::none().cancelled_by(&token);
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
            let begun = Instant::now();
            let call = client.send(&envelope, MESSAGE, bounds);
            let result = match self.crash {
                Some((place, after, back)) => {
                    let place = name(place % self.plans.len());
                    let happens = async {
                        sleep(after).await;
                        topology.crash(&place);
                        sleep(back).await;
                        topology.bounce(&place);
                        std::future::pending::<()>().await;
                    };
                    tokio::select! {
                        biased;
                        result = call => result,
                        () = happens => unreachable!("it never ends"),
                    }
                }
                None => call.await,
            };
            let elapsed = begun.elapsed();
            let open = topology.client_streams();
            // What is still under way arrives, so that the ledger has the last word.
            sleep(Duration::from_secs(3_600)).await;
            for place in 0..self.plans.len() {
                topology.set_plan(&name(place), &Plan::healthy());
                topology.bounce(&name(place));
            }
            let healed = Instant::now();
            let next = client.send(&envelope, NEXT, Duration::from_secs(60)).await;
            assert_eq!(topology.panicked(), None, "the double panicked: {self}");
            let ledger = topology.ledger();
            let octets = postbound::wire_octets(MESSAGE.as_bytes());
            let sum = client.worst_case(1, octets).total();
            Seen {
                result,
                elapsed,
                promise: self.deadline.map_or(sum, |deadline| deadline.min(sum)),
                copies: ledger.copies(MESSAGE.as_bytes()),
                servers: ledger.deliveries().into_iter().map(|d| d.server).collect(),
                open,
                findings: ledger.findings().iter().map(ToString::to_string).collect(),
                next,
                next_elapsed: healed.elapsed(),
                next_copies: ledger.copies(NEXT.as_bytes()),
            }
        })
    }

    /// Everything that must hold, whatever happens.
    fn check(&self) -> Result<(), String> {
        let seen = self.run();
        let outcome = match &seen.result {
            Ok(_) => Outcome::Accepted,
            Err(error) => error.outcome(),
        };
        let copies = seen.copies;
        let honest = match outcome {
            Outcome::Accepted if self.may_duplicate => copies >= 1,
            Outcome::Accepted => copies == 1,
            Outcome::NotAccepted => copies == 0,
            Outcome::Ambiguous => self.may_duplicate || copies <= 1,
        };
        let told = match &seen.result {
            Ok(receipt) => format!("accepted by {}", receipt.endpoint()),
            Err(error) => error.to_string(),
        };
        if !honest {
            return Err(format!("{copies} copies, but: {told}"));
        }
        if let Ok(receipt) = &seen.result {
            let server = receipt.endpoint().trim_end_matches(":25").to_owned();
            if !seen.servers.contains(&server) {
                return Err(format!("{server} has no mail, but: {told}"));
            }
        }
        if seen.elapsed > seen.promise + Duration::from_millis(1) {
            let (elapsed, promise) = (seen.elapsed, seen.promise);
            return Err(format!("{elapsed:?} of {promise:?}: {told}"));
        }
        if seen.open > 0 {
            return Err(format!("{} streams are open: {told}", seen.open));
        }
        if !seen.findings.is_empty() {
            return Err(format!("the client did wrong: {:?}", seen.findings));
        }
        match &seen.next {
            Ok(_) if seen.next_copies == 1 && seen.next_elapsed < Duration::from_millis(100) => {
                Ok(())
            }
            Ok(_) => Err(format!(
                "healed, but it took {:?} and made {} copies",
                seen.next_elapsed, seen.next_copies
            )),
            Err(error) => Err(format!("everything is healed, but: {error}")),
        }
    }
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let millis = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    (
        proptest::collection::vec(arbitrary::plan(), 1..5),
        1u32..5,
        proptest::bool::weighted(0.2),
        proptest::option::weighted(0.4, millis(1..12_000)),
        proptest::option::weighted(0.2, millis(0..6_000)),
        proptest::option::weighted(0.4, (0usize..4, millis(0..60), millis(1..3_000))),
        any::<u64>(),
    )
        .prop_map(
            |(plans, attempts, may_duplicate, deadline, cancel, crash, seed)| Scenario {
                plans,
                attempts,
                may_duplicate,
                deadline,
                cancel,
                crash,
                seed,
            },
        )
}

#[test]
fn g5_no_duplicates_over_servers_and_retries_whatever_goes_wrong() {
    property(6_000, scenario(), Scenario::check);
}

#[test]
fn g5_no_duplicates_with_every_named_fault_at_every_phase_of_one_server_or_all() {
    let scale = Duration::from_secs(1);
    let named = Phase::ALL
        .into_iter()
        .flat_map(|phase| faults(phase, scale))
        .chain(link_faults(scale));
    let mut tried = 0;
    for fault in named {
        let all = vec![fault.plan.clone(), fault.plan.clone()];
        let one = vec![fault.plan.clone(), Plan::healthy()];
        for plans in [all, one] {
            for attempts in [1, 3] {
                let scenario = Scenario {
                    plans: plans.clone(),
                    attempts,
                    may_duplicate: false,
                    deadline: None,
                    cancel: None,
                    crash: None,
                    seed: 1,
                };
                tried += 1;
                if let Err(why) = scenario.check() {
                    panic!("{}: {why}\n  {scenario}", fault.name);
                }
            }
        }
    }
    assert!(tried > 600, "only {tried} were tried");
}

#[test]
fn g5_no_duplicates_when_a_server_crashes_at_any_millisecond_of_a_transaction() {
    for millis in 0..30 {
        for attempts in [1, 4] {
            let scenario = Scenario {
                plans: vec![Plan::healthy(), Plan::healthy()],
                attempts,
                may_duplicate: false,
                deadline: None,
                cancel: None,
                crash: Some((0, Duration::from_millis(millis), Duration::from_millis(1))),
                // The first server comes first.
                seed: 3,
            };
            if let Err(why) = scenario.check() {
                panic!("{why}\n  {scenario}");
            }
        }
    }
}
