//! Every behaviour of the library is played against the client: the guarantees hold, and the client
//! makes of it what the library says that a good one does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't be set up has to fail"
)]

use postbound::{Outcome, Security};
use postbound_harness::{Case, run};
use simnet::Plan;
use simnet::behaviour::{Behaviour, CASES, ServerTls};
use simnet::double::Claim;

fn case(behaviour: &Behaviour) -> Case {
    let needs = behaviour.needs;
    let mut case = Case::new(behaviour.plan());
    case.recipients = needs.recipients;
    case.auth = needs.auth.map(|mechanism| mechanism.parse().unwrap());
    case.tls = match needs.tls {
        ServerTls::StartTls => Security::StartTls,
        ServerTls::Implicit => Security::Implicit,
        _ => Security::None,
    };
    case.server_tls = (needs.tls == ServerTls::Unexpected).then_some(Security::Implicit);
    case
}

/// Plays those of these cases. A drip or a silence lasts for hours of virtual time if it may.
fn play(cases: std::ops::RangeInclusive<u8>) {
    let mut wrong = Vec::new();
    let mut played = 0;
    for behaviour in Behaviour::all() {
        if !cases.contains(&behaviour.case) {
            continue;
        }
        let case = case(&behaviour);
        let report = run::mem::run(&case);
        let mut problems: Vec<_> = report
            .violations(&case, run::mem::TOLERANCE)
            .iter()
            .map(|violation| format!("{violation:?}"))
            .collect();
        let claim = match report.claim.outcome {
            Outcome::Accepted => Claim::Delivered,
            Outcome::NotAccepted => Claim::NotDelivered,
            Outcome::Ambiguous => Claim::Unknown,
        };
        let mut healthy = case.clone();
        healthy.plan = Plan::healthy();
        healthy.server_tls = None;
        let healthy = run::mem::run(&healthy);
        let unchanged = (&report.events, report.elapsed) == (&healthy.events, healthy.elapsed);
        // Octets in pieces are to make no difference at all.
        if unchanged && !behaviour.name.ends_with("-in-pieces") {
            problems.push("it does not strike".to_owned());
        }
        if claim != behaviour.truth {
            problems.push(format!("expected {:?}, claims {claim:?}", behaviour.truth));
        }
        if !problems.is_empty() {
            wrong.push(format!(
                "{}: {problems:?}\n{case}\n{}",
                behaviour.name, report.events
            ));
        }
        played += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let playable = CASES.iter().filter(|case| cases.contains(&case.number));
    let playable = playable
        .filter(|case| case.not_by_a_server.is_none())
        .count();
    assert!(played >= playable && played > 0, "{played} behaviours");
}

#[test]
fn hostile_01_to_12_behaviours_at_the_boundary_of_tls() {
    play(1..=12);
}

#[test]
fn hostile_18_to_25_behaviours_of_replies() {
    play(18..=25);
}

#[test]
fn hostile_26_to_33_behaviours_of_order() {
    play(26..=33);
}

#[test]
fn hostile_34_to_43_behaviours_of_sasl_and_the_network() {
    play(34..=43);
}
