//! Connections that are kept for the next message.
//!
//! [`Pool`] hands out at most its size of connections at a time, in the order in which they were
//! asked for. Nothing runs in the background: what is too old is found out when a connection is
//! asked for, and by [`Pool::reap`].

mod circuit;
mod item;
mod lane;
mod lanes;
mod lease;
mod send_all;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::{Envelope, Failure, FailureKind, Outcome, Phase, WorstCase};
use tokio::sync::{Notify, Semaphore};

use crate::bounds::Bounds;
use crate::client::Client;
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::endpoint::Endpoint;
use crate::error::{Context, Error};
use crate::message::Message;
use crate::receipt::Receipt;
use crate::step::{Due, step};
use crate::tcp::TcpConnector;

pub use circuit::Circuit;
pub use lease::Pooled;
pub use send_all::{Mail, SendAll, Sent};

use circuit::{Circuits, Rule};

/// Connections to one server, kept between messages. Cheap to clone; clones share them.
///
/// - **Bounded.** At most [`size`](PoolBuilder::size) connections are open or being opened at any
///   time, those at rest counted in.
/// - **Fair.** Checkouts are served in the order in which they were made. One that waits is bounded
///   by [`Phase::Checkout`]'s limit and the call's own bounds, and can be cancelled or dropped at any
///   time; a slot that was meant for it goes to the next.
/// - **Only what is at rest goes back.** A connection whose call failed, was cancelled or whose
///   future was dropped is closed. Before use each is looked at: one that the server has closed, or
///   on which it has said something unasked, is closed, too. That takes no time.
/// - **No background task.** The most recently used connection is handed out first, so that the
///   others grow old; what is past its limits is closed at the next checkout or by
///   [`reap`](Self::reap).
/// - **A circuit for each endpoint.** After [`failures`](PoolBuilder::failures) dials in a row that
///   failed by its fault an endpoint is passed over for [`pause`](PoolBuilder::pause): that costs no
///   dial and no time. Then one checkout dials it; its success ends the pause, its failure begins
///   another. Where every endpoint is like that, the one that failed least recently is tried at once,
///   by one checkout at a time, and the others fail at once: so an outage is not multiplied, and the
///   first call behind it succeeds.
/// - **Who breaks off comes last.** An endpoint whose transaction ended without a reply or with 421
///   is dialled after the others until one ends well, for `pause` at most.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
/// # runtime.block_on(async {
/// use postbound::{Client, Envelope, Pool};
/// use std::time::Duration;
/// # use postbound_simnet::{Double, Plan, net::mem::Network};
/// # let network = Network::new(Double::new(Plan::healthy()));
///
/// let client = Client::builder("mx.example.org", 25)
/// #   .connector(network.connector())
///     .build()?;
/// let pool = Pool::builder(client).size(2).build();
/// let envelope = Envelope::new("me@example.net".parse()?, ["you@example.org".parse()?])?;
/// for n in 1..=3 {
///     let message = format!("Subject: {n}\r\n\r\nhello\r\n");
///     let _receipt = pool.send(&envelope, message, Duration::from_secs(30)).await?;
/// }
/// assert_eq!(pool.idle(), 1); // all three went over one connection
/// pool.shutdown(Duration::from_secs(5)).await;
/// # assert_eq!(network.double().ledger().connections(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<C: Connector = TcpConnector> {
    shared: Arc<Shared<C>>,
}

struct Shared<C: Connector> {
    client: Client<C>,
    settings: Settings,
    slots: Arc<Semaphore>,
    /// How many checkouts wait for a slot.
    waiting: AtomicUsize,
    /// A slot came back after the shutdown began.
    returned: Notify,
    state: Mutex<State<C::Stream>>,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    size: usize,
    idle: Duration,
    age: Duration,
    messages: u32,
    circuit: Rule,
}

struct State<S> {
    /// At rest, the one that was used last at the end.
    idle: Vec<Parked<S>>,
    circuits: Circuits,
}

struct Parked<S> {
    connection: Connection<S>,
    since: Instant,
}

impl<C: Connector> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Connector> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("settings", &self.shared.settings)
            .field("idle", &self.idle())
            .field("circuits", &self.circuits())
            .finish_non_exhaustive()
    }
}

impl<C: Connector> Shared<C> {
    fn state(&self) -> MutexGuard<'_, State<C::Stream>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every connection at rest for which `fit` does not hold. Says how many.
    fn weed(&self, mut fit: impl FnMut(&mut Parked<C::Stream>) -> bool) -> usize {
        let unfit: Vec<_> = self
            .state()
            .idle
            .extract_if(.., |parked| !fit(parked))
            .collect();
        let count = unfit.len();
        for mut parked in unfit {
            parked.connection.part();
        }
        count
    }

    /// Whether the connection, at rest since then, is within its limits.
    fn may_be_kept(&self, connection: &Connection<C::Stream>, since: Instant) -> bool {
        let now = clock::now();
        now.saturating_duration_since(since) < self.settings.idle
            && connection.age(now) < self.settings.age
            && connection.transactions() < self.settings.messages
            && connection.transactions_left() != Some(0)
    }

    fn is_fresh(&self, parked: &Parked<C::Stream>) -> bool {
        self.may_be_kept(&parked.connection, parked.since)
    }
}

impl<C: Connector> Pool<C> {
    /// A pool with the defaults that [`PoolBuilder`] documents.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self::builder(client).build()
    }

    /// A pool with settings of its own.
    pub fn builder(client: Client<C>) -> PoolBuilder<C> {
        PoolBuilder {
            client,
            settings: Settings {
                size: 8,
                idle: Duration::from_secs(60),
                age: Duration::from_secs(300),
                messages: 100,
                circuit: Rule {
                    failures: 5,
                    pause: Duration::from_secs(10),
                },
            },
        }
    }

    /// The client whose connections these are.
    #[must_use]
    pub fn client(&self) -> &Client<C> {
        &self.shared.client
    }

    /// How many connections there can be at most.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shared.settings.size
    }

    /// How many connections are at rest in the pool.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.shared.state().idle.len()
    }

    /// How many connections are in use, or being opened or closed.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let free = self.shared.slots.available_permits();
        self.shared.settings.size.saturating_sub(free)
    }

    /// Whether each of the client's endpoints is dialled.
    ///
    /// ```
    /// use postbound::{Circuit, Client, Endpoint, Pool};
    /// let client = Client::builder("a.example", 25).endpoint(Endpoint::new("b.example", 25)?).build()?;
    /// for (endpoint, circuit) in Pool::new(client).circuits() {
    ///     println!("{endpoint} is {}", if circuit == Circuit::Closed { "fine" } else { "down" });
    /// }
    /// # Ok::<(), postbound::ClientError>(())
    /// ```
    #[must_use]
    pub fn circuits(&self) -> Vec<(Endpoint, Circuit)> {
        self.shared.state().circuits.states(clock::now())
    }

    /// Whether any server is dialled: the best of the [`circuits`](Self::circuits), closed before
    /// half-open, and of those that are open the one that is so for the shortest time.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        let states = self.circuits().into_iter().map(|(_, state)| state);
        let best = states.min_by_key(|state| match state {
            Circuit::Closed => (0, Duration::ZERO),
            Circuit::HalfOpen => (1, Duration::ZERO),
            Circuit::Open { left } => (2, *left),
        });
        best.unwrap_or(Circuit::Closed)
    }

    /// The longest that [`send`](Self::send) can last: one attempt of the client's, a checkout before
    /// it, and once more the first reply, where a connection that was at rest turns out to be closed
    /// and a new one takes its place.
    #[must_use]
    pub fn worst_case(&self, recipients: usize, octets: u64) -> WorstCase {
        self.shared
            .client
            .attempt_worst_case(self.shared.client.securities(), recipients, octets)
            .plus(Phase::Checkout, 1)
            .plus(Phase::Reset, 1)
            .plus(Phase::Mail, 1)
    }

    /// Sends one message over a connection of the pool, and gives the connection back.
    ///
    /// A connection that was at rest may have been closed by the server in the very moment in which
    /// it is used. If nothing of the transaction was answered the message goes over a new
    /// connection, once, within the same bounds. Nothing else is ever sent again: the client's
    /// [`Retry`](crate::Retry) policy is for [`Client::send`], which has no one waiting behind it.
    ///
    /// Ends within [`worst_case`](Self::worst_case), and within `bounds`.
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`].
    ///
    /// # Cancel safety
    /// Dropping the future frees its place in the queue or closes its connection. What became of
    /// the message is not known then; cancel with a token to be told.
    pub async fn send<'m, 't>(
        &self,
        envelope: &Envelope,
        message: impl Into<Message<'m>>,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Receipt, Error> {
        let started = clock::now();
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        let mut message = message.into();
        let mut lease = self.lease(&mut guard, bounds, true).await?;
        let mut result = lease.run(&mut guard, envelope, &mut message, bounds).await;
        if result.as_ref().is_err_and(|error| lease.is_stale(error)) {
            lease.renew(&mut guard, bounds).await?;
            result = lease.run(&mut guard, envelope, &mut message, bounds).await;
        }
        lease.tell(result, started)
    }

    /// A connection of the pool: one at rest, or a new one. It goes back when it is dropped, if it
    /// is at rest then.
    ///
    /// Ends within the limits of [`Phase::Checkout`] and of dialling, and within `bounds`.
    ///
    /// # Errors
    /// If there is no slot in time, the circuit is open, the pool is shut down, or dialling failed.
    ///
    /// # Cancel safety
    /// Dropping the future frees its place in the queue, or the connection that it was opening.
    pub async fn checkout<'t>(&self, bounds: impl Into<Bounds<'t>>) -> Result<Pooled<C>, Error> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        self.lease(&mut guard, bounds, true).await
    }

    /// Opens connections until `count` are at rest, or as many as there are free slots for, all at
    /// the same time. Says how many are at rest then.
    ///
    /// Ends within the limits of [`Phase::Checkout`] and of dialling, and within `bounds`.
    ///
    /// # Errors
    /// The first failure to dial, once every other attempt has ended. Those that succeeded are kept.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connections that it was opening.
    pub async fn warm<'t>(
        &self,
        count: usize,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<usize, Error> {
        let asked = bounds.into();
        let (bounds, _) = asked.start();
        let idle = self.idle();
        let most = self.size().saturating_sub(idle + self.in_use());
        let opened = join_all((idle..count).take(most).map(|_| {
            let mut guard = asked.guard();
            async move { self.lease(&mut guard, bounds, false).await }
        }))
        .await;
        // Given back together: none of them is handed out while another is being opened.
        drop(opened.into_iter().collect::<Result<Vec<_>, Error>>()?);
        Ok(self.idle())
    }

    /// Closes every connection that is at rest and past its limits, or that the server has closed.
    /// Says how many. A program that leaves its pool alone for long may call it now and then.
    pub fn reap(&self) -> usize {
        let shared = &self.shared;
        shared.weed(|parked| shared.is_fresh(parked) && parked.connection.is_quiet())
    }

    /// Ends the pool: checkouts fail from now on, also those that wait; connections in use are
    /// waited for and QUIT is said on all. Says how many were still in use in the end; they are
    /// closed when they come back.
    ///
    /// Ends within the limits of [`Phase::Checkout`] and [`Phase::Quit`], and within `bounds`;
    /// QUITs are said at the same time, so that a server that does not answer costs the limit once.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it was saying QUIT on. The pool is shut down all the same.
    pub async fn shutdown<'t>(&self, bounds: impl Into<Bounds<'t>>) -> usize {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        self.shared.slots.close();
        let timeouts = self.shared.client.timeouts();
        let due = Due::of(timeouts.of(Phase::Checkout), bounds, clock::now());
        let _ = step(&mut guard, self.all_returned(), due).await;
        let in_use = self.in_use();
        let idle = std::mem::take(&mut self.shared.state().idle);
        join_all(idle.into_iter().map(|mut parked| {
            let mut guard = asked.guard();
            async move { parked.connection.say_quit(&mut guard, bounds).await }
        }))
        .await;
        in_use
    }

    async fn all_returned(&self) {
        loop {
            let mut returned = std::pin::pin!(self.shared.returned.notified());
            returned.as_mut().enable();
            if self.in_use() == 0 {
                return;
            }
            returned.await;
        }
    }

    /// A checkout that was in vain.
    fn failed(&self, kind: FailureKind, started: Instant) -> Error {
        let elapsed = clock::now().saturating_duration_since(started);
        let mut context = Context {
            endpoint: self.shared.client.endpoint(),
            elapsed,
            ..Context::default()
        };
        context.timings.add(Phase::Checkout, elapsed);
        let failure = Box::new(Failure::new(Phase::Checkout, kind, Outcome::NotAccepted));
        Error::new(failure, context)
    }
}

/// Settings of a [`Pool`] to be. A zero is taken as one.
#[derive(Debug)]
#[must_use]
pub struct PoolBuilder<C> {
    client: Client<C>,
    settings: Settings,
}

impl<C: Connector> PoolBuilder<C> {
    /// Connections at most, at rest or not. Default 8: servers commonly allow 10 to 20 from one
    /// client.
    pub fn size(mut self, connections: usize) -> Self {
        self.settings.size = connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long a connection may be at rest. Default 60 s: a server may hang up after five minutes
    /// (RFC 5321 §4.5.3.2.7), and busy ones do after one or two.
    pub fn idle(mut self, limit: Duration) -> Self {
        self.settings.idle = limit;
        self
    }

    /// How old a connection may grow before it is no longer handed out. Default 5 min, so that a
    /// changed address or a new server behind the same name is met soon.
    pub fn age(mut self, limit: Duration) -> Self {
        self.settings.age = limit;
        self
    }

    /// Messages over one connection. Default 100, which the large providers allow.
    pub fn messages(mut self, most: u32) -> Self {
        self.settings.messages = most.max(1);
        self
    }

    /// Failed dials of one endpoint in a row that open its circuit. Default 5: what passes by itself,
    /// such as a worker that is restarted, fails two or three times, and each failure more costs
    /// somebody up to the limit of a dial.
    pub fn failures(mut self, most: u32) -> Self {
        self.settings.circuit.failures = most.max(1);
        self
    }

    /// How long an endpoint is passed over once its circuit is open, and how long one comes last whose
    /// transaction broke off. Default 10 s: it costs a server that is down for long one dial in ten
    /// seconds, and one that is back is used again within them.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.settings.circuit.pause = pause;
        self
    }

    /// The pool. No connection is opened yet; see [`Pool::warm`].
    #[must_use]
    pub fn build(self) -> Pool<C> {
        let circuits = Circuits::new(self.settings.circuit, self.client.endpoints());
        Pool {
            shared: Arc::new(Shared {
                client: self.client,
                slots: Arc::new(Semaphore::new(self.settings.size)),
                settings: self.settings,
                waiting: AtomicUsize::new(0),
                returned: Notify::new(),
                state: Mutex::new(State {
                    idle: Vec::new(),
                    circuits,
                }),
            }),
        }
    }
}
