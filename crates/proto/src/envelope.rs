//! Who a message is from and whom it goes to, and how a transaction is to be run.

use core::fmt;

use crate::transparency::LineEndings;
use crate::{ForwardPath, Reply, ReversePath};

/// A mail transaction's reverse-path and forward-paths (RFC 5321 §2.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    reverse_path: ReversePath,
    forward_paths: Vec<ForwardPath>,
}

impl Envelope {
    /// An envelope with at least one forward-path.
    ///
    /// # Errors
    /// If there is no forward-path.
    pub fn new(
        reverse_path: ReversePath,
        forward_paths: impl IntoIterator<Item = ForwardPath>,
    ) -> Result<Self, NoRecipients> {
        let forward_paths: Vec<_> = forward_paths.into_iter().collect();
        if forward_paths.is_empty() {
            return Err(NoRecipients);
        }
        Ok(Self {
            reverse_path,
            forward_paths,
        })
    }

    /// Where delivery reports go; the null reverse-path where none may be sent.
    #[must_use]
    pub const fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// The recipients, in the order in which they are named to the server.
    #[must_use]
    pub fn forward_paths(&self) -> &[ForwardPath] {
        &self.forward_paths
    }
}

/// An envelope without a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it has nothing to say but its name"
)]
pub struct NoRecipients;

impl fmt::Display for NoRecipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope needs at least one forward-path; add a recipient")
    }
}

impl std::error::Error for NoRecipients {}

/// Which recipients must be accepted for the mail data to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Require {
    /// At least one: a refused RCPT is an answer about that recipient and no more.
    #[default]
    AnyRecipient,
    /// Every one, or nobody gets the message. DATA is then not pipelined behind RCPT, so that a
    /// refusal does not cost the connection; it costs one round trip.
    AllRecipients,
}

/// What the mail data is made of (RFC 6152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyType {
    /// US-ASCII only; nothing is declared.
    #[default]
    SevenBit,
    /// Octets over 127 occur: `BODY=8BITMIME` is declared, and a server without that extension
    /// gets nothing.
    EightBitMime,
}

/// How one mail transaction is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// Which recipients must be accepted.
    pub require: Require,
    /// What the mail data is made of.
    pub body: BodyType,
    /// The message's size as RFC 1870 counts it, if known: declared to a server that offers SIZE,
    /// and refused here, before anything is sent, if it exceeds the server's maximum.
    pub size: Option<u64>,
    /// What is done with a CR without LF or an LF without CR.
    pub line_endings: LineEndings,
}

/// One recipient and what the server said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub(crate) path: ForwardPath,
    pub(crate) status: RecipientStatus,
}

/// What the server said about a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipientStatus {
    /// Nothing yet.
    Pending,
    /// It is accepted; whether the message is, the final reply says.
    Accepted(Reply),
    /// It is refused.
    Refused(Reply),
}

impl Recipient {
    /// The recipient.
    #[must_use]
    pub const fn path(&self) -> &ForwardPath {
        &self.path
    }

    /// What the server said about it.
    #[must_use]
    pub const fn status(&self) -> &RecipientStatus {
        &self.status
    }

    /// Whether the server accepted this recipient.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self.status, RecipientStatus::Accepted(_))
    }

    /// The server's reply, if it came.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match &self.status {
            RecipientStatus::Pending => None,
            RecipientStatus::Accepted(reply) | RecipientStatus::Refused(reply) => Some(reply),
        }
    }
}
