//! The race of a name's addresses (RFC 8305 §5), as one wait.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use proto::FailureKind;

use super::{Due, Way};
use crate::clock;
use crate::connector::Connector;
use crate::error::Attempt;
use crate::guard::Wait;

/// A connection that is being opened. Boxed as what it is used as: an opaque type inside the race
/// would keep a caller from sending the whole call to another task.
type Opening<'a, S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send + 'a>>;

/// An address that was begun.
struct Runner<'a, S> {
    address: SocketAddr,
    begun: Instant,
    /// `None` once it has failed.
    future: Option<Opening<'a, S>>,
    elapsed: Duration,
    error: Option<io::Error>,
}

/// Addresses in their order, each begun a delay after the one before it, or as soon as that one
/// failed. The first stream wins, and the others are dropped in the same instant.
///
/// The start of the next address and the end of them all are deadlines of the one wait: there is no
/// timer here, and runners are polled in the order in which they were begun and in no other.
pub(super) struct Race<'a, C: Connector> {
    connector: &'a C,
    host: &'a str,
    port: u16,
    waiting: std::vec::IntoIter<Way>,
    runners: Vec<Runner<'a, C::Stream>>,
    delay: Duration,
    /// When the next address is begun, if there is one.
    next: Option<Instant>,
    due: Due,
    won: Option<(C::Stream, SocketAddr)>,
    lost: Option<FailureKind>,
}

impl<'a, C: Connector> Race<'a, C> {
    pub(super) fn new(
        connector: &'a C,
        (host, port): (&'a str, u16),
        ways: Vec<Way>,
        delay: Duration,
        due: Due,
    ) -> Self {
        let mut race = Self {
            connector,
            host,
            port,
            waiting: ways.into_iter(),
            runners: Vec::new(),
            delay,
            next: None,
            due,
            won: None,
            lost: None,
        };
        race.begin_next(clock::now());
        race
    }

    fn begin_next(&mut self, now: Instant) {
        if let Some(Way { address, relay }) = self.waiting.next() {
            let (connector, host, port) = (self.connector, self.host, self.port);
            let future: Opening<'a, C::Stream> = match relay {
                None => Box::pin(connector.connect_to(host, port, address)),
                Some(relay) => Box::pin(connector.connect_by(relay, host, port, address)),
            };
            self.runners.push(Runner {
                address,
                begun: now,
                future: Some(future),
                elapsed: Duration::ZERO,
                error: None,
            });
        }
        self.next = match self.waiting.as_slice() {
            [] => None,
            _ => now.checked_add(self.delay),
        };
    }

    /// What each address did. Those still under way end here.
    pub(super) fn attempts(self) -> Vec<Attempt> {
        let now = clock::now();
        let elapsed = |runner: &Runner<'a, C::Stream>| match runner.future {
            Some(_) => now.saturating_duration_since(runner.begun),
            None => runner.elapsed,
        };
        self.runners
            .into_iter()
            .map(|runner| Attempt {
                address: runner.address,
                elapsed: elapsed(&runner),
                error: runner.error,
            })
            .collect()
    }
}

impl<C: Connector> Wait for Race<'_, C> {
    type Output = Result<(C::Stream, SocketAddr), FailureKind>;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut failed = false;
        for runner in &mut self.runners {
            let Some(future) = &mut runner.future else {
                continue;
            };
            match future.as_mut().poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(stream)) => {
                    self.won = Some((stream, runner.address));
                    self.runners.clear();
                    return Poll::Ready(());
                }
                Poll::Ready(Err(error)) => {
                    failed = true;
                    runner.future = None;
                    runner.elapsed = clock::now().saturating_duration_since(runner.begun);
                    runner.error = Some(error);
                }
            }
        }
        if !failed {
            return Poll::Pending;
        }
        if self.next.is_some() {
            self.begin_next(clock::now());
        } else if self.runners.iter().all(|runner| runner.future.is_none()) {
            self.lost = Some(FailureKind::Broken);
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next.map_or(self.due.at, |next| next.min(self.due.at)))
    }

    fn is_ambiguous(&self) -> bool {
        false
    }

    fn cancel(&mut self, _now: Instant) {
        self.lost = Some(FailureKind::Cancelled);
    }

    fn expire(&mut self, now: Instant) {
        if now >= self.due.at {
            self.lost = Some(FailureKind::TimedOut(self.due.limit));
        } else {
            self.begin_next(now);
        }
    }

    fn output(&mut self) -> Option<Self::Output> {
        match (self.won.take(), self.lost.take()) {
            (Some(won), _) => Some(Ok(won)),
            (None, Some(lost)) => Some(Err(lost)),
            (None, None) => None,
        }
    }
}
