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
            ProxyError::Method | ProxyError::Credentials | ProxyError::Status(407) => {
                io::ErrorKind::PermissionDenied
            }
            ProxyError::Protocol | ProxyError::TooLarge(_) => io::ErrorKind::InvalidData,
            ProxyError::Closed => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
