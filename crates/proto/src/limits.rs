//! What a peer may make the client hold or do.

/// Caps on everything whose size the peer chooses. All are finite and checked *while* reading.
///
/// Change a field of a copy: `let mut limits = Limits::DEFAULT; limits.addresses = 4;`. A zero is
/// taken as one, so that no value switches a cap off or makes every server unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets in one reply line with its CRLF. Default 4,096: RFC 5321 §4.5.3.1.5 says 512, real
    /// servers exceed it, none was seen to need more than this.
    pub reply_line: usize,
    /// Lines in one reply. Default 128: the longest EHLO reply known to us has under 40.
    pub reply_lines: usize,
    /// Octets in one reply. Default 65,536.
    pub reply_octets: usize,
    /// EHLO keywords that are looked at; the rest of the reply is ignored. Default 64.
    pub ehlo_keywords: usize,
    /// Addresses of one name that are tried. Default 16.
    pub addresses: usize,
    /// Octets of commands that may be under way without a reply. Default 4,096, so that a group
    /// fits any peer's receive buffer and no write deadlock can arise (RFC 2920 §3.1).
    pub pipeline_window: usize,
    /// Octets of messages that may be under way ahead of the replies to their MAIL and RCPT
    /// ([`Chunking::Ahead`](crate::Chunking::Ahead)). Default 131,072, what a socket holds where Linux
    /// receives: more would wait there all the same, and so many are lost at most where a server
    /// refuses them. A message with more of them waits for its replies.
    pub ahead_octets: usize,
    /// Replies in one authentication, over all the mechanisms that are tried. Default 8: SCRAM has 3,
    /// and there may be some mechanisms to be told about that the server does not want.
    pub auth_rounds: usize,
    /// Octets of a challenge in base64, looked at before it is decoded. Default 2,048: the longest that
    /// a mechanism of ours has is a few hundred; RFC 4954 allows 12,288 for others.
    pub auth_challenge: usize,
    /// The fewest SCRAM iterations that a server may ask for. Default 4,096, RFC 7677's minimum: fewer
    /// would make the proof easy to guess from.
    pub scram_iterations_min: u32,
    /// The most SCRAM iterations that a server may ask for. Default 100,000, a tenth of a second's
    /// work. They are computed in slices, under the phase's limit.
    pub scram_iterations_max: u32,
    /// Octets of the server's side of a TLS handshake. Default 262,144: chains of certificates have
    /// a few thousand, and TLS itself ends a message of more than 65,536.
    pub tls_handshake_octets: usize,
}

impl Limits {
    /// The defaults that the fields' documentation explains.
    pub const DEFAULT: Self = Self {
        reply_line: 4_096,
        reply_lines: 128,
        reply_octets: 65_536,
        ehlo_keywords: 64,
        addresses: 16,
        pipeline_window: 4_096,
        ahead_octets: 131_072,
        auth_rounds: 8,
        auth_challenge: 2_048,
        scram_iterations_min: 4_096,
        scram_iterations_max: 100_000,
        tls_handshake_octets: 262_144,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
