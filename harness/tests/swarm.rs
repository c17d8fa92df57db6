//! Two and more faults at once, and what comes after them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't be set up has to fail"
)]

use std::cell::Cell;
use std::time::Duration;

use postbound::{CancellationToken, Outcome};
use postbound_harness::run::mem::TOLERANCE;
use postbound_harness::run::several::Several;
use postbound_harness::{Case, property, run, swarm};
use simnet::Plan;
use tokio::time::Instant;

/// The case without anything that goes wrong or hurries.
fn healthy(case: &Case) -> Case {
    let mut healthy = case.clone();
    healthy.plan = Plan::healthy();
    (healthy.cancel, healthy.deadline) = (None, None);
    (healthy.reserve, healthy.linger) = (Duration::ZERO, Duration::ZERO);
    healthy
}

/// One client sends while everything goes wrong, and again once nothing does: the first result, the
/// second, and how long the second took.
fn twice(case: &Case) -> (Outcome, Result<(), String>, Duration) {
    run::paused(async {
        simnet::tls::seed(1);
        let well = healthy(case);
        let networks = Several::of([case.double().without_trace(), well.double().without_trace()]);
        let client = case.client(networks.clone());
        let (envelope, message) = (case.envelope(), case.message());
        let token = CancellationToken::new();
        if let Some(after) = case.cancel {
            let token = token.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                token.cancel();
            });
        }
        let first = client.send(&envelope, &message, case.bounds(&token)).await;
        let first = first.map_or_else(|error| error.outcome(), |_| Outcome::Accepted);
        networks.heal();
        let begun = Instant::now();
        let never = CancellationToken::new();
        let bounds = well.bounds(&never);
        let second = client.send(&envelope, &message, bounds).await;
        let took = begun.elapsed();
        (
            first,
            second.map(drop).map_err(|error| error.to_string()),
            took,
        )
    })
}

#[test]
fn g7_live_once_everything_heals_the_next_send_delivers_in_a_healthy_send_s_time() {
    let outcomes = [const { Cell::new(0u32) }; 3];
    property(3_000, swarm::case(), |case| {
        let (first, second, took) = twice(case);
        let seen = &outcomes[first as usize];
        seen.set(seen.get() + 1);
        let expected = run::mem::run_quick(&healthy(case));
        assert_eq!(expected.claim.outcome, Outcome::Accepted, "{case}");
        match second {
            Ok(()) if took <= expected.elapsed + TOLERANCE.late => Ok(()),
            Ok(()) => Err(format!("took {took:?} instead of {:?}", expected.elapsed)),
            Err(why) => Err(why),
        }
    });
    // Otherwise it says little.
    for seen in outcomes {
        assert!(seen.get() > 30, "an outcome is missing");
    }
}

#[test]
fn every_guarantee_holds_under_swarms_of_faults() {
    let rules = Cell::new(0);
    property(4_000, swarm::case(), |case| {
        rules.set(rules.get() + case.plan.rules.len());
        let report = run::mem::examine(case, None, true);
        match report.violations(case, TOLERANCE).first() {
            Some(violation) => Err(format!("{violation}\n{}", report.events)),
            None => Ok(()),
        }
    });
    assert!(rules.get() > 8_000, "two and more faults a case");
}
