//! Where to send and under which limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use proto::transparency::LineEndings;
use proto::{
    Config, EhloName, Envelope, Limits, Phase, Require, Security, Session, Timeouts, Timings,
    TransactionOptions, WorstCase,
};

use crate::bounds::Bounds;
use crate::clock;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::dial::{ATTEMPT_DELAY, Dial};
use crate::error::{self, Error};
use crate::guard::Guard;
use crate::handshake::Handshake;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::tcp::TcpConnector;
use crate::tls::{Prepared, Tls};
use crate::transaction::Settings;
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
    host: String,
    port: u16,
    config: Config,
    tls: Option<Prepared>,
    options: TransactionOptions,
    attempt_delay: Duration,
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
            .field("endpoint", &self.endpoint())
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
            host: host.into(),
            port,
            ehlo_name: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            security: Security::None,
            tls: Tls::new(),
            options: TransactionOptions::default(),
            attempt_delay: ATTEMPT_DELAY,
            masked: Vec::new(),
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
    /// The server, as `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let Inner { host, port, .. } = &*self.inner;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
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
    /// [`Timeouts::worst_case`] and what TLS adds to it.
    ///
    /// ```
    /// use postbound::{Client, Phase, Security, Timeouts};
    /// let limits = Timeouts::INTERACTIVE;
    /// let client = Client::builder("mx.example.org", 25).security(Security::StartTls).build()?;
    /// let promise = client.worst_case(1, 1_000).total();
    /// let added = limits.of(Phase::StartTls) + limits.of(Phase::TlsHandshake) + limits.of(Phase::Ehlo);
    /// assert_eq!(promise, limits.worst_case(1, 1_000).total() + added);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worst_case(&self, recipients: usize, octets: u64) -> WorstCase {
        self.timeouts()
            .worst_case(recipients, octets)
            .plus_security(self.security())
    }

    pub(crate) fn options(&self) -> TransactionOptions {
        self.inner.options
    }
}

impl<C: Connector> Client<C> {
    /// Opens a connection, waits for the greeting and says EHLO.
    ///
    /// Ends within the limits of [`Phase::Resolve`](crate::Phase::Resolve),
    /// [`Phase::Connect`](crate::Phase::Connect), [`Phase::Greeting`](crate::Phase::Greeting) and twice
    /// [`Phase::Ehlo`](crate::Phase::Ehlo) (HELO is tried after a 500, 502 or 504), with TLS of
    /// [`Phase::TlsHandshake`](crate::Phase::TlsHandshake), with STARTTLS of
    /// [`Phase::StartTls`](crate::Phase::StartTls) and one more of `Ehlo`, and within `bounds`.
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

    /// Sends one message over a connection of its own: dials, runs the transaction, says QUIT.
    ///
    /// Ends within [`worst_case`](Self::worst_case), and within `bounds`.
    ///
    /// # Errors
    /// If the message was not accepted, or is not known to be: see [`Error::outcome`]. An
    /// unanswered QUIT is none.
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
        let started = clock::now();
        let (bounds, tokens) = bounds.into().start();
        let mut message = message.into();
        let mut guard = Guard::new(tokens);
        let mut connection = self.dial(&mut guard, bounds).await?;
        let dialled = *connection.timings();
        let result = connection
            .send_with(
                &mut guard,
                envelope,
                &mut message,
                Settings::new(self.inner.options),
                bounds,
            )
            .await;
        let elapsed = clock::now().saturating_duration_since(started);
        match result {
            Ok(mut receipt) => {
                receipt.acceptance.timings.merge(&dialled);
                receipt.elapsed = elapsed;
                connection.say_quit(&mut guard, bounds).await;
                Ok(receipt)
            }
            // Nothing is awaited after an error: dropping the connection closes it.
            Err(mut error) => {
                error.merge_dial(&dialled, elapsed);
                Err(error)
            }
        }
    }

    pub(crate) async fn dial(
        &self,
        guard: &mut Guard,
        bounds: proto::Bounds,
    ) -> Result<Connection<C::Stream>, Error> {
        let started = clock::now();
        let mut timings = Timings::default();
        let Inner {
            host,
            port,
            config,
            tls,
            attempt_delay,
            connector,
            ..
        } = &*self.inner;
        let dial = Dial {
            connector,
            host,
            port: *port,
            timeouts: &config.timeouts,
            limits: &config.limits,
            attempt_delay: *attempt_delay,
            bounds,
            timings: &mut timings,
        };
        let dialled = match dial.run(guard).await {
            Ok(dialled) => dialled,
            Err((failure, mut context)) => {
                context.endpoint = self.endpoint();
                context.elapsed = clock::now().saturating_duration_since(started);
                context.timings = timings;
                return Err(Error::new(failure, *context));
            }
        };
        let handshake = Handshake {
            tls: tls.as_ref(),
            security: config.security,
            timeouts: &config.timeouts,
            limits: &config.limits,
            bounds,
        };
        let (stream, facts) = if config.security == Security::Implicit {
            let (spent, result) = handshake.run(guard, dialled.stream).await;
            timings.add(Phase::TlsHandshake, spent);
            match result {
                Ok((stream, facts)) => (stream, Some(facts)),
                Err((failure, cause)) => {
                    let context = error::Context {
                        endpoint: self.endpoint(),
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
        let session = Session::open(config.clone(), bounds, clock::now());
        let mut connection =
            Connection::new(stream, facts, session, self.endpoint(), dialled.address);
        connection.add_dialled(&timings);
        match connection.greet(guard, handshake).await {
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
    host: String,
    port: u16,
    ehlo_name: Option<EhloName>,
    timeouts: Timeouts,
    limits: Limits,
    security: Security,
    tls: Tls,
    options: TransactionOptions,
    attempt_delay: Duration,
    masked: Vec<String>,
    connector: C,
}

impl<C> ClientBuilder<C> {
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

    /// How long an address of the server is tried before the next one is begun beside it (RFC 8305
    /// §5). Default 250 ms, the RFC's recommendation; a shorter one than 10 ms is taken as 10 ms. It
    /// is shortened where the limit of [`Phase::Connect`](crate::Phase::Connect) would end before
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
        ClientBuilder {
            host: self.host,
            port: self.port,
            ehlo_name: self.ehlo_name,
            timeouts: self.timeouts,
            limits: self.limits,
            security: self.security,
            tls: self.tls,
            options: self.options,
            attempt_delay: self.attempt_delay,
            masked: self.masked,
            connector,
        }
    }

    /// The client.
    ///
    /// # Errors
    /// If the host is neither a domain nor an IP address, the port is zero, or TLS can't be had as
    /// it is wanted.
    pub fn build(self) -> Result<Client<C>, ClientError> {
        check_host(&self.host)?;
        if self.port == 0 {
            return Err(ClientError::Port);
        }
        let ehlo_name = self
            .ehlo_name
            .unwrap_or_else(|| EhloName::from_ip(std::net::Ipv4Addr::LOCALHOST.into()));
        let mut config = Config::new(ehlo_name);
        config.security = self.security;
        config.timeouts = self.timeouts;
        config.limits = self.limits;
        config.masked = self.masked;
        let tls = match self.security {
            Security::None => None,
            security => Some(self.tls.prepare(security, &self.host)?),
        };
        Ok(Client {
            inner: Arc::new(Inner {
                host: self.host,
                port: self.port,
                config,
                tls,
                options: self.options,
                attempt_delay: self.attempt_delay,
                connector: self.connector,
            }),
        })
    }
}

/// A letter-digit-hyphen name (underscores are met in practice) or an IP address, so that nothing
/// else can reach a resolver or a log.
fn check_host(host: &str) -> Result<(), ClientError> {
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
    /// TLS can't be had as it is wanted: why.
    Tls(String),
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
            Self::Tls(why) => write!(f, "TLS can't be had: {why}"),
            Self::Port => f.write_str("the port is 0; SMTP relays listen on 25, submission on 587"),
        }
    }
}

impl std::error::Error for ClientError {}
