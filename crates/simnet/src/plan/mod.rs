//! What goes wrong, as a value: a list of faults over a healthy default script.
//!
//! An empty plan is a healthy server on a healthy network. Each [`Rule`] makes one thing wrong, so
//! that deleting rules is how a failing plan is shrunk and what is left is the cause.

mod display;
mod duration;
mod explain;
mod label;
mod parse;
mod proxy;
mod sasl;
mod tls;
pub mod vocabulary;
mod when;

use std::time::Duration;

use proto::Phase;

pub use duration::{Plain, parse_duration};
pub use explain::Explained;
pub(crate) use label::Label;
pub use label::Place;
pub use parse::PlanError;
pub use proxy::{ProxyFault, ProxyKind, ProxySay, ProxyStep};
pub use sasl::SaslFault;
pub use tls::{Break, Certificate, TlsFault};
pub use when::{Pattern, When};

/// Faults over a healthy default script, in the order in which they are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The faults. For each occasion the first rule that fits it is the one that acts.
    pub rules: Vec<Rule>,
}

impl Plan {
    /// A healthy server on a healthy network.
    #[must_use]
    pub fn healthy() -> Self {
        Self::default()
    }

    /// These faults.
    #[must_use]
    pub fn of(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
        }
    }

    pub(crate) fn resolve_fault(&self) -> Option<&ResolveFault> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Resolve(fault) => Some(fault),
            _ => None,
        })
    }

    /// What happens at the address with this number, counted from 1.
    pub(crate) fn connect_fault(&self, number: u16) -> Option<&ConnectFault> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Connect { address, fault } if address.is_none_or(|at| at == number) => {
                Some(fault)
            }
            _ => None,
        })
    }

    pub(crate) fn link_faults(&self) -> impl DoubleEndedIterator<Item = &LinkFault> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Link(fault) => Some(fault),
            _ => None,
        })
    }

    /// What goes wrong with TLS, as it was said at the start.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_faults(&self) -> impl Iterator<Item = &TlsFault> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Tls(fault) => Some(fault),
            _ => None,
        })
    }

    /// The certificate that the server shows.
    #[cfg(feature = "tls")]
    pub(crate) fn certificate(&self) -> Certificate {
        self.tls_faults()
            .find_map(|fault| match fault {
                TlsFault::Certificate(certificate) => Some(*certificate),
                _ => None,
            })
            .unwrap_or(Certificate::Good)
    }

    /// How many addresses the name has.
    pub(crate) fn addresses(&self) -> u16 {
        match self.resolve_fault() {
            Some(ResolveFault::Addresses(count)) => *count,
            Some(ResolveFault::Families(families)) => {
                u16::try_from(families.len()).unwrap_or(u16::MAX)
            }
            _ => 1,
        }
    }

    /// The family of the address with this number, counted from 1.
    pub(crate) fn family(&self, number: u16) -> Family {
        let index = usize::from(number).saturating_sub(1);
        match self.resolve_fault() {
            Some(ResolveFault::Families(families)) => families.get(index).copied(),
            _ => None,
        }
        .unwrap_or(Family::V4)
    }
}

/// One fault and where it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The look-up of the server's name.
    Resolve(ResolveFault),
    /// Opening a connection.
    Connect {
        /// Which address of the name, counted from 1; `None` is every one.
        address: Option<u16>,
        /// What happens.
        fault: ConnectFault,
    },
    /// What the server does at a phase.
    Server {
        /// The phase whose command (or greeting, or end of mail data) is answered.
        phase: Phase,
        /// Which occasion of this phase on the connection, counted from 1; `None` is every one.
        nth: Option<u16>,
        /// What it does instead of answering at once as the default script would.
        fault: ServerFault,
    },
    /// How the server takes in mail data.
    Intake(IntakeFault),
    /// What the server does to TLS.
    Tls(TlsFault),
    /// What the proxy in front of the server does.
    Proxy(ProxyFault),
    /// What the network does to octets.
    Link(LinkFault),
    /// A rule of the server under conditions.
    When {
        /// When it strikes.
        when: When,
        /// What it does: a [`Rule::Server`] or a [`Rule::Intake`].
        rule: Box<Self>,
    },
}

impl Rule {
    /// Whether it is something that the server does, which can depend on who asks and how often.
    #[must_use]
    pub fn takes_conditions(&self) -> bool {
        matches!(self.split().1, Self::Server { .. } | Self::Intake(_))
    }

    /// Whether its replies are held until the test lets them go.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.split().1 {
            Self::Server { fault, .. } | Self::Intake(IntakeFault::Interrupt { fault, .. }) => {
                fault.pace == Pace::Hold
            }
            _ => false,
        }
    }

    /// The rule under these conditions, in place of any that it had.
    #[must_use]
    pub fn when(self, when: When) -> Self {
        let rule = match self {
            Self::When { rule, .. } => rule,
            rule => Box::new(rule),
        };
        if when.is_always() {
            return *rule;
        }
        Self::When { when, rule }
    }

    /// The conditions, if there are any, and what strikes then.
    #[must_use]
    pub fn split(&self) -> (Option<&When>, &Self) {
        match self {
            Self::When { when, rule } => (Some(when), rule.split().1),
            rule => (None, rule),
        }
    }
}

/// A fault of the resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveFault {
    /// Never answers.
    Hang,
    /// Answers that there is no such name.
    Fail,
    /// Answers after this long.
    After(Duration),
    /// Answers with no address at all.
    Empty,
    /// Answers with this many addresses, up to 1,000 in memory and 250 elsewhere. Each is healthy unless a `connect#N` rule says otherwise.
    Addresses(u16),
    /// The same with addresses of these families, in this order.
    Families(Vec<Family>),
}

/// A family of addresses.
#[expect(clippy::exhaustive_enums, reason = "there are two versions of IP")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A fault of connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFault {
    /// The port answers with a reset.
    Refuse,
    /// The network answers that the host can't be reached.
    Unreachable,
    /// The SYN vanishes: no answer, ever.
    Blackhole,
    /// The connection opens, this much later.
    After(Duration),
}

/// A server fault: three independent choices, and whether the message is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerFault {
    /// What the server says.
    pub say: Say,
    /// How fast it says it.
    pub pace: Pace,
    /// What it does next.
    pub then: Then,
    /// At [`Phase::DataTermination`] only: put the message into the mailbox before anything is
    /// said, although the reply may never arrive. Without it a message is committed exactly when
    /// the server means to say a 2yz reply.
    pub commit: bool,
}

impl ServerFault {
    /// The server says this, at once, and goes on.
    #[must_use]
    pub const fn say(say: Say) -> Self {
        Self {
            say,
            pace: Pace::AtOnce,
            then: Then::Continue,
            commit: false,
        }
    }

    /// The server says another reply.
    #[must_use]
    pub fn reply(code: u16, text: impl Into<String>) -> Self {
        Self::say(Say::Reply {
            code,
            text: text.into(),
        })
    }

    /// At another pace.
    #[must_use]
    pub const fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// With another end.
    #[must_use]
    pub const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Say {
    /// What the default script says.
    Normal,
    /// Another reply: `451 4.7.1 greylisted`. Its text may have several lines, joined by `\n`.
    Reply {
        /// The reply code, 200 to 599.
        code: u16,
        /// The text behind the code.
        text: String,
    },
    /// These octets.
    Raw(Vec<u8>),
    /// The first half of the normal reply.
    Half,
    /// Nothing.
    Nothing,
    /// Octets that are no reply at all.
    Garbage,
    /// Reply lines with a hyphen behind the code, without end.
    EndlessLines,
    /// A reply line without its CRLF, without end.
    EndlessLine,
    /// The normal reply, twice: the second is a surplus.
    Twice,
    /// At [`Phase::Auth`] only: what the mechanism does not allow.
    Sasl(SaslFault),
}

/// How fast the server says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// At once, in one write.
    AtOnce,
    /// All of it, this much later.
    After(Duration),
    /// One octet, then one more each time this much has passed. The first comes after one interval.
    Drip(Duration),
    /// All of it, once the test [lets it go](crate::Rules::release) or takes the rule away. What the
    /// server does before it speaks is done: a message is committed by then. Where nobody can let it
    /// go, as at a proxy, it never comes.
    Hold,
}

/// What the server does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// Goes on with the script.
    Continue,
    /// Closes the connection (FIN).
    Close,
    /// Closes its own side of the connection only (FIN): it goes on reading and committing, and nothing
    /// that it says any more is sent. RFC 1122 §4.2.2.13 calls that half-closed.
    HalfClose,
    /// Resets the connection (RST).
    Reset,
    /// Neither reads nor writes again, and keeps the connection open.
    Stall,
}

/// How the server takes in mail data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntakeFault {
    /// Stops reading after this many octets of mail data: the window closes.
    Stop {
        /// Octets of mail data taken before it stops.
        after: u64,
        /// Reads on after this long; `None` is never.
        heal: Option<Duration>,
    },
    /// Reads at most this many octets, then waits.
    Trickle {
        /// Octets per read.
        octets: u32,
        /// The wait between two reads.
        every: Duration,
    },
    /// Says a reply after this many octets of mail data, without waiting for its end.
    Interrupt {
        /// Octets of mail data taken before it speaks.
        after: u64,
        /// What it says and does then.
        fault: ServerFault,
    },
}

/// Which way octets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
    /// Both.
    Both,
}

impl Direction {
    /// Whether octets that travel this `way` are meant.
    #[must_use]
    pub fn covers(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

/// A fault of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkFault {
    /// One-way delay of everything, at least 1 ms. The default is 1 ms.
    Latency(Duration),
    /// No read and no write moves more than this many octets at once.
    Fragment {
        /// Which way.
        direction: Direction,
        /// At least 1.
        octets: u32,
    },
    /// Pieces end behind these octets of the stream: no read, or else no write, takes octets of two of
    /// them. So a test has its client meet half a CRLF, half a reply code, half a character.
    ///
    /// In memory each piece is a read of its own; elsewhere one towards the client is a write of its own,
    /// and 10 ms pass before the next.
    Split {
        /// Which way.
        direction: Direction,
        /// Their numbers, counted from 1 on every connection, in ascending order.
        after: Vec<u64>,
    },
    /// Octets are held back and delivered together, this often.
    Coalesce {
        /// Which way.
        direction: Direction,
        /// How long they are held back.
        every: Duration,
    },
    /// From this time on (counted from the opened connection) octets vanish from sight.
    Blackhole {
        /// Which way.
        direction: Direction,
        /// When it begins.
        after: Duration,
        /// How much later the octets held back are delivered after all; `None` is never.
        heal: Option<Duration>,
    },
    /// Capacity of the path in octets that were written and not yet read by the peer. The default
    /// is 65,536.
    Window(u32),
    /// Strikes at one octet of the stream, on every connection.
    At {
        /// Which octet, counted from 1: those before it pass unharmed.
        octet: u64,
        /// Of those that travel this way, which is never both.
        direction: Direction,
        /// What happens.
        strike: Strike,
    },
}

/// What the network does at one octet of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strike {
    /// It vanishes, and every one behind it.
    Stall,
    /// It is not taken, nor any behind it: the window closes.
    Shut,
    /// A FIN arrives in its place and nothing behind it.
    Close,
    /// The connection is reset, at both ends.
    Reset,
    /// It arrives with its lowest bit flipped. Only towards the client.
    Corrupt,
    /// It and all behind it arrive one at a time, this much apart.
    Drip(Duration),
}

impl Strike {
    /// Everything that can strike at an octet, and which way the octet travels. Nobody could tell that
    /// an octet was changed on its way to the server, so none is.
    pub const EVERY: [(Self, Direction); 11] = {
        use Direction::{ToClient, ToServer};
        let drip = Self::Drip(Duration::from_millis(1));
        [
            (Self::Stall, ToClient),
            (Self::Stall, ToServer),
            (Self::Shut, ToClient),
            (Self::Shut, ToServer),
            (Self::Close, ToClient),
            (Self::Close, ToServer),
            (Self::Reset, ToClient),
            (Self::Reset, ToServer),
            (drip, ToClient),
            (drip, ToServer),
            (Self::Corrupt, ToClient),
        ]
    };
}
