//! What one call may use.

use core::time::Duration;
use std::time::Instant;

/// The bounds of one call, on top of the phases' limits, which always hold underneath.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// The call's overall deadline.
    pub deadline: Option<Instant>,
    /// At least this much of the overall deadline must be left when the last octet of the end of
    /// mail data leaves, so that the final reply can be waited for. The call stops with the definite
    /// outcome [`NotAccepted`](crate::Outcome::NotAccepted) once that can't be kept.
    pub reserve: Duration,
    /// After a cancellation or an expiry behind the end of mail data, the final reply is waited for
    /// this much longer. Counted in the promise.
    pub linger: Duration,
}

impl Bounds {
    /// No bounds but the phases' limits.
    pub const NONE: Self = Self {
        deadline: None,
        reserve: Duration::ZERO,
        linger: Duration::ZERO,
    };

    /// Until when anything may happen before the end of mail data has left.
    pub(crate) fn before_commit(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        if self.reserve.is_zero() {
            return Some(deadline);
        }
        Some(deadline.checked_sub(self.reserve).unwrap_or(deadline))
    }
}
