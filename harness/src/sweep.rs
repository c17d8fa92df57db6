//! Many cases on all cores: in chunks, in shards, left off and gone on with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::coverage::{Coverage, Tally};
use crate::report::{Report, Tolerance, Violation};
use crate::results::{BrokenCase, MOST_BROKEN, Sweep};

/// Which numbers are gone through, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The numbers below this.
    pub len: u64,
    /// The i-th of n parts, counted from 1: every n-th chunk.
    pub shard: (u64, u64),
    /// Every so-manieth number only.
    pub stride: u64,
    /// How many numbers a thread takes at once: seconds of work at most, so that little is lost when a
    /// sweep is broken off. The same for all shards, and for those that go on.
    pub chunk: u64,
    /// Threads.
    pub jobs: usize,
    /// No chunk is begun later than this.
    pub until: Option<Instant>,
}

impl Part {
    /// All numbers below `len`, on all cores.
    #[must_use]
    pub fn whole(len: u64) -> Self {
        Self {
            len,
            shard: (1, 1),
            stride: 1,
            chunk: 512,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            until: None,
        }
    }

    fn chunks(&self) -> u64 {
        self.len.div_ceil(self.chunk.max(1))
    }

    fn numbers(&self, chunk: u64) -> impl Iterator<Item = u64> {
        let range: Range<u64> = chunk * self.chunk..((chunk + 1) * self.chunk).min(self.len);
        let stride = self.stride.max(1);
        range.filter(move |number| number % stride == 0)
    }

    fn is_mine(&self, chunk: u64) -> bool {
        chunk % self.shard.1.max(1) == self.shard.0.saturating_sub(1)
    }

    /// How many cases that is.
    #[must_use]
    pub fn cases(&self) -> u64 {
        let mine = (0..self.chunks()).filter(|chunk| self.is_mine(*chunk));
        mine.map(|chunk| self.numbers(chunk).count() as u64).sum()
    }
}

/// How far a sweep has come. It is kept in a file, so that a sweep that is broken off goes on there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// Chunks that are done: all below the first number, and these.
    below: u64,
    beyond: BTreeSet<u64>,
    /// What they showed.
    pub sweep: Sweep,
    /// What they covered.
    pub coverage: Coverage,
    /// The broken ones among them, by number.
    pub broken: BTreeMap<u64, BrokenCase>,
}

impl State {
    /// A sweep of which nothing was run yet.
    #[must_use]
    pub fn new(sweep: Sweep) -> Self {
        Self {
            sweep,
            ..Self::default()
        }
    }

    fn is_done(&self, chunk: u64) -> bool {
        chunk < self.below || self.beyond.contains(&chunk)
    }

    fn done(&mut self, chunk: u64, part: &Part) {
        self.beyond.insert(chunk);
        while self.beyond.remove(&self.below) || (self.below < chunk && !part.is_mine(self.below)) {
            self.below += 1;
        }
    }
}

/// What one core found.
#[derive(Debug)]
pub struct Found {
    sweep: Sweep,
    tally: Tally,
    broken: BTreeMap<u64, BrokenCase>,
}

impl Found {
    /// A case that was run, and what it broke.
    pub fn add(
        &mut self,
        number: u64,
        case: &Case,
        report: &Report,
        tolerance: Tolerance,
    ) -> Vec<Violation> {
        let violations = report.violations(case, tolerance);
        self.count(number, case, report, &violations);
        violations
    }

    /// A case that was run, and what somebody else says that it broke.
    pub fn count(&mut self, number: u64, case: &Case, report: &Report, violations: &[Violation]) {
        self.sweep.cases += 1;
        *entry(&mut self.sweep.outcomes, || {
            report.claim.outcome.to_string()
        }) += 1;
        self.tally.case(case, report);
        for violation in violations {
            *entry(&mut self.sweep.broken, || violation.guarantee.to_owned()) += 1;
        }
        if !violations.is_empty() && self.broken.len() < MOST_BROKEN {
            let broken = BrokenCase::new(&self.sweep.backend, case, violations);
            self.broken.insert(number, broken);
        }
    }

    /// A case that can't be run here, and why.
    pub fn skip(&mut self, why: &str) {
        *entry(&mut self.sweep.skipped, || why.to_owned()) += 1;
    }

    /// Something that was seen, by name, and counted among the outcomes of a comparison.
    pub fn note(&mut self, what: &str) {
        *entry(&mut self.sweep.notes, || what.to_owned()) += 1;
    }
}

fn entry(map: &mut BTreeMap<String, u64>, key: impl FnOnce() -> String) -> &mut u64 {
    map.entry(key()).or_default()
}

/// Runs what is left of a part. `worker` makes what each core works with; `step` is told how many
/// cases are done and shown the state, at every chunk's end.
///
/// # Panics
/// If a case panics.
pub fn run<W>(
    state: State,
    part: &Part,
    tally: &Tally,
    worker: impl Fn() -> W + Sync,
    step: impl Fn(u64, &State) + Sync,
) -> State
where
    W: FnMut(u64, &mut Found),
{
    let next = AtomicU64::new(state.below);
    let begun = state.clone();
    let state = Mutex::new(state);
    std::thread::scope(|scope| {
        for _ in 0..part.jobs.max(1) {
            scope.spawn(|| {
                let mut work = worker();
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a person's patience is real time"
                    )]
                    let now = Instant::now();
                    if chunk >= part.chunks() || part.until.is_some_and(|until| now >= until) {
                        break;
                    }
                    if !part.is_mine(chunk) || begun.is_done(chunk) {
                        continue;
                    }
                    let mut found = Found {
                        sweep: Sweep {
                            backend: begun.sweep.backend.clone(),
                            ..Sweep::default()
                        },
                        tally: tally.clone(),
                        broken: BTreeMap::new(),
                    };
                    let mut numbers = 0;
                    for number in part.numbers(chunk) {
                        work(number, &mut found);
                        numbers += 1;
                    }
                    found.sweep.core_seconds = now.elapsed().as_secs_f64();
                    let mut state = state.lock().unwrap();
                    state.done(chunk, part);
                    state.sweep.absorb(&found.sweep);
                    state.coverage.add(found.tally);
                    state.broken.extend(found.broken);
                    while state.broken.len() > MOST_BROKEN {
                        state.broken.pop_last();
                    }
                    step(numbers, &state);
                }
            });
        }
    });
    state.into_inner().unwrap()
}

/// How long between two writings of a sweep's state.
pub const KEEP_EVERY: Duration = Duration::from_secs(5);
