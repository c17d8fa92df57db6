//! A connection's stream, in clear or under TLS.

use std::fmt;
use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proto::FailureKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::handshake::{self, TlsFacts};

/// Most octets that are handed to TLS at once: one record (RFC 8446 §5.1).
const RECORD: usize = 16_384;
/// At least this many octets of a record are not the caller's (RFC 8446 §5.2).
const OVERHEAD: u64 = 22;

/// A connection's stream, in clear or under TLS.
pub(crate) enum Transport<S> {
    Plain(S),
    Tls(Box<Encrypted<S>>),
}

/// A stream under TLS.
///
/// TLS takes octets long before the transport does, and a record that has not left whole can't be
/// read by anybody. So octets count as taken when their record has left, and the next ones are not
/// handed over before; that is what keeps the outcome as exact as it is in clear.
pub(crate) struct Encrypted<S> {
    stream: TlsStream<Metered<S>>,
    verified: bool,
    /// Octets that TLS has and that were not reported as taken.
    held: usize,
    /// How many octets of ciphertext had left when they were handed over, and how many of them were
    /// reported since, so that a slow link shows progress.
    since: u64,
    reported: u64,
    /// What reading met behind octets that had to be delivered first.
    error: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub(crate) fn encrypted(stream: TlsStream<Metered<S>>, verified: bool) -> Self {
        Self::Tls(Box::new(Encrypted {
            stream,
            verified,
            held: 0,
            since: 0,
            reported: 0,
            error: None,
        }))
    }

    /// What is known of its TLS.
    pub(crate) fn tls(&self) -> Option<TlsFacts<'_>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(encrypted) => {
                let connection = encrypted.stream.get_ref().1;
                Some(TlsFacts::new(connection, encrypted.verified))
            }
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(encrypted) => encrypted.poll_read(cx, buffer),
        }
    }

    /// Hands out the first of these octets, and says how many the transport took. Until then they
    /// must be offered again.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, slices) {
            (Self::Plain(stream), [one]) => Pin::new(stream).poll_write(cx, one),
            (Self::Plain(stream), _) => Pin::new(stream).poll_write_vectored(cx, slices),
            (Self::Tls(encrypted), _) => encrypted.poll_send(cx, slices),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            // What TLS holds leaves only while it is offered: the reserve may have been broken since.
            Self::Tls(encrypted) if encrypted.held > 0 => Poll::Pending,
            Self::Tls(encrypted) => Pin::new(&mut encrypted.stream).poll_flush(cx),
        }
    }

    /// What a failed read or write means.
    pub(crate) fn failure(&self, error: &io::Error) -> FailureKind {
        match self {
            Self::Plain(_) => FailureKind::Broken,
            Self::Tls(_) => handshake::failure(error),
        }
    }

    /// Says close_notify as far as it can be said without waiting (RFC 8446 §6.1).
    pub(crate) fn say_close(&mut self) {
        if let Self::Tls(encrypted) = self {
            encrypted.stream.get_mut().1.send_close_notify();
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut encrypted.stream).poll_flush(&mut cx);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Encrypted<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        // Reading never writes, not even an alert: the call may have been cancelled.
        self.stream.get_mut().0.muted = true;
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.stream.get_mut().0.muted = false;
        let Poll::Ready(Err(error)) = result else {
            return result;
        };
        // What was decrypted before it went wrong is the server's word all the same.
        let read = self
            .stream
            .get_mut()
            .1
            .reader()
            .read(buffer.initialize_unfilled());
        match read {
            Ok(octets) if octets > 0 => {
                buffer.advance(octets);
                self.error = Some(error);
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err(error)),
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.held == 0 {
            self.since = self.stream.get_ref().0.written;
            self.reported = 0;
            let mut part = [IoSlice::new(&[]); 16];
            let mut room = RECORD;
            let mut count = 0;
            for (to, from) in part.iter_mut().zip(slices) {
                let taken = from.len().min(room);
                *to = IoSlice::new(from.get(..taken).unwrap_or_default());
                room -= taken;
                count += 1;
            }
            let part = part.get(..count).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write_vectored(cx, part) {
                Poll::Ready(Ok(octets)) => self.held = octets,
                other => return other,
            }
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if !self.stream.get_ref().1.wants_write() {
            // All of it has left, whatever a flush of the transport itself has to say.
            return Poll::Ready(Ok(std::mem::take(&mut self.held)));
        }
        match flushed {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => self.poll_progress(),
        }
    }

    /// Octets of a record that is leaving; its last one is never among them.
    fn poll_progress(&mut self) -> Poll<io::Result<usize>> {
        let left = self.stream.get_ref().0.written - self.since;
        let more = left.saturating_sub(OVERHEAD + self.reported);
        let more = usize::try_from(more)
            .unwrap_or(usize::MAX)
            .min(self.held.saturating_sub(1));
        if more == 0 {
            return Poll::Pending;
        }
        self.held -= more;
        self.reported += more as u64;
        Poll::Ready(Ok(more))
    }
}

impl<S: fmt::Debug> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(stream) => f.debug_tuple("Plain").field(stream).finish(),
            Self::Tls(encrypted) => {
                let stream = &encrypted.stream.get_ref().0.stream;
                f.debug_tuple("Tls").field(stream).finish()
            }
        }
    }
}

/// What the server did before its TLS could be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foul {
    /// It spoke before the client did, which no TLS server does.
    Early,
    /// It speaks plaintext.
    Plaintext,
    /// Its handshake does not end.
    TooLarge,
}

/// The transport under TLS: counts octets, and looks at the server's first ones.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    written: u64,
    read: usize,
    /// The cap on what is read, until the handshake is over.
    cap: Option<usize>,
    spoken: bool,
    muted: bool,
    pub(crate) foul: Option<Foul>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, cap: usize) -> Self {
        Self {
            stream,
            written: 0,
            read: 0,
            cap: Some(cap.max(1)),
            spoken: false,
            muted: false,
            foul: None,
        }
    }

    pub(crate) fn lift_cap(&mut self) {
        self.cap = None;
    }

    fn foul(&mut self, foul: Foul) -> io::Error {
        self.foul = Some(foul);
        io::Error::new(io::ErrorKind::InvalidData, "octets that are no handshake")
    }
}

impl<S: AsyncRead + Unpin> Metered<S> {
    /// Before the client's first octet there must be nothing to read.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut octet = [0];
        let mut buffer = ReadBuf::new(&mut octet);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Poll::Ready(Ok(())) => Err(self.foul(Foul::Early)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let Some(cap) = this.cap else {
            return result;
        };
        if let Poll::Ready(Ok(())) = result {
            let octets = buffer.filled().get(before..).unwrap_or_default();
            // A reply begins with a digit, and no record of TLS does.
            if this.read == 0 && octets.first().is_some_and(u8::is_ascii_digit) {
                return Poll::Ready(Err(this.foul(Foul::Plaintext)));
            }
            this.read = this.read.saturating_add(octets.len());
            if this.read > cap {
                return Poll::Ready(Err(this.foul(Foul::TooLarge)));
            }
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.muted {
            return Poll::Pending;
        }
        if !this.spoken {
            this.check_silence(cx)?;
            this.spoken = true;
        }
        let stream = Pin::new(&mut this.stream);
        let result = match slices {
            [one] => stream.poll_write(cx, one),
            _ => stream.poll_write_vectored(cx, slices),
        };
        if let Poll::Ready(Ok(octets)) = &result {
            this.written += *octets as u64;
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
