//! An open connection, at rest between its mail transactions.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use proto::{
    Completed, CustomCommand, Envelope, Failure, FailureKind, Outcome, Phase, Reply, Session,
    Timings, TransactionOptions,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bounds::Bounds;
use crate::clock;
use crate::error::{self, Error};
use crate::exchange::{Behind, Exchange, Nobody, Payload};
use crate::guard::{Guard, Wait};
use crate::handshake::{Handshake, TlsFacts};
use crate::transaction::Transaction;
use crate::transport::Transport;
use proto::ext::Extensions;
use proto::sasl::Mechanism;

/// An open connection to a server that has greeted and answered EHLO.
///
/// It is used for one call at a time. After a refusal it can be used again; every other error, and
/// every call whose future was dropped, spends it: the socket is closed at once and
/// [`is_idle`](Self::is_idle) is false from then on. Dropping the connection closes the socket
/// without a word; [`quit`](Self::quit) says goodbye.
#[derive(Debug)]
pub struct Connection<S> {
    stream: Option<Transport<S>>,
    session: Session,
    /// How the client sends what nothing else is said of.
    options: TransactionOptions,
    endpoint: Arc<str>,
    address: SocketAddr,
    dialled: Timings,
    opened: Instant,
    transactions: u32,
    passed_over: Vec<Error>,
}

/// The stream during a call. Dropped in the middle of one, it closes the socket, and the session
/// can't be used again.
struct InFlight<'a, S> {
    connection: &'a mut Connection<S>,
    stream: Option<Transport<S>>,
}

impl<S> Drop for InFlight<'_, S> {
    fn drop(&mut self) {
        if self.stream.take().is_some() {
            self.connection.session.abandon();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(
        stream: Transport<S>,
        session: Session,
        options: TransactionOptions,
        endpoint: Arc<str>,
        address: SocketAddr,
    ) -> Self {
        Self {
            stream: Some(stream),
            session,
            options,
            endpoint,
            address,
            dialled: Timings::default(),
            opened: clock::now(),
            transactions: 0,
            passed_over: Vec::new(),
        }
    }

    /// What the server offered in its reply to EHLO.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.session.extensions()
    }

    /// How many more mail transactions the server takes over this connection, if it says so
    /// (MAILMAX of RFC 9422).
    #[must_use]
    pub fn transactions_left(&self) -> Option<u32> {
        self.session.transactions_left()
    }

    /// The server, as `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same, to be kept.
    pub(crate) fn named(&self) -> Arc<str> {
        Arc::clone(&self.endpoint)
    }

    /// The address that is connected.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is known of the connection's TLS; `None` if it is in clear or closed.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFacts<'_>> {
        self.stream.as_ref()?.tls()
    }

    /// The mechanism by which the server has accepted who the client is.
    #[must_use]
    pub const fn authenticated(&self) -> Option<Mechanism> {
        self.session.authenticated()
    }

    /// How long each phase of dialling lasted.
    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.dialled
    }

    /// The failures of the endpoints that were tried before this one.
    #[must_use]
    pub fn passed_over(&self) -> &[Error] {
        &self.passed_over
    }

    /// Whether the connection is provably at rest, so that another transaction may begin. What the
    /// peer has done meanwhile shows only when one does.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stream.is_some() && self.session.is_idle()
    }

    /// How long ago it was opened.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    /// Mail transactions begun so far.
    pub(crate) fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether a mail transaction is under way, or has a result that was not asked for yet.
    pub(crate) fn is_under_way(&self) -> bool {
        self.session.is_under_way()
    }

    /// Whether it is at rest and the peer has neither said anything nor closed, as far as that can
    /// be seen without waiting.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let idle = self.is_idle();
        let mut octet = [MaybeUninit::uninit()];
        let mut cx = Context::from_waker(Waker::noop());
        self.stream.as_mut().is_some_and(|stream| {
            let read = Pin::new(stream).poll_read(&mut cx, &mut ReadBuf::uninit(&mut octet));
            idle && read.is_pending()
        })
    }

    /// Says QUIT if the transport takes it at once, and closes without waiting for the reply.
    pub(crate) fn part(&mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        if self.session.quit(proto::Bounds::NONE, clock::now()).is_ok() {
            let mut exchange = Exchange {
                stream: &mut stream,
                session: &mut self.session,
                payload: &mut Payload::none(),
                behind: &mut Nobody,
                cause: &mut None,
                unflushed: false,
                unwritable: None,
                asked_again: false,
            };
            let mut cx = Context::from_waker(Waker::noop());
            while exchange.poll_write(&mut cx).is_ready() && !exchange.session.is_over() {}
        }
        self.session.abandon();
    }

    /// Begins a mail transaction with the client's options; nothing is sent before it is told to send
    /// its message.
    ///
    /// # Errors
    /// If the connection is not at rest.
    pub fn transaction<'c, 'e>(
        &'c mut self,
        envelope: &'e Envelope,
    ) -> Result<Transaction<'c, 'e, S>, Error> {
        if self.is_idle() {
            let options = self.options;
            Ok(Transaction::new(self, envelope, options))
        } else {
            Err(self.not_idle(Phase::Mail))
        }
    }

    /// Makes the server forget the current transaction (RFC 5321 §4.1.1.5). It is never needed
    /// between transactions: after a refusal the next one does it by itself. It serves as a sign
    /// of life.
    ///
    /// # Errors
    /// If there is no positive reply in time. The connection is spent then.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn reset<'t>(&mut self, bounds: impl Into<Bounds<'t>>) -> Result<(), Error> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        let started = clock::now();
        if let Err(failure) = self.session.reset(bounds, started) {
            return Err(self.error(failure, None, started));
        }
        self.run(&mut guard, &mut Payload::none()).await.map(|_| ())
    }

    /// Says VRFY, EXPN, NOOP, HELP or another command that one reply ends, and gives the reply: a
    /// refusal is an answer like any other.
    ///
    /// Lasts at most [`Phase::Command`]'s limit.
    ///
    /// ```
    /// # async fn f(mut connection: postbound::Connection<tokio::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
    /// use postbound::CustomCommand;
    /// use std::time::Duration;
    /// let reply = connection.command(&CustomCommand::verify("Smith")?, Duration::from_secs(5)).await?;
    /// println!("{reply}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the connection is not at rest, or no such reply comes in time. The connection is spent
    /// then.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn command<'t>(
        &mut self,
        command: &CustomCommand,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Reply, Error> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        let started = clock::now();
        if let Err(failure) = self.session.command(command, bounds, started) {
            return Err(self.error(failure, None, started));
        }
        match self.run(&mut guard, &mut Payload::none()).await? {
            Completed::Answered(reply, _) => Ok(*reply),
            _ => Err(self.no_answer(started)),
        }
    }

    /// Says goodbye and closes. It has nothing to report: every message has its result already.
    ///
    /// Lasts at most [`Phase::Quit`]'s limit.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn quit<'t>(mut self, bounds: impl Into<Bounds<'t>>) {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        self.say_quit(&mut guard, bounds).await;
    }

    pub(crate) async fn say_quit(&mut self, guard: &mut Guard<'_>, bounds: proto::Bounds) {
        if self.session.quit(bounds, clock::now()).is_ok() {
            let _ = self.run(guard, &mut Payload::none()).await;
        }
        self.stream = None;
    }

    /// Waits for the greeting and the reply to EHLO, with TLS in between where it is said to be.
    pub(crate) async fn greet(
        &mut self,
        guard: &mut Guard<'_>,
        handshake: Handshake<'_>,
    ) -> Result<(), Error> {
        loop {
            match self.run(guard, &mut Payload::none()).await? {
                Completed::Upgrade(timings) => {
                    self.dialled.merge(&timings);
                    self.upgrade(guard, handshake).await?;
                }
                Completed::Ready(timings) => {
                    self.dialled.merge(&timings);
                    return Ok(());
                }
                _ => return Err(self.no_answer(clock::now())),
            }
        }
    }

    async fn upgrade(
        &mut self,
        guard: &mut Guard<'_>,
        handshake: Handshake<'_>,
    ) -> Result<(), Error> {
        let started = clock::now();
        let Some(Transport::Plain(stream)) = self.stream.take() else {
            return Err(self.no_answer(started));
        };
        let (spent, result) = handshake.run(guard, stream).await;
        self.dialled.add(Phase::TlsHandshake, spent);
        match result {
            Ok(stream) => {
                self.stream = Some(stream);
                self.session.upgraded(clock::now());
                Ok(())
            }
            Err((failure, cause)) => Err(self.error(failure, cause, started)),
        }
    }

    pub(crate) fn add_dialled(&mut self, timings: &Timings) {
        self.dialled.merge(timings);
    }

    pub(crate) fn pass_over(&mut self, failures: Vec<Error>) {
        self.passed_over = failures;
    }

    pub(crate) fn take_passed_over(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.passed_over)
    }

    /// The session, for a call that is no transaction.
    pub(crate) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// A transaction has begun.
    pub(crate) fn count_transaction(&mut self) {
        self.transactions = self.transactions.saturating_add(1);
    }

    /// Drives the session's current call to its result.
    pub(crate) async fn run(
        &mut self,
        guard: &mut Guard<'_>,
        payload: &mut Payload<'_>,
    ) -> Result<Completed, Error> {
        let started = clock::now();
        self.run_with(guard, payload, &mut Nobody, started).await
    }

    /// The same, with messages behind it.
    pub(crate) async fn run_with(
        &mut self,
        guard: &mut Guard<'_>,
        payload: &mut Payload<'_>,
        behind: &mut dyn Behind,
        started: Instant,
    ) -> Result<Completed, Error> {
        // It may have come in one read with the one before it.
        if let Some(result) = self.session.take_result() {
            if !self.session.is_usable() {
                self.stream = None;
            }
            return result.map_err(|failure| self.error(failure, None, started));
        }
        let Some(stream) = self.stream.take() else {
            return Err(self.not_idle(Phase::Mail));
        };
        let mut cause = None;
        let mut flight = InFlight {
            connection: self,
            stream: Some(stream),
        };
        let result = {
            let InFlight { connection, stream } = &mut flight;
            match stream {
                Some(stream) => {
                    let mut exchange = Exchange {
                        stream,
                        session: &mut connection.session,
                        payload,
                        behind,
                        cause: &mut cause,
                        // What was queued behind the transaction before may lie in a buffer.
                        unflushed: true,
                        unwritable: None,
                        asked_again: false,
                    };
                    guard.turn(&mut exchange).await
                }
                None => Err(spent(Phase::Mail)),
            }
        };
        let stream = flight.stream.take();
        drop(flight);
        // A session that is not at rest has spent its stream, which is closed here and now.
        if self.session.is_usable() {
            self.stream = stream;
        } else if let (Ok(Completed::Closed(_)), Some(mut stream)) = (&result, stream) {
            stream.say_close();
        }
        result.map_err(|failure| self.error(failure, cause, started))
    }

    pub(crate) fn error(
        &self,
        failure: Box<Failure>,
        cause: Option<io::Error>,
        started: Instant,
    ) -> Error {
        let context = error::Context {
            endpoint: self.endpoint.to_string(),
            address: Some(self.address),
            elapsed: clock::now().saturating_duration_since(started),
            timings: failure.timings,
            cause,
            ..error::Context::default()
        };
        Error::new(failure, context)
    }

    /// The session ended another call than the one that was made.
    pub(crate) fn no_answer(&self, started: Instant) -> Error {
        self.error(spent(Phase::Mail), None, started)
    }

    fn not_idle(&self, phase: Phase) -> Error {
        let context = error::Context {
            endpoint: self.endpoint.to_string(),
            address: Some(self.address),
            ..error::Context::default()
        };
        let why = self.session.check_idle(phase).err();
        Error::new(why.unwrap_or_else(|| spent(phase)), context)
    }
}

fn spent(phase: Phase) -> Box<Failure> {
    Box::new(Failure::new(
        phase,
        FailureKind::NotIdle,
        Outcome::NotAccepted,
    ))
}
