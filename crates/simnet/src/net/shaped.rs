//! A server's stream with faults of the link put on by the server itself, where the network
//! underneath can't: small reads and writes, and a stop of everything.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::plan::{Direction, LinkFault, Plan};
use crate::server::Abort;

#[derive(Debug)]
pub(super) struct Shaped<S> {
    stream: S,
    /// Most octets that one read takes, and one write.
    read: usize,
    write: usize,
    /// From when to when nothing moves.
    stop: Option<(Instant, Option<Instant>)>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Shaped<S> {
    pub(super) fn new(stream: S, plan: &Plan, stops: bool) -> Self {
        let opened = Instant::now();
        let mut shaped = Self {
            stream,
            read: usize::MAX,
            write: usize::MAX,
            stop: None,
            sleep: None,
        };
        // The first of a kind acts, as everywhere in a plan.
        for fault in plan.link_faults().rev() {
            match fault {
                LinkFault::Fragment { direction, octets } => {
                    let octets = usize::try_from(*octets).unwrap_or(usize::MAX).max(1);
                    if *direction != Direction::ToClient {
                        shaped.read = octets;
                    }
                    if *direction != Direction::ToServer {
                        shaped.write = octets;
                    }
                }
                LinkFault::Blackhole { after, heal, .. } if stops => {
                    let from = opened + *after;
                    let until = heal.map(|heal: Duration| from + heal);
                    shaped.stop = Some((from, until));
                }
                _ => {}
            }
        }
        shaped
    }

    /// Waits while nothing may move.
    fn poll_moving(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((from, until)) = self.stop else {
            return Poll::Ready(());
        };
        let now = Instant::now();
        if now < from || until.is_some_and(|until| now >= until) {
            return Poll::Ready(());
        }
        let Some(until) = until else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        sleep.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Shaped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_moving(cx));
        let most = buf.remaining().min(this.read);
        let mut part = buf.take(most);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let octets = part.filled().to_vec();
        // `take` does not move the outer buffer; what it read is put there once more.
        buf.put_slice(&octets);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Shaped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_moving(cx));
        let part = buf.get(..buf.len().min(this.write)).unwrap_or_default();
        Pin::new(&mut this.stream).poll_write(cx, part)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: Abort> Abort for Shaped<S> {
    fn abort(self) {
        self.stream.abort();
    }
}
