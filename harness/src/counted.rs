//! A connector that counts what the client reads and writes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use postbound::Connector;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that crossed a [`Counted`] connector, all its streams together. Clones share one count.
#[derive(Clone, Debug, Default)]
pub struct Octets {
    read: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Octets {
    /// How many the client has read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// How many the client has written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// Another connector, counted.
#[derive(Clone, Debug)]
pub struct Counted<C> {
    inner: C,
    octets: Octets,
}

impl<C> Counted<C> {
    /// This connector, and the count of what crosses it.
    #[must_use]
    pub fn new(inner: C) -> (Self, Octets) {
        let octets = Octets::default();
        let counted = Self {
            inner,
            octets: octets.clone(),
        };
        (counted, octets)
    }
}

impl<C: Connector> Connector for Counted<C> {
    type Stream = Counting<C::Stream>;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.inner.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        Ok(Counting {
            stream: self.inner.connect(address).await?,
            octets: self.octets.clone(),
        })
    }
}

/// A stream of a [`Counted`] connector.
#[derive(Debug)]
pub struct Counting<S> {
    stream: S,
    octets: Octets,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let octets = (buffer.filled().len() - before) as u64;
        self.octets.read.fetch_add(octets, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, octets);
        if let Poll::Ready(Ok(taken)) = &polled {
            let taken = *taken as u64;
            self.octets.written.fetch_add(taken, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
