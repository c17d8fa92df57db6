//! Where to send and under which limits.

mod builder;
mod invalid;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use proto::{
    Chunking, Config, Envelope, Phase, Protocol, Security, Session, Timeouts, Timings,
    TransactionOptions, WorstCase,
};

use crate::auth::Auth;
use crate::bounds::Bounds;
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::dial::Dial;
use crate::endpoint::{Endpoint, Endpoints, Order};
use crate::error::{self, Error};
use crate::guard::Guard;
use crate::handshake::Handshake;
use crate::message::{GATHERED, Message};
use crate::receipt::Receipt;
use crate::retry::Retry;
use crate::seed::Seed;
use crate::tcp::TcpConnector;
use crate::tls::Prepared;
use crate::traced;
use crate::transcript::{self, Transcript};
use crate::transport::Transport;

pub use builder::ClientBuilder;
pub use invalid::ClientError;
pub(crate) use invalid::check_host;

/// A server to send to, and the limits under which that is done. Cheap to clone.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use postbound::{Client, Envelope};
/// use std::time::Duration;
///
/// let client = Client::new("mx.example.org", 25)?;
/// let envelope = Envelope::new("me@example.net".parse()?, ["you@example.org".parse()?])?;
/// let receipt = client
///     .send(&envelope, "Subject: hello\r\n\r\nworld\r\n", Duration::from_secs(30))
///     .await?;
/// println!("{}", receipt.reply());
/// # Ok(()) }
/// ```
pub struct Client<C = TcpConnector> {
    inner: Arc<Inner<C>>,
}

struct Inner<C> {
    endpoints: Endpoints,
    config: Config,
    /// For each mode of TLS that an endpoint has, and for that of the client.
    tls: Vec<(Security, Prepared)>,
    auth: Option<Auth>,
    transcript: Option<Transcript>,
    options: TransactionOptions,
    attempt_delay: Duration,
    retry: Retry,
    seed: Seed,
    connector: C,
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoints", &self.inner.endpoints)
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client over the operating system's TCP with the default limits.
    ///
    /// # Errors
    /// If `host` is neither a domain nor an IP address, or `port` is zero.
    pub fn new(host: impl Into<String>, port: u16) -> Result<Self, ClientError> {
        Self::builder(host, port).build()
    }

    /// A client with settings of its own.
    pub fn builder(host: impl Into<String>, port: u16) -> ClientBuilder<TcpConnector> {
        ClientBuilder::new(host.into(), port)
    }

    /// A client for message submission: port 465 with TLS from the first octet, which RFC 8314 §3
    /// prefers to STARTTLS because there is nothing in clear to interfere with.
    ///
    /// ```
    /// use postbound::{Client, Security};
    /// let client = Client::submission("smtp.example.org");
    /// let older = Client::submission_starttls("smtp.example.org");
    /// let elsewhere = Client::builder("smtp.example.org", 2465).security(Security::Implicit);
    /// # let _ = (client, older, elsewhere);
    /// ```
    pub fn submission(host: impl Into<String>) -> ClientBuilder<TcpConnector> {
        Self::builder(host, 465).security(Security::Implicit)
    }

    /// A client for message submission to a server that does not have port 465: port 587, with
    /// STARTTLS required.
    pub fn submission_starttls(host: impl Into<String>) -> ClientBuilder<TcpConnector> {
        Self::builder(host, 587).security(Security::StartTls)
    }
}

impl<C> Client<C> {
    /// The first server, as `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.inner.endpoints.first.to_string()
    }

    /// Every server, as they were given.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.inner.endpoints.iter()
    }

    /// How long each phase may last.
    #[must_use]
    pub fn timeouts(&self) -> &Timeouts {
        &self.inner.config.timeouts
    }

    /// Whether and when a connection is encrypted.
    #[must_use]
    pub fn security(&self) -> Security {
        self.inner.config.security
    }

    /// The longest that [`send`](Self::send) can last with this client's settings, itemised by phase:
    /// [`Timeouts::worst_case`] and what TLS and authentication add to it, with every endpoint dialled in every attempt
    /// that [`Retry`] allows, and the waits between them.
    ///
    /// ```
    /// use postbound::{Client, Endpoint, Phase, Retry};
    /// let client = Client::builder("a.example", 25)
    ///     .endpoint(Endpoint::new("b.example", 25)?)
    ///     .retry(Retry::attempts(3))
    ///     .build()?;
    /// let promise = client.worst_case(1, 1_000);
    /// let times = |phase| promise.items().iter().find(|item| item.phase == phase).map(|i| i.times);
    /// assert_eq!(times(Phase::Greeting), Some(6));
    /// assert_eq!(times(Phase::DataTermination), Some(3));
    /// assert_eq!(times(Phase::Backoff), Some(2));
    /// assert_eq!(times(Phase::Quit), Some(1));
    /// # Ok::<(), postbound::ClientError>(())
    /// ```
    #[must_use]
    pub fn worst_case(&self, recipients: usize, octets: u64) -> WorstCase {
        self.attempts_worst_case(self.securities(), recipients, octets)
    }

    /// The same with another number of endpoints.
    pub(crate) fn attempts_worst_case(
        &self,
        endpoints: impl IntoIterator<Item = Security>,
        recipients: usize,
        octets: u64,
    ) -> WorstCase {
        let attempts = u64::from(self.retry().max_attempts());
        let quit = self.timeouts().worst_case(0, 0);
        self.attempt_worst_case(endpoints, recipients, octets)
            .repeated(attempts)
            .and(&quit.between(Phase::Quit, Phase::Quit))
            .plus(Phase::Backoff, attempts - 1)
    }

    /// The same of one attempt, up to the final reply.
    pub(crate) fn attempt_worst_case(
        &self,
        endpoints: impl IntoIterator<Item = Security>,
        recipients: usize,
        octets: u64,
    ) -> WorstCase {
        let one = self
            .timeouts()
            .worst_case(recipients, octets)
            .plus(Phase::DataBlock, self.chunks_before_the_last(octets))
            .plus(
                Phase::DataTermination,
                match self.inner.config.protocol {
                    Protocol::Smtp => 0,
                    Protocol::Lmtp => {
                        u64::try_from(recipients.saturating_sub(1)).unwrap_or(u64::MAX)
                    }
                },
            );
        let dial = one.between(Phase::Resolve, Phase::Auth);
        let auth = self.inner.auth.as_ref();
        let rounds = auth.map_or(0, |auth| auth.rounds(&self.inner.config.limits));
        endpoints.into_iter().fold(
            one.between(Phase::Mail, Phase::DataTermination),
            |sum, security| {
                sum.and(&dial)
                    .plus_security(security)
                    .plus(Phase::Auth, rounds)
            },
        )
    }

    /// How many chunks there are before the last one, at most: a source of unknown length ends with
    /// one that is empty.
    fn chunks_before_the_last(&self, octets: u64) -> u64 {
        match self.inner.options.chunking {
            Chunking::UpTo(most) => octets.div_ceil(u64::from(most.max(1)).min(GATHERED as u64)),
            // As long as it may have to wait for its replies.
            Chunking::Ahead(_) => octets.div_ceil(GATHERED as u64),
            _ => 0,
        }
    }

    pub(crate) fn options(&self) -> TransactionOptions {
        self.inner.options
    }

    /// The mode of TLS of each endpoint.
    pub(crate) fn securities(&self) -> impl Iterator<Item = Security> {
        let default = self.security();
        self.endpoints()
            .map(move |endpoint| endpoint.security_or(default))
    }

    /// What TLS needs for this endpoint. One whose host can be no name of a server has none, and its
    /// handshake fails.
    fn tls_for(&self, endpoint: &Endpoint, security: Security) -> Option<Prepared> {
        let mut known = self.inner.tls.iter();
        let (_, prepared) = known.find(|(known, _)| *known == security)?;
        prepared.named(endpoint.host()).ok()
    }

    pub(crate) fn first(&self) -> &Endpoint {
        &self.inner.endpoints.first
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.inner.retry
    }

    pub(crate) fn seed(&self) -> &Seed {
        &self.inner.seed
    }

    pub(crate) fn order(&self) -> Order {
        Order::new(self.inner.endpoints.iter(), &self.inner.seed)
    }
}

impl<C: Connector> Client<C> {
    /// Opens a connection, waits for the greeting, says EHLO and, if it is told to
    /// ([`ClientBuilder::auth`]), authenticates.
    ///
    /// Ends within the limits of [`Phase::Resolve`], [`Phase::Connect`], [`Phase::Greeting`] and twice
    /// [`Phase::Ehlo`] (HELO is tried after a 500, 502 or 504), with TLS of [`Phase::TlsHandshake`], with
    /// STARTTLS of [`Phase::StartTls`] and one more of `Ehlo`, and within `bounds`. With several
    /// [endpoints](ClientBuilder::endpoint) the next one is dialled when one can't be had, and each
    /// has these limits.
    ///
    /// # Errors
    /// If there is no connection at rest in the end.
    ///
    /// # Cancel safety
    /// Dropping the future frees everything at once, except a look-up under way in the operating
    /// system's resolver, which goes on by itself.
    pub async fn connect<'t>(
        &self,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Connection<C::Stream>, Error> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        self.dial(&mut guard, bounds).await
    }

    /// Sends one message over a connection of its own: dials, runs the transaction, says QUIT. Again,
    /// if it failed and [`ClientBuilder::retry`] says so.
    ///
    /// Ends within [`worst_case`](Self::worst_case), and within `bounds`.
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`]. An
    /// unanswered QUIT is none. [`Error::earlier`] has what failed before.
    ///
    /// # Cancel safety
    /// Dropping the future frees everything at once. What became of the message is not known then,
    /// unless it had not begun; cancel with a token to be told.
    pub async fn send<'m, 't>(
        &self,
        envelope: &Envelope,
        message: impl Into<Message<'m>>,
        bounds: impl Into<Bounds<'t>>,
    ) -> Result<Receipt, Error> {
        let asked = bounds.into();
        let (bounds, mut guard) = asked.start();
        let order = self.order();
        let recipients = envelope.forward_paths().len();
        // Pinned here, and handed on as a pointer: what is handed on itself is in the future twice.
        let call = pin!(self.deliver(&mut guard, envelope, message.into(), bounds, order));
        traced::send(recipients, call).await
    }

    /// Dials this endpoint and no other.
    pub(crate) async fn dial_one(
        &self,
        endpoint: &Endpoint,
        guard: &mut Guard<'_>,
        bounds: proto::Bounds,
    ) -> Result<Connection<C::Stream>, Error> {
        let started = clock::now();
        let mut timings = Timings::default();
        let Inner {
            config,
            attempt_delay,
            connector,
            ..
        } = &*self.inner;
        let security = endpoint.security_or(config.security);
        let tls = self.tls_for(endpoint, security);
        let dial = Dial {
            connector,
            host: endpoint.host(),
            port: endpoint.port(),
            timeouts: &config.timeouts,
            limits: &config.limits,
            attempt_delay: *attempt_delay,
            bounds,
            timings: &mut timings,
        };
        let dialled = match dial.run(guard).await {
            Ok(dialled) => dialled,
            Err((failure, mut context)) => {
                context.endpoint = endpoint.to_string();
                context.elapsed = clock::now().saturating_duration_since(started);
                context.timings = timings;
                return Err(Error::new(failure, *context));
            }
        };
        let handshake = Handshake {
            tls: tls.as_ref(),
            security,
            timeouts: &config.timeouts,
            limits: &config.limits,
            bounds,
        };
        let stream = if security == Security::Implicit {
            let (spent, result) = handshake.run(guard, dialled.stream).await;
            timings.add(Phase::TlsHandshake, spent);
            match result {
                Ok(stream) => stream,
                Err((failure, cause)) => {
                    let context = error::Context {
                        endpoint: endpoint.to_string(),
                        address: Some(dialled.address),
                        elapsed: clock::now().saturating_duration_since(started),
                        timings,
                        cause,
                        ..error::Context::default()
                    };
                    return Err(Error::new(failure, context));
                }
            }
        } else {
            Transport::Plain(dialled.stream)
        };
        let mut config = config.clone();
        config.security = security;
        let show = self.inner.transcript.as_ref();
        config.observer = transcript::observer(show, endpoint, dialled.address, started);
        let session = Session::open(config, bounds, clock::now());
        let mut connection = Connection::new(
            stream,
            session,
            self.options(),
            endpoint.to_string().into(),
            dialled.address,
        );
        connection.add_dialled(&timings);
        let ready = match connection.greet(guard, handshake).await {
            Ok(()) => match &self.inner.auth {
                Some(auth) => connection.authenticate_with(guard, auth, bounds).await,
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        match ready {
            Ok(()) => Ok(connection),
            Err(mut error) => {
                let elapsed = clock::now().saturating_duration_since(started);
                error.merge_dial(connection.timings(), elapsed);
                Err(error)
            }
        }
    }
}
