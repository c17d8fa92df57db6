//! Whether and when the connection is encrypted.

use core::fmt;
use core::str::FromStr;

/// Whether and when the connection is encrypted, by name.
#[expect(
    clippy::exhaustive_enums,
    reason = "a new mode has to be handled everywhere; a wildcard arm could leave it in clear"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// TLS from the first octet (RFC 8314 §3.3), on port 465.
    Implicit,
    /// STARTTLS (RFC 3207) or nothing: if the server does not offer it or refuses it, the call fails
    /// and not one octet of AUTH, MAIL, RCPT or mail data has left.
    StartTls,
    /// STARTTLS if the server offers it, plaintext if not. **Insecure against an active attacker**,
    /// who only has to take the offer away; so the server's certificate is not verified either,
    /// unless the caller's own TLS configuration does. It keeps passive listeners out.
    StartTlsIfOfferedInsecure,
    /// Plaintext, whatever the server offers.
    #[default]
    None,
}

impl Security {
    /// Every mode, the safest first.
    pub const ALL: [Self; 4] = [
        Self::Implicit,
        Self::StartTls,
        Self::StartTlsIfOfferedInsecure,
        Self::None,
    ];

    /// The mode's name in cases and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
            Self::StartTlsIfOfferedInsecure => "starttls-if-offered-insecure",
            Self::None => "none",
        }
    }

    /// Whether nothing but EHLO and STARTTLS may ever be said in clear.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Implicit | Self::StartTls)
    }

    /// Whether STARTTLS is said where the server offers it.
    #[must_use]
    pub const fn is_starttls(self) -> bool {
        matches!(self, Self::StartTls | Self::StartTlsIfOfferedInsecure)
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Security {
    type Err = UnknownSecurity;

    fn from_str(name: &str) -> Result<Self, UnknownSecurity> {
        Self::ALL
            .into_iter()
            .find(|security| security.name() == name)
            .ok_or_else(|| UnknownSecurity(name.chars().take(64).collect()))
    }
}

/// A name that is no mode's. Its `Display` lists those that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSecurity(String);

impl fmt::Display for UnknownSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = Security::ALL.map(Security::name);
        write!(f, "{:?} is none of {a}, {b}, {c} and {d}", self.0)
    }
}

impl std::error::Error for UnknownSecurity {}
