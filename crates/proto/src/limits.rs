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
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
