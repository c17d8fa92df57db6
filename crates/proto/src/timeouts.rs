//! How long each phase may last.

use core::fmt;
use core::time::Duration;

use crate::Phase;
use crate::worst_case::WorstCase;

/// The limit of every phase, all finite.
///
/// A limit is armed when its phase starts and no octet moves it: a peer that sends one octet now
/// and then gains nothing. There is no value for "no limit", and zero is refused rather than taken
/// for one. [`worst_case`](Self::worst_case) adds the limits up before a call is made.
///
/// Mail data is bounded twice. Some octet must leave within [`Phase::DataBlock`]'s limit, and the
/// whole must keep up with the minimum rate: at any time, the octets that left so far at that rate
/// plus one `DataBlock` limit. The wait for the final reply ([`Phase::DataTermination`]) grows by
/// the octets that may still lie in the operating system's buffers, at the same rate.
///
/// [`Timeouts::INTERACTIVE`] is the default, because a call that nobody thought about is most often
/// one that somebody waits for. For a message of 1 MiB to one recipient it promises an end within
/// eight minutes, nearly all of it the slowest transfer that is still tolerated and a final reply
/// that is waited for long, because giving up on it early is what makes duplicates:
///
/// ```
/// use postbound_proto::Timeouts;
/// let promise = Timeouts::default().worst_case(1, 1024 * 1024).total();
/// assert_eq!(promise.as_secs(), 473);
/// assert_eq!(Timeouts::RFC5321.worst_case(1, 1024 * 1024).total().as_secs(), 2_751);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    limits: [Duration; Phase::COUNT],
    min_rate: u32,
    send_buffer: u32,
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Timeouts {
    /// The shortest limit that can be set: 1 ms, the resolution of the timers underneath.
    pub const MIN: Duration = Duration::from_millis(1);
    /// The longest limit that can be set: 24 hours, past which a bound is none in practice.
    pub const MAX: Duration = secs(24 * 60 * 60);
    /// The default minimum rate, 8 KiB/s. At 500 octets/s, which others use, a message of 25 MiB
    /// would be "bounded" by 15 hours.
    pub const MIN_RATE: u32 = 8 * 1024;
    /// The default of [`with_send_buffer`](Self::with_send_buffer), 4 MiB: Linux was measured to
    /// take between 2.3 and 4.3 MB that the peer had not.
    pub const SEND_BUFFER: u32 = 4 * 1024 * 1024;

    /// RFC 5321 §4.5.3.2's minima, for a queue that nobody waits for. Phases without one there
    /// take the RFC's five minutes for a command; the network's own phases and QUIT are shorter,
    /// because another attempt costs little and a delivered message should not wait.
    pub const RFC5321: Self = Self::table([
        secs(300),   // checkout
        secs(30),    // resolve
        secs(60),    // connect
        secs(120),   // tls-handshake
        secs(300),   // greeting
        secs(300),   // ehlo
        secs(300),   // starttls
        secs(300),   // auth
        secs(300),   // command
        secs(300),   // mail
        secs(300),   // rcpt
        secs(120),   // data-initiation
        secs(180),   // data-block
        secs(600),   // data-termination
        secs(30),    // reset
        secs(5),     // quit
        secs(1_800), // backoff: RFC 5321 §4.5.4.1 asks for half an hour between attempts
    ]);

    /// For a person or a web request that waits. Ten seconds a command, more for a greeting that
    /// is delayed on purpose, and two minutes for the final reply: a shorter one makes duplicates.
    /// A call that must answer sooner gives a deadline of its own and keeps this.
    pub const INTERACTIVE: Self = Self::table([
        secs(10),  // checkout
        secs(5),   // resolve
        secs(10),  // connect
        secs(10),  // tls-handshake
        secs(15),  // greeting
        secs(10),  // ehlo
        secs(10),  // starttls
        secs(10),  // auth
        secs(10),  // command
        secs(10),  // mail
        secs(10),  // rcpt
        secs(10),  // data-initiation
        secs(15),  // data-block
        secs(120), // data-termination
        secs(5),   // reset
        secs(2),   // quit
        secs(10),  // backoff
    ]);

    const fn table(limits: [Duration; Phase::COUNT]) -> Self {
        Self {
            limits,
            min_rate: Self::MIN_RATE,
            send_buffer: Self::SEND_BUFFER,
        }
    }

    /// The same limit for every phase.
    ///
    /// # Errors
    /// If `limit` is under [`MIN`](Self::MIN) or over [`MAX`](Self::MAX).
    pub fn uniform(limit: Duration) -> Result<Self, TimeoutsError> {
        check(None, limit)?;
        Ok(Self::table([limit; Phase::COUNT]))
    }

    /// These limits with another one for `phase`.
    ///
    /// ```
    /// use postbound_proto::{Phase, Timeouts};
    /// # use std::time::Duration;
    /// let timeouts = Timeouts::INTERACTIVE.with(Phase::Connect, Duration::from_secs(3))?;
    /// assert_eq!(timeouts.of(Phase::Connect), Duration::from_secs(3));
    /// let refused = timeouts.with(Phase::Mail, Duration::ZERO).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "the limit of mail is 0ns; it must be between 1ms and 86400s, and there is no value for \"no limit\""
    /// );
    /// # Ok::<(), postbound_proto::TimeoutsError>(())
    /// ```
    ///
    /// # Errors
    /// If `limit` is under [`MIN`](Self::MIN) or over [`MAX`](Self::MAX).
    pub fn with(mut self, phase: Phase, limit: Duration) -> Result<Self, TimeoutsError> {
        check(Some(phase), limit)?;
        if let Some(slot) = self.limits.get_mut(phase.index()) {
            *slot = limit;
        }
        Ok(self)
    }

    /// These limits with another minimum rate of mail data, in octets a second.
    ///
    /// # Errors
    /// If `octets_per_second` is zero.
    pub fn with_min_rate(mut self, octets_per_second: u32) -> Result<Self, TimeoutsError> {
        if octets_per_second == 0 {
            return Err(TimeoutsError::MinRate);
        }
        self.min_rate = octets_per_second;
        Ok(self)
    }

    /// These limits with another assumption on how many octets of mail data the operating system
    /// may report as sent while they still lie in its buffers. The wait for the final reply grows
    /// by at most this much at the minimum rate. Zero is allowed: then it does not grow.
    #[must_use]
    pub const fn with_send_buffer(mut self, octets: u32) -> Self {
        self.send_buffer = octets;
        self
    }

    /// The limit of `phase`.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Duration {
        self.limits.get(phase.index()).copied().unwrap_or(Self::MAX)
    }

    /// The minimum rate of mail data in octets a second.
    #[must_use]
    pub const fn min_rate(&self) -> u32 {
        self.min_rate
    }

    /// How long `octets` take at the minimum rate, rounded up to whole milliseconds.
    #[must_use]
    pub fn transfer(&self, octets: u64) -> Duration {
        let millis = (u128::from(octets) * 1_000).div_ceil(u128::from(self.min_rate));
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// How long the final reply is waited for after `octets` of mail data.
    #[must_use]
    pub fn data_termination(&self, octets: u64) -> Duration {
        self.of(Phase::DataTermination)
            .saturating_add(self.transfer(octets.min(u64::from(self.send_buffer))))
    }

    /// The longest that sending one message over a fresh connection can last: an upper bound for
    /// every behaviour of the peer, the network, the resolver and the message source, reached by
    /// some of them.
    ///
    /// `octets` is the mail data as it crosses the wire, with transparency and the end of mail data;
    /// [`wire_octets`](crate::transparency::wire_octets) counts them. Add the timer's resolution of
    /// 1 ms, and the call's `linger` if it has one.
    ///
    /// ```
    /// use postbound_proto::{Phase, Timeouts};
    /// let promise = Timeouts::RFC5321.worst_case(3, 10_000);
    /// println!("{promise}");
    /// assert!(promise.items().iter().any(|item| item.phase == Phase::Rcpt && item.times == 3));
    /// ```
    #[must_use]
    pub fn worst_case(&self, recipients: usize, octets: u64) -> WorstCase {
        WorstCase::of_message(self, recipients, octets)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::INTERACTIVE
    }
}

fn check(phase: Option<Phase>, limit: Duration) -> Result<(), TimeoutsError> {
    if (Timeouts::MIN..=Timeouts::MAX).contains(&limit) {
        Ok(())
    } else {
        Err(TimeoutsError::Limit { phase, limit })
    }
}

/// A limit that can't be one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutsError {
    /// Too short or too long.
    Limit {
        /// The phase it was meant for; `None` is every one.
        phase: Option<Phase>,
        /// What was asked for.
        limit: Duration,
    },
    /// A minimum rate of zero octets a second.
    MinRate,
}

impl fmt::Display for TimeoutsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { phase, limit } => {
                match phase {
                    Some(phase) => write!(f, "the limit of {phase}")?,
                    None => f.write_str("the limit of every phase")?,
                }
                write!(
                    f,
                    " is {limit:?}; it must be between {:?} and {:?}, and there is no value for \"no limit\"",
                    Timeouts::MIN,
                    Timeouts::MAX
                )
            }
            Self::MinRate => f.write_str(
                "the minimum rate is 0 octets a second; it must be at least 1, or mail data would be unbounded",
            ),
        }
    }
}

impl std::error::Error for TimeoutsError {}
