//! From a name to an open stream: the look-up and the race of its addresses.

mod order;
mod race;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use proto::{Bounds, Failure, FailureKind, Outcome, Phase, Timings};

use order::interleave;
use race::Race;

use crate::clock;
use crate::connector::Connector;
use crate::error::{self, Attempt};
use crate::guard::Guard;
use crate::step::{Due, step};

/// RFC 8305 §5's recommendation.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// RFC 8305 §5: it "MUST NOT be less than 10 milliseconds".
const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

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
        let lookup = self.connector.resolve(self.host, self.port);
        let result = step(guard, lookup, self.due(Phase::Resolve, started)).await;
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
        let mut race = Race::new(
            self.connector,
            (self.host, self.port),
            addresses,
            delay,
            due,
        );
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
        Due::of(self.timeouts.of(phase), self.bounds, now)
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
