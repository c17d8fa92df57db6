//! What was covered: which fault where, with which outcome on which network, and what must have
//! happened at least once for any of it to mean something.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use postbound::{Limit, Outcome, Phase};
use serde::{Deserialize, Serialize};
use simnet::plan::{LinkFault, Rule, Strike};

use crate::case::Case;
use crate::guarantee::GUARANTEES;
use crate::report::Report;

/// Where, which fault, what became of the message, on which network.
pub type Place = (String, String, String, String);

/// Counts of what happened. Those of several machines can be added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Coverage {
    /// Calls by where the fault struck, the fault, the outcome and the network.
    pub places: Vec<(Place, u64)>,
    /// How often each thing that must happen sometimes did; what never did is there with zero.
    pub goals: BTreeMap<String, u64>,
    /// Runs that each guarantee was checked on.
    pub checked: BTreeMap<String, u64>,
}

/// The same while it is counted: for one scope on one network, and cheap enough for every case.
#[derive(Clone, Debug)]
pub struct Tally {
    scope: Scope,
    backend: String,
    places: BTreeMap<(&'static str, Cow<'static, str>, Outcome), u64>,
    goals: BTreeMap<Goal, u64>,
    checked: BTreeMap<&'static str, u64>,
}

/// What a run belongs to, and so what must happen in it sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The matrix.
    Matrix,
    /// Random cases.
    Random,
    /// Every octet of every configuration, in clear and without a runtime.
    SansIo,
    /// The same on the in-memory network.
    Clear,
    /// The same under TLS.
    Tls,
    /// Cases of which nothing in particular is expected.
    Any,
}

impl Scope {
    const fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Random => "random",
            Self::SansIo => "exhaustive, sans-io",
            Self::Clear => "exhaustive",
            Self::Tls => "exhaustive, TLS",
            Self::Any => "",
        }
    }
}

/// Something that must happen sometimes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    Outcome(Outcome),
    Kind(&'static str),
    TimedOut(Phase),
    Struck(&'static str),
    Checked(&'static str),
    Seen(&'static str),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(outcome) => write!(f, "a message is {outcome}"),
            Self::Kind(kind) => write!(f, "a call ends as {kind}"),
            Self::TimedOut(phase) => write!(f, "a limit runs out: {phase}"),
            Self::Struck(what) => write!(f, "the network strikes: {what}"),
            Self::Checked(guarantee) => {
                write!(f, "{} is put to the test", guarantee.to_uppercase())
            }
            Self::Seen(what) => f.write_str(what),
        }
    }
}

/// The client's own waits: nothing that a peer does can make a single call time out there.
const OWN: [Phase; 2] = [Phase::Checkout, Phase::Backoff];

const AMBIGUOUS_TAKEN: &str = "an ambiguous message was taken after all";
const AMBIGUOUS_LOST: &str = "an ambiguous message was not taken";
const DEADLINE: &str = "the overall deadline runs out";
const RESERVE: &str = "the reserve stops a call";
const LINGERED: &str = "the truth comes in the linger, behind the cancellation";
const SOME_REFUSED: &str = "some recipients are refused and others accepted";
const AGAIN: &str = "a refused message is accepted over the same connection";

impl Scope {
    /// What must happen sometimes in runs of this scope.
    fn goals(self) -> Vec<Goal> {
        let outcomes = [Outcome::Accepted, Outcome::NotAccepted, Outcome::Ambiguous];
        let mut goals: Vec<Goal> = outcomes.map(Goal::Outcome).into();
        let kinds = ["protocol", "timed-out", "closed", "broken"];
        goals.extend(kinds.map(Goal::Kind));
        goals.extend([AMBIGUOUS_TAKEN, AMBIGUOUS_LOST].map(Goal::Seen));
        let exhaustive = |goals: &mut Vec<Goal>| {
            goals.push(Goal::Kind("cancelled"));
            goals.extend([DEADLINE, RESERVE, LINGERED].map(Goal::Seen));
            let strikes = Strike::EVERY;
            goals.extend(strikes.map(|(what, direction)| Goal::Struck(what.kind(direction))));
        };
        match self {
            Self::Matrix => {
                let phases = Phase::ALL.into_iter().filter(|phase| !OWN.contains(phase));
                goals.extend(phases.map(Goal::TimedOut));
                goals.extend(["refused", "tls", "auth"].map(Goal::Kind));
                goals.push(Goal::Seen(AGAIN));
            }
            Self::Random => {
                goals.extend(["refused", "tls", "auth", "cancelled"].map(Goal::Kind));
                goals.extend([DEADLINE, RESERVE, LINGERED, SOME_REFUSED].map(Goal::Seen));
                let guarantees = GUARANTEES.iter();
                goals.extend(guarantees.map(|guarantee| Goal::Checked(guarantee.id)));
            }
            Self::SansIo => {
                exhaustive(&mut goals);
                let guarantees = ["g1", "g2", "g4", "g5", "g6", "g7"];
                goals.extend(guarantees.map(Goal::Checked));
            }
            Self::Clear => {
                exhaustive(&mut goals);
                let guarantees = GUARANTEES.iter();
                goals.extend(guarantees.map(|guarantee| Goal::Checked(guarantee.id)));
            }
            Self::Tls => {
                exhaustive(&mut goals);
                let guarantees = GUARANTEES.iter();
                goals.extend(guarantees.map(|guarantee| Goal::Checked(guarantee.id)));
                goals.extend([Phase::TlsHandshake, Phase::StartTls].map(Goal::TimedOut));
                goals.push(Goal::Kind("tls"));
            }
            Self::Any => goals.clear(),
        }
        goals
    }
}

impl Tally {
    /// A tally of this scope on this network, of whose goals none was seen yet.
    #[must_use]
    pub fn new(scope: Scope, backend: impl ToString) -> Self {
        Self {
            scope,
            backend: backend.to_string(),
            places: BTreeMap::new(),
            goals: scope.goals().into_iter().map(|goal| (goal, 0)).collect(),
            checked: BTreeMap::new(),
        }
    }

    /// The same where this guarantee can't be looked at.
    #[must_use]
    pub fn without(mut self, guarantee: &'static str) -> Self {
        self.goals.remove(&Goal::Checked(guarantee));
        self
    }

    fn happened(&mut self, goal: Goal) {
        // What nobody waits for is not counted.
        if let Some(count) = self.goals.get_mut(&goal) {
            *count += 1;
        }
    }

    /// Counts a cell of the matrix.
    pub fn cell(&mut self, place: &'static str, fault: &'static str, case: &Case, report: &Report) {
        self.place(place, Cow::Borrowed(fault), report);
        self.goals_of(case, report);
    }

    /// Counts a case: each of its faults, and the healthy case as one without any.
    pub fn case(&mut self, case: &Case, report: &Report) {
        let ended = report.claim.phase.map_or("delivered", Phase::name);
        if case.plan.rules.is_empty() {
            self.place(ended, Cow::Borrowed("none"), report);
        }
        for rule in &case.plan.rules {
            let (place, fault) = label(rule, ended);
            self.place(place, fault, report);
        }
        self.goals_of(case, report);
    }

    fn place(&mut self, place: &'static str, fault: Cow<'static, str>, report: &Report) {
        let key = (place, fault, report.claim.outcome);
        *self.places.entry(key).or_default() += 1;
    }

    fn goals_of(&mut self, case: &Case, report: &Report) {
        let claim = &report.claim;
        self.happened(Goal::Outcome(claim.outcome));
        self.happened(Goal::Kind(claim.kind));
        match (report.timed_out, claim.phase) {
            (Some(Limit::Phase(_)), Some(phase)) => self.happened(Goal::TimedOut(phase)),
            (Some(Limit::Deadline), _) => self.happened(Goal::Seen(DEADLINE)),
            (Some(Limit::Reserve(_)), _) => self.happened(Goal::Seen(RESERVE)),
            _ => {}
        }
        // The one limit that no error names: a QUIT that is not answered is no failure, and the receipt
        // is older than it.
        let before = report.timings.iter().map(|(_, spent)| spent).sum();
        let quit = report.elapsed.saturating_sub(before);
        if claim.outcome == Outcome::Accepted && quit >= case.limits().of(Phase::Quit) {
            self.happened(Goal::TimedOut(Phase::Quit));
        }
        if claim.outcome == Outcome::Ambiguous {
            self.happened(Goal::Seen(match report.committed {
                0 => AMBIGUOUS_LOST,
                _ => AMBIGUOUS_TAKEN,
            }));
        }
        if claim.outcome == Outcome::Accepted {
            if case.cancel.is_some_and(|cancel| report.elapsed > cancel) {
                self.happened(Goal::Seen(LINGERED));
            }
            if claim.accepted < usize::from(case.recipients) {
                self.happened(Goal::Seen(SOME_REFUSED));
            }
            if case.again {
                self.happened(Goal::Seen(AGAIN));
            }
        }
        for rule in &case.plan.rules {
            if let Rule::Link(LinkFault::At {
                direction,
                strike: what,
                ..
            }) = rule.split().1
            {
                self.happened(Goal::Struck(what.kind(*direction)));
            }
        }
        for guarantee in report.checked(case) {
            *self.checked.entry(guarantee).or_default() += 1;
            self.happened(Goal::Checked(guarantee));
        }
    }
}

impl Coverage {
    /// Adds a finished tally.
    pub fn add(&mut self, tally: Tally) {
        let Tally { scope, backend, .. } = &tally;
        let (scope, backend) = (scope.name(), backend.clone());
        let places = tally.places.into_iter();
        let goals = tally.goals.into_iter();
        self.merge(Self {
            places: places
                .map(|((place, fault, outcome), count)| {
                    let fault = fault.into_owned();
                    let outcome = outcome.to_string();
                    ((place.to_owned(), fault, outcome, backend.clone()), count)
                })
                .collect(),
            goals: goals
                .map(|(goal, count)| (format!("{scope}: {goal}"), count))
                .collect(),
            checked: tally
                .checked
                .into_iter()
                .map(|(guarantee, count)| (guarantee.to_owned(), count))
                .collect(),
        });
    }

    /// Adds what another run covered.
    pub fn merge(&mut self, other: Self) {
        let mut places: BTreeMap<Place, u64> =
            std::mem::take(&mut self.places).into_iter().collect();
        for (key, count) in other.places {
            *places.entry(key).or_default() += count;
        }
        self.places = places.into_iter().collect();
        for (into, from) in [
            (&mut self.goals, other.goals),
            (&mut self.checked, other.checked),
        ] {
            for (key, count) in from {
                *into.entry(key).or_default() += count;
            }
        }
    }

    /// What must happen sometimes and never did.
    pub fn missed(&self) -> impl Iterator<Item = &str> {
        self.goals
            .iter()
            .filter_map(|(goal, count)| (*count == 0).then_some(goal.as_str()))
    }
}

/// Where a rule strikes and what it is, without its quantities. A strike of the network is put down
/// to where the call ended.
fn label(rule: &Rule, ended: &'static str) -> (&'static str, Cow<'static, str>) {
    let place = match rule.split().1 {
        Rule::Link(LinkFault::At { .. }) => ended,
        _ => rule.place().name(),
    };
    (place, rule.kind())
}
