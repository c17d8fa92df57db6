//! Results of several machines become one.

use std::collections::BTreeSet;
use std::fmt;

use super::{FORMAT, Results};

/// Results that can't be merged: why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// They were written in another form than this program's.
    Format(u32),
    /// They are of another version of postbound: what one showed is not true of the other.
    Version(String, String),
    /// The same shard of the same sweep is in both: its cases would be counted twice.
    Twice(String),
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(format) => write!(
                f,
                "the results have form {format}, and this program reads form {FORMAT}; run them again with this program"
            ),
            Self::Version(left, right) => write!(
                f,
                "results of postbound {left} and {right} can't be merged; run one of them again"
            ),
            Self::Twice(what) => write!(
                f,
                "{what} is in more than one of the files; name each shard's file once"
            ),
        }
    }
}

impl std::error::Error for MergeError {}

impl Results {
    /// Takes in the results of another run of the same version: cells that are in both once, sweeps
    /// of the same name added up.
    ///
    /// # Errors
    /// If they are of another version, or the same shard is in both.
    pub fn merge(&mut self, other: Self) -> Result<(), MergeError> {
        for format in [self.format, other.format] {
            if format != FORMAT {
                return Err(MergeError::Format(format));
            }
        }
        if self.version != other.version {
            return Err(MergeError::Version(self.version.clone(), other.version));
        }
        let same = |left: &super::Sweep, right: &super::Sweep| {
            left.name == right.name && left.backend == right.backend
        };
        // Everything is looked at before anything is changed.
        for sweep in &other.sweeps {
            let mine = self.sweeps.iter().find(|mine| same(mine, sweep));
            let shards = mine.map(|mine| mine.shards.as_slice()).unwrap_or_default();
            if let Some(shard) = sweep.shards.iter().find(|shard| shards.contains(shard)) {
                let what = format!("shard {shard} of {} on {}", sweep.name, sweep.backend);
                return Err(MergeError::Twice(what));
            }
        }
        let known: BTreeSet<String> = self.cells.iter().map(super::CellRecord::id).collect();
        let broken: BTreeSet<String> = self
            .cells
            .iter()
            .filter(|cell| !cell.violations.is_empty())
            .map(super::CellRecord::id)
            .collect();
        for cell in other.cells {
            let id = cell.id();
            if !known.contains(&id) {
                self.cells.push(cell);
            } else if !cell.violations.is_empty() && !broken.contains(&id) {
                // One machine on which it is broken is enough.
                self.cells.retain(|mine| mine.id() != id);
                self.cells.push(cell);
            }
        }
        for sweep in other.sweeps {
            match self.sweeps.iter_mut().find(|mine| same(mine, &sweep)) {
                Some(mine) => {
                    mine.absorb(&sweep);
                    mine.shards.extend(sweep.shards);
                }
                None => self.sweeps.push(sweep),
            }
        }
        self.coverage.merge(other.coverage);
        for case in other.broken {
            self.add_broken(case);
        }
        Ok(())
    }
}
