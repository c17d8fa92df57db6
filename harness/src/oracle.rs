//! What must hold of every run, whatever its case: one oracle for each guarantee.
//!
//! An oracle that has nothing to look at says so: [`Report::checked`] names those that had, so that
//! a sweep can tell how often each was put to the test.

use std::time::Duration;

use postbound::{Limit, Outcome, Phase};
use simnet::plan::{LinkFault, Rule, Say, Strike};

use crate::case::Case;
use crate::report::{Report, Tolerance, Violation};

/// What client, network and double may hold at once, beside a few copies of the message: measured,
/// the most is a third of it.
const MOST_MEMORY: u64 = 3 * 1024 * 1024;

/// Of the message: the caller's, the client's record under TLS, what is on the way, the double's and
/// its mailbox's, and what growing vectors hold in reserve.
const COPIES: u64 = 8;

/// What the simulated network needs for a path full of single octets, both ways: its window of 64 KiB,
/// each octet with a place and an allocation of its own.
const SINGLE_OCTETS: u64 = 2 * 65_536 * 96;

impl Report {
    /// Every guarantee that this run broke.
    #[must_use]
    pub fn violations(&self, case: &Case, tolerance: Tolerance) -> Vec<Violation> {
        let oracles = [
            self.bounded(case, tolerance),
            self.cancellable(case, tolerance),
            self.drop_safe(),
            self.honest(case),
            self.no_duplicates(case),
            self.tight(case),
            self.live(case),
            self.small(case),
            self.discreet(),
            self.repeatable(),
            self.in_step(case),
        ];
        oracles.into_iter().flatten().collect()
    }

    /// The guarantees that were put to the test by this run.
    pub fn checked(&self, case: &Case) -> impl Iterator<Item = &'static str> {
        let of = |guarantee, looked: bool| looked.then_some(guarantee);
        [
            Some("g1"),
            of("g2", case.cancel.is_some()),
            of("g3", self.tasks.is_some()),
            Some("g4"),
            Some("g5"),
            of("g6", self.timed_out.is_some()),
            of("g7", is_harmless(case)),
            of("g8", self.memory.is_some()),
            of("g9", self.secret.is_some()),
            of("g10", self.again.is_some()),
        ]
        .into_iter()
        .flatten()
    }

    fn bounded(&self, case: &Case, tolerance: Tolerance) -> Vec<Violation> {
        let promise = case.promise();
        let late = self.elapsed > promise + tolerance.late;
        violation(late, "g1", || {
            format!("took {:?}, promised {promise:?}", self.elapsed)
        })
    }

    fn cancellable(&self, case: &Case, tolerance: Tolerance) -> Vec<Violation> {
        let Some(cancel) = case.cancel else {
            return Vec::new();
        };
        let late = self.elapsed.saturating_sub(cancel);
        let mut broken = violation(late > case.linger + tolerance.late, "g2", || {
            format!("ended {late:?} after the cancellation")
        });
        let octets = self.octets_after_cancel;
        broken.extend(violation(octets > 0, "g2", || {
            format!("wrote {octets} octets after the cancellation")
        }));
        broken
    }

    fn drop_safe(&self) -> Vec<Violation> {
        let mut broken = violation(self.open_streams > 0, "g3", || {
            format!("{} streams are still open", self.open_streams)
        });
        let tasks = self.tasks.unwrap_or_default();
        broken.extend(violation(tasks > 0, "g3", || {
            format!("{tasks} tasks are still there")
        }));
        let left = self.memory.map_or(0, |memory| memory.left);
        broken.extend(violation(left != 0, "g3", || {
            format!("{left} octets of memory were not given back")
        }));
        broken
    }

    fn honest(&self, case: &Case) -> Vec<Violation> {
        let honest = |outcome, committed: usize| match outcome {
            Outcome::Accepted => committed >= 1,
            Outcome::NotAccepted => committed == 0,
            Outcome::Ambiguous => true,
        };
        let whole = honest(self.claim.outcome, self.committed);
        let mut broken = violation(!whole, "g4", || {
            let (committed, claim) = (self.committed, &self.claim);
            format!("claims \"{claim}\", the mailbox has {committed}")
        });
        // What went ahead has left whole while the replies in front of its own were waited for.
        let may_have_left = match self.claim.phase {
            Some(Phase::DataTermination) => true,
            Some(Phase::Mail | Phase::Rcpt) => case.ahead,
            _ => false,
        };
        let early = self.claim.outcome == Outcome::Ambiguous && !may_have_left;
        broken.extend(violation(early, "g4", || {
            format!(
                "claims \"{}\" before the end of mail data had left",
                self.claim
            )
        }));
        for (place, (outcome, committed)) in self.for_each.iter().enumerate() {
            broken.extend(violation(!honest(*outcome, *committed), "g4", || {
                let number = place + 1;
                format!(
                    "claims \"{outcome}\" for recipient {number}, whose mailbox has {committed}"
                )
            }));
        }
        broken.extend(violation(!self.intact, "g4", || {
            "what was committed is not what was sent".to_owned()
        }));
        broken
    }

    fn no_duplicates(&self, case: &Case) -> Vec<Violation> {
        // Over LMTP each recipient's mailbox has a copy of its own.
        let mailboxes = self.for_each.iter().map(|(_, committed)| *committed);
        let whole = if case.lmtp { 0 } else { self.committed };
        let most = mailboxes.chain([whole]).max().unwrap_or_default();
        violation(most > 1, "g5", || {
            format!("a mailbox has the message {most} times")
        })
    }

    /// No limit ran out before its time.
    fn tight(&self, case: &Case) -> Vec<Violation> {
        let (lasted, least) = match self.timed_out {
            Some(Limit::Phase(limit)) => {
                let phase = self.claim.phase.and_then(|phase| self.timings.of(phase));
                (phase.unwrap_or(self.elapsed), limit)
            }
            Some(Limit::Deadline) => (self.elapsed, case.deadline.unwrap_or_default()),
            Some(Limit::Reserve(reserve)) => {
                let deadline = case.deadline.unwrap_or_default();
                (self.elapsed, deadline.saturating_sub(reserve))
            }
            _ => return Vec::new(),
        };
        violation(lasted < least, "g6", || {
            format!("{} after {lasted:?} of {least:?}", self.claim)
        })
    }

    fn live(&self, case: &Case) -> Vec<Violation> {
        let failed = self.claim.outcome != Outcome::Accepted && is_harmless(case);
        violation(failed, "g7", || {
            format!("nothing that hurts, but {}", self.claim)
        })
    }

    fn small(&self, case: &Case) -> Vec<Violation> {
        let peak = self.memory.map_or(0, |memory| memory.peak);
        let single = if cuts_up(case) { SINGLE_OCTETS } else { 0 };
        let cap = MOST_MEMORY + COPIES * u64::from(case.octets) + single;
        violation(peak > cap, "g8", || {
            format!("{peak} octets of memory at once, and {cap} are enough")
        })
    }

    fn discreet(&self) -> Vec<Violation> {
        let piece = self.secret.iter().flatten().next();
        violation(piece.is_some(), "g9", || {
            format!(
                "a piece of the secret is printed: {}",
                piece.cloned().unwrap_or_default()
            )
        })
    }

    fn repeatable(&self) -> Vec<Violation> {
        let differs = self.again.is_some_and(|again| again != self.trace);
        violation(differs, "g10", || {
            let again = self.again.unwrap_or_default();
            format!("the trace is {:016x}, and then {again:016x}", self.trace)
        })
    }

    /// What a strict server found, where it was itself in step.
    fn in_step(&self, case: &Case) -> Vec<Violation> {
        // A server that answers twice is itself out of step, and finds out of order what was not.
        if answers_twice(case) {
            return Vec::new();
        }
        let found = self.findings.iter();
        found
            .map(|finding| Violation::new("protocol", finding.clone()))
            .collect()
    }
}

fn violation(
    broken: bool,
    guarantee: &'static str,
    what: impl FnOnce() -> String,
) -> Vec<Violation> {
    if broken {
        vec![Violation::new(guarantee, what())]
    } else {
        Vec::new()
    }
}

/// Whether the server says a reply of its own twice.
pub(crate) fn answers_twice(case: &Case) -> bool {
    case.plan.rules.iter().any(|rule| {
        matches!(
            rule.split().1,
            Rule::Server { fault, .. } if fault.say == Say::Twice
        )
    })
}

/// Whether the network carries octets in pieces.
fn cuts_up(case: &Case) -> bool {
    case.plan.rules.iter().any(|rule| {
        matches!(
            rule.split().1,
            Rule::Link(
                LinkFault::Fragment { .. }
                    | LinkFault::At {
                        strike: Strike::Drip(_),
                        ..
                    }
            )
        )
    })
}

/// Whether nothing in the case may keep the message from being delivered: not the peer, and not the
/// caller. Said only of what is sure.
#[must_use]
pub fn is_harmless(case: &Case) -> bool {
    let harmless = |rule: &Rule| match rule {
        Rule::Link(LinkFault::Latency(latency)) => *latency <= case.timeout / 20,
        Rule::Link(LinkFault::Fragment { .. } | LinkFault::Split { .. }) => true,
        // Every octet from there on by itself; no phase of a case has more of them.
        Rule::Link(LinkFault::At {
            strike: Strike::Drip(step),
            ..
        }) => *step * 2_000 <= case.timeout / 2 && case.octets <= 500,
        _ => false,
    };
    case.cancel.is_none()
        && case.deadline.is_none()
        && case.server_tls.is_none()
        && case.timeouts.is_empty()
        && case.timeout >= Duration::from_secs(2)
        && case.plan.rules.iter().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Claim;

    #[test]
    fn ambiguous_is_an_honest_word_only_behind_the_end_of_mail_data() {
        let behind = Case::default();
        let ahead = Case {
            ahead: true,
            ..Case::default()
        };
        for phase in Phase::ALL {
            let claim = Claim {
                outcome: Outcome::Ambiguous,
                phase: Some(phase),
                kind: "timed-out",
                code: None,
                accepted: 1,
            };
            let report = Report::of(claim);
            let is_end = phase == Phase::DataTermination;
            assert_eq!(report.honest(&behind).is_empty(), is_end, "{phase}");
            let is_in_front = matches!(phase, Phase::Mail | Phase::Rcpt);
            let may_be = is_end || is_in_front;
            assert_eq!(report.honest(&ahead).is_empty(), may_be, "{phase}, ahead");
        }
    }
}
