//! From a name to an open stream: the look-up and the loop over addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use proto::{Bounds, Failure, FailureKind, Limit, Outcome, Phase, Timings};

use crate::clock;
use crate::connector::Connector;
use crate::error::{self, Attempt};
use crate::guard::{Guard, Wait};

/// One step of dialling under its deadline.
struct Step<F> {
    future: Pin<Box<F>>,
    deadline: Instant,
    /// What is named if the deadline passes.
    limit: Limit,
    ended: Option<Ended>,
}

enum Ended {
    TimedOut(Limit),
    Cancelled,
}

impl<F: Future> Wait for StepWait<'_, F> {
    type Output = Result<F::Output, Ended>;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.step
            .future
            .as_mut()
            .poll(cx)
            .map(|output| self.output = Some(output))
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.step.deadline)
    }

    fn is_ambiguous(&self) -> bool {
        false
    }

    fn cancel(&mut self, _now: Instant) {
        self.step.ended = Some(Ended::Cancelled);
    }

    fn expire(&mut self, _now: Instant) {
        self.step.ended = Some(Ended::TimedOut(self.step.limit));
    }

    fn output(&mut self) -> Option<Self::Output> {
        match (self.output.take(), self.step.ended.take()) {
            (Some(output), _) => Some(Ok(output)),
            (None, Some(ended)) => Some(Err(ended)),
            (None, None) => None,
        }
    }
}

struct StepWait<'a, F: Future> {
    step: &'a mut Step<F>,
    output: Option<F::Output>,
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
    pub(crate) bounds: Bounds,
    pub(crate) timings: &'a mut Timings,
}

impl<C: Connector> Dial<'_, C> {
    /// Looks the name up and tries its addresses in turn.
    ///
    /// All attempts together have the one limit of [`Phase::Connect`]. Each may use an equal share
    /// of what is left of it, so that a dead address never starves the next, and what a quick
    /// refusal leaves over goes to the others.
    pub(crate) async fn run(mut self, guard: &mut Guard) -> Result<Dialled<C::Stream>, DialError> {
        let addresses = self.resolve(guard).await?;
        self.connect(guard, &addresses).await
    }

    async fn resolve(&mut self, guard: &mut Guard) -> Result<Vec<SocketAddr>, DialError> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let started = clock::now();
        let limit = self.timeouts.of(Phase::Resolve);
        let (host, port) = (self.host, self.port);
        let result = self
            .step(guard, self.connector.resolve(host, port), limit, limit)
            .await;
        self.timings.add(
            Phase::Resolve,
            clock::now().saturating_duration_since(started),
        );
        match result {
            Ok(Ok(mut addresses)) if !addresses.is_empty() => {
                addresses.truncate(self.limits.addresses.max(1));
                Ok(addresses)
            }
            Ok(Ok(_)) => {
                let cause = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                Err(failed(
                    Phase::Resolve,
                    FailureKind::Broken,
                    Some(cause),
                    Vec::new(),
                ))
            }
            Ok(Err(cause)) => Err(failed(
                Phase::Resolve,
                FailureKind::Broken,
                Some(cause),
                Vec::new(),
            )),
            Err(ended) => Err(failed(Phase::Resolve, ended.into(), None, Vec::new())),
        }
    }

    async fn connect(
        &mut self,
        guard: &mut Guard,
        addresses: &[SocketAddr],
    ) -> Result<Dialled<C::Stream>, DialError> {
        let started = clock::now();
        let limit = self.timeouts.of(Phase::Connect);
        let mut attempts = Vec::new();
        let mut last = (FailureKind::Broken, None);
        for (tried, &address) in addresses.iter().enumerate() {
            let begun = clock::now();
            let left = limit.saturating_sub(begun.saturating_duration_since(started));
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let result = self
                .step(guard, self.connector.connect(address), share, limit)
                .await;
            let elapsed = clock::now().saturating_duration_since(begun);
            self.timings.add(Phase::Connect, elapsed);
            let error = match result {
                Ok(Ok(stream)) => return Ok(Dialled { stream, address }),
                Ok(Err(error)) => {
                    last = (FailureKind::Broken, Some(again(&error)));
                    Some(error)
                }
                Err(ended) => {
                    let over = !matches!(ended, Ended::TimedOut(Limit::Phase(_)));
                    last = (ended.into(), None);
                    if over {
                        attempts.push(Attempt {
                            address,
                            elapsed,
                            error: None,
                        });
                        break;
                    }
                    None
                }
            };
            attempts.push(Attempt {
                address,
                elapsed,
                error,
            });
        }
        let (kind, cause) = last;
        Err(failed(Phase::Connect, kind, cause, attempts))
    }

    async fn step<F: Future>(
        &self,
        guard: &mut Guard,
        future: F,
        share: Duration,
        limit: Duration,
    ) -> Result<F::Output, Ended> {
        let now = clock::now();
        let mut step = Step {
            future: Box::pin(future),
            deadline: now.checked_add(share).unwrap_or(now),
            limit: Limit::Phase(limit),
            ended: None,
        };
        let reserve = self.bounds.reserve;
        if let Some(deadline) = self.bounds.deadline {
            let until = deadline.checked_sub(reserve).unwrap_or(deadline);
            if until < step.deadline {
                step.deadline = until;
                step.limit = if reserve.is_zero() {
                    Limit::Deadline
                } else {
                    Limit::Reserve(reserve)
                };
            }
        }
        let mut wait = StepWait {
            step: &mut step,
            output: None,
        };
        guard.turn(&mut wait).await
    }
}

impl From<Ended> for FailureKind {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut(limit) => Self::TimedOut(limit),
            Ended::Cancelled => Self::Cancelled,
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
