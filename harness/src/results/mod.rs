//! What runs showed, as a value that is kept in a file, merged with others and shown as a page.

mod cell;
mod junit;
mod merge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use cell::micros;
pub use cell::{CellRecord, Line, Ran};
pub use merge::MergeError;

use crate::coverage::{Coverage, Tally};
use crate::matrix::{Cell, Verdict};
use crate::peers::PeerRecord;
use crate::sweep::State;

/// The version of the form in which results are kept.
pub const FORMAT: u32 = 1;

/// What a run of the matrix and the sweeps behind it showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// [`FORMAT`] when this was written.
    pub format: u32,
    /// The version of postbound.
    pub version: String,
    /// Every cell of the matrix.
    pub cells: Vec<CellRecord>,
    /// Every sweep: random, exhaustive and others.
    pub sweeps: Vec<Sweep>,
    /// What was covered, and what must have happened at least once.
    pub coverage: Coverage,
    /// The first cases that broke something in a sweep, with their replay lines.
    pub broken: Vec<BrokenCase>,
}

/// A set of cases that was run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sweep {
    /// Which set, such as `random cases of seed 7`.
    pub name: String,
    /// The network, or `sans-io`.
    pub backend: String,
    /// The cases of the set that are this sweep's, as `2/8`; `1/1` is all of them.
    pub shards: Vec<String>,
    /// How many were run.
    pub cases: u64,
    /// How many the network can't do, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// How many violations there were, by guarantee.
    pub broken: BTreeMap<String, u64>,
    /// What became of the message.
    pub outcomes: BTreeMap<String, u64>,
    /// What else was seen, by name: for a comparison, the classes of its differences.
    #[serde(default)]
    pub notes: BTreeMap<String, u64>,
    /// Real time, in seconds; all cores that took part counted one by one.
    pub core_seconds: f64,
}

/// A case of a sweep that broke a guarantee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BrokenCase {
    /// The network, or `sans-io`.
    pub backend: String,
    /// The case, to be replayed.
    pub case: String,
    /// What was broken.
    pub violations: Vec<String>,
}

/// How many broken cases are kept: what is counted beyond that is in the [`Sweep`].
pub const MOST_BROKEN: usize = 100;

impl Results {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Self::default()
        }
    }

    /// Adds what a cell showed.
    pub fn add(&mut self, cell: &Cell, verdict: &Verdict) {
        self.cells.push(CellRecord::of(cell, verdict));
    }

    /// Adds what other clients did in the cell that was added last.
    pub fn add_peers(&mut self, peers: Vec<PeerRecord>) {
        if let Some(cell) = self.cells.last_mut() {
            cell.peers = peers;
        }
    }

    /// Adds what a sweep showed.
    pub fn add_sweep(&mut self, state: State) {
        self.sweeps.push(state.sweep);
        self.coverage.merge(state.coverage);
        for case in state.broken.into_values() {
            self.add_broken(case);
        }
    }

    /// Adds what cells covered.
    pub fn add_tally(&mut self, tally: Tally) {
        self.coverage.add(tally);
    }

    /// Whether every shard of every sweep is here, so that what never happened is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sweeps.iter().all(|sweep| {
            let of = sweep.shards.first().and_then(|s| s.split_once('/'));
            let count = of.and_then(|(_, n)| n.parse::<usize>().ok());
            count.is_none_or(|count| count == sweep.shards.len())
        })
    }

    /// What must happen sometimes and never did. Nothing, as long as a shard is missing.
    #[must_use]
    pub fn missed(&self) -> Vec<&str> {
        match self.is_complete() {
            true => self.coverage.missed().collect(),
            false => Vec::new(),
        }
    }

    /// Keeps a broken case, if there is still room.
    pub fn add_broken(&mut self, case: BrokenCase) {
        if self.broken.len() < MOST_BROKEN {
            self.broken.push(case);
        }
    }

    /// Whether nothing was broken, and everything that must happen sometimes did.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.cells.iter().all(|cell| cell.violations.is_empty())
            && self.sweeps.iter().all(|sweep| sweep.broken.is_empty())
            && self.missed().is_empty()
    }

    /// Every cell as a test case of JUnit's XML, every sweep as one, and a failure for everything that
    /// must happen sometimes and never did.
    #[must_use]
    pub fn junit(&self) -> String {
        junit::write(self)
    }

    /// One page that needs nothing else.
    #[must_use]
    pub fn page(&self) -> String {
        crate::page::of(self)
    }
}

impl BrokenCase {
    /// What to type to run it again.
    #[must_use]
    pub fn replay(&self) -> String {
        crate::replay::line_on(&self.backend, &self.case)
    }

    /// A case on a network, and what it broke.
    #[must_use]
    pub fn new(backend: &str, case: &impl ToString, violations: &[crate::Violation]) -> Self {
        Self {
            backend: backend.to_owned(),
            case: case.to_string(),
            violations: violations.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Sweep {
    /// A sweep of which nothing was run yet.
    #[must_use]
    pub fn new(name: impl Into<String>, backend: impl ToString, shard: (u64, u64)) -> Self {
        Self {
            name: name.into(),
            backend: backend.to_string(),
            shards: vec![format!("{}/{}", shard.0, shard.1)],
            ..Self::default()
        }
    }

    /// Adds everything of a part of the same sweep.
    pub fn absorb(&mut self, other: &Self) {
        self.cases += other.cases;
        self.core_seconds += other.core_seconds;
        for (into, from) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.broken, &other.broken),
            (&mut self.outcomes, &other.outcomes),
            (&mut self.notes, &other.notes),
        ] {
            for (key, count) in from {
                *into.entry(key.clone()).or_default() += count;
            }
        }
    }

    /// Violations of all guarantees together.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.broken.values().sum()
    }

    /// Cases a second and core.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.core_seconds > 0.0 {
            self.cases as f64 / self.core_seconds
        } else {
            0.0
        }
    }
}
