//! The one wait. Nothing else in this crate waits on the network, a resolver or a message source.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use pin_project_lite::pin_project;
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::clock;

/// What is waited for: one step of dialling, or a session's call over a stream.
pub(crate) trait Wait {
    type Output;

    /// Takes in what has arrived, once. `Ready` says that there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Hands out what may be sent, once. `Ready` says that there may be more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Until when it may last.
    fn deadline(&self) -> Option<Instant>;
    /// Whether the server may already have the message, so that the truth may be in the buffer.
    fn is_ambiguous(&self) -> bool;
    fn cancel(&mut self, now: Instant);
    fn expire(&mut self, now: Instant);
    /// The result, once there is one.
    fn output(&mut self) -> Option<Self::Output>;
}

/// Turns without waiting before other tasks are let in.
const ROUNDS: usize = 32;

/// A token of a call's, as its caller lends or gives it.
pub(crate) type Token<'t> = Cow<'t, CancellationToken>;

/// Those of one call, lent to its guard. Hardly ever is there more than one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens<'g> {
    pub(crate) first: Option<&'g CancellationToken>,
    pub(crate) others: &'g [Token<'g>],
}

impl Tokens<'_> {
    pub(crate) fn are_cancelled(self) -> bool {
        self.first.is_some_and(CancellationToken::is_cancelled)
            || self.others.iter().any(|token| token.is_cancelled())
    }
}

/// A task, known by where its waker points to; nothing else can lie there as long as a clone is kept.
/// The clone itself need not look the same: `Waker::will_wake` says no to some runtimes' own.
#[derive(Debug)]
struct Task {
    at: (usize, usize),
    _kept: Waker,
}

impl Task {
    fn of(cx: &Context<'_>) -> Self {
        Self {
            at: Self::at(cx),
            _kept: cx.waker().clone(),
        }
    }

    fn is_of(&self, cx: &Context<'_>) -> bool {
        self.at == Self::at(cx)
    }

    fn at(cx: &Context<'_>) -> (usize, usize) {
        let waker = cx.waker();
        let behaviour: *const _ = waker.vtable();
        (waker.data().addr(), behaviour.addr())
    }
}

pin_project! {
    /// What wakes a call by itself, all of it in one place and made at its first wait.
    #[derive(Debug)]
    struct Alarm<'g> {
        #[pin]
        sleep: Sleep,
        #[pin]
        watch: Option<WaitForCancellationFuture<'g>>,
        // Of the tokens behind the first.
        watches: Vec<Pin<Box<WaitForCancellationFuture<'g>>>>,
    }
}

impl<'g> Alarm<'g> {
    fn new(deadline: tokio::time::Instant, tokens: Tokens<'g>) -> Self {
        let others = tokens.others.iter();
        Self {
            sleep: sleep_until(deadline),
            watch: tokens.first.map(CancellationToken::cancelled),
            watches: others.map(|token| Box::pin(token.cancelled())).collect(),
        }
    }

    /// Whether any token is cancelled; if not, they wake this task from now on.
    fn is_cancelled(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let alarm = self.project();
        let others = alarm.watches.iter_mut().map(Pin::as_mut);
        let mut watches = alarm.watch.as_pin_mut().into_iter().chain(others);
        watches.any(|watch| watch.poll(cx).is_ready())
    }
}

/// Deadline and cancellation of one call, kept across all its steps.
#[derive(Debug)]
pub(crate) struct Guard<'g> {
    tokens: Tokens<'g>,
    cancelled: bool,
    alarm: Option<Pin<Box<Alarm<'g>>>>,
    /// Whom it wakes: asked again only for another task.
    woken: Option<Task>,
}

impl<'g> Guard<'g> {
    pub(crate) fn new(tokens: Tokens<'g>) -> Self {
        Self {
            tokens,
            cancelled: false,
            alarm: None,
            woken: None,
        }
    }

    /// Waits until there is an output: cancellation, read, write, expiry, in this order.
    ///
    /// Cancellation comes first, because a peer that floods keeps the rest ready for ever. Expiry
    /// comes last, so that a reply which has already arrived beats a deadline that has just
    /// passed. The loop yields by itself and is exempt from tokio's cooperative budget, which
    /// would report octets that are there as missing just when the truth depends on them.
    pub(crate) async fn turn<W: Wait>(&mut self, wait: &mut W) -> W::Output {
        unconstrained(poll_fn(|cx| {
            if self.is_cancelled() {
                let mut rounds = 0..ROUNDS;
                while wait.is_ambiguous() && rounds.next().is_some() {
                    if wait.poll_read(cx).is_pending() {
                        break;
                    }
                }
                wait.cancel(clock::now());
            }
            for _ in 0..ROUNDS {
                if let Some(output) = wait.output() {
                    return Poll::Ready(output);
                }
                let read = wait.poll_read(cx);
                if let Some(output) = wait.output() {
                    return Poll::Ready(output);
                }
                let write = wait.poll_write(cx);
                if read.is_pending() && write.is_pending() {
                    if let Some(output) = wait.output() {
                        return Poll::Ready(output);
                    }
                    if self.poll_expired(cx, wait.deadline()).is_pending() {
                        return Poll::Pending;
                    }
                    wait.expire(clock::now());
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
        .await
    }

    /// Whether any token is cancelled: looked at once a wake-up.
    fn is_cancelled(&mut self) -> bool {
        self.cancelled = self.cancelled || self.tokens.are_cancelled();
        self.cancelled
    }

    /// Whether `deadline` has passed; if not, sees to it that this task is woken by it and by the
    /// tokens. The timer is kept across steps and moved only when it would fire too late, or has
    /// fired too early.
    fn poll_expired(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
            debug_assert!(false, "a call that waits has a deadline");
            return Poll::Pending;
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(Alarm::new(deadline, self.tokens)));
        let mut wakes = self.woken.as_ref().is_some_and(|task| task.is_of(cx));
        if !wakes {
            self.woken = Some(Task::of(cx));
            if !self.cancelled && alarm.as_mut().is_cancelled(cx) {
                // In this very moment: it is looked at first at the next wake-up.
                cx.waker().wake_by_ref();
            }
        }
        let mut sleep = alarm.as_mut().project().sleep;
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
            wakes = false;
        }
        if wakes && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
