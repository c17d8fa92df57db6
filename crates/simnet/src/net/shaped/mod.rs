//! A server's stream with faults of the link put on by the server itself, where the network
//! underneath can't: small reads and writes, pieces, octets that come together, strikes at an octet, and a stop of everything.

mod side;
#[cfg(test)]
mod tests;
mod together;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::plan::{Direction, LinkFault, Plan, Strike};
use crate::server::{Abort, Double};
use side::Side;

/// Octets that a path holds, as in memory.
const WINDOW: usize = 65_536;

/// Serves one connection to its end, with all that the plan does to its link. `stops` says whether a
/// blackhole is put on here, too.
pub(super) async fn serve<S>(double: &Double, stream: S, stops: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Abort,
{
    if together::is_asked_for(double.plan()) {
        return together::serve(double, stream, stops).await;
    }
    double
        .serve(Shaped::new(stream, double.plan(), stops))
        .await;
}

#[derive(Debug)]
struct Shaped<S: Abort> {
    /// None behind a reset.
    stream: Option<S>,
    reading: Side,
    writing: Side,
    /// Octets that were written and that nobody will ever read.
    lost: usize,
    /// From when to when nothing moves.
    stop: Option<(Instant, Option<Instant>)>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S: Abort> Shaped<S> {
    fn new(stream: S, plan: &Plan, stops: bool) -> Self {
        let opened = Instant::now();
        let stop = plan.link_faults().find_map(|fault| match fault {
            LinkFault::Blackhole { after, heal, .. } if stops => {
                let from = opened + *after;
                Some((from, heal.map(|heal: Duration| from + heal)))
            }
            _ => None,
        });
        Self {
            stream: Some(stream),
            reading: Side::new(plan, Direction::ToServer),
            writing: Side::new(plan, Direction::ToClient),
            lost: 0,
            stop,
            sleep: None,
        }
    }

    /// The same, with nothing done to octets but to those that travel this way.
    fn only(mut self, way: Direction) -> Self {
        let healthy = Plan::healthy();
        match way {
            Direction::ToServer => self.writing = Side::new(&healthy, Direction::ToClient),
            _ => self.reading = Side::new(&healthy, Direction::ToServer),
        }
        self
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

    /// Lets octets vanish, as many as a path holds that nobody takes them from.
    fn poll_lose(&mut self, octets: usize) -> Poll<io::Result<usize>> {
        if self.lost < WINDOW {
            self.lost += octets;
            return Poll::Ready(Ok(octets));
        }
        match self.stream {
            Some(_) => Poll::Pending,
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.abort();
        }
    }
}

impl<S: Abort> Drop for Shaped<S> {
    fn drop(&mut self) {
        // What the client sent behind the FIN that it never sent is unread, which makes a reset of a close.
        if self.reading.ended {
            self.reset();
        }
    }
}

impl<S: AsyncRead + Unpin + Abort> AsyncRead for Shaped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_moving(cx));
        loop {
            let Some(stream) = &mut this.stream else {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            };
            let side = &mut this.reading;
            let mut most = buf.remaining().min(side.most());
            match side.due() {
                _ if side.ended => return Poll::Ready(Ok(())),
                Some(Strike::Shut) => return Poll::Pending,
                Some(Strike::Drip(every)) => {
                    if let Some(octet) = side.held {
                        ready!(side.poll_wait(every, cx));
                        buf.put_slice(&[octet]);
                        side.held = None;
                        side.pass(1);
                        return Poll::Ready(Ok(()));
                    }
                    most = most.min(1);
                }
                _ => {}
            }
            let mut part = buf.take(most);
            ready!(Pin::new(stream).poll_read(cx, &mut part))?;
            let octets = part.filled().to_vec();
            if octets.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let safe = match side.due() {
                Some(Strike::Drip(_)) => {
                    side.held = octets.first().copied();
                    continue;
                }
                Some(_) => 0,
                None => octets.len().min(side.safe()),
            };
            // `take` does not move the outer buffer; what it read is put there once more.
            buf.put_slice(octets.get(..safe).unwrap_or_default());
            side.pass(safe);
            if safe < octets.len() {
                match side.due() {
                    Some(Strike::Close) => side.ended = true,
                    Some(Strike::Reset) => this.reset(),
                    _ => {}
                }
            }
            if safe > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin + Abort> AsyncWrite for Shaped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_moving(cx));
        let Some(stream) = &mut this.stream else {
            return this.poll_lose(buf.len());
        };
        let side = &mut this.writing;
        ready!(side.poll_piece(cx));
        let mut part = buf.get(..buf.len().min(side.room())).unwrap_or_default();
        let one = part.len().min(1);
        let flipped = [part.first().map_or(0, |octet| octet ^ 1)];
        match side.due() {
            None => {}
            Some(Strike::Stall) => return this.poll_lose(buf.len()),
            Some(Strike::Shut) => return Poll::Pending,
            Some(Strike::Close) => {
                if !side.ended {
                    ready!(Pin::new(stream).poll_shutdown(cx))?;
                    side.ended = true;
                }
                return this.poll_lose(buf.len());
            }
            Some(Strike::Reset) => {
                this.reset();
                return this.poll_lose(buf.len());
            }
            Some(Strike::Corrupt) if side.is_first() => {
                part = flipped.get(..one).unwrap_or_default();
            }
            Some(Strike::Corrupt) => {}
            Some(Strike::Drip(every)) => {
                ready!(side.poll_wait(every, cx));
                part = part.get(..one).unwrap_or_default();
            }
        }
        let written = ready!(Pin::new(stream).poll_write(cx, part))?;
        side.pass(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: Abort> Abort for Shaped<S> {
    fn abort(mut self) {
        self.reset();
    }
}
