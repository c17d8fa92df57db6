//! The spine: one name for each stretch of time in which the client waits on somebody else.

use core::fmt;
use core::str::FromStr;

/// A stretch of an SMTP session that has a limit of its own.
///
/// The same value looks up a limit in [`Timeouts`](crate::Timeouts), is carried by every error, keys
/// the faults of the test double and the rows of every table. It is deliberately exhaustive: a new
/// phase must be given a limit, a fault and a row, and the compiler is what asks for them.
#[expect(
    clippy::exhaustive_enums,
    reason = "a new phase has to be handled everywhere; a wildcard arm would hide it"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Waiting for a connection of a pool.
    Checkout,
    /// Looking up the server's addresses.
    Resolve,
    /// Opening a transport connection, all addresses together.
    Connect,
    /// The TLS handshake.
    TlsHandshake,
    /// From the open connection to the complete greeting (RFC 5321 §3.1).
    Greeting,
    /// EHLO, or the HELO that follows its refusal (RFC 5321 §4.1.1.1).
    Ehlo,
    /// The STARTTLS command (RFC 3207).
    StartTls,
    /// One step of an AUTH exchange (RFC 4954).
    Auth,
    /// VRFY, EXPN, NOOP, HELP or another command that is no part of a mail transaction (RFC 5321 §3.5).
    Command,
    /// The MAIL command (RFC 5321 §4.1.1.2).
    Mail,
    /// One RCPT command (RFC 5321 §4.1.1.3).
    Rcpt,
    /// The DATA command, up to its 354 (RFC 5321 §4.1.1.4).
    DataInitiation,
    /// The mail data, up to the last octet of the end of mail data.
    DataBlock,
    /// From the last octet of the end of mail data to the final reply.
    DataTermination,
    /// The RSET command (RFC 5321 §4.1.1.5).
    Reset,
    /// The QUIT command (RFC 5321 §4.1.1.10).
    Quit,
    /// Waiting before another attempt.
    Backoff,
}

impl Phase {
    /// How many phases there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every phase, in the order in which a session meets them.
    pub const ALL: [Self; 17] = [
        Self::Checkout,
        Self::Resolve,
        Self::Connect,
        Self::TlsHandshake,
        Self::Greeting,
        Self::Ehlo,
        Self::StartTls,
        Self::Auth,
        Self::Command,
        Self::Mail,
        Self::Rcpt,
        Self::DataInitiation,
        Self::DataBlock,
        Self::DataTermination,
        Self::Reset,
        Self::Quit,
        Self::Backoff,
    ];

    /// The phase's name in plans, tables and on the command line, such as `data-termination`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::TlsHandshake => "tls-handshake",
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::DataInitiation => "data-initiation",
            Self::DataBlock => "data-block",
            Self::DataTermination => "data-termination",
            Self::Reset => "reset",
            Self::Quit => "quit",
            Self::Backoff => "backoff",
        }
    }

    /// The phase's place in [`Phase::ALL`], for tables indexed by phase.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.name() == name)
            .ok_or_else(|| UnknownPhase(name.chars().take(64).collect()))
    }
}

/// A name that is no phase's. Its `Display` lists those that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPhase(String);

impl fmt::Display for UnknownPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a phase; the phases are", self.0)?;
        for (i, phase) in Phase::ALL.into_iter().enumerate() {
            write!(f, "{} {phase}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownPhase {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_found_by_its_name_and_at_its_index() {
        for (i, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase.index(), i);
            assert_eq!(phase.name().parse(), Ok(phase));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let refused = "banner".parse::<Phase>().unwrap_err().to_string();
        assert!(
            refused.starts_with("\"banner\" is not a phase; the phases are checkout, resolve,")
        );
    }
}
