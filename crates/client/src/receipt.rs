//! What an accepted message has to show for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::{Acceptance, Outcome, Recipient, Reply, Timings};

use crate::error::Error;

/// The server took the message and said so.
///
/// Recipients that it refused are an answer and are listed with the others. Over LMTP the message was
/// taken for at least one of them; each has its own [outcome](Recipient::outcome).
#[derive(Clone, Debug)]
#[must_use = "refused recipients are listed in it and nowhere else"]
pub struct Receipt {
    pub(crate) acceptance: Box<Acceptance>,
    pub(crate) endpoint: Arc<str>,
    pub(crate) address: SocketAddr,
    pub(crate) elapsed: Duration,
    pub(crate) earlier: Arc<[Error]>,
}

impl Receipt {
    /// The final reply, over LMTP the first positive one; many servers name their queue's id in it.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        &self.acceptance.reply
    }

    /// Every recipient with the server's reply about it, in the envelope's order.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.acceptance.recipients
    }

    /// The recipients for whom the message was not taken: their RCPT was refused or, over LMTP, their
    /// final reply says so.
    pub fn refused(&self) -> impl Iterator<Item = &Recipient> {
        self.recipients()
            .iter()
            .filter(|recipient| recipient.outcome() != Outcome::Accepted)
    }

    /// How long each phase lasted, without those of the [earlier](Self::earlier) failures.
    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.acceptance.timings
    }

    /// Octets of mail data on the wire, with transparency and the end of mail data.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.acceptance.octets
    }

    /// The server, as `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The failures that came before: of endpoints that were passed over and of attempts that were
    /// made again.
    #[must_use]
    pub fn earlier(&self) -> &[Error] {
        &self.earlier
    }

    /// The address that was connected.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long the call lasted up to the final reply.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
