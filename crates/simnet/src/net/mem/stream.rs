//! One end of an in-memory connection.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::pipe::{End, Pipe, Shape, wake};
use crate::plan::{Direction, Plan};
use crate::server::Abort;

/// What the network counts about one kind of stream.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) open: AtomicUsize,
    pub(super) octets: AtomicU64,
}

/// Both directions of a connection; the first goes to the server.
type Shared = Arc<Mutex<[Pipe; 2]>>;

/// One end of an in-memory connection.
///
/// Dropping it sends a FIN, or a RST if there are octets that it has not read, as TCP does.
pub struct Stream {
    shared: Shared,
    server: bool,
    counters: Arc<Counters>,
    /// Until the next arrival, and until a reset that a blocked writer learns of: reader and writer
    /// wait for different things at once.
    reading: Timer,
    writing: Timer,
}

type Timer = Option<Pin<Box<Sleep>>>;

pub(super) fn pair(plan: &Plan, client: Arc<Counters>, server: Arc<Counters>) -> (Stream, Stream) {
    let opened = Instant::now();
    let shared = Arc::new(Mutex::new([
        Pipe::new(Shape::new(plan, Direction::ToServer), opened),
        Pipe::new(Shape::new(plan, Direction::ToClient), opened),
    ]));
    let end = |counters: Arc<Counters>, server| {
        counters.open.fetch_add(1, Ordering::Relaxed);
        Stream {
            shared: Arc::clone(&shared),
            server,
            counters,
            reading: None,
            writing: None,
        }
    };
    (end(client, false), end(server, true))
}

/// The direction that this end reads and the one that it writes.
fn both(pipes: &mut [Pipe; 2], server: bool) -> (&mut Pipe, &mut Pipe) {
    let [to_server, to_client] = pipes;
    if server {
        (to_server, to_client)
    } else {
        (to_client, to_server)
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, [Pipe; 2]> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Comes back when `at` has come.
fn poll_at(timer: &mut Timer, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(at) = at else {
        return Poll::Pending;
    };
    let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
    if sleep.deadline() != at {
        sleep.as_mut().reset(at);
    }
    sleep.as_mut().poll(cx)
}

impl Stream {
    /// Room for octets and the time, or why there never will be any.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(usize, Instant)>> {
        loop {
            let due = {
                let now = Instant::now();
                let mut pipes = lock(&self.shared);
                let (incoming, outgoing) = both(&mut pipes, self.server);
                incoming.arrive(now);
                if incoming.end == End::Rst {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                if outgoing.abandoned && incoming.rst_due().is_none() {
                    // What is sent to a closed socket is answered by a reset, a round trip later.
                    let latency = outgoing.shape.latency;
                    incoming.send_rst(now, latency);
                }
                match outgoing.room() {
                    0 => {
                        outgoing.writer = Some(cx.waker().clone());
                        incoming.rst_due()
                    }
                    room => return Poll::Ready(Ok((room.min(outgoing.shape.fragment), now))),
                }
            };
            ready!(poll_at(&mut self.writing, due, cx));
        }
    }

    fn send(&mut self, octets: Vec<u8>, now: Instant) {
        let count = octets.len() as u64;
        self.counters.octets.fetch_add(count, Ordering::Relaxed);
        let mut pipes = lock(&self.shared);
        let (incoming, outgoing) = both(&mut pipes, self.server);
        if outgoing.send_octets(octets, now) {
            incoming.send_rst(now, Duration::ZERO);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let due = {
                let mut pipes = lock(&this.shared);
                let (incoming, _) = both(&mut pipes, this.server);
                let due = match incoming.is_still() {
                    true => None,
                    false => incoming.arrive(Instant::now()),
                };
                if incoming.has_arrived() {
                    incoming.read(buf.remaining(), |octets| buf.put_slice(octets));
                    return Poll::Ready(Ok(()));
                }
                match incoming.end {
                    End::Rst => {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                    }
                    End::Fin => return Poll::Ready(Ok(())),
                    End::Open => {}
                }
                incoming.reader = Some(cx.waker().clone());
                due
            };
            ready!(poll_at(&mut this.reading, due, cx));
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let (room, now) = ready!(this.poll_room(cx))?;
        let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
        let mut octets = Vec::with_capacity(offered.min(room));
        for buf in bufs {
            let take = buf.len().min(room - octets.len());
            octets.extend_from_slice(buf.get(..take).unwrap_or_default());
        }
        let count = octets.len();
        this.send(octets, now);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipes = lock(&self.shared);
        both(&mut pipes, self.server).1.send_fin(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl Abort for Stream {
    fn abort(self) {
        let mut pipes = lock(&self.shared);
        let (_, outgoing) = both(&mut pipes, self.server);
        outgoing.send_rst(Instant::now(), Duration::ZERO);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut pipes = lock(&self.shared);
        let (incoming, outgoing) = both(&mut pipes, self.server);
        incoming.arrive(now);
        if incoming.end != End::Rst {
            if incoming.has_unread() {
                outgoing.send_rst(now, Duration::ZERO);
            } else {
                outgoing.send_fin(now);
            }
        }
        incoming.abandoned = true;
        // Whoever waits for room at the other end will never get it.
        wake(&mut incoming.writer);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
