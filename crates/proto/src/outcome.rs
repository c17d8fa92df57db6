//! What became of the message.

use core::fmt;

/// What became of the message: the one thing that decides whether it may be sent again.
#[expect(
    clippy::exhaustive_enums,
    reason = "these are all there can be, and callers must decide on each"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The server did not take the message. Sending it again makes no duplicate.
    NotAccepted,
    /// The server took the message and said so.
    Accepted,
    /// The last octet of the end of mail data left and no final reply came: the server may have
    /// taken the message or not (RFC 1047). Sending it again may make a duplicate.
    Ambiguous,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotAccepted => "not accepted",
            Self::Accepted => "accepted",
            Self::Ambiguous => "ambiguous",
        })
    }
}
