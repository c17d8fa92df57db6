//! Where to send and under which limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use proto::transparency::LineEndings;
use proto::{
    BodyType, Chunking, Config, EhloName, Envelope, Limits, Phase, Protocol, Require, Security,
    Session, Timeouts, Timings, TransactionOptions, WorstCase,
};

use crate::auth::Auth;
use crate::bounds::Bounds;
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::dial::{ATTEMPT_DELAY, Dial};
use crate::endpoint::{Endpoint, Endpoints, Order};
use crate::error::{self, Error};
use crate::guard::Guard;
use crate::handshake::Handshake;
use crate::message::{GATHERED, Message};
use crate::receipt::Receipt;
use crate::retry::Retry;
use crate::seed::Seed;
use crate::tcp::TcpConnector;
use crate::tls::{Prepared, Tls};
use crate::traced;
use crate::transcript::{self, Transcript, TranscriptEntry};
use crate::transport::Transport;

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
        ClientBuilder {
            endpoints: Endpoints {
                first: Endpoint::unchecked(host.into(), port),
                others: Vec::new(),
            },
            ehlo_name: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            security: Security::None,
            tls: Tls::new(),
            auth: None,
            transcript: None,
            options: TransactionOptions::default(),
            attempt_delay: ATTEMPT_DELAY,
            masked: Vec::new(),
            protocol: Protocol::Smtp,
            retry: Retry::default(),
            seed: None,
            connector: TcpConnector::new(),
        }
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
    pub async fn connect(&self, bounds: impl Into<Bounds>) -> Result<Connection<C::Stream>, Error> {
        let (bounds, tokens) = bounds.into().start();
        self.dial(&mut Guard::new(tokens), bounds).await
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
    pub async fn send<'m>(
        &self,
        envelope: &Envelope,
        message: impl Into<Message<'m>>,
        bounds: impl Into<Bounds>,
    ) -> Result<Receipt, Error> {
        let (bounds, tokens) = bounds.into().start();
        let mut guard = Guard::new(tokens);
        let order = self.order();
        let recipients = envelope.forward_paths().len();
        let call = self.deliver(&mut guard, envelope, message.into(), bounds, order);
        traced::send(recipients, call).await
    }

    /// Dials this endpoint and no other.
    pub(crate) async fn dial_one(
        &self,
        endpoint: &Endpoint,
        guard: &mut Guard,
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
        let (stream, facts) = if security == Security::Implicit {
            let (spent, result) = handshake.run(guard, dialled.stream).await;
            timings.add(Phase::TlsHandshake, spent);
            match result {
                Ok((stream, facts)) => (stream, Some(facts)),
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
            (Transport::Plain(dialled.stream), None)
        };
        let mut config = config.clone();
        config.security = security;
        let show = self.inner.transcript.as_ref();
        config.observer = transcript::observer(show, endpoint, dialled.address, started);
        let session = Session::open(config, bounds, clock::now());
        let mut connection = Connection::new(
            stream,
            facts,
            session,
            endpoint.to_string(),
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

/// Settings of a [`Client`] to be.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder<C> {
    endpoints: Endpoints,
    ehlo_name: Option<EhloName>,
    timeouts: Timeouts,
    limits: Limits,
    security: Security,
    tls: Tls,
    auth: Option<Auth>,
    transcript: Option<Transcript>,
    options: TransactionOptions,
    attempt_delay: Duration,
    masked: Vec<String>,
    protocol: Protocol,
    retry: Retry,
    seed: Option<u64>,
    connector: C,
}

impl<C> ClientBuilder<C> {
    /// One more server to send to. The next one is dialled when one can't be reached, breaks the
    /// protocol, can't be encrypted as it has to, or answers its greeting or EHLO with a 4yz; never
    /// after a 5yz, which the next one would say, too, and never once a transaction has begun: that
    /// is [`retry`](Self::retry)'s. Either all endpoints require TLS or none does.
    ///
    /// If the call has a deadline, each endpoint may use an equal share, among those that are left, of
    /// what is left of it without the reserve; the last one has all of it. So a call of 30 s gives
    /// the first of three 10 s to be dialled, and if that is refused at once, the second 15 s.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.others.push(endpoint);
        self
    }

    /// Whether [`Client::send`] tries again after a failure. Default: [`Retry::never`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Where chance comes from: the order of equal endpoints and the spread of waits. Default: a
    /// seed of the process's own. A simulation gives one, and has the same run again.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How the client names itself. Default: the address literal `[127.0.0.1]`, which RFC 5321
    /// §4.1.3 allows where a client has no domain. A server on the internet wants a real name.
    pub fn ehlo_name(mut self, name: EhloName) -> Self {
        self.ehlo_name = Some(name);
        self
    }

    /// How long each phase may last. Default: [`Timeouts::INTERACTIVE`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// What the server may make the client hold. Default: [`Limits::DEFAULT`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether and when the connection is encrypted. Default: [`Security::None`] from
    /// [`Client::builder`], TLS required from [`Client::submission`].
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Whom to trust, and as whom. Default: the operating system's trust, no client certificate.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// How each connection authenticates before it is used. Default: not at all.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Is shown every command and every reply of every connection, for a log. There are no secrets
    /// in it. It must return quickly: it is called from within the one wait.
    pub fn transcript(mut self, show: impl Fn(&TranscriptEntry) + Send + Sync + 'static) -> Self {
        self.transcript = Some(Transcript(Arc::new(show)));
        self
    }

    /// Which recipients must be accepted for [`Client::send`]. Default: any.
    pub fn require(mut self, require: Require) -> Self {
        self.options.require = require;
        self
    }

    /// What [`Client::send`] does with a bare CR or bare LF. Default: it becomes CRLF.
    pub fn line_endings(mut self, line_endings: LineEndings) -> Self {
        self.options.line_endings = line_endings;
        self
    }

    /// Whether [`Client::send`] sends mail data by DATA or in chunks (BDAT, RFC 3030). Default: by
    /// DATA. [`Client::worst_case`] counts one more limit of
    /// [`Phase::DataBlock`] for each chunk whose reply may have to be waited for.
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.options.chunking = chunking;
        self
    }

    /// What the mail data of [`Client::send`] is made of. Default, and with
    /// [`BodyType::SevenBit`]: found out, as [`Transaction::body`](crate::Transaction::body) says.
    pub fn body(mut self, body: BodyType) -> Self {
        self.options.body = body;
        self
    }

    /// Which protocol is spoken. Default SMTP. Over LMTP (RFC 2033) each recipient has an
    /// [outcome](crate::Recipient::outcome) of its own, and [`Client::worst_case`] counts a limit of
    /// [`Phase::DataTermination`] for each.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How long an address of the server is tried before the next one is begun beside it (RFC 8305
    /// §5). Default 250 ms, the RFC's recommendation; a shorter one than 10 ms is taken as 10 ms. It
    /// is shortened where the limit of [`Phase::Connect`] would end before
    /// every address was begun.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay;
        self
    }

    /// Takes the service extension with this EHLO keyword, such as `PIPELINING`, as not offered: the
    /// way around a server that offers what it can't do. May be given again.
    pub fn without_extension(mut self, keyword: impl Into<String>) -> Self {
        self.masked.push(keyword.into());
        self
    }

    /// The network to use. Default: the operating system's TCP.
    pub fn connector<D: Connector>(self, connector: D) -> ClientBuilder<D> {
        self.map_connector(|_| connector)
    }

    pub(crate) fn map_connector<D>(self, over: impl FnOnce(C) -> D) -> ClientBuilder<D> {
        ClientBuilder {
            endpoints: self.endpoints,
            ehlo_name: self.ehlo_name,
            timeouts: self.timeouts,
            limits: self.limits,
            security: self.security,
            tls: self.tls,
            auth: self.auth,
            transcript: self.transcript,
            options: self.options,
            attempt_delay: self.attempt_delay,
            masked: self.masked,
            protocol: self.protocol,
            retry: self.retry,
            seed: self.seed,
            connector: over(self.connector),
        }
    }

    /// The client.
    ///
    /// # Errors
    /// If the host is neither a domain nor an IP address, the port is zero, or TLS can't be had as
    /// it is wanted.
    pub fn build(self) -> Result<Client<C>, ClientError> {
        self.endpoints.iter().try_for_each(Endpoint::check)?;
        let ehlo_name = self
            .ehlo_name
            .unwrap_or_else(|| EhloName::from_ip(std::net::Ipv4Addr::LOCALHOST.into()));
        let mut config = Config::new(ehlo_name);
        config.security = self.security;
        config.timeouts = self.timeouts;
        config.limits = self.limits;
        config.masked = self.masked;
        config.protocol = self.protocol;
        let security = self.security;
        let required = |endpoint: &Endpoint| endpoint.security_or(security).is_required();
        let first = required(&self.endpoints.first);
        if self.endpoints.iter().any(|other| required(other) != first) {
            return Err(ClientError::MixedSecurity);
        }
        let mut tls: Vec<(Security, Prepared)> = Vec::new();
        for endpoint in self.endpoints.iter() {
            let security = endpoint.security_or(security);
            match tls.iter().find(|(known, _)| *known == security) {
                _ if security == Security::None => {}
                Some((_, known)) => drop(known.named(endpoint.host())?),
                None => tls.push((security, self.tls.prepare(security, endpoint.host())?)),
            }
        }
        Ok(Client {
            inner: Arc::new(Inner {
                endpoints: self.endpoints,
                config,
                tls,
                auth: self.auth,
                transcript: self.transcript,
                options: self.options,
                attempt_delay: self.attempt_delay,
                retry: self.retry,
                seed: self.seed.map_or_else(Seed::of_process, Seed::new),
                connector: self.connector,
            }),
        })
    }
}

/// A letter-digit-hyphen name (underscores are met in practice) or an IP address, so that nothing
/// else can reach a resolver or a log.
pub(crate) fn check_host(host: &str) -> Result<(), ClientError> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if let Some(wrong) = host
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
    {
        return Err(ClientError::HostCharacter(wrong));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253
        || name
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err(ClientError::HostLength);
    }
    Ok(())
}

/// A client that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// The host has a character that no domain has.
    HostCharacter(char),
    /// The host is empty or too long, or one of its labels is.
    HostLength,
    /// The port is zero.
    Port,
    /// Some endpoints require TLS and others do not: whoever keeps the client from the former would
    /// have it send in clear.
    MixedSecurity,
    /// TLS can't be had as it is wanted: why.
    Tls(String),
    /// The credentials for a proxy can't be said to one.
    ProxyCredentials,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostCharacter(c) => write!(
                f,
                "the host has {c:?} (U+{:04X}) in it; give a domain or an IP address, and the port apart from it",
                u32::from(*c)
            ),
            Self::HostLength => f.write_str(
                "the host is no domain: it needs 1 to 253 characters in labels of 1 to 63",
            ),
            Self::MixedSecurity => f.write_str(
                "some endpoints require TLS and others do not; require it of all, or make two clients",
            ),
            Self::Tls(why) => write!(f, "TLS can't be had: {why}"),
            Self::ProxyCredentials => f.write_str(
                "a proxy takes a user and a password of 1 to 255 octets each, without control characters, and no colon in the user",
            ),
            Self::Port => f.write_str("the port is 0; SMTP relays listen on 25, submission on 587"),
        }
    }
}

impl std::error::Error for ClientError {}
