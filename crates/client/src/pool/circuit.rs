//! Whether a server is worth dialling: after failures in a row it is left alone for a while.

use std::time::{Duration, Instant};

use proto::{FailureKind, Limit};

/// What a pool knows about dialling its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Circuit {
    /// It is dialled as needed.
    Closed,
    /// It failed too often in a row and is not dialled for this much longer.
    Open {
        /// How much longer.
        left: Duration,
    },
    /// The next checkout that needs a connection dials, or one is dialling right now; the others
    /// are refused until it is known how that went.
    HalfOpen,
}

/// Failures in a row, and since when they are too many.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    opened: Option<Instant>,
    probing: bool,
}

impl Breaker {
    pub(super) fn state(&self, cooldown: Duration, now: Instant) -> Circuit {
        let Some(opened) = self.opened else {
            return Circuit::Closed;
        };
        let left = cooldown.saturating_sub(now.saturating_duration_since(opened));
        if left.is_zero() {
            Circuit::HalfOpen
        } else {
            Circuit::Open { left }
        }
    }

    /// Whether one may dial now. Behind the pause only one at a time may.
    pub(super) fn admit(&mut self, cooldown: Duration, now: Instant) -> Result<(), FailureKind> {
        match self.state(cooldown, now) {
            Circuit::Closed => Ok(()),
            Circuit::Open { left } => Err(FailureKind::CircuitOpen(left)),
            Circuit::HalfOpen if self.probing => Err(FailureKind::CircuitOpen(Duration::ZERO)),
            Circuit::HalfOpen => {
                self.probing = true;
                Ok(())
            }
        }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, threshold: u32, now: Instant) {
        self.probing = false;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= threshold {
            self.opened = Some(now);
        }
    }

    /// Nothing was learned: the caller gave up first.
    pub(super) fn unknown(&mut self) {
        self.probing = false;
    }
}

/// Whether a failed dial says something about the server, and not about who dialled.
pub(super) fn blames_server(kind: &FailureKind) -> bool {
    match kind {
        FailureKind::TimedOut(limit) => matches!(limit, Limit::Phase(_) | Limit::Share(_)),
        FailureKind::Refused
        | FailureKind::Protocol(_)
        | FailureKind::Closed
        | FailureKind::Broken => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[test]
    fn it_opens_at_the_threshold_and_lets_one_try_after_the_pause() {
        let mut breaker = Breaker::default();
        let now = crate::clock::now();
        breaker.failed(2, now);
        assert_eq!(breaker.admit(PAUSE, now), Ok(()));
        breaker.failed(2, now);
        assert_eq!(
            breaker.admit(PAUSE, now),
            Err(FailureKind::CircuitOpen(PAUSE))
        );
        let later = now + PAUSE;
        assert_eq!(breaker.state(PAUSE, later), Circuit::HalfOpen);
        assert_eq!(breaker.admit(PAUSE, later), Ok(()));
        assert!(breaker.admit(PAUSE, later).is_err(), "one at a time");
        breaker.unknown();
        assert_eq!(breaker.admit(PAUSE, later), Ok(()), "the next one tries");
        breaker.failed(2, later);
        assert_eq!(
            breaker.state(PAUSE, later),
            Circuit::Open { left: PAUSE },
            "one failure behind the pause is enough"
        );
        assert_eq!(breaker.admit(PAUSE, later + PAUSE), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.state(PAUSE, later + PAUSE), Circuit::Closed);
    }

    #[test]
    fn a_caller_in_a_hurry_does_not_blame_the_server() {
        let limit = Duration::from_secs(1);
        assert!(blames_server(&FailureKind::TimedOut(Limit::Phase(limit))));
        assert!(blames_server(&FailureKind::Refused));
        assert!(!blames_server(&FailureKind::TimedOut(Limit::Deadline)));
        assert!(!blames_server(&FailureKind::TimedOut(Limit::Reserve(
            limit
        ))));
        assert!(!blames_server(&FailureKind::Cancelled));
    }
}
