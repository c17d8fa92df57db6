//! What happened in a run, and whether it may have.

use std::fmt;
use std::time::Duration;

use postbound::{Error, FailureKind, Limit, Outcome, Phase, Receipt, Timings};
use simnet::Entry;

/// What the client reported, reduced to what can be compared between backends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// What became of the message.
    pub outcome: Outcome,
    /// Where the call ended; `None` if the message was accepted.
    pub phase: Option<Phase>,
    /// What happened, in one word: `refused`, `timed-out`, `closed`, ...
    pub kind: &'static str,
    /// The reply code that decided it.
    pub code: Option<u16>,
    /// Recipients that the server accepted.
    pub accepted: usize,
}

impl Claim {
    /// What a finished call claims.
    #[must_use]
    pub fn of(result: &Result<Receipt, Error>) -> Self {
        match result {
            Ok(receipt) => Self {
                outcome: Outcome::Accepted,
                phase: None,
                kind: "accepted",
                code: Some(receipt.reply().code().get()),
                accepted: receipt
                    .recipients()
                    .iter()
                    .filter(|r| r.is_accepted())
                    .count(),
            },
            Err(error) => Self {
                outcome: error.outcome(),
                phase: Some(error.phase()),
                kind: kind(error.kind()),
                code: error.reply().map(|reply| reply.code().get()),
                accepted: error
                    .recipients()
                    .iter()
                    .filter(|r| r.is_accepted())
                    .count(),
            },
        }
    }
}

impl Claim {
    /// What a session's failure claims.
    #[must_use]
    pub fn of_failure(failure: &proto::Failure) -> Self {
        Self {
            outcome: failure.outcome,
            phase: Some(failure.phase),
            kind: kind(&failure.kind),
            code: failure.reply.as_ref().map(|reply| reply.code().get()),
            accepted: failure
                .recipients
                .iter()
                .filter(|r| r.is_accepted())
                .count(),
        }
    }
}

/// The failure's kind in one word.
#[must_use]
pub fn kind(kind: &FailureKind) -> &'static str {
    match kind {
        FailureKind::Refused => "refused",
        FailureKind::Protocol(_) => "protocol",
        FailureKind::TimedOut(_) => "timed-out",
        FailureKind::Cancelled => "cancelled",
        FailureKind::Tls(_) => "tls",
        FailureKind::Closed => "closed",
        FailureKind::Broken => "broken",
        FailureKind::Unsupported(_) => "unsupported",
        FailureKind::Auth(_) => "auth",
        FailureKind::Message(_) | FailureKind::Path(_) | FailureKind::Source => "message",
        FailureKind::CircuitOpen(_) => "circuit-open",
        FailureKind::PoolClosed => "pool-closed",
        _ => "not-idle",
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outcome)?;
        if let Some(phase) = self.phase {
            write!(f, ", {} at {phase}", self.kind)?;
        }
        if let Some(code) = self.code {
            write!(f, " ({code})")?;
        }
        Ok(())
    }
}

/// Everything a run left behind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What the client says.
    pub claim: Claim,
    /// How long the call lasted.
    pub elapsed: Duration,
    /// Messages in the server's mailbox: the ground truth.
    pub committed: usize,
    /// Over LMTP, what the client says of each recipient and how often the server took the message for
    /// it.
    pub for_each: Vec<(Outcome, usize)>,
    /// Whether what was committed is what was sent.
    pub intact: bool,
    /// What the client did wrong, in the server's eyes.
    pub findings: Vec<String>,
    /// Streams of the client that were still open after the call.
    pub open_streams: usize,
    /// Octets that the client wrote at or after the cancellation's instant.
    pub octets_after_cancel: u64,
    /// The trace's hash.
    pub trace: u64,
    /// The trace, one event a line.
    pub events: String,
    /// The trace itself; empty if none was kept.
    pub dialogue: Vec<Entry>,
    /// How long after the call's beginning the trace begins, where both have one clock.
    pub met: Option<Duration>,
    /// How long the client says that each phase lasted.
    pub timings: Timings,
    /// Which limit ran out, if one did.
    pub timed_out: Option<Limit>,
    /// Tasks of the client that were still there after the call, where that is known.
    pub tasks: Option<usize>,
    /// What the run did to memory, if it was measured.
    pub memory: Option<Memory>,
    /// A piece of the secret that was found in what the client printed; `Some(None)` if it was looked
    /// for in vain.
    pub secret: Option<Option<String>>,
    /// The hash of the second run's trace, if there was one.
    pub again: Option<u64>,
}

/// What a run did to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Octets that were not given back when everything was over.
    pub left: i64,
    /// The most octets that were held at once: client, network and double together.
    pub peak: u64,
}

impl Memory {
    /// So much left, and so much at once.
    #[must_use]
    pub const fn new(left: i64, peak: u64) -> Self {
        Self { left, peak }
    }
}

impl Report {
    /// A report with a claim and nothing to show for it.
    #[must_use]
    pub fn of(claim: Claim) -> Self {
        Self {
            claim,
            elapsed: Duration::ZERO,
            committed: 0,
            for_each: Vec::new(),
            intact: true,
            findings: Vec::new(),
            open_streams: 0,
            octets_after_cancel: 0,
            trace: 0,
            events: String::new(),
            dialogue: Vec::new(),
            met: None,
            timings: Timings::default(),
            timed_out: None,
            tasks: None,
            memory: None,
            secret: None,
            again: None,
        }
    }
}

/// What a run must satisfy beyond the promise itself.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tolerance {
    /// How much later than promised a call may end: the timers' resolution, a simulator's ticks,
    /// or a real machine's scheduling.
    pub late: Duration,
}

impl Tolerance {
    /// This much late and no more.
    #[must_use]
    pub const fn late(late: Duration) -> Self {
        Self { late }
    }
}

/// Which guarantee a run broke, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The guarantee, `g1` to `g10`.
    pub guarantee: &'static str,
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// This guarantee was broken, so.
    #[must_use]
    pub fn new(guarantee: &'static str, what: impl Into<String>) -> Self {
        Self {
            guarantee,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guarantee, self.what)
    }
}
