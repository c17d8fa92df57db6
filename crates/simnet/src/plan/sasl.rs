//! What a server can do wrong inside a SASL mechanism, where another reply is not enough.

use std::fmt;

/// A fault inside a mechanism. Where the mechanism has no such thing, the server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslFault {
    /// SCRAM: a nonce that does not begin with the client's.
    WrongNonce,
    /// SCRAM: the signature of somebody who does not know the password.
    BadSignature,
    /// SCRAM with a channel binding: the server is bound to another TLS connection than the client, as
    /// it is where somebody stands between the two.
    WrongBinding,
    /// SCRAM: so many iterations are asked for.
    Iterations(u32),
    /// A challenge longer than any mechanism has.
    Oversize,
    /// A refusal that repeats what the client said, secret and all.
    Echo,
}

impl SaslFault {
    pub(super) const NAMES: [&'static str; 6] = [
        "wrong-nonce",
        "wrong-binding",
        "bad-signature",
        "iterations",
        "oversize",
        "echo",
    ];
}

impl fmt::Display for SaslFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongNonce => "wrong-nonce",
            Self::WrongBinding => "wrong-binding",
            Self::BadSignature => "bad-signature",
            Self::Iterations(count) => return write!(f, "iterations {count}"),
            Self::Oversize => "oversize",
            Self::Echo => "echo",
        })
    }
}
