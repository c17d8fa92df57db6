//! From a name to an open stream: the look-up and the race of its addresses.

mod order;
mod race;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use proto::{Bounds, Failure, FailureKind, Limit, Outcome, Phase, Timings};

use order::interleave;
use race::Race;

use crate::clock;
use crate::connector::Connector;
use crate::error::{self, Attempt};
use crate::guard::{Guard, Wait};

/// RFC 8305 §5's recommendation.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// RFC 8305 §5: it "MUST NOT be less than 10 milliseconds".
const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// When a step of dialling ends, and what is named then.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    limit: Limit,
}

/// A look-up under its deadline.
struct Lookup<F: Future> {
    future: Pin<Box<F>>,
    due: Due,
    output: Option<Result<F::Output, FailureKind>>,
}

impl<F: Future> Wait for Lookup<F> {
    type Output = Result<F::Output, FailureKind>;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.future
            .as_mut()
            .poll(cx)
            .map(|output| self.output = Some(Ok(output)))
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.due.at)
    }

    fn is_ambiguous(&self) -> bool {
        false
    }

    fn cancel(&mut self, _now: Instant) {
        self.output = Some(Err(FailureKind::Cancelled));
    }

    fn expire(&mut self, _now: Instant) {
        self.output = Some(Err(FailureKind::TimedOut(self.due.limit)));
    }

    fn output(&mut self) -> Option<Self::Output> {
        self.output.take()
    }
}

/// What dialling leaves behind.
pub(crate) struct Dialled<S> {
    pub(crate) stream: S,
    pub(crate) address: SocketAddr,
}

/// A failed dial: the failure and what it knows.
pub(crate) type DialError = (Box<Failure>, Box<error::Context>);

pub(crate) struct Dial<'a, C> {
    pub(crate) connector: &'a C,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) timeouts: &'a proto::Timeouts,
    pub(crate) limits: &'a proto::Limits,
    pub(crate) attempt_delay: Duration,
    pub(crate) bounds: Bounds,
    pub(crate) timings: &'a mut Timings,
}

impl<C: Connector> Dial<'_, C> {
    /// Looks the name up and lets its addresses race.
    ///
    /// All of them together have the one limit of [`Phase::Connect`]. Another one is begun each
    /// attempt delay, or after an equal share of the limit where that is shorter, so that every
    /// address is begun in time and has at least such a share.
    pub(crate) async fn run(mut self, guard: &mut Guard) -> Result<Dialled<C::Stream>, DialError> {
        let addresses = self.resolve(guard).await?;
        self.connect(guard, addresses).await
    }

    async fn resolve(&mut self, guard: &mut Guard) -> Result<Vec<SocketAddr>, DialError> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let started = clock::now();
        let mut lookup = Lookup {
            future: Box::pin(self.connector.resolve(self.host, self.port)),
            due: self.due(Phase::Resolve, started),
            output: None,
        };
        let result = guard.turn(&mut lookup).await;
        drop(lookup);
        self.timings.add(
            Phase::Resolve,
            clock::now().saturating_duration_since(started),
        );
        let (kind, cause) = match result {
            Ok(Ok(addresses)) => {
                let order = interleave(addresses, self.limits.addresses.max(1));
                if !order.is_empty() {
                    return Ok(order);
                }
                let cause = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                (FailureKind::Broken, Some(cause))
            }
            Ok(Err(cause)) => (FailureKind::Broken, Some(cause)),
            Err(kind) => (kind, None),
        };
        Err(failed(Phase::Resolve, kind, cause, Vec::new()))
    }

    async fn connect(
        &mut self,
        guard: &mut Guard,
        addresses: Vec<SocketAddr>,
    ) -> Result<Dialled<C::Stream>, DialError> {
        let started = clock::now();
        let due = self.due(Phase::Connect, started);
        let share = due.at.saturating_duration_since(started)
            / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let delay = self.attempt_delay.min(share).max(MIN_ATTEMPT_DELAY);
        let mut race = Race::new(self.connector, addresses, delay, due);
        let result = guard.turn(&mut race).await;
        self.timings.add(
            Phase::Connect,
            clock::now().saturating_duration_since(started),
        );
        match result {
            Ok((stream, address)) => Ok(Dialled { stream, address }),
            Err(kind) => {
                let attempts = race.attempts();
                let cause = match kind {
                    FailureKind::Broken => {
                        let mut errors = attempts.iter().filter_map(|tried| tried.error.as_ref());
                        errors.next_back().map(again)
                    }
                    _ => None,
                };
                Err(failed(Phase::Connect, kind, cause, attempts))
            }
        }
    }

    /// When a step that begins now ends: by its phase's limit, or by what the call may use.
    fn due(&self, phase: Phase, now: Instant) -> Due {
        let limit = self.timeouts.of(phase);
        let due = Due {
            at: now.checked_add(limit).unwrap_or(now),
            limit: Limit::Phase(limit),
        };
        let reserve = self.bounds.reserve;
        match self.bounds.deadline {
            Some(deadline) => {
                let at = deadline.checked_sub(reserve).unwrap_or(deadline);
                let limit = if reserve.is_zero() {
                    Limit::Deadline
                } else {
                    Limit::Reserve(reserve)
                };
                if at < due.at { Due { at, limit } } else { due }
            }
            None => due,
        }
    }
}

/// The same error once more: one stays with its attempt, one is the cause of them all.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn failed(
    phase: Phase,
    kind: FailureKind,
    cause: Option<io::Error>,
    attempts: Vec<Attempt>,
) -> DialError {
    let failure = Box::new(Failure::new(phase, kind, Outcome::NotAccepted));
    let context = error::Context {
        attempts,
        cause,
        ..error::Context::default()
    };
    (failure, Box::new(context))
}
