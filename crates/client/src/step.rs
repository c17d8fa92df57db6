//! One future under the one wait: for what is neither octets nor a session's call.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use proto::{Bounds, FailureKind, Limit};

use crate::guard::{Guard, Wait};

/// When a wait ends, and what is named then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) limit: Limit,
}

impl Due {
    /// By the limit of a phase that begins now, or by what the call may use before its commitment.
    pub(crate) fn of(limit: Duration, bounds: Bounds, now: Instant) -> Self {
        let due = Self {
            at: now.checked_add(limit).unwrap_or(now),
            limit: Limit::Phase(limit),
        };
        let Some(deadline) = bounds.deadline else {
            return due;
        };
        let at = deadline.checked_sub(bounds.reserve).unwrap_or(deadline);
        let limit = if bounds.reserve.is_zero() {
            Limit::Deadline
        } else {
            Limit::Reserve(bounds.reserve)
        };
        if at < due.at { Self { at, limit } } else { due }
    }
}

struct Step<F: Future> {
    future: Pin<Box<F>>,
    due: Due,
    output: Option<Result<F::Output, FailureKind>>,
}

/// Waits for `future` until it is due, and drops it.
pub(crate) async fn step<F: Future>(
    guard: &mut Guard<'_>,
    future: F,
    due: Due,
) -> Result<F::Output, FailureKind> {
    let mut step = Step {
        future: Box::pin(future),
        due,
        output: None,
    };
    guard.turn(&mut step).await
}

impl<F: Future> Wait for Step<F> {
    type Output = Result<F::Output, FailureKind>;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let poll = self.future.as_mut().poll(cx);
        poll.map(|output| self.output = Some(Ok(output)))
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
