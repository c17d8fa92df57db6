//! A client that can't be.

use std::fmt;

/// A letter-digit-hyphen name (underscores are met in practice) or an IP address, so that nothing
/// else can reach a resolver or a log.
pub(crate) fn check_host(host: &str) -> Result<(), ClientError> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if let Some(wrong) = host
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
    {
        return Err(ClientError::HostCharacter(wrong));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253
        || name
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err(ClientError::HostLength);
    }
    Ok(())
}

/// A client that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// The host has a character that no domain has.
    HostCharacter(char),
    /// The host is empty or too long, or one of its labels is.
    HostLength,
    /// The port is zero.
    Port,
    /// Some endpoints require TLS and others do not: whoever keeps the client from the former would
    /// have it send in clear.
    MixedSecurity,
    /// TLS can't be had as it is wanted: why.
    Tls(String),
    /// A proxy's port is zero.
    ProxyPort,
    /// The credentials for a proxy can't be said to one.
    ProxyCredentials,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostCharacter(c) => write!(
                f,
                "the host has {c:?} (U+{:04X}) in it; give a domain or an IP address, and the port apart from it",
                u32::from(*c)
            ),
            Self::HostLength => f.write_str(
                "the host is no domain: it needs 1 to 253 characters in labels of 1 to 63",
            ),
            Self::MixedSecurity => f.write_str(
                "some endpoints require TLS and others do not; require it of all, or make two clients",
            ),
            Self::Tls(why) => write!(f, "TLS can't be had: {why}"),
            Self::ProxyCredentials => f.write_str(
                "a proxy takes a user and a password of 1 to 255 octets each, without control characters, and no colon in the user",
            ),
            Self::Port => f.write_str("the port is 0; SMTP relays listen on 25, submission on 587"),
            Self::ProxyPort => f.write_str(
                "the proxy's port is 0; SOCKS5 proxies listen on 1080, HTTP ones on 3128 or 8080",
            ),
        }
    }
}

impl std::error::Error for ClientError {}
