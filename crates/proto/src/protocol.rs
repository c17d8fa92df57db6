//! Which of the two protocols is spoken.

/// Which of the two protocols is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a third would need other code everywhere"
)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033): LHLO in place of EHLO, and behind the end of mail data one final reply for
    /// each recipient that was accepted, so that each has an outcome of its own. For delivery to
    /// mailboxes over a local network; never on port 25.
    Lmtp,
}
