//! What a call may use, as its caller says it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::guard::{Guard, Token, Tokens};

/// The bounds of one call: an overall deadline, cancellation, or both.
///
/// The phases' limits ([`Timeouts`](crate::Timeouts)) always hold underneath, so `Bounds::none()`
/// is bounded, too. Everything that a call takes as `impl Into<Bounds>` accepts a [`Duration`]
/// (counted from the call's first poll), an [`Instant`], a [`&CancellationToken`](CancellationToken),
/// a slice of tokens, a pair of a time and a token, or a reference to bounds that are kept. Tokens are
/// lent to a call and not cloned; [`into_owned`](Self::into_owned) is for those who keep them.
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
pub struct Bounds<'t> {
    within: Option<Duration>,
    until: Option<Instant>,
    token: Option<Token<'t>>,
    /// Behind the first.
    tokens: Vec<Token<'t>>,
    reserve: Duration,
    linger: Duration,
}

impl<'t> Bounds<'t> {
    /// The phases' limits and nothing else.
    #[inline]
    pub fn none() -> Self {
        Self::default()
    }

    /// The call ends at most this long after it is first polled. Given twice, the shorter holds.
    #[inline]
    pub fn within(mut self, duration: Duration) -> Self {
        self.within = Some(self.within.map_or(duration, |before| before.min(duration)));
        self
    }

    /// The call ends at this instant at the latest. Given twice, or with [`within`](Self::within),
    /// the earlier holds.
    #[inline]
    pub fn until(mut self, instant: Instant) -> Self {
        self.until = Some(self.until.map_or(instant, |before| before.min(instant)));
        self
    }

    /// The call ends at its next poll once this token is cancelled. Any of several tokens does it.
    #[inline]
    pub fn cancelled_by(mut self, token: &'t CancellationToken) -> Self {
        let token = Cow::Borrowed(token);
        if self.token.is_none() {
            self.token = Some(token);
        } else {
            self.tokens.push(token);
        }
        self
    }

    /// Keeps at least this much of the overall deadline for the final reply: once that is not to
    /// be had any more the call stops, before the end of mail data, with the definite outcome
    /// [`NotAccepted`](crate::Outcome::NotAccepted) instead of an ambiguous one later. Default zero.
    /// Without an overall deadline it has no effect.
    #[inline]
    pub fn reserve(mut self, reserve: Duration) -> Self {
        self.reserve = reserve;
        self
    }

    /// After a cancellation or an expiry behind the end of mail data, waits this much longer for
    /// the final reply, so that an ambiguous outcome may still become the truth. Default zero. The
    /// call's promise grows by it.
    #[inline]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The same with clones of the tokens, which need not outlive it: to be kept for calls to come,
    /// each of which takes `&bounds`.
    ///
    /// ```
    /// use postbound::{Bounds, CancellationToken};
    ///
    /// struct Job {
    ///     bounds: Bounds<'static>,
    /// }
    /// let stop = CancellationToken::new();
    /// let job = Job { bounds: Bounds::from(&stop).into_owned() };
    /// let of_one_call: Bounds<'_> = (&job.bounds).into();
    /// # let _ = of_one_call;
    /// ```
    pub fn into_owned(self) -> Bounds<'static> {
        self.with(|token| Cow::Owned(token.clone()))
    }

    /// The same with each token made of what there is.
    fn with<'s, 'o>(&'s self, token: impl Fn(&'s CancellationToken) -> Token<'o>) -> Bounds<'o> {
        Bounds {
            within: self.within,
            until: self.until,
            token: self.token.as_deref().map(&token),
            tokens: self.tokens.iter().map(|other| token(other)).collect(),
            reserve: self.reserve,
            linger: self.linger,
        }
    }

    /// The call starts now.
    pub(crate) fn start(&self) -> (proto::Bounds, Guard<'_>) {
        self.start_at(clock::now())
    }

    /// The call has started at this instant.
    pub(crate) fn start_at(&self, now: Instant) -> (proto::Bounds, Guard<'_>) {
        let mut bounds = proto::Bounds::NONE;
        let within = self.within.and_then(|d| now.checked_add(d));
        bounds.deadline = match (within, self.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        bounds.reserve = self.reserve;
        bounds.linger = self.linger;
        (bounds, self.guard())
    }

    /// One more guard, where a call is several at the same time.
    pub(crate) fn guard(&self) -> Guard<'_> {
        Guard::new(self.tokens())
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens {
            first: self.token.as_deref(),
            others: &self.tokens,
        }
    }
}

impl From<Duration> for Bounds<'_> {
    fn from(within: Duration) -> Self {
        Self::none().within(within)
    }
}

impl From<Instant> for Bounds<'_> {
    fn from(until: Instant) -> Self {
        Self::none().until(until)
    }
}

impl From<tokio::time::Instant> for Bounds<'_> {
    fn from(until: tokio::time::Instant) -> Self {
        Self::none().until(until.into_std())
    }
}

impl<'t> From<&'t CancellationToken> for Bounds<'t> {
    fn from(token: &'t CancellationToken) -> Self {
        Self::none().cancelled_by(token)
    }
}

impl<'t> From<&'t [CancellationToken]> for Bounds<'t> {
    fn from(tokens: &'t [CancellationToken]) -> Self {
        tokens.iter().fold(Self::none(), Self::cancelled_by)
    }
}

impl<'t> From<(Duration, &'t CancellationToken)> for Bounds<'t> {
    fn from((within, token): (Duration, &'t CancellationToken)) -> Self {
        Self::none().within(within).cancelled_by(token)
    }
}

impl<'t> From<(Instant, &'t CancellationToken)> for Bounds<'t> {
    fn from((until, token): (Instant, &'t CancellationToken)) -> Self {
        Self::none().until(until).cancelled_by(token)
    }
}

impl<'t> From<&'t Bounds<'_>> for Bounds<'t> {
    fn from(kept: &'t Bounds<'_>) -> Self {
        kept.with(Cow::Borrowed)
    }
}
