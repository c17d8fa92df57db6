//! What a double holds at most. It is attacked by the clients that it tests.

/// What a double holds at most, whatever its clients do.
///
/// One message is bounded by [`Script::size`](crate::Script::size), a command line by 16 KiB, a
/// transaction by 1,000 forward-paths, connections by
/// [`CONNECTIONS`](crate::net::loopback::CONNECTIONS), and each of them by
/// [`LIFE`](crate::net::loopback::LIFE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// Messages in the mailbox; further ones are refused with 452. Default 1,000.
    pub messages: usize,
    /// Octets of all messages together, also as they were sent where that is kept; further ones are
    /// refused with 452. Default 64 MiB.
    pub mailbox_octets: usize,
    /// Findings that are kept; the first ones are. Default 1,000.
    pub findings: usize,
    /// Events of the transcript that are kept; the oldest go first. Default 20,000.
    pub transcript_events: usize,
    /// Octets of what was said in them; the oldest go first. Default 16 MiB.
    pub transcript_octets: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            messages: 1_000,
            mailbox_octets: 64 * 1024 * 1024,
            findings: 1_000,
            transcript_events: 20_000,
            transcript_octets: 16 * 1024 * 1024,
        }
    }
}

impl Caps {
    /// No caps, for runs that are themselves bounded.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self {
            messages: usize::MAX,
            mailbox_octets: usize::MAX,
            findings: usize::MAX,
            transcript_events: usize::MAX,
            transcript_octets: usize::MAX,
        }
    }
}
