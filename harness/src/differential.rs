//! Two runs of one case, and whether they say the same.

use crate::case::Case;
use crate::report::Report;

/// What comparing two runs showed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are all there can be")]
pub enum Agreement {
    /// They agree in everything.
    Same,
    /// They differ in a way that has a name and an explanation.
    Tie(&'static str),
    /// They differ.
    Differs(String),
}

/// Compares two runs in virtual time: what is claimed, how long it took, what was committed.
#[must_use]
pub fn compare(case: &Case, left: &Report, right: &Report) -> Agreement {
    let _ = case;
    if left.claim == right.claim
        && left.elapsed == right.elapsed
        && left.committed == right.committed
        && left.intact == right.intact
        && left.findings.is_empty() == right.findings.is_empty()
    {
        return Agreement::Same;
    }
    Agreement::Differs(format!(
        "{} after {:?} with {} committed (intact {}, findings {:?}), or {} after {:?} with {} committed (intact {}, findings {:?})",
        left.claim,
        left.elapsed,
        left.committed,
        left.intact,
        left.findings,
        right.claim,
        right.elapsed,
        right.committed,
        right.intact,
        right.findings,
    ))
}
