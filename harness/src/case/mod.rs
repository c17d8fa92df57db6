//! One experiment: what the client is asked to do, and what goes wrong meanwhile.

mod text;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use postbound::rustls::ClientConfig;
use postbound::sasl::{AuthPolicy, Credentials, Mechanism};
use postbound::{
    Auth, Bounds, CancellationToken, Chunking, Client, ClientBuilder, Connector, Envelope, Phase,
    Protocol, Proxy, Require, Security, TcpConnector, Timeouts, Tls, WorstCase,
};
use simnet::plan::ProxyKind;
use simnet::tls::{self, Authority};
use simnet::{Account, Double, Front, Plan, Script};

pub use self::text::{CaseError, SETTINGS};

/// The user who authenticates in a case.
pub const USER: &str = "sender@client.example";
/// The user's password or token. It has another form in every encoding.
pub const SECRET: &str = "S3cret/t0ken+with=odd&chars?%";

/// What TLS needs and what costs too much to make for every case.
struct Fixture {
    authority: Authority,
    server: tls::Tls,
    client: Arc<ClientConfig>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let authority = Authority::fixed().expect("an authority");
    Fixture {
        server: tls::Tls::starttls(&authority).expect("certificates"),
        client: tls::client_config(&authority, None).expect("a configuration"),
        authority,
    }
});

/// The configuration of a client that trusts the double's authority, with the same handshake in
/// every run.
#[must_use]
pub fn client_config() -> Arc<ClientConfig> {
    Arc::clone(&FIXTURE.client)
}

/// The authority behind the double's certificates.
#[must_use]
pub fn authority() -> &'static Authority {
    &FIXTURE.authority
}

/// One experiment, complete in one line of text: `timeout=2s recipients=1 octets=400 -- v1 | rcpt: stall`.
///
/// Times are whole milliseconds. What is not named has the default that [`Case::default`] shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// Every phase's limit.
    pub timeout: Duration,
    /// Other limits for some phases.
    pub timeouts: Vec<(Phase, Duration)>,
    /// Recipients of the message.
    pub recipients: u16,
    /// Octets of the message.
    pub octets: u32,
    /// Whether every recipient has to be accepted.
    pub all: bool,
    /// Whether the message is sent once more over the same connection if it is refused.
    pub again: bool,
    /// Whether NOOP is said before the transaction.
    pub noop: bool,
    /// The overall deadline.
    pub deadline: Option<Duration>,
    /// What of the deadline is kept for the final reply.
    pub reserve: Duration,
    /// How much longer the final reply is waited for.
    pub linger: Duration,
    /// When the token is cancelled.
    pub cancel: Option<Duration>,
    /// Whether the server offers PIPELINING.
    pub pipelining: bool,
    /// Whether the message has octets over 127.
    pub eight_bit: bool,
    /// Whether the server offers CHUNKING and the client uses it, in chunks of at most this many octets.
    pub chunking: Option<u32>,
    /// Whether it goes ahead of the replies to MAIL and RCPT then, in one chunk.
    pub ahead: bool,
    /// Whether both speak LMTP.
    pub lmtp: bool,
    /// Whether and when the client wants TLS.
    pub tls: Security,
    /// Whether and when the server has it, if it is not as the client wants it.
    pub server_tls: Option<Security>,
    /// The mechanism by which the client authenticates, which is the only one that the server offers.
    pub auth: Option<Mechanism>,
    /// The proxy that is between the two. It has the same user and secret as the server.
    pub proxy: Option<ProxyKind>,
    /// What goes wrong.
    pub plan: Plan,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            timeouts: Vec::new(),
            recipients: 1,
            octets: 400,
            all: false,
            again: false,
            noop: false,
            deadline: None,
            reserve: Duration::ZERO,
            linger: Duration::ZERO,
            cancel: None,
            pipelining: true,
            eight_bit: false,
            chunking: None,
            ahead: false,
            lmtp: false,
            tls: Security::None,
            server_tls: None,
            auth: None,
            proxy: None,
            plan: Plan::healthy(),
        }
    }
}

impl Case {
    /// The default client against this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    /// The client's limits.
    #[must_use]
    pub fn limits(&self) -> Timeouts {
        let uniform = Timeouts::uniform(self.timeout).unwrap_or_default();
        self.timeouts
            .iter()
            .fold(uniform, |timeouts, (phase, limit)| {
                timeouts.with(*phase, *limit).unwrap_or(timeouts)
            })
    }

    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        let from = "sender@client.example".parse().expect("a valid path");
        let to = (1..=self.recipients.max(1)).map(|n| {
            format!("recipient{n}@double.example")
                .parse()
                .expect("a valid path")
        });
        Envelope::new(from, to).expect("there is a recipient")
    }

    /// Which recipients must be accepted.
    #[must_use]
    pub fn require(&self) -> Require {
        if self.all {
            Require::AllRecipients
        } else {
            Require::AnyRecipient
        }
    }

    /// Whether the message goes in chunks.
    #[must_use]
    pub fn chunks(&self) -> Chunking {
        match self.chunking {
            Some(_) if self.ahead => Chunking::AHEAD,
            Some(octets) => Chunking::UpTo(octets),
            None => Chunking::Never,
        }
    }

    /// Which protocol is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        if self.lmtp {
            Protocol::Lmtp
        } else {
            Protocol::Smtp
        }
    }

    /// What the server offers, where it is not what a double offers by itself.
    fn script(&self) -> Option<Script> {
        if self.pipelining && self.chunking.is_none() && !self.lmtp && self.auth.is_none() {
            return None;
        }
        let mut script = Script::default();
        if !self.pipelining {
            script = script.without("PIPELINING");
        }
        if self.chunking.is_some() {
            script = script.with("CHUNKING");
        }
        if self.lmtp {
            script = script.with_lmtp();
        }
        if let Some(mechanism) = self.auth {
            script = script.with_auth(mechanism.name(), Account::new(USER, SECRET));
        }
        Some(script)
    }

    /// The server that the client meets.
    #[must_use]
    pub fn double(&self) -> Double {
        let mut double = Double::new(self.plan.clone());
        if let Some(script) = self.script() {
            double = double.with_script(script);
        }
        if self.proxy.is_some() {
            double = double.behind(Front::with_credentials(USER, SECRET));
        }
        match self.server_tls.unwrap_or(self.tls) {
            Security::None => double,
            security => double.with_tls(
                FIXTURE
                    .server
                    .clone()
                    .with_implicit(security == Security::Implicit),
            ),
        }
    }

    /// The proxy that the client uses.
    #[must_use]
    pub fn proxy(&self) -> Option<Proxy> {
        let proxy = match self.proxy? {
            ProxyKind::Socks5 => Proxy::socks5("proxy.example", 1080),
            ProxyKind::Http => Proxy::http("proxy.example", 3128),
        };
        let proxy = proxy.and_then(|proxy| proxy.clear_text_credentials(USER, SECRET));
        Some(proxy.expect("a valid proxy"))
    }

    /// How the client authenticates: over a connection in clear where the case has no TLS, with the
    /// same nonce in each run.
    #[must_use]
    pub fn authentication(&self) -> Option<Auth> {
        let mechanism = self.auth?;
        let credentials = match mechanism {
            Mechanism::External => Credentials::external(),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::token(USER, SECRET),
            _ => Credentials::password(USER, SECRET),
        };
        let policy = AuthPolicy::new()
            .only([mechanism])
            .allow_clear_text_without_tls();
        let auth = Auth::new(credentials).policy(policy);
        Some(auth.nonces(|| Ok([0x5a; 18])))
    }

    /// The message: lines that begin with dots are among the others.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let octets = usize::try_from(self.octets).unwrap_or(usize::MAX);
        let mut message = Vec::with_capacity(octets.saturating_add(128));
        message.extend_from_slice(b"Subject: a case\r\n\r\n");
        if self.eight_bit {
            message.extend_from_slice("Gr\u{fc}\u{df}e\r\n".as_bytes());
        }
        let mut line = 0;
        while message.len() < octets {
            line += 1;
            let text: &[u8] = match line % 5 {
                1 => b".leading dot\r\n",
                2 => b".\r\n",
                3 => b"..two\r\n",
                _ => b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n",
            };
            message.extend_from_slice(text);
        }
        message
    }

    /// The client that is put to the test.
    #[must_use]
    pub fn client<C: Connector>(&self, connector: C) -> Client<C> {
        self.builder(connector).build().expect("a valid client")
    }

    /// The same, with settings that are still to be made.
    pub fn builder<C: Connector>(&self, connector: C) -> ClientBuilder<C> {
        let builder = Client::builder("double.example", 25)
            .timeouts(self.limits())
            .require(self.require())
            .chunking(self.chunks())
            .protocol(self.protocol())
            .security(self.tls)
            .connector(connector);
        let builder = match self.authentication() {
            Some(auth) => builder.auth(auth),
            None => builder,
        };
        match self.tls {
            // It takes any certificate by itself.
            Security::None | Security::StartTlsIfOfferedInsecure => builder,
            _ => builder.tls(Tls::from_config(client_config())),
        }
    }

    /// What the client promises, itemised.
    #[must_use]
    pub fn worst_case(&self) -> WorstCase {
        let octets = postbound::wire_octets(&self.message());
        let client = self.client(TcpConnector::new());
        client.worst_case(usize::from(self.recipients.max(1)), octets)
    }

    /// The call's bounds, with this token.
    pub fn bounds<'t>(&self, token: &'t CancellationToken) -> Bounds<'t> {
        let bounds = Bounds::none()
            .cancelled_by(token)
            .reserve(self.reserve)
            .linger(self.linger);
        match self.deadline {
            Some(deadline) => bounds.within(deadline),
            None => bounds,
        }
    }

    /// The longest that the call may last: the sum of the limits, or the deadline if it is earlier,
    /// and the linger.
    #[must_use]
    pub fn promise(&self) -> Duration {
        let worst = self.worst_case();
        let sum = worst.total();
        let again = if self.again {
            // The refused transaction, and the RSET behind it.
            let refused = worst.between(Phase::Mail, Phase::DataTermination);
            refused.total() + self.limits().of(Phase::Reset)
        } else {
            Duration::ZERO
        };
        let command = match self.noop {
            true => self.limits().of(Phase::Command),
            false => Duration::ZERO,
        };
        let sum = sum + again + command;
        self.deadline.map_or(sum, |deadline| deadline.min(sum)) + self.linger
    }
}
