//! The transport under the server's TLS, where the plan strikes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::plan::{Break, Plan, TlsFault};

/// The transport under the server's TLS: counts what is written, and lets the plan strike.
pub(super) struct Flight<S> {
    pub(super) stream: S,
    written: u64,
    at: Option<(u64, Break)>,
    drip: Option<Duration>,
    /// Behind the handshake: the octets after which the connection is dropped.
    dropped_after: Option<u64>,
    /// How many octets the handshake had, once it is over.
    handshake: Option<u64>,
    /// What struck.
    pub(super) struck: Option<Break>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Flight<S> {
    pub(super) fn new(stream: S, plan: &Plan) -> Self {
        let mut flight = Self {
            stream,
            written: 0,
            at: None,
            drip: None,
            dropped_after: None,
            handshake: None,
            struck: None,
            sleep: None,
        };
        for fault in plan.tls_faults() {
            match fault {
                TlsFault::At { octet, then } => {
                    flight.at.get_or_insert((u64::from(*octet), *then));
                }
                TlsFault::Drip(every) => flight.drip = Some(*every),
                TlsFault::Drop(octets) => flight.dropped_after = Some(u64::from(*octets)),
                _ => {}
            }
        }
        flight
    }

    /// The handshake is over. Says how many octets the server's side of it had.
    pub(super) fn end_handshake(&mut self) -> u64 {
        self.handshake = Some(self.written);
        self.drip = None;
        self.written
    }

    fn strike(&mut self, how: Break) -> Poll<io::Result<usize>> {
        self.struck = Some(how);
        match how {
            Break::Stall => Poll::Pending,
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flight<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flight<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut room = usize::MAX;
        if let (Some(after), Some(handshake)) = (this.dropped_after, this.handshake) {
            room = usize::try_from((handshake + after).saturating_sub(this.written))
                .unwrap_or(usize::MAX);
            if room == 0 {
                return this.strike(Break::Close);
            }
        }
        let mut turned = None;
        if let (Some((octet, then)), None) = (this.at, this.handshake) {
            let before = usize::try_from(octet.saturating_sub(this.written + 1));
            let before = before.unwrap_or(usize::MAX);
            match then {
                Break::Corrupt if octet > this.written => turned = Some(before),
                Break::Corrupt => {}
                _ if before == 0 => return this.strike(then),
                _ => room = room.min(before),
            }
        }
        if let Some(every) = this.drip {
            let sleep = this
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + every)));
            ready!(sleep.as_mut().poll(cx));
            room = room.min(1);
        }
        let part = octets.get(..octets.len().min(room)).unwrap_or_default();
        let written = match turned {
            Some(at) if at < part.len() => {
                let mut part = part.to_vec();
                if let Some(octet) = part.get_mut(at) {
                    *octet = !*octet;
                }
                ready!(Pin::new(&mut this.stream).poll_write(cx, &part))?
            }
            _ => ready!(Pin::new(&mut this.stream).poll_write(cx, part))?,
        };
        this.sleep = None;
        this.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
