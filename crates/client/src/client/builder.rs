//! The settings of a client.

use std::sync::Arc;
use std::time::Duration;

use proto::transparency::LineEndings;
use proto::{
    BodyType, Chunking, Config, EhloName, Limits, Protocol, Require, Security, Timeouts,
    TransactionOptions,
};

use super::{Client, ClientError, Inner};
use crate::auth::Auth;
use crate::connector::Connector;
use crate::dial::ATTEMPT_DELAY;
use crate::endpoint::{Endpoint, Endpoints};
use crate::retry::Retry;
use crate::seed::Seed;
use crate::tcp::TcpConnector;
use crate::tls::{Prepared, Tls};
use crate::transcript::{Transcript, TranscriptEntry};

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

impl ClientBuilder<TcpConnector> {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self {
            endpoints: Endpoints {
                first: Endpoint::unchecked(host, port),
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
    /// [`Phase::DataBlock`](crate::Phase::DataBlock) for each chunk whose reply may have to be waited for.
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
    /// [`Phase::DataTermination`](crate::Phase::DataTermination) for each.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
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
