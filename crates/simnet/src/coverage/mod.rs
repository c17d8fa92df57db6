//! What of the faults was struck, where, how often, and with what became of the messages: for whoever
//! points a client of one's own at a double and wants to know what was put to the test.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! use postbound_simnet::Phase;
//! use postbound_simnet::double::SmtpDouble;
//!
//! let double = SmtpDouble::in_memory();
//! double.on(Phase::DataTermination).commit().then_stall().mount();
//! // Here your client sends a message.
//! double.converse(["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "hi\r\n."]).await;
//!
//! let coverage = double.coverage();
//! let goals = ["data-termination:lost-reply", "rcpt:reply"].map(|goal| goal.parse().unwrap());
//! let missed: Vec<_> = coverage.missed(&goals).map(ToString::to_string).collect();
//! assert_eq!(missed, ["rcpt:reply"]); // no recipient was refused: nothing is known of that
//! let lost = &coverage.cells()[0];
//! assert_eq!((lost.kind.as_str(), lost.strikes, lost.committed), ("commit, stall", 1, 1));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod goal;
mod recorder;

use std::collections::BTreeMap;
use std::fmt;

use proto::Phase;

pub use goal::{Goal, GoalError};
pub(crate) use recorder::{Fate, Recorder};

use crate::junit::{NEVER, Suite, Verdict};
use crate::plan::Place;

/// What was struck. Those of several doubles can be added up.
///
/// A strike is a rule, of the plan or set later, or what an address or a name asked for, that acted once.
/// Faults of TLS and of the link are counted for each handshake and connection that they were in force
/// on; those of the look-up and of connecting are none of the server's and are not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    cells: BTreeMap<(Place, String), (u64, u64)>,
    reached: [u64; Phase::COUNT],
    messages: u64,
}

/// A place and a kind of fault, and how often it was struck.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cell {
    /// Where.
    pub place: Place,
    /// Which kind of fault, as [`Rule::kind`](crate::plan::Rule::kind) has it.
    pub kind: String,
    /// How often.
    pub strikes: u64,
    /// How many of them were in a mail transaction whose message was committed: a strike belongs to
    /// the transaction that is open or was last, and to the first one before there is any.
    pub committed: u64,
}

impl Coverage {
    /// Every cell that was struck, by place and kind.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let cell = |(key, counts): (&(Place, String), &(u64, u64))| Cell {
            place: key.0,
            kind: key.1.clone(),
            strikes: counts.0,
            committed: counts.1,
        };
        self.cells.iter().map(cell).collect()
    }

    /// How often clients came to this phase, whatever happened there.
    #[must_use]
    pub fn reached(&self, phase: Phase) -> u64 {
        self.reached.get(phase.index()).copied().unwrap_or_default()
    }

    /// Messages that were committed.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// How often what the goal names was struck.
    #[must_use]
    pub fn strikes(&self, goal: &Goal) -> u64 {
        let met = |(place, kind): &(Place, String)| goal.stands_for(*place, kind);
        let cells = self.cells.iter().filter(|(key, _)| met(key));
        cells.map(|(_, (strikes, _))| strikes).sum()
    }

    /// The goals that were never struck.
    pub fn missed<'g>(&self, goals: &'g [Goal]) -> impl Iterator<Item = &'g Goal> {
        goals.iter().filter(|goal| self.strikes(goal) == 0)
    }

    /// Adds what another double saw.
    pub fn merge(&mut self, other: &Self) {
        for (key, (strikes, committed)) in &other.cells {
            let counts = self.cells.entry(key.clone()).or_default();
            counts.0 += strikes;
            counts.1 += committed;
        }
        for (into, from) in self.reached.iter_mut().zip(other.reached) {
            *into += from;
        }
        self.messages += other.messages;
    }

    /// JUnit's XML: a test case for every cell that was struck and for every goal, which fails if it
    /// was missed.
    #[must_use]
    pub fn junit(&self, goals: &[Goal]) -> String {
        let mut suite = Suite::new("postbound coverage");
        for cell in self.cells() {
            let class = format!("coverage.{}", cell.place);
            suite.case(&class, &cell.kind, 0.0, Verdict::Passed);
        }
        for goal in goals {
            let more = goal.to_string();
            let verdict = match self.strikes(goal) {
                0 => Verdict::Failed {
                    what: NEVER,
                    more: &more,
                },
                _ => Verdict::Passed,
            };
            suite.case("coverage.goals", &more, 0.0, verdict);
        }
        suite.to_string()
    }
}

impl fmt::Display for Coverage {
    /// A table for a person to read, a line for each cell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<17}{:<32}{:>8}{:>11}",
            "at", "fault", "strikes", "committed"
        )?;
        for Cell {
            place,
            kind,
            strikes,
            committed,
        } in self.cells()
        {
            writeln!(f, "{place:<17}{kind:<32}{strikes:>8}{committed:>11}")?;
        }
        write!(f, "{} messages committed", self.messages)
    }
}
