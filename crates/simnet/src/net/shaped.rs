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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that cannot be set up has to fail"
    )]

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Octets of ten that one read and one write of a server with this rule take.
    fn taken(rule: &str) -> (usize, usize) {
        let plan: Plan = format!("v1 | {rule}").parse().unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(async {
                let (server, mut client) = duplex(64);
                let mut shaped = Shaped::new(server, &plan, true);
                client.write_all(b"0123456789").await.unwrap();
                let mut buffer = [0; 64];
                let read = shaped.read(&mut buffer).await.unwrap();
                assert_eq!(buffer.get(..read), b"0123456789".get(..read), "{rule}");
                let written = shaped.write(b"9876543210").await.unwrap();
                let came = client.read(&mut buffer).await.unwrap();
                assert_eq!(buffer.get(..came), b"9876543210".get(..written), "{rule}");
                (read, written)
            })
    }

    #[test]
    fn fragments_bind_the_reads_or_the_writes_of_the_server_or_both() {
        assert_eq!(taken("mail: normal"), (10, 10));
        assert_eq!(taken("link: fragment 1"), (1, 1));
        assert_eq!(taken("link: fragment 3 to-client"), (10, 3));
        assert_eq!(taken("link: fragment 3 to-server"), (3, 10));
        // Each direction may have its own, and the first for a direction acts.
        let both = "link: fragment 2 to-client | link: fragment 5 to-server | link: fragment 7";
        assert_eq!(taken(both), (5, 2));
    }
}
