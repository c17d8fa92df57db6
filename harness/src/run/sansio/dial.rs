//! Look-up and connection, whose steps have only one event each.

use postbound::{FailureKind, Limit, Outcome, Phase};
use proto::{Bounds, Failure};
use simnet::Plan;
use simnet::plan::{ConnectFault, IntakeFault, LinkFault, ResolveFault, Rule};

use super::link::{latency, millis};
use super::server::knows;
use super::{Millis, Run};

/// Whether the plan's dialling is known here: one address, and no race.
pub(super) fn can(plan: &Plan) -> Result<(), &'static str> {
    for rule in &plan.rules {
        let known = match rule {
            Rule::Resolve(ResolveFault::Addresses(2..)) => return Err("it has one address"),
            Rule::Resolve(fault) => matches!(
                fault,
                ResolveFault::Hang
                    | ResolveFault::Fail
                    | ResolveFault::Empty
                    | ResolveFault::After(_)
                    | ResolveFault::Addresses(_)
            ),
            Rule::Connect { fault, .. } => matches!(
                fault,
                ConnectFault::Refuse
                    | ConnectFault::Unreachable
                    | ConnectFault::Blackhole
                    | ConnectFault::After(_)
            ),
            Rule::Server { fault, .. } => knows(fault),
            Rule::Intake(IntakeFault::Interrupt { fault, .. }) => knows(fault),
            Rule::Intake(fault) => matches!(
                fault,
                IntakeFault::Stop { .. } | IntakeFault::Trickle { .. }
            ),
            Rule::Link(fault) => matches!(
                fault,
                LinkFault::Latency(_)
                    | LinkFault::Window(_)
                    | LinkFault::Fragment { .. }
                    | LinkFault::Split { .. }
                    | LinkFault::Coalesce { .. }
                    | LinkFault::Blackhole { .. }
                    | LinkFault::At { .. }
            ),
            _ => false,
        };
        if !known {
            return Err("it does not know this fault");
        }
    }
    Ok(())
}

/// What a step comes to, and when, if ever.
struct Step {
    ready: Option<Millis>,
    good: bool,
}

impl Run<'_> {
    pub(super) fn dial(&mut self, bounds: Bounds) -> Result<(), Box<Failure>> {
        let plan = &self.case.plan;
        let resolve = plan.rules.iter().find_map(|rule| match rule {
            Rule::Resolve(fault) => Some(fault),
            _ => None,
        });
        let look_up = match resolve {
            Some(ResolveFault::Hang) => Step {
                ready: None,
                good: false,
            },
            Some(ResolveFault::Fail | ResolveFault::Empty) => Step {
                ready: Some(0),
                good: false,
            },
            Some(ResolveFault::After(delay)) => Step {
                ready: Some(millis(*delay)),
                good: true,
            },
            _ => Step {
                ready: Some(0),
                good: true,
            },
        };
        self.step(Phase::Resolve, look_up, bounds)?;
        let connect = plan.rules.iter().find_map(|rule| match rule {
            Rule::Connect { address, fault } if address.is_none_or(|at| at == 1) => Some(fault),
            _ => None,
        });
        let round_trip = 2 * latency(plan);
        let (ready, good) = match connect {
            Some(ConnectFault::Unreachable) => (Some(0), false),
            Some(ConnectFault::Blackhole) => (None, false),
            Some(ConnectFault::After(delay)) => (Some(millis(*delay) + round_trip), true),
            Some(ConnectFault::Refuse) => (Some(round_trip), false),
            _ => (Some(round_trip), true),
        };
        self.step(Phase::Connect, Step { ready, good }, bounds)
    }

    /// At one instant what has come beats the deadline, and the deadline beats the cancellation.
    fn step(&mut self, phase: Phase, step: Step, bounds: Bounds) -> Result<(), Box<Failure>> {
        let limit = self.kept.config.timeouts.of(phase);
        let ready = step.ready.map_or(Millis::MAX, |after| self.now + after);
        let mut expiry = (self.now + millis(limit), Limit::Phase(limit));
        if bounds.deadline.is_some() {
            let deadline = self.case.deadline.map_or(0, millis);
            let until = deadline
                .saturating_sub(millis(bounds.reserve))
                .max(self.now);
            if until < expiry.0 {
                let named = match bounds.reserve.is_zero() {
                    true => Limit::Deadline,
                    false => Limit::Reserve(bounds.reserve),
                };
                expiry = (until, named);
            }
        }
        let cancel = match self.case.cancel.map(millis) {
            Some(at) if !self.cancelled => at,
            _ => Millis::MAX,
        };
        let fail = |kind| Err(Box::new(Failure::new(phase, kind, Outcome::NotAccepted)));
        if ready <= expiry.0 && ready <= cancel {
            self.advance_to(ready);
            return if step.good {
                Ok(())
            } else {
                fail(FailureKind::Broken)
            };
        }
        if expiry.0 <= cancel {
            self.advance_to(expiry.0);
            return fail(FailureKind::TimedOut(expiry.1));
        }
        self.advance_to(cancel);
        self.cancelled = true;
        self.octets_at_cancel = Some(0);
        fail(FailureKind::Cancelled)
    }
}
