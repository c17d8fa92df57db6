//! The stream that a client gets: it counts what is read, so that an endless reply ends the
//! experiment and not the machine's memory.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use simnet::net::mem::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::MOST_READ;

/// How often a client may read behind the end of the stream before it counts as going on for ever.
const MOST_ENDS: u64 = 1_000;

#[derive(Debug, Default)]
struct Count {
    octets: u64,
    ends: u64,
    over: bool,
    waker: Option<Waker>,
}

/// A stream whose reads are counted. Over the limit it is silent, and says so to who watches it.
#[derive(Debug)]
pub(super) struct Watch {
    // A mutex, because lettre wants what can be shared, and it never is.
    inner: Mutex<Stream>,
    count: Arc<Mutex<Count>>,
}

impl Watch {
    /// The stream to hand over, and what resolves when too much was read from it.
    pub(super) fn over(stream: Stream) -> (Self, impl Future<Output = ()>) {
        let count = Arc::new(Mutex::new(Count::default()));
        let watched = Arc::clone(&count);
        let over = poll_fn(move |cx| {
            let mut count = watched.lock().expect("nobody panics with it");
            if count.over {
                return Poll::Ready(());
            }
            count.waker = Some(cx.waker().clone());
            Poll::Pending
        });
        let inner = Mutex::new(stream);
        (Self { inner, count }, over)
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.inner.get_mut().expect("nobody panics with it"))
    }
}

impl AsyncRead for Watch {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.count.lock().expect("nobody panics with it").over {
            ready!(this.stream().poll_read(cx, buf))?;
        }
        let read = (buf.filled().len() - before) as u64;
        let mut count = this.count.lock().expect("nobody panics with it");
        count.octets += read;
        count.ends += u64::from(read == 0 && buf.remaining() > 0);
        if count.over || count.octets > MOST_READ || count.ends > MOST_ENDS {
            count.over = true;
            if let Some(waker) = count.waker.take() {
                waker.wake();
            }
            buf.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watch {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream().poll_write(cx, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Watch {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 25).into())
    }
}
