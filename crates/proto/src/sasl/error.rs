//! What goes wrong in an authentication, apart from a refusal.

use core::fmt;

/// Why an authentication came to nothing, other than by the server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// The server does not offer AUTH. Nothing was sent.
    NotOffered,
    /// The server offers no mechanism that the credentials fit. Nothing was sent.
    NoMechanism,
    /// The policy allows none of the mechanisms that there are. Nothing was sent.
    Policy,
    /// Every mechanism left would show the password or token to listeners. Nothing was sent.
    ClearText,
    /// The connection is authenticated already (RFC 4954 §4). Nothing was sent.
    Already,
    /// The user, password or token has a character that the mechanism can't carry. Nothing was sent.
    Unencodable,
    /// A response would be longer than RFC 4954's 12,288 octets.
    TooLong,
    /// There is no nonce that could be used. Nothing was sent.
    Nonce,
    /// The token's provider failed. Nothing was sent.
    Provider,
    /// More replies than [`Limits::auth_rounds`](crate::Limits::auth_rounds).
    Rounds,
    /// A challenge is no base64.
    Base64,
    /// A challenge is longer than [`Limits::auth_challenge`](crate::Limits::auth_challenge).
    ChallengeTooLong,
    /// A challenge is not what the mechanism has at this place.
    Challenge,
    /// The server's nonce does not begin with the client's (RFC 5802 §5.1).
    ServerNonce,
    /// The server wants fewer or more iterations than [`Limits`](crate::Limits) allow.
    Iterations(u32),
    /// The server can't prove that it knows the password.
    Signature,
    /// The server says that the client is authenticated before it can know.
    Early,
    /// The server gave an error where the mechanism has a place for one.
    Server(String),
}

impl AuthError {
    /// Whether another server, or the same one at another time, would not change it.
    #[must_use]
    pub const fn is_callers(&self) -> bool {
        matches!(
            self,
            Self::Policy
                | Self::ClearText
                | Self::Already
                | Self::Unencodable
                | Self::TooLong
                | Self::Nonce
                | Self::Provider
        )
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered => "the server does not offer authentication",
            Self::NoMechanism => "the server offers no mechanism that fits the credentials",
            Self::Policy => "the policy allows none of the server's mechanisms",
            Self::ClearText => {
                "the connection is not encrypted, or to a server that was not verified, and the server's mechanisms would show the secret; require TLS"
            }
            Self::Already => "the connection is authenticated already",
            Self::Unencodable => "the credentials have a character that the mechanism can't carry",
            Self::TooLong => "the credentials are longer than RFC 4954 allows",
            Self::Nonce => "there is no usable nonce",
            Self::Provider => "the token's provider failed",
            Self::Rounds => "the server does not come to an end with AUTH",
            Self::Base64 => "the server's challenge is no base64",
            Self::ChallengeTooLong => "the server's challenge is too long",
            Self::Challenge => "the server's challenge is not the mechanism's",
            Self::ServerNonce => "the server's nonce does not begin with the client's",
            Self::Iterations(count) => {
                return write!(f, "the server wants {count} iterations, which the limits do not allow");
            }
            Self::Signature => "the server can't prove that it knows the password",
            Self::Early => "the server accepted before the exchange was over",
            Self::Server(error) => return write!(f, "the server reported {error:?}"),
        })
    }
}

impl std::error::Error for AuthError {}
