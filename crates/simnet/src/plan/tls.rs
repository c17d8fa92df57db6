//! What can go wrong with TLS.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Plain;

/// A fault of TLS, at the server's side of it. It acts only where the double does TLS.
///
/// Octets of the server's flight are counted from 1, over everything that it writes during the
/// handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// The handshake breaks off at this octet of the server's flight.
    At {
        /// The first octet that does not arrive as it is.
        octet: u32,
        /// What happens to it.
        then: Break,
    },
    /// The server's flight begins this much later.
    After(Duration),
    /// One octet of the server's flight, then one more each time this much has passed.
    Drip(Duration),
    /// Records of 32 octets, the least that TLS allows to be agreed on.
    TinyRecords,
    /// Records of one octet each, of a message that is never whole.
    Endless,
    /// A reply in plaintext where the server's flight is due.
    Plaintext,
    /// Octets in clear before the server's flight: with the reply to STARTTLS in one write, or this
    /// much later.
    Inject {
        /// The octets.
        octets: Vec<u8>,
        /// How much later.
        after: Option<Duration>,
    },
    /// The connection closes without close_notify behind this many octets of records behind the
    /// handshake.
    Drop(u32),
    /// A fatal alert, bad_record_mac, in the place of what the server would say under TLS behind this many
    /// octets, and then the end of the connection. It is encrypted like every record: the server's TLS
    /// itself says it, about a record that it has made up.
    Alert(u32),
    /// The server never says close_notify.
    NoCloseNotify,
    /// The server shows this certificate.
    Certificate(Certificate),
}

/// How a handshake breaks off.
#[expect(clippy::exhaustive_enums, reason = "these are the four that there are")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Nothing more comes.
    Stall,
    /// FIN.
    Close,
    /// RST.
    Reset,
    /// The octet has all its bits turned, and the flight goes on.
    Corrupt,
}

impl Break {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Stall, Self::Close, Self::Reset, Self::Corrupt];

    /// Its name in a plan.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Close => "close",
            Self::Reset => "reset",
            Self::Corrupt => "corrupt",
        }
    }
}

/// A server's certificate.
#[expect(
    clippy::exhaustive_enums,
    reason = "a new one has to be issued, named and tried"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certificate {
    /// For the double's names, from its authority, valid now.
    Good,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// For another name.
    WrongName,
    /// Signed by itself.
    SelfSigned,
    /// From an authority that nobody trusts.
    UnknownAuthority,
    /// One that may sign others, shown as a server's own.
    AuthorityItself,
    /// With more certificates behind it than TLS lets into one message.
    HugeChain,
}

impl Certificate {
    /// Every one, the good one first.
    pub const ALL: [Self; 8] = [
        Self::Good,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongName,
        Self::SelfSigned,
        Self::UnknownAuthority,
        Self::AuthorityItself,
        Self::HugeChain,
    ];

    /// Its name in a plan and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongName => "wrong-name",
            Self::SelfSigned => "self-signed",
            Self::UnknownAuthority => "unknown-authority",
            Self::AuthorityItself => "authority-itself",
            Self::HugeChain => "huge-chain",
        }
    }

    /// Every name, as text.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl FromStr for Certificate {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|certificate| certificate.name() == name)
            .ok_or_else(|| format!("{name:?} is no certificate; there are {}", Self::names()))
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tls-handshake: ")?;
        match self {
            Self::At { octet, then } => write!(f, "{} at {octet}", then.name()),
            Self::After(delay) => write!(f, "after {}", Plain(*delay)),
            Self::Drip(every) => write!(f, "drip {}", Plain(*every)),
            Self::TinyRecords => f.write_str("tiny-records"),
            Self::Endless => f.write_str("endless"),
            Self::Plaintext => f.write_str("plaintext"),
            Self::Inject { octets, after } => {
                write!(f, "inject \"{}\"", octets.escape_ascii())?;
                after.map_or(Ok(()), |after| write!(f, " after {}", Plain(after)))
            }
            Self::Drop(octets) => write!(f, "drop after {octets}"),
            Self::Alert(octets) => write!(f, "alert after {octets}"),
            Self::NoCloseNotify => f.write_str("no-close-notify"),
            Self::Certificate(certificate) => write!(f, "certificate {certificate}"),
        }
    }
}

/// What is expected behind `tls-handshake:`.
pub(super) const EXPECTED: &str = "stall, close, reset or corrupt (each with `at OCTET` if need be), after TIME, drip TIME, tiny-records, endless, plaintext, inject \"OCTETS\" [after TIME], drop after OCTETS, alert after OCTETS, no-close-notify or certificate NAME";
