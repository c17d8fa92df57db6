//! Whether a failed attempt is made again, when, and how often at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::Outcome;

use crate::error::Error;
use crate::seed::Seed;

/// Whether [`Client::send`](crate::Client::send) tries again after a failure. The default never does.
///
/// Only what may help is tried again: a 4yz reply, a connection that can't be had or was lost, a
/// phase whose limit ran out. A 5yz reply, a message that can't be sent as it is, a cancellation and
/// the end of the call's own deadline are final, and so is an ambiguous outcome unless
/// [`may_duplicate`](Self::may_duplicate) was asked for. A message that is read from a stream can't
/// be sent again once any of it was read.
///
/// The wait before the second attempt is [`first_wait`](Self::first_wait), and doubles from one
/// attempt to the next up to the limit of [`Phase::Backoff`](crate::Phase::Backoff). Of each, the
/// second half is left to chance, so that clients that failed together do not come back together.
/// A greylisting server (450 or 451 with 4.7.1) is waited for as long as that limit allows. No wait
/// is begun that the call's deadline would end.
///
/// ```
/// use postbound::{Budget, Client, Retry};
/// use std::time::Duration;
/// let retry = Retry::attempts(4)
///     .first_wait(Duration::from_secs(1))
///     .budget(Budget::new(10, 20));
/// let client = Client::builder("smtp.example.org", 25).retry(retry).build()?;
/// println!("{}", client.worst_case(1, 10_000)); // with every attempt and every wait
/// # Ok::<(), postbound::ClientError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Retry {
    attempts: u32,
    first_wait: Duration,
    budget: Budget,
    may_duplicate: bool,
}

impl Retry {
    /// The most attempts that can be asked for: what takes more belongs into a queue on disk.
    pub const MAX_ATTEMPTS: u32 = 100;
    /// The default of [`first_wait`](Self::first_wait): long enough for a server to restart a
    /// worker, short enough for somebody who waits.
    pub const FIRST_WAIT: Duration = Duration::from_millis(500);

    /// One attempt and no more.
    pub fn never() -> Self {
        Self::attempts(1)
    }

    /// At most this many attempts, the first one among them: from 1 to
    /// [`MAX_ATTEMPTS`](Self::MAX_ATTEMPTS), and what is beyond is taken as the nearer of them.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts: attempts.clamp(1, Self::MAX_ATTEMPTS),
            first_wait: Self::FIRST_WAIT,
            budget: Budget::default(),
            may_duplicate: false,
        }
    }

    /// The wait before the second attempt, at least 1 ms. Default [`FIRST_WAIT`](Self::FIRST_WAIT).
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait.max(Duration::from_millis(1));
        self
    }

    /// What all calls together may spend on further attempts. Default: [`Budget::default`], shared
    /// by the client's clones and nobody else.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Tries again after an ambiguous outcome, too: **the recipients may get the message twice**. The
    /// same octets are sent again, so a message with a Message-ID keeps it and can be recognised. If
    /// no later attempt is accepted, the outcome stays ambiguous.
    pub fn may_duplicate(mut self) -> Self {
        self.may_duplicate = true;
        self
    }

    /// How many attempts there are at most.
    #[must_use]
    pub const fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// A call begins.
    pub(crate) fn begin(&self, now: Instant) {
        self.budget.deposit(now);
    }

    /// How long to wait after this many attempts, the last of which failed like this, before
    /// another one; `None` if there is to be none. `longest` is the limit of any wait, and
    /// `deadline` when everything has to be over.
    pub(crate) fn wait(
        &self,
        attempts: u32,
        error: &Error,
        longest: Duration,
        deadline: Option<Instant>,
        seed: &Seed,
        now: Instant,
    ) -> Option<Duration> {
        if attempts >= self.attempts || !self.helps(error) {
            return None;
        }
        let wait = if error.is_greylisting() {
            longest
        } else {
            let doublings = (attempts - 1).min(31);
            let wait = self.first_wait.saturating_mul(1 << doublings).min(longest);
            let half = u64::try_from((wait / 2).as_millis()).unwrap_or(u64::MAX);
            wait - Duration::from_millis(seed.up_to(half))
        };
        let in_time = deadline
            .is_none_or(|deadline| now.checked_add(wait).is_some_and(|until| until < deadline));
        (in_time && self.budget.withdraw(now)).then_some(wait)
    }

    fn helps(&self, error: &Error) -> bool {
        if error.outcome() == Outcome::Ambiguous {
            return self.may_duplicate && !error.is_cancelled();
        }
        error.is_transient()
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::never()
    }
}

/// What further attempts may cost: a share of the calls and a minimum, in each window of time.
///
/// When a server is down, every call fails, and without a budget three attempts for each would make
/// three times the load just then. Clones share one budget, so several clients can have one.
#[derive(Clone, Debug)]
pub struct Budget {
    percent: u32,
    minimum: u32,
    window: Arc<Mutex<Window>>,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    calls: u64,
    retries: u64,
}

impl Budget {
    /// How long a window is.
    pub const WINDOW: Duration = Duration::from_secs(10);

    /// In each window of ten seconds, one further attempt for each `percent` of a hundred calls that
    /// began in it, and `minimum` besides.
    #[must_use]
    pub fn new(percent: u32, minimum: u32) -> Self {
        Self {
            percent,
            minimum,
            window: Arc::default(),
        }
    }

    fn with_window<T>(&self, now: Instant, f: impl FnOnce(&mut Window) -> T) -> T {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |began| now.saturating_duration_since(began) >= Self::WINDOW;
        if window.began.is_none_or(over) {
            *window = Window {
                began: Some(now),
                ..Window::default()
            };
        }
        f(&mut window)
    }

    fn deposit(&self, now: Instant) {
        self.with_window(now, |window| window.calls += 1);
    }

    fn withdraw(&self, now: Instant) -> bool {
        self.with_window(now, |window| {
            let share = window.calls.saturating_mul(u64::from(self.percent)) / 100;
            let allowed = window.retries < share.saturating_add(u64::from(self.minimum));
            window.retries += u64::from(allowed);
            allowed
        })
    }
}

impl Default for Budget {
    /// 20 % and 10: ten single failures are always tried again, and an outage adds a fifth to the
    /// load.
    fn default() -> Self {
        Self::new(20, 10)
    }
}
