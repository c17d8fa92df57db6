//! What a call may use, as its caller says it.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::guard::Tokens;

/// The bounds of one call: an overall deadline, cancellation, or both.
///
/// The phases' limits ([`Timeouts`](crate::Timeouts)) always hold underneath, so `Bounds::none()`
/// is bounded, too. Everything that a call takes as `impl Into<Bounds>` accepts a [`Duration`]
/// (counted from the call's first poll), an [`Instant`], a [`&CancellationToken`](CancellationToken),
/// a slice of tokens, or a pair of a time and a token:
///
/// ```
/// use postbound::{Bounds, CancellationToken};
/// use std::time::Duration;
///
/// let (request, shutdown) = (CancellationToken::new(), CancellationToken::new());
/// let _: Bounds = Duration::from_secs(30).into();
/// let _: Bounds = (&request).into();
/// let _: Bounds = (Duration::from_secs(30), &request).into();
/// let bounds = Bounds::none()
///     .within(Duration::from_secs(30))
///     .cancelled_by(&request)
///     .cancelled_by(&shutdown)
///     .reserve(Duration::from_secs(10))
///     .linger(Duration::from_millis(500));
/// # let _ = bounds;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Bounds {
    within: Option<Duration>,
    until: Option<Instant>,
    tokens: Tokens,
    reserve: Duration,
    linger: Duration,
}

impl Bounds {
    /// The phases' limits and nothing else.
    pub fn none() -> Self {
        Self::default()
    }

    /// The call ends at most this long after it is first polled. Given twice, the shorter holds.
    pub fn within(mut self, duration: Duration) -> Self {
        self.within = Some(self.within.map_or(duration, |before| before.min(duration)));
        self
    }

    /// The call ends at this instant at the latest. Given twice, or with [`within`](Self::within),
    /// the earlier holds.
    pub fn until(mut self, instant: Instant) -> Self {
        self.until = Some(self.until.map_or(instant, |before| before.min(instant)));
        self
    }

    /// The call ends at its next poll once this token is cancelled. Any of several tokens does it.
    pub fn cancelled_by(mut self, token: &CancellationToken) -> Self {
        self.tokens.push(token.clone());
        self
    }

    /// Keeps at least this much of the overall deadline for the final reply: once that is not to
    /// be had any more the call stops, before the end of mail data, with the definite outcome
    /// [`NotAccepted`](crate::Outcome::NotAccepted) instead of an ambiguous one later. Default zero.
    /// Without an overall deadline it has no effect.
    pub fn reserve(mut self, reserve: Duration) -> Self {
        self.reserve = reserve;
        self
    }

    /// After a cancellation or an expiry behind the end of mail data, waits this much longer for
    /// the final reply, so that an ambiguous outcome may still become the truth. Default zero. The
    /// call's promise grows by it.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The call starts now.
    pub(crate) fn start(self) -> (proto::Bounds, Tokens) {
        self.start_at(clock::now())
    }

    /// The call has started at this instant.
    pub(crate) fn start_at(self, now: Instant) -> (proto::Bounds, Tokens) {
        let mut bounds = proto::Bounds::NONE;
        let within = self.within.and_then(|d| now.checked_add(d));
        bounds.deadline = match (within, self.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        bounds.reserve = self.reserve;
        bounds.linger = self.linger;
        (bounds, self.tokens)
    }
}

impl From<Duration> for Bounds {
    fn from(within: Duration) -> Self {
        Self::none().within(within)
    }
}

impl From<Instant> for Bounds {
    fn from(until: Instant) -> Self {
        Self::none().until(until)
    }
}

impl From<tokio::time::Instant> for Bounds {
    fn from(until: tokio::time::Instant) -> Self {
        Self::none().until(until.into_std())
    }
}

impl From<&CancellationToken> for Bounds {
    fn from(token: &CancellationToken) -> Self {
        Self::none().cancelled_by(token)
    }
}

impl From<&[CancellationToken]> for Bounds {
    fn from(tokens: &[CancellationToken]) -> Self {
        tokens.iter().fold(Self::none(), Self::cancelled_by)
    }
}

impl From<(Duration, &CancellationToken)> for Bounds {
    fn from((within, token): (Duration, &CancellationToken)) -> Self {
        Self::none().within(within).cancelled_by(token)
    }
}

impl From<(Instant, &CancellationToken)> for Bounds {
    fn from((until, token): (Instant, &CancellationToken)) -> Self {
        Self::none().until(until).cancelled_by(token)
    }
}
