//! Counting while the server runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::Phase;

use super::Coverage;
use crate::plan::{Label, Place};

/// What a double's connections strike. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    coverage: Arc<Mutex<Coverage>>,
}

impl Recorder {
    fn coverage(&self) -> MutexGuard<'_, Coverage> {
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was struck so far.
    pub(crate) fn so_far(&self) -> Coverage {
        self.coverage().clone()
    }

    /// A client has come to this phase.
    pub(crate) fn reach(&self, phase: Phase) {
        if let Some(count) = self.coverage().reached.get_mut(phase.index()) {
            *count += 1;
        }
    }
}

const FINAL: Place = Place::Phase(Phase::DataTermination);

/// What was struck on one connection, whose message's fate is open.
#[derive(Debug)]
pub(crate) struct Fate {
    recorder: Recorder,
    /// Strikes of the mail transaction by cell: no client can make more of them than there are.
    open: BTreeMap<Label, u64>,
    /// MAIL was said.
    has_begun: bool,
    /// The transaction's message is committed.
    is_committed: bool,
}

impl Fate {
    pub(crate) const fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            open: BTreeMap::new(),
            has_begun: false,
            is_committed: false,
        }
    }

    /// MAIL: what was struck before the first one belongs to it.
    pub(crate) fn begin(&mut self) {
        if self.has_begun {
            self.open.clear();
        }
        self.has_begun = true;
        self.is_committed = false;
    }

    /// A final reply is due. Over LMTP there is one for each recipient, and what was struck in the one
    /// before has nothing to do with it.
    pub(crate) fn answer(&mut self) {
        self.open.retain(|(place, _), _| *place != FINAL);
    }

    /// A rule has struck.
    pub(crate) fn strike(&mut self, key: Label) {
        let is_committed = self.is_committed && key.0 != FINAL;
        let mut coverage = self.recorder.coverage();
        let counts = coverage
            .cells
            .entry((key.0, key.1.to_string()))
            .or_default();
        counts.0 += 1;
        counts.1 += u64::from(is_committed);
        drop(coverage);
        if !is_committed {
            *self.open.entry(key).or_default() += 1;
        }
    }

    /// The message is committed.
    pub(crate) fn commit(&mut self) {
        let mut coverage = self.recorder.coverage();
        coverage.messages += 1;
        for ((place, kind), strikes) in std::mem::take(&mut self.open) {
            let counts = coverage
                .cells
                .entry((place, kind.into_owned()))
                .or_default();
            counts.1 += strikes;
        }
        drop(coverage);
        self.is_committed = true;
    }
}
