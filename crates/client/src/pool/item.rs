//! One of many messages, on its way.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Instant;

use proto::ext::TransactionLimits;
use proto::{Envelope, Require};

use super::{Mail, Pooled};
use crate::connector::Connector;
use crate::exchange::Behind;

pub(super) struct Item<'m> {
    pub(super) index: usize,
    pub(super) recipients: Range<usize>,
    pub(super) mail: Mail<'m>,
    /// It has gone to another connection once.
    pub(super) moved: bool,
    /// When its transaction was queued behind another's, if it is.
    pub(super) begun: Option<Instant>,
}

impl Behind for VecDeque<Item<'_>> {
    fn octets(&mut self, place: usize) -> Option<&[u8]> {
        self.get(place.checked_sub(1)?)?.mail.message.octets()
    }
}

impl<'m> Item<'m> {
    pub(super) fn new(index: usize, mail: Mail<'m>) -> Self {
        Self {
            index,
            recipients: 0..mail.envelope.forward_paths().len(),
            mail,
            moved: false,
            begun: None,
        }
    }

    /// Keeps as many recipients as the server takes at a time; the rest is another transaction.
    pub(super) fn split<C: Connector>(&mut self, lease: &Pooled<C>) -> Option<Self> {
        let envelope = &self.mail.envelope;
        let most = match lease.options().require {
            Require::AllRecipients => return None,
            _ => most_recipients(lease.extensions().limits(), envelope),
        };
        if most >= envelope.forward_paths().len() {
            return None;
        }
        let message = self.mail.message.again()?;
        let rest = envelope.subset(|place| place >= most).ok()?;
        let kept = envelope.subset(|place| place < most).ok()?;
        let middle = self.recipients.start + most;
        let rest = Self {
            index: self.index,
            recipients: middle..self.recipients.end,
            mail: Mail {
                envelope: rest,
                message,
            },
            moved: false,
            begun: None,
        };
        self.recipients.end = middle;
        self.mail.envelope = kept;
        Some(rest)
    }
}

/// How many of the recipients, from the first on, one transaction may have (RFC 9422).
fn most_recipients(limits: TransactionLimits, envelope: &Envelope) -> usize {
    let most = |limit: Option<u32>| limit.map_or(usize::MAX, |limit| limit as usize);
    let mut domains = BTreeSet::new();
    envelope
        .forward_paths()
        .iter()
        .take(most(limits.recipients))
        .take_while(|path| {
            domains.insert(path.domain().to_ascii_lowercase());
            domains.len() <= most(limits.recipient_domains)
        })
        .count()
}
