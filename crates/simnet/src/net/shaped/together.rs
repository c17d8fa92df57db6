//! Octets that are held back and come together, where the network underneath can't hold any: somebody
//! stands between the server and its stream and carries them, also while the server does something else.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex, split,
};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, sleep_until};

use super::{Shaped, WINDOW};
use crate::plan::{Direction, LinkFault, Plan};
use crate::server::{Abort, Double};

/// Octets read at once.
const READ: usize = 4_096;

/// How often octets that travel one way are let go.
#[derive(Clone, Copy, Debug)]
struct Tick {
    opened: Instant,
    every: Duration,
}

impl Tick {
    fn new(plan: &Plan, way: Direction, opened: Instant) -> Option<Self> {
        // The first of a kind acts, as everywhere in a plan.
        let every = plan.link_faults().find_map(|fault| match fault {
            LinkFault::Coalesce { direction, every } if direction.covers(way) => Some(*every),
            _ => None,
        });
        every.map(|every| Self { opened, every })
    }

    /// Waits for the next one. What is said with one is too late for it, as if it had some way to go.
    async fn wait(self) {
        let since = self.opened.elapsed().as_nanos();
        let wait = self.every.as_nanos() - since % self.every.as_nanos().max(1);
        let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        sleep_until(Instant::now() + wait).await;
    }
}

/// Whether octets are held back at all.
pub(super) fn is_asked_for(plan: &Plan) -> bool {
    let mut faults = plan.link_faults();
    faults.any(|fault| matches!(fault, LinkFault::Coalesce { .. }))
}

/// Serves one connection to its end, and carries what is said on it.
pub(super) async fn serve<S>(double: &Double, stream: S, stops: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Abort,
{
    let opened = Instant::now();
    let ticks =
        [Direction::ToServer, Direction::ToClient].map(|way| Tick::new(double.plan(), way, opened));
    let (near, far) = duplex(WINDOW);
    let (end, ended) = oneshot::channel();
    let near = Near {
        stream: near,
        end: Some(end),
    };
    // What comes together is cut up behind that, and not before.
    let near = Shaped::new(near, double.plan(), false).only(Direction::ToServer);
    let stream = Shaped::new(stream, double.plan(), stops).only(Direction::ToClient);
    tokio::join!(double.serve(near), carry(stream, far, ended, ticks));
}

/// Carries octets until the server has ended, or the client can't be reached any more. `ended` says
/// whether the server's end is a reset.
async fn carry<S>(
    stream: S,
    far: DuplexStream,
    mut ended: oneshot::Receiver<bool>,
    [to_server, to_client]: [Option<Tick>; 2],
) where
    S: AsyncRead + AsyncWrite + Unpin + Abort,
{
    let (mut client, mut to) = split(stream);
    let (mut server, mut heard) = split(far);
    let resets = {
        let mut up = pin!(async {
            // A server that has gone hears nothing.
            let _ = one_way(&mut client, &mut heard, to_server).await;
            let _ = heard.shutdown().await;
        });
        let mut hears = true;
        let said = {
            let mut down = pin!(one_way(&mut server, &mut to, to_client));
            loop {
                tokio::select! {
                    biased;
                    said = &mut down => break said,
                    () = &mut up, if hears => hears = false,
                }
            }
        };
        match (said, ended.try_recv()) {
            (Ok(()), Ok(resets)) => resets,
            (Ok(()), Err(TryRecvError::Empty)) => {
                // It has closed its own side, and goes on hearing.
                let _ = to.shutdown().await;
                tokio::select! {
                    biased;
                    end = &mut ended => end == Ok(true),
                    () = up, if hears => ended.await == Ok(true),
                }
            }
            (_, _) => false,
        }
    };
    if resets {
        client.unsplit(to).abort();
    }
}

/// Carries octets to the end of what is read, which comes with a tick, too.
async fn one_way(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    tick: Option<Tick>,
) -> io::Result<()> {
    let mut octets = Vec::new();
    loop {
        octets.clear();
        octets.reserve(READ);
        let mut ends = from.read_buf(&mut octets).await? == 0;
        if let Some(tick) = tick {
            tick.wait().await;
            // What has come by now goes with it.
            while !ends && octets.len() < WINDOW {
                octets.reserve(READ);
                let mut read = pin!(from.read_buf(&mut octets));
                match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
                    Poll::Ready(count) => ends = count? == 0,
                    Poll::Pending => break,
                }
            }
        }
        to.write_all(&octets).await?;
        to.flush().await?;
        if ends {
            return Ok(());
        }
    }
}

/// The server's end.
#[derive(Debug)]
struct Near {
    stream: DuplexStream,
    end: Option<oneshot::Sender<bool>>,
}

impl Abort for Near {
    fn abort(mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(true);
        }
    }
}

impl AsyncRead for Near {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Near {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
