//! One deadline for a list of servers: none starves the next, whatever the list and whatever the
//! servers do. With k left to try, one may use (deadline - reserve - now) / k, the last one all of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::fmt;
use std::time::Duration;

use postbound::{Bounds, Client, Endpoint, Error, FailureKind, Limit, Pool, Timeouts};
use postbound_harness::property;
use postbound_harness::run::paused;
use proptest::collection::vec;
use proptest::prelude::*;
use simnet::Double;
use simnet::net::mem::Topology;
use tokio::time::Instant;

/// The network's ticks and the one of the wait.
const TICK: Duration = Duration::from_millis(1);
/// More than a healthy server needs to be dialled.
const HEALTHY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
struct Server {
    plan: String,
    priority: u16,
    weight: u16,
}

#[derive(Clone, Debug)]
struct List {
    servers: Vec<Server>,
    /// Of each phase.
    limit: Duration,
    deadline: Duration,
    /// What is kept of the deadline for the final reply, in thousandths of it.
    kept: u32,
    pooled: bool,
    seed: u64,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

fn name(place: usize) -> String {
    format!("mx{place}.example")
}

impl List {
    /// How the dial ended, how long it lasted, and how often each server was dialled at most.
    fn dial(&self) -> (Result<Vec<String>, Error>, Duration) {
        paused(async {
            let servers = self.servers.iter().enumerate();
            let topology = Topology::new(servers.clone().map(|(place, server)| {
                let double = Double::new(server.plan.parse().unwrap());
                (name(place), double.without_trace())
            }));
            let endpoint = |(place, server): (usize, &Server)| {
                let endpoint = Endpoint::new(name(place), 25).unwrap();
                endpoint.priority(server.priority).weight(server.weight)
            };
            // The builder's first has priority 0, and fails at once.
            let builder = Client::builder("nowhere.example", 25)
                .timeouts(Timeouts::uniform(self.limit).unwrap())
                .seed(self.seed);
            let client = servers
                .map(endpoint)
                .fold(builder, |builder, endpoint| builder.endpoint(endpoint))
                .connector(topology.connector())
                .build()
                .unwrap();
            let bounds = Bounds::from(self.deadline).reserve(self.reserve());
            let begun = Instant::now();
            let told = |errors: &[Error]| errors.iter().map(|e| e.endpoint().to_owned()).collect();
            let dialled = if self.pooled {
                let pool = Pool::builder(client).build();
                let lent = pool.checkout(bounds).await;
                lent.map(|lent| told(lent.passed_over()))
            } else {
                let dialled = client.connect(bounds).await;
                dialled.map(|connection| told(connection.passed_over()))
            };
            (dialled, begun.elapsed())
        })
    }

    fn reserve(&self) -> Duration {
        self.deadline * self.kept / 1_000
    }

    fn check(&self) -> Result<(), String> {
        let (dialled, elapsed) = self.dial();
        if elapsed > self.deadline + TICK {
            return Err(format!("took {elapsed:?} of {:?}", self.deadline));
        }
        let whole = self.deadline - self.reserve();
        let count = u32::try_from(self.servers.len()).unwrap() + 1;
        let least = whole / count;
        let Err(error) = dialled else {
            return Ok(());
        };
        if self.servers.iter().any(|server| server.plan == "v1") && least >= HEALTHY {
            return Err(format!("a healthy server was not reached: {error}"));
        }
        let mut begun = Duration::ZERO;
        let mut last = 0;
        let all = error.earlier().iter().chain([&error]);
        for (tried, one) in all.enumerate() {
            let tried_before = u32::try_from(tried).unwrap();
            let left = count - tried_before;
            // Each has ended on a whole tick.
            let slack = TICK * (tried_before + 1);
            let own = match tried + 1 == self.servers.len() + 1 {
                // The whole error lasts as long as the call.
                true => error.elapsed().saturating_sub(begun),
                false => one.elapsed(),
            };
            let share = whole.saturating_sub(begun) / left;
            let what = format!("{} had {share:?} and lasted {own:?}: {one}", one.endpoint());
            if share + slack < least {
                return Err(format!("less than {least:?}: {what}"));
            }
            if own > share + slack {
                return Err(format!("more than its share: {what}"));
            }
            if let FailureKind::TimedOut(Limit::Share(told)) = one.kind()
                && (told.abs_diff(share) > slack || own + slack < share)
            {
                return Err(format!("told to have {told:?}: {what}"));
            }
            if let Some(place) = one.endpoint().strip_prefix("mx") {
                let place: usize = place.split('.').next().unwrap().parse().unwrap();
                let priority = self.servers[place].priority;
                if priority < last {
                    return Err(format!("out of turn: {what}"));
                }
                last = priority;
            }
            begun += own;
        }
        match error.earlier().len() == self.servers.len() {
            true => Ok(()),
            false => Err(format!("a server was not tried: {error}")),
        }
    }
}

fn list() -> impl Strategy<Value = List> {
    let plan = prop_oneof![
        Just("v1 | resolve: hang".to_owned()),
        Just("v1 | resolve: fail".to_owned()),
        Just("v1 | connect: refuse".to_owned()),
        Just("v1 | connect: blackhole".to_owned()),
        Just("v1 | greeting: stall".to_owned()),
        Just("v1 | ehlo: drip 1s".to_owned()),
        (1u32..40_000)
            .prop_map(|millis| format!("v1 | greeting: reply 421 4.3.2 no; after {millis}ms")),
        (1u32..40_000)
            .prop_map(|millis| format!("v1 | ehlo: reply 451 4.3.0 no; after {millis}ms")),
        Just("v1".to_owned()),
    ];
    let server = (plan, 0u16..3, 0u16..5).prop_map(|(plan, priority, weight)| Server {
        plan,
        priority,
        weight,
    });
    (
        vec(server, 1..7),
        (1u64..60_000).prop_map(Duration::from_millis),
        (1u64..60_000).prop_map(Duration::from_millis),
        0u32..900,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(servers, limit, deadline, kept, pooled, seed)| List {
            servers,
            limit: limit.max(HEALTHY),
            deadline,
            kept,
            pooled,
            seed,
        })
}

#[test]
fn g1_bounded_g7_live_each_server_of_any_list_has_its_share_of_the_deadline() {
    property(3_000, list(), List::check);
}
