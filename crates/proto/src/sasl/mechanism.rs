//! The mechanisms by name.

use core::fmt;
use core::str::FromStr;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS (RFC 7677), bound to the TLS channel.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802), bound to the TLS channel.
    ScramSha1Plus,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// CRAM-MD5 (RFC 2195).
    CramMd5,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which no RFC describes.
    Login,
    /// OAUTHBEARER (RFC 7628).
    OAuthBearer,
    /// XOAUTH2, Google's and Microsoft's forerunner of OAUTHBEARER.
    XOAuth2,
    /// EXTERNAL (RFC 4422 appendix A).
    External,
}

/// What a mechanism shows to whoever is at the other end. The floor of a policy is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Strength {
    /// The password itself: PLAIN, LOGIN.
    ClearText,
    /// What a password can be guessed from, and nothing of the server: CRAM-MD5.
    Digest,
    /// A proof that costs a guesser many iterations, and the server's own: SCRAM.
    Scram,
    /// The same, and worthless to a man in the middle: SCRAM-PLUS.
    ScramPlus,
}

impl Mechanism {
    /// Every mechanism, the strongest first: the order of the automatic choice.
    pub const ALL: [Self; 10] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::External,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
        }
    }

    /// What it shows of a password; `None` where there is no password.
    #[must_use]
    pub const fn strength(self) -> Option<Strength> {
        match self {
            Self::ScramSha256Plus | Self::ScramSha1Plus => Some(Strength::ScramPlus),
            Self::ScramSha256 | Self::ScramSha1 => Some(Strength::Scram),
            Self::CramMd5 => Some(Strength::Digest),
            Self::Plain | Self::Login => Some(Strength::ClearText),
            Self::OAuthBearer | Self::XOAuth2 | Self::External => None,
        }
    }

    /// Whether the secret itself crosses the wire, so that only TLS keeps it from listeners.
    #[must_use]
    pub const fn shows_secret(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2
        )
    }

    /// Whether it needs a channel binding.
    #[must_use]
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no mechanism of ours has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMechanism(String);

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no mechanism; there are", self.0)?;
        for (i, mechanism) in Mechanism::ALL.into_iter().enumerate() {
            write!(f, "{} {mechanism}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownMechanism {}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    /// Names are compared without regard to case.
    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownMechanism(name.to_owned()))
    }
}
