//! From a name to an open stream: the look-up and the race of its addresses.

mod order;
mod race;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use proto::{Bounds, Failure, FailureKind, Outcome, Phase, Timings};

use order::{Way, interleave, ways};
use race::Race;

use crate::clock;
use crate::connector::Connector;
use crate::error::{self, Attempt};
use crate::guard::Guard;
use crate::proxy::ProxyError;
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
    pub(crate) async fn run(
        mut self,
        guard: &mut Guard<'_>,
    ) -> Result<Dialled<C::Stream>, DialError> {
        let ways = self.resolve(guard).await?;
        self.connect(guard, ways).await
    }

    async fn resolve(&mut self, guard: &mut Guard<'_>) -> Result<Vec<Way>, DialError> {
        let due = self.due(Phase::Resolve, clock::now());
        let (connector, host) = (self.connector, self.host);
        let addresses = self.look_up(guard, (host, self.port), due).await;
        let addresses = addresses.map_err(|(kind, cause)| unresolved(kind, cause))?;
        let Some((relay, port)) = connector.relay(host) else {
            let straight = |address| Way {
                address,
                relay: None,
            };
            return Ok(addresses.into_iter().map(straight).collect());
        };
        match self.look_up(guard, (relay, port), due).await {
            Ok(relays) => Ok(ways(&addresses, &relays, self.limits.addresses.max(1))),
            Err((kind, cause)) => {
                let named = |cause: io::Error| {
                    io::Error::new(cause.kind(), format!("the proxy {relay}: {cause}"))
                };
                Err(unresolved(kind, cause.map(named)))
            }
        }
    }

    async fn look_up(
        &mut self,
        guard: &mut Guard<'_>,
        (host, port): (&str, u16),
        due: Due,
    ) -> Result<Vec<SocketAddr>, (FailureKind, Option<io::Error>)> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let started = clock::now();
        let lookup = self.connector.resolve(host, port);
        let result = step(guard, lookup, due).await;
        self.timings.add(
            Phase::Resolve,
            clock::now().saturating_duration_since(started),
        );
        match result {
            Ok(Ok(addresses)) => {
                let order = interleave(addresses, self.limits.addresses.max(1));
                if !order.is_empty() {
                    return Ok(order);
                }
                let cause = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                Err((FailureKind::Broken, Some(cause)))
            }
            Ok(Err(cause)) => Err((FailureKind::Broken, Some(cause))),
            Err(kind) => Err((kind, None)),
        }
    }

    async fn connect(
        &mut self,
        guard: &mut Guard<'_>,
        ways: Vec<Way>,
    ) -> Result<Dialled<C::Stream>, DialError> {
        let started = clock::now();
        let due = self.due(Phase::Connect, started);
        let share = due.at.saturating_duration_since(started)
            / u32::try_from(ways.len()).unwrap_or(u32::MAX).max(1);
        let delay = self.attempt_delay.min(share).max(MIN_ATTEMPT_DELAY);
        let mut race = Race::new(self.connector, (self.host, self.port), ways, delay, due);
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
                        // Of several, the one that no other attempt can mend.
                        let final_word = |error: &&io::Error| {
                            ProxyError::within(error).is_some_and(|proxy| proxy.is_permanent())
                        };
                        let mut last_first = errors.clone().rev();
                        last_first
                            .find(final_word)
                            .or(errors.next_back())
                            .map(again)
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
    match (error.raw_os_error(), ProxyError::within(error)) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, Some(proxy)) => proxy.into(),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}

fn unresolved(kind: FailureKind, cause: Option<io::Error>) -> DialError {
    failed(Phase::Resolve, kind, cause, Vec::new())
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
