//! A session's call over a stream: octets from one to the other and nothing else.

use std::io;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use proto::{Completed, Failure, FailureKind, Session, Unsupported};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock;
use crate::guard::Wait;
use crate::message::Message;
use crate::transport::Transport;

/// Octets read at once: on the stack, so that an idle connection keeps no buffer.
const READ: usize = 4096;
/// Iterations of key derivation at once: about a millisecond's, which a busy server gives way to
/// others in, too.
const DERIVATION: u32 = 1_000;
/// Slices written at once.
const SLICES: usize = 16;

/// How far a message has gone, as the progress callback sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Octets of mail data that the transport took, with transparency and end of mail data.
    pub octets: u64,
    /// The message's size as RFC 1870 counts it, if it is known.
    pub size: Option<u64>,
}

pub(crate) type OnProgress<'a> = Box<dyn FnMut(Progress) + Send + 'a>;

/// What a call sends: nothing for EHLO, RSET and QUIT.
pub(crate) struct Payload<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) size: Option<u64>,
    pub(crate) on_progress: Option<OnProgress<'a>>,
    /// Octets over 127 were not announced and must not leave.
    pub(crate) seven_bit: bool,
    pub(crate) octets: u64,
}

impl Payload<'_> {
    pub(crate) fn none() -> Self {
        Self {
            message: Message::from(&[]),
            size: None,
            on_progress: None,
            seven_bit: false,
            octets: 0,
        }
    }
}

/// The messages behind the one whose call it is, where several go ahead of the replies.
pub(crate) trait Behind: Send {
    /// The octets of the one at this place, counted from 1.
    fn octets(&mut self, place: usize) -> Option<&[u8]>;
}

/// There are none.
pub(crate) struct Nobody;

impl Behind for Nobody {
    fn octets(&mut self, _place: usize) -> Option<&[u8]> {
        None
    }
}

pub(crate) struct Exchange<'a, 'm, S> {
    pub(crate) stream: &'a mut Transport<S>,
    pub(crate) session: &'a mut Session,
    pub(crate) payload: &'a mut Payload<'m>,
    pub(crate) behind: &'a mut dyn Behind,
    pub(crate) cause: &'a mut Option<io::Error>,
    pub(crate) unflushed: bool,
    /// A write that failed, until what can be read has been read; and whether that was asked for twice.
    pub(crate) unwritable: Option<io::Error>,
    pub(crate) asked_again: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, '_, S> {
    /// A write failed. The server may have said why before it went away: that is read first. A write
    /// learns of a reset at once and a read only from the runtime, so the runtime is asked once more.
    fn write_failed(&mut self, error: io::Error, cx: &mut Context<'_>) -> Poll<()> {
        while !self.session.is_over() {
            match self.poll_octets(cx) {
                Poll::Ready(Ok(true)) => {
                    self.ended(Some(error));
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => self.fail(error),
                Poll::Pending if self.asked_again => break,
                Poll::Pending => {
                    self.asked_again = true;
                    self.unwritable = Some(error);
                    let _ = pin!(tokio::task::yield_now()).poll(cx);
                    return Poll::Pending;
                }
            }
        }
        if !self.session.is_over() {
            self.fail(error);
        }
        Poll::Ready(())
    }

    /// The stream has ended, perhaps behind a write that failed. The system tells of a reset once and
    /// of an end from then on; a write behind a FIN meets a broken pipe.
    fn ended(&mut self, unwritable: Option<io::Error>) {
        match unwritable {
            Some(error) if error.kind() == io::ErrorKind::ConnectionReset => self.fail(error),
            _ => self.session.closed(clock::now()),
        }
    }

    /// Reads once. Whether it was the end of the stream.
    fn poll_octets(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut octets = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut octets);
        ready!(self.stream.poll_read(cx, &mut buffer))?;
        let is_end = buffer.filled().is_empty();
        if !is_end {
            self.session.receive(buffer.filled(), clock::now());
        }
        Poll::Ready(Ok(is_end))
    }

    fn fail(&mut self, error: io::Error) {
        let now = clock::now();
        match self.stream.failure(&error) {
            FailureKind::Tls(problem) => self.session.tls_failed(problem, now),
            FailureKind::Closed => self.session.closed(now),
            _ => self.session.broken(now),
        }
        self.cause.get_or_insert(error);
    }

    /// A slice of key derivation a turn, and everybody else's turn in between: so the key needs no
    /// thread, is the same work in a simulation, and is given up with the call.
    fn derive(&mut self, cx: &mut Context<'_>) {
        self.session.derive(DERIVATION, clock::now());
        // The runtime's timers are not looked at as long as something is ready, so the clock is.
        self.session.expire(clock::now());
        // It calls again when the runtime has looked at them, and at everything else.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }

    /// Has what was written leave. There is nothing to be written behind it.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.unflushed || self.session.is_over() {
            return Poll::Pending;
        }
        match self.stream.poll_flush(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                Poll::Pending
            }
            Poll::Ready(Err(error)) => self.write_failed(error, cx),
        }
    }

    fn poll_source(&mut self, place: usize, cx: &mut Context<'_>) -> Poll<()> {
        if place > 0 {
            match self.behind.octets(place) {
                Some(octets) => self.session.provide(octets, true, clock::now()),
                None => self
                    .session
                    .refuse_message(FailureKind::Source, clock::now()),
            }
            return Poll::Ready(());
        }
        match self.payload.message.poll_chunk(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(last)) => {
                let chunk = self.payload.message.chunk();
                if self.payload.seven_bit && !chunk.is_ascii() {
                    let why = FailureKind::Unsupported(Unsupported::EightBitMime);
                    self.session.refuse_message(why, clock::now());
                } else {
                    self.session.provide(chunk, last, clock::now());
                }
            }
            Poll::Ready(Err(error)) => {
                self.cause.get_or_insert(error);
                self.session
                    .refuse_message(FailureKind::Source, clock::now());
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wait for Exchange<'_, '_, S> {
    type Output = Result<Completed, Box<Failure>>;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.poll_octets(cx)) {
            Ok(true) => {
                let unwritable = self.unwritable.take();
                self.ended(unwritable);
            }
            Ok(false) => {}
            Err(error) => self.fail(error),
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unwritable.is_some()
            && let Some(error) = self.unwritable.take()
        {
            return self.write_failed(error, cx);
        }
        // A source that has nothing yet does not keep back what is to be written or flushed.
        // One that gives a lone CR is asked again: nothing is written for it that would wake the call.
        while let Some(place) = self.session.needs_chunk_of()
            && self.poll_source(place, cx).is_ready()
        {
            if self.session.is_over() {
                return Poll::Ready(());
            }
        }
        if self.session.needs_derivation() {
            self.derive(cx);
            return Poll::Pending;
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let chunk = self.payload.message.chunk();
        if !self.session.wants_write() {
            return self.poll_flush(cx);
        }
        let now = clock::now();
        let count = self.session.transmit(chunk, &mut slices, now);
        let slices = slices.get(..count).unwrap_or_default();
        if slices.is_empty() {
            return self.poll_flush(cx);
        }
        match self.stream.poll_send(cx, slices) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return self.write_failed(io::ErrorKind::WriteZero.into(), cx),
            Poll::Ready(Ok(taken)) => {
                self.unflushed = true;
                self.session.transmitted(taken, chunk, now);
                let octets = self.session.mail_data_octets();
                if let Some(report) = &mut self.payload.on_progress
                    && octets > self.payload.octets
                {
                    self.payload.octets = octets;
                    report(Progress {
                        octets,
                        size: self.payload.size,
                    });
                }
            }
            Poll::Ready(Err(error)) => return self.write_failed(error, cx),
        }
        Poll::Ready(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    fn is_ambiguous(&self) -> bool {
        self.session.may_be_accepted()
    }

    fn cancel(&mut self, now: Instant) {
        self.session.cancel(now);
    }

    fn expire(&mut self, now: Instant) {
        self.session.expire(now);
    }

    fn output(&mut self) -> Option<Self::Output> {
        self.session.take_result()
    }
}
