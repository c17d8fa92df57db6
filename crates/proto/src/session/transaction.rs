//! One mail transaction: what is still to be said, what was answered, what became of the message.

use crate::envelope::{
    BodyType, Envelope, Recipient, RecipientStatus, Require, TransactionOptions,
};
use crate::failure::FailureKind;
use crate::parameters::RcptParameters;
use crate::{Outcome, Phase, Reply};

use super::Timings;
use super::ahead::Ahead;
use super::chunks::Chunks;
use super::mail_data::MailData;
use crate::transparency::Encoder;

/// What a finished transaction says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acceptance {
    /// The final reply.
    pub reply: Reply,
    /// Every recipient with the server's reply about it.
    pub recipients: Vec<Recipient>,
    /// How long each phase lasted.
    pub timings: Timings,
    /// Octets of mail data that crossed the wire, with transparency and the end of mail data.
    pub octets: u64,
}

#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) mail: String,
    pub(super) options: TransactionOptions,
    pub(super) recipients: Vec<Recipient>,
    pub(super) rcpt_parameters: Vec<RcptParameters>,
    /// How far the commands are queued.
    pub(super) queued: Queued,
    pub(super) mail_accepted: bool,
    pub(super) refusal: Option<(Phase, Reply)>,
    /// Octets of the source in one chunk, at most, if the mail data goes by BDAT.
    pub(super) chunked: Option<u32>,
    pub(super) mail_data: Option<MailData>,
    /// The mail data, if it goes ahead of the replies.
    pub(super) ahead: Option<Ahead>,
    /// Why it is not said to its end.
    pub(super) given_up: Option<FailureKind>,
    /// The last piece of the source is the current one.
    pub(super) last_piece: bool,
    pub(super) needs_chunk: bool,
    /// What comes behind the mail data may be said.
    pub(super) all_given: bool,
    /// What the last octet of its mail data makes it, whatever was answered before.
    pub(super) outcome: Outcome,
    /// Each accepted recipient has a final reply (RFC 2033 §4.2).
    pub(super) lmtp: bool,
}

/// The next command to queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Nothing,
    Reset,
    Mail,
    /// This many recipients.
    Recipients(usize),
    Data,
}

impl Transaction {
    pub(super) fn new(envelope: &Envelope, options: TransactionOptions, mail: String) -> Self {
        let recipients = envelope
            .forward_paths()
            .iter()
            .map(|path| Recipient {
                path: path.clone(),
                status: RecipientStatus::Pending,
                final_reply: None,
                outcome: Outcome::NotAccepted,
            })
            .collect();
        Self {
            mail,
            options,
            recipients,
            rcpt_parameters: envelope.rcpt_parameters().to_vec(),
            queued: Queued::Nothing,
            mail_accepted: false,
            refusal: None,
            chunked: None,
            mail_data: None,
            ahead: None,
            given_up: None,
            last_piece: false,
            needs_chunk: false,
            all_given: false,
            outcome: Outcome::NotAccepted,
            lmtp: false,
        }
    }

    /// The mail data while it is being written.
    pub(super) fn mail_data(&self) -> Option<&MailData> {
        self.mail_data
            .as_ref()
            .filter(|mail_data| !mail_data.is_finished())
    }

    /// What would have become of the message if the call ended now: nothing, once it is refused.
    pub(super) const fn outcome(&self) -> Outcome {
        match self.refusal {
            Some(_) => Outcome::NotAccepted,
            None => self.outcome,
        }
    }

    /// Octets of mail data that were taken.
    pub(super) fn octets_taken(&self) -> u64 {
        match (&self.ahead, &self.mail_data) {
            (Some(ahead), _) => ahead.octets_taken(),
            (None, Some(mail_data)) => mail_data.octets_taken(),
            (None, None) => 0,
        }
    }

    /// Whether MAIL was refused, and the message has left all the same.
    pub(super) const fn is_refused_ahead(&self) -> bool {
        matches!(self.refusal, Some((Phase::Mail, _))) && matches!(self.outcome, Outcome::Ambiguous)
    }

    /// How its octets go in a chunk.
    pub(super) fn chunk_encoder(&self) -> Encoder {
        match self.options.body {
            BodyType::BinaryMime => Encoder::binary(),
            _ => Encoder::lines(self.options.line_endings),
        }
    }

    /// Begins the mail data by BDAT, if that is how it goes.
    pub(super) fn begin_chunks(&mut self) -> bool {
        let Some(most) = self.chunked else {
            return false;
        };
        let chunks = Chunks::new(self.chunk_encoder(), most);
        self.mail_data = Some(MailData::Chunks(chunks));
        self.needs_chunk = true;
        true
    }

    pub(super) fn settle_recipient(&mut self, index: usize, reply: Reply) {
        if let Some(recipient) = self.recipients.get_mut(index) {
            recipient.status = if reply.code().is_completion() {
                RecipientStatus::Accepted(reply)
            } else {
                RecipientStatus::Refused(reply)
            };
        }
    }

    /// The final reply for the first recipient that has none. Whether others are due.
    pub(super) fn settle_final(&mut self, reply: &Reply) -> bool {
        let mut due = self
            .recipients
            .iter_mut()
            .filter(|recipient| recipient.is_accepted() && recipient.final_reply.is_none());
        if let Some(recipient) = due.next() {
            recipient.outcome = if reply.code().is_completion() {
                Outcome::Accepted
            } else {
                Outcome::NotAccepted
            };
            recipient.final_reply = Some(reply.clone());
        }
        due.next().is_some()
    }

    /// The first final reply that took the message for somebody.
    pub(super) fn positive_final(&self) -> Option<Reply> {
        let mut finals = self.recipients.iter().filter_map(Recipient::final_reply);
        finals.find(|reply| reply.code().is_completion()).cloned()
    }

    /// The recipients at the end, with what became of the message for each.
    pub(super) fn take_recipients(&mut self, outcome: Outcome) -> Vec<Recipient> {
        let mut recipients = core::mem::take(&mut self.recipients);
        for recipient in &mut recipients {
            // Ahead of the replies, the server may have accepted it and not said so yet.
            let unanswered = matches!(recipient.status, RecipientStatus::Pending)
                && outcome == Outcome::Ambiguous;
            if (recipient.is_accepted() || unanswered) && recipient.final_reply.is_none() {
                recipient.outcome = outcome;
            }
        }
        recipients
    }

    /// The replies come in the order of the commands, so that the last one is waited for longest.
    fn pending_recipients(&self) -> bool {
        self.recipients
            .last()
            .is_some_and(|recipient| matches!(recipient.status, RecipientStatus::Pending))
    }

    /// Whether a 354 would still be welcome, as far as the replies go.
    pub(super) fn wants_data(&self) -> bool {
        let mut accepted = self.recipients.iter().map(Recipient::is_accepted);
        self.refusal.is_none()
            && self.mail_accepted
            && match self.options.require {
                Require::AnyRecipient => accepted.any(|yes| yes),
                Require::AllRecipients => accepted.all(|yes| yes),
            }
    }

    /// Whether DATA may be queued now: behind unanswered RCPTs only where one acceptance is enough.
    pub(super) fn may_queue_data(&self) -> bool {
        match self.options.require {
            Require::AnyRecipient => self.refusal.is_none(),
            Require::AllRecipients => !self.pending_recipients() && self.wants_data(),
        }
    }

    /// Once every RCPT is answered: is that the end of it? The last refusal stands for them.
    pub(super) fn decide_recipients(&mut self) {
        if self.refusal.is_some() || self.pending_recipients() || self.wants_data() {
            return;
        }
        self.refusal = self
            .recipients
            .iter()
            .rev()
            .find_map(|recipient| match &recipient.status {
                RecipientStatus::Refused(reply) => Some((Phase::Rcpt, reply.clone())),
                _ => None,
            });
    }
}
