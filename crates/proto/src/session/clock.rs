//! When the current wait ends, and how long each phase lasted.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use crate::failure::Limit;
use crate::{Phase, Timeouts};

/// How long each phase lasted, all its occasions together.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// In nanoseconds, and one more: zero is for what did not occur. It is moved with each result.
    spent: [u64; Phase::COUNT],
}

impl Timings {
    /// How long `phase` lasted; `None` if it did not occur.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Option<Duration> {
        let spent = self.spent.get(phase.index())?.checked_sub(1)?;
        Some(Duration::from_nanos(spent))
    }

    /// Every phase that occurred, in the order of [`Phase::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        Phase::ALL
            .into_iter()
            .filter_map(|phase| Some((phase, self.of(phase)?)))
    }

    /// Adds to what `phase` lasted.
    pub fn add(&mut self, phase: Phase, spent: Duration) {
        let nanoseconds = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        if let Some(slot) = self.spent.get_mut(phase.index()) {
            *slot = (*slot).max(1).saturating_add(nanoseconds);
        }
    }

    /// Adds every phase of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (slot, other) in self.spent.iter_mut().zip(other.spent) {
            *slot = match (*slot, other) {
                (spent, 0) | (0, spent) => spent,
                (spent, more) => spent.saturating_add(more - 1),
            };
        }
    }
}

impl fmt::Debug for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The limit that is running.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    pub(super) phase: Phase,
    pub(super) limit: Duration,
    since: Instant,
    /// When the current occasion ends: never moved by an octet that arrives.
    at: Instant,
    /// Octets of mail data that were taken before it.
    before: u64,
}

/// `now + limit`, which can't overflow on any clock that a computer has.
fn later(now: Instant, limit: Duration) -> Instant {
    now.checked_add(limit).unwrap_or(now)
}

impl Armed {
    pub(super) fn new(phase: Phase, limit: Duration, now: Instant) -> Self {
        Self {
            phase,
            limit,
            since: now,
            at: later(now, limit),
            before: 0,
        }
    }

    /// So many octets of mail data were taken already.
    pub(super) const fn behind(mut self, octets: u64) -> Self {
        self.before = octets;
        self
    }

    pub(super) const fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Mail data was taken by the transport: some octet has to leave within a block's limit, and
    /// all of them have to keep up with the minimum rate.
    pub(super) fn credit(&mut self, timeouts: &Timeouts, octets: u64, now: Instant) {
        let block = later(now, self.limit);
        let transfer = timeouts
            .transfer(octets)
            .saturating_sub(timeouts.transfer(self.before));
        let whole = later(self.since, self.limit.saturating_add(transfer));
        self.at = block.min(whole);
    }
}

/// A deadline and what it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) limit: Limit,
}

impl Due {
    /// The earlier one; at a tie the phase's own limit is named.
    pub(super) fn earlier(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }
}
