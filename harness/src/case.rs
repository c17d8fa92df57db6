//! One experiment: what the client is asked to do, and what goes wrong meanwhile.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use postbound::rustls::ClientConfig;
use postbound::sasl::{AuthPolicy, Credentials, Mechanism, UnknownMechanism};
use postbound::{
    Auth, Bounds, CancellationToken, Chunking, Client, ClientBuilder, Connector, Envelope, Phase,
    Protocol, Proxy, Require, Security, TcpConnector, Timeouts, Tls, WorstCase,
};
use simnet::plan::{Plain, ProxyKind, parse_duration};
use simnet::tls::{self, Authority};
use simnet::{Account, Double, Front, Plan, Script};

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
    pub fn bounds(&self, token: &CancellationToken) -> Bounds {
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

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeout={}", Plain(self.timeout))?;
        for (phase, limit) in &self.timeouts {
            write!(f, " timeout.{phase}={}", Plain(*limit))?;
        }
        write!(f, " recipients={} octets={}", self.recipients, self.octets)?;
        if self.all {
            f.write_str(" require=all")?;
        }
        if self.again {
            f.write_str(" again=yes")?;
        }
        if self.noop {
            f.write_str(" noop=yes")?;
        }
        if !self.pipelining {
            f.write_str(" pipelining=no")?;
        }
        if self.eight_bit {
            f.write_str(" body=8bit")?;
        }
        match self.chunking {
            Some(_) if self.ahead => f.write_str(" chunking=ahead")?,
            Some(octets) => write!(f, " chunking={octets}")?,
            None => {}
        }
        if self.lmtp {
            f.write_str(" protocol=lmtp")?;
        }
        if self.tls != Security::None {
            write!(f, " tls={}", self.tls)?;
        }
        if let Some(tls) = self.server_tls {
            write!(f, " server-tls={tls}")?;
        }
        if let Some(mechanism) = self.auth {
            write!(f, " auth={}", mechanism.name().to_ascii_lowercase())?;
        }
        if let Some(proxy) = self.proxy {
            write!(f, " proxy={proxy}")?;
        }
        for (name, value) in [("deadline", self.deadline), ("cancel", self.cancel)] {
            if let Some(value) = value {
                write!(f, " {name}={}", Plain(value))?;
            }
        }
        for (name, value) in [("reserve", self.reserve), ("linger", self.linger)] {
            if !value.is_zero() {
                write!(f, " {name}={}", Plain(value))?;
            }
        }
        write!(f, " -- {}", self.plan.one_line())
    }
}

/// A line that is no case: what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseError(String);

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CaseError {}

impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        let (settings, plan) = text.split_once(" -- ").ok_or_else(|| {
            CaseError(
                "a case is `SETTINGS -- PLAN`, such as `timeout=2s -- v1 | rcpt: stall`; there is no ` -- `"
                    .to_owned(),
            )
        })?;
        let mut case = Self::new(
            plan.trim()
                .parse()
                .map_err(|error| CaseError(format!("in the plan: {error}")))?,
        );
        for setting in settings.split_whitespace() {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| CaseError(format!("{setting:?} is no setting; write NAME=VALUE")))?;
            case.set(name, value)
                .map_err(|why| CaseError(format!("{name}={}: {why}", value.escape_default())))?;
        }
        Ok(case)
    }
}

/// Every setting, and the values that the exhaustive sweep combines with those of all others. One
/// that is a quantity and no configuration has none.
pub const SETTINGS: &[(&str, &[&str])] = &[
    ("timeout", &[]),
    ("timeout.PHASE", &[]),
    ("recipients", &["1", "3"]),
    ("octets", &["0", "400"]),
    ("require", &["any", "all"]),
    ("again", &[]),
    ("noop", &[]),
    ("pipelining", &["yes", "no"]),
    ("body", &["7bit", "8bit"]),
    ("chunking", &["no", "150", "ahead"]),
    ("protocol", &["smtp", "lmtp"]),
    // TLS has an exhaustive sweep of its own.
    ("tls", &[]),
    ("server-tls", &[]),
    ("auth", &["none", "plain"]),
    // What is said to a proxy comes before all else, and depends on none of it.
    ("proxy", &[]),
    ("deadline", &[]),
    ("cancel", &[]),
    ("reserve", &[]),
    ("linger", &[]),
];

fn unknown_setting() -> String {
    let names: Vec<_> = SETTINGS.iter().map(|(name, _)| *name).collect();
    format!("no such setting; there are {}", names.join(", "))
}

impl Case {
    /// Changes one setting, as the text form names it.
    ///
    /// # Errors
    /// If [`SETTINGS`] does not have it, or not this value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let listed = |(known, _): &(&str, _)| {
            *known == name || (*known == "timeout.PHASE" && name.starts_with("timeout."))
        };
        if !SETTINGS.iter().any(listed) {
            return Err(unknown_setting());
        }
        match name {
            "timeout" => {
                self.timeout = duration(value)?;
                Timeouts::uniform(self.timeout).map_err(|e| e.to_string())?;
            }
            "recipients" => {
                self.recipients = number(value)?;
                if self.recipients == 0 {
                    return Err("there must be a recipient".to_owned());
                }
            }
            "octets" => {
                self.octets = number(value)?;
                if self.octets > 64 * 1024 * 1024 {
                    return Err("at most 67108864".to_owned());
                }
            }
            "require" if value == "all" => self.all = true,
            "require" if value == "any" => self.all = false,
            "require" => return Err("expected all or any".to_owned()),
            "again" if value == "yes" => self.again = true,
            "again" if value == "no" => self.again = false,
            "again" => return Err("expected yes or no".to_owned()),
            "noop" if value == "yes" => self.noop = true,
            "noop" if value == "no" => self.noop = false,
            "noop" => return Err("expected yes or no".to_owned()),
            "pipelining" if value == "yes" => self.pipelining = true,
            "pipelining" if value == "no" => self.pipelining = false,
            "pipelining" => return Err("expected yes or no".to_owned()),
            "body" if value == "7bit" => self.eight_bit = false,
            "body" if value == "8bit" => self.eight_bit = true,
            "body" => return Err("expected 7bit or 8bit".to_owned()),
            "chunking" if value == "no" => self.chunking = None,
            "chunking" if value == "ahead" => {
                self.chunking = Some(u32::MAX);
                self.ahead = true;
            }
            "chunking" => {
                self.ahead = false;
                let octets: u32 = number(value)?;
                if octets == 0 {
                    return Err("a chunk has at least one octet".to_owned());
                }
                self.chunking = Some(octets);
            }
            "protocol" if value == "smtp" => self.lmtp = false,
            "protocol" if value == "lmtp" => self.lmtp = true,
            "protocol" => return Err("expected smtp or lmtp".to_owned()),
            "tls" => self.tls = value.parse().map_err(|e| format!("{e}"))?,
            "server-tls" => {
                self.server_tls = Some(value.parse().map_err(|e| format!("{e}"))?);
            }
            "auth" if value == "none" => self.auth = None,
            "auth" => {
                let mechanism = value.parse();
                self.auth = Some(mechanism.map_err(|e: UnknownMechanism| e.to_string())?);
            }
            "proxy" if value == "none" => self.proxy = None,
            "proxy" => {
                let known = |kind: &ProxyKind| kind.name() == value;
                let kind = ProxyKind::ALL.into_iter().find(known);
                self.proxy = Some(kind.ok_or("expected none, socks5 or http")?);
            }
            "deadline" => self.deadline = Some(duration(value)?),
            "cancel" => self.cancel = Some(duration(value)?),
            "reserve" => self.reserve = duration(value)?,
            "linger" => self.linger = duration(value)?,
            _ => {
                let Some(phase) = name.strip_prefix("timeout.") else {
                    return Err(unknown_setting());
                };
                let phase = phase
                    .parse()
                    .map_err(|e: postbound::UnknownPhase| e.to_string())?;
                let limit = duration(value)?;
                Timeouts::default()
                    .with(phase, limit)
                    .map_err(|e| e.to_string())?;
                self.timeouts.push((phase, limit));
            }
        }
        Ok(())
    }
}

fn number<T: FromStr>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| "expected a whole number that fits".to_owned())
}

fn duration(value: &str) -> Result<Duration, String> {
    parse_duration(value).map_err(|expected| format!("expected {expected}"))
}
