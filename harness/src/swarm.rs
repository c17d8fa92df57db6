//! Swarm testing: each case draws its faults, two and more, from a random part of the vocabulary.
//!
//! Drawn from the whole of it, most plans have a fault that strikes early and hides all others. A
//! plan whose part of the vocabulary leaves those out gets further, and the parts differ.

use postbound::Phase;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use simnet::Plan;
use simnet::plan::Rule;

use crate::arbitrary::{self, SERVER};
use crate::case::Case;

/// Parts of the vocabulary: each phase of the server's by itself, and everything else by its kind.
fn parts() -> Vec<BoxedStrategy<Rule>> {
    let mut parts: Vec<BoxedStrategy<Rule>> = SERVER
        .into_iter()
        .map(|phase| arbitrary::server_rule(Just(phase)).boxed())
        .collect();
    parts.extend([
        arbitrary::resolve_rule().boxed(),
        arbitrary::connect_rule().boxed(),
        arbitrary::intake_rule().boxed(),
        arbitrary::auth_rule().boxed(),
        arbitrary::tls_fault().prop_map(Rule::Tls).boxed(),
    ]);
    // The network's faults strike at everything; twice, so that they are left out less often.
    parts.extend((0..2).map(|_| arbitrary::link_fault().prop_map(Rule::Link).boxed()));
    parts
}

/// A plan of two and more faults out of a random part of the vocabulary.
pub fn plan() -> impl Strategy<Value = Plan> {
    let all = parts();
    let last = (1u32 << all.len()) - 1;
    (1..=last).prop_flat_map(move |mask| {
        let chosen = all.iter().enumerate();
        let chosen = chosen.filter(|(bit, _)| mask & (1 << bit) != 0);
        let union = Union::new(chosen.map(|(_, part)| part.clone()));
        vec(union, 2..6).prop_map(Plan::of)
    })
}

/// Any client against such a plan.
pub fn case() -> impl Strategy<Value = Case> {
    (plan(), arbitrary::case()).prop_map(|(plan, mut case)| {
        // Faults of a handshake and of an exchange need one.
        case.plan = plan;
        if case.chunking.is_some() || case.lmtp {
            let rules = &mut case.plan.rules;
            let ahead = case.ahead;
            rules.retain(|rule| !arbitrary::passes_for_another(rule, ahead));
        }
        if case.plan.rules.iter().any(is_of_auth) && case.auth.is_none() {
            case.auth = Some(postbound::sasl::Mechanism::ScramSha256);
            case.octets = case.octets.min(500);
        }
        case
    })
}

fn is_of_auth(rule: &Rule) -> bool {
    matches!(
        rule.split().1,
        Rule::Server {
            phase: Phase::Auth,
            ..
        }
    )
}
