//! Why a proxy opened no tunnel.

use std::fmt;
use std::io;

/// Why a proxy opened no tunnel. Nothing that it said is repeated: it has heard the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// An HTTP proxy answered with this status code (RFC 9110 §15).
    Status(u16),
    /// A SOCKS5 proxy answered with this reply code (RFC 1928 §6).
    Reply(u8),
    /// A SOCKS5 proxy wants another way to authenticate than it was offered.
    Method,
    /// The proxy refused the credentials.
    Credentials,
    /// What answers is no such proxy, or breaks the protocol.
    Protocol,
    /// The proxy's answer does not end within this many octets.
    TooLarge(usize),
    /// The proxy closed the connection before it had answered.
    Closed,
}

impl ProxyError {
    /// Whether it would say the same however often it is asked: it refuses the credentials or wants
    /// some, its rules do not allow the server, it does not know CONNECT or the kind of address, or
    /// it answers with a 4xx that is not about time (408, 429). What it can't reach now it may reach
    /// later.
    ///
    /// ```
    /// use postbound::ProxyError;
    /// assert!(ProxyError::Status(407).is_permanent() && ProxyError::Reply(2).is_permanent());
    /// assert!(!ProxyError::Status(504).is_permanent() && !ProxyError::Reply(4).is_permanent());
    /// ```
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Method | Self::Credentials | Self::Reply(7) | Self::Status(407) => true,
            _ => self.forbids_server(),
        }
    }

    /// Whether it refuses this server and port, and might let another one pass.
    pub(crate) const fn forbids_server(&self) -> bool {
        match self {
            Self::Status(code) => matches!(code, 400..=499) && !matches!(code, 407 | 408 | 429),
            Self::Reply(code) => matches!(code, 2 | 8),
            _ => false,
        }
    }

    /// The one that an error of a connector carries.
    pub(crate) fn within(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(407) => f.write_str(
                "the proxy wants credentials, or others (407); give them with the proxy",
            ),
            Self::Status(403) => f.write_str(
                "the proxy does not let anybody reach this server and port (403); ask whoever runs it",
            ),
            Self::Status(code @ (502..=504)) => {
                write!(f, "the proxy can't reach the server ({code})")
            }
            Self::Status(code) => write!(f, "the proxy refused to open a tunnel ({code})"),
            Self::Reply(code) => write!(
                f,
                "the proxy opened no tunnel: {} (SOCKS5 reply {code})",
                meaning(*code)
            ),
            Self::Method => f.write_str(
                "the proxy takes none of the ways to authenticate that it was offered; give it credentials, or other ones",
            ),
            Self::Credentials => {
                f.write_str("the proxy refused the credentials; look at user and password")
            }
            Self::Protocol => f.write_str(
                "what answers is no such proxy, or breaks the protocol; look at its port and its kind",
            ),
            Self::TooLarge(cap) => {
                write!(f, "the proxy's answer does not end within {cap} octets")
            }
            Self::Closed => f.write_str("the proxy closed the connection before it had answered"),
        }
    }
}

/// RFC 1928 §6.
const fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "it failed",
        2 => "its rules do not allow it",
        3 => "the network can't be reached",
        4 => "the host can't be reached",
        5 => "the connection was refused",
        6 => "it took too long",
        7 => "it does not know the command",
        8 => "it does not know this kind of address",
        _ => "it does not say why",
    }
}

impl std::error::Error for ProxyError {}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        let kind = match error {
            ProxyError::Reply(3) => io::ErrorKind::NetworkUnreachable,
            ProxyError::Reply(4) => io::ErrorKind::HostUnreachable,
            ProxyError::Reply(5) => io::ErrorKind::ConnectionRefused,
            error if error.is_permanent() => io::ErrorKind::PermissionDenied,
            ProxyError::Protocol | ProxyError::TooLarge(_) => io::ErrorKind::InvalidData,
            ProxyError::Closed => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::ProxyError;

    #[test]
    fn what_asking_again_does_not_change_is_permanent() {
        let status = (100..600).map(ProxyError::Status);
        let permanent: Vec<_> = status.filter(ProxyError::is_permanent).collect();
        let expected = (400..500).filter(|code| ![408, 429].contains(code));
        assert_eq!(
            permanent,
            expected.map(ProxyError::Status).collect::<Vec<_>>()
        );
        let replies = (0..=u8::MAX).map(ProxyError::Reply);
        let permanent: Vec<_> = replies.filter(ProxyError::is_permanent).collect();
        assert_eq!(permanent, [2, 7, 8].map(ProxyError::Reply));
        for error in [
            ProxyError::Protocol,
            ProxyError::Closed,
            ProxyError::TooLarge(1),
        ] {
            assert!(!error.is_permanent(), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_for_every_server_forbids_no_single_one() {
        for error in [
            ProxyError::Method,
            ProxyError::Credentials,
            ProxyError::Status(407),
            ProxyError::Reply(7),
        ] {
            assert!(error.is_permanent() && !error.forbids_server(), "{error}");
        }
        for error in [ProxyError::Status(403), ProxyError::Reply(2)] {
            assert!(error.is_permanent() && error.forbids_server(), "{error}");
        }
    }
}
