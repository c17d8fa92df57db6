//! Messages ahead of the replies: whole groups of MAIL, RCPT and the last chunk (RFC 3030 §4.2).
//!
//! Such a message is queued among the commands, so that the stream is in step whatever is answered
//! and several of them leave in one write. Its outcome flips with the last octet of its own chunk.

use core::ops::Range;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use super::transaction::{Queued, Transaction};
use super::{Command, Expected, Job, Line, Session};
use crate::envelope::{Chunking, Require, TransactionOptions};
use crate::failure::{Failure, FailureKind, ProtocolError};
use crate::transparency::Encoder;
use crate::{Outcome, Phase, Reply};

/// Pieces of the encoder that are copied at once.
const PIECES: usize = 16;

/// A message that goes ahead of the replies.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Its declared size.
    size: u64,
    encoder: Encoder,
    /// Where it is in the stream of commands, once it is queued.
    span: Range<u64>,
    /// Octets of it that the transport took.
    taken: u64,
}

impl Ahead {
    pub(super) fn new(size: u64, encoder: Encoder) -> Self {
        Self {
            size,
            encoder,
            span: 0..0,
            taken: 0,
        }
    }

    pub(super) const fn octets_taken(&self) -> u64 {
        self.taken
    }

    /// Whether it is queued and has not left whole.
    fn is_leaving(&self, taken: u64) -> bool {
        self.span.end > taken
    }

    /// Takes the next piece in, and ends the message if it is the last.
    fn gather(&mut self, piece: &[u8], last: bool, to: &mut Vec<u8>) -> Result<(), FailureKind> {
        self.encoder.next_chunk();
        loop {
            self.encoder
                .prepare(piece, last)
                .map_err(FailureKind::Message)?;
            let mut slices = [IoSlice::new(&[]); PIECES];
            let count = self.encoder.slices(piece, &mut slices);
            let before = to.len();
            for slice in slices.get(..count).unwrap_or_default() {
                to.extend_from_slice(slice);
            }
            self.encoder.taken(to.len() - before);
            // No more than it said, if every octet is a bare LF and the last line has no end.
            if to.len() as u64 > self.size.saturating_mul(2).saturating_add(2) {
                return Err(FailureKind::Source);
            }
            if self.encoder.pending() == 0 && !self.encoder.needs_prepare(piece, last) {
                return Ok(());
            }
        }
    }
}

impl Session {
    /// Whether a message goes ahead of the replies: with how many, and its size.
    pub(super) fn goes_ahead(&self, options: TransactionOptions) -> Option<(usize, u64)> {
        let Chunking::Ahead(window) = options.chunking else {
            return None;
        };
        let size = options.size?;
        let offered = self.extensions.chunking() && self.extensions.pipelining();
        let most = self.config.limits.ahead_octets;
        let fits = usize::try_from(size).is_ok_and(|size| size <= most);
        let window = usize::try_from(window).unwrap_or(usize::MAX).max(1);
        (offered && fits && options.require != Require::AllRecipients).then_some((window, size))
    }

    /// Whether another transaction may be queued behind these: one, or as many as go ahead.
    pub(super) fn has_room<'a>(
        under_way: impl Iterator<Item = &'a Transaction>,
        next: Option<(usize, u64)>,
        most: usize,
    ) -> bool {
        let (mut count, mut octets, mut all_ahead) = (0, 0, next.is_some());
        for transaction in under_way {
            count += 1;
            octets += transaction.ahead.as_ref().map_or(0, |ahead| ahead.size);
            all_ahead &= transaction.ahead.is_some();
        }
        match next {
            Some((window, size)) if all_ahead => {
                count == 0 || (count < window && octets + size <= most as u64)
            }
            _ => count <= 1,
        }
    }

    /// The transaction at this place: the current one is at 0.
    pub(super) fn transaction(&self, place: usize) -> Option<&Transaction> {
        match (&self.job, place.checked_sub(1)) {
            (Job::Transaction(current), None) => Some(current),
            (_, Some(place)) => self.following.get(place).map(AsRef::as_ref),
            _ => None,
        }
    }

    fn transaction_mut(&mut self, place: usize) -> Option<&mut Transaction> {
        match (&mut self.job, place.checked_sub(1)) {
            (Job::Transaction(current), None) => Some(current),
            (_, Some(place)) => self.following.get_mut(place).map(AsMut::as_mut),
            _ => None,
        }
    }

    /// The first transaction that is not said to its end, or the last one.
    pub(super) fn saying_place(&self) -> Option<usize> {
        let Job::Transaction(current) = &self.job else {
            return None;
        };
        if !current.all_given {
            return Some(0);
        }
        let given = self.following.partition_point(|next| next.all_given);
        Some((given + 1).min(self.following.len()))
    }

    pub(super) fn saying(&self) -> Option<(usize, &Transaction)> {
        let place = self.saying_place()?;
        Some((place, self.transaction(place)?))
    }

    /// Whether any message that is under way may have been accepted.
    #[must_use]
    pub fn may_be_accepted(&self) -> bool {
        let ambiguous = |transaction: &Transaction| transaction.outcome() == Outcome::Ambiguous;
        self.outcome() == Outcome::Ambiguous || self.following.iter().any(|next| ambiguous(next))
    }

    /// Octets of the current message's mail data that the transport took, with transparency and the
    /// end of mail data.
    #[must_use]
    pub fn mail_data_octets(&self) -> u64 {
        self.transaction(0).map_or(0, Transaction::octets_taken)
    }

    /// Whether octets of a message are among the commands that have not left.
    pub(super) fn is_committing(&self) -> bool {
        let leaving = |place| {
            let ahead = self.transaction(place)?.ahead.as_ref()?;
            Some(ahead.is_leaving(self.taken))
        };
        (0..=self.following.len()).any(|place| leaving(place) == Some(true))
    }

    /// Takes in a message, and queues it once it is whole.
    pub(super) fn provide_ahead(&mut self, place: usize, piece: &[u8], last: bool, now: Instant) {
        let mut gathered = core::mem::take(&mut self.gathered);
        let wanted = |transaction: &&mut Transaction| {
            transaction.needs_chunk && transaction.refusal.is_none()
        };
        let Some(transaction) = self.transaction_mut(place).filter(wanted) else {
            return;
        };
        let Some(ahead) = &mut transaction.ahead else {
            return;
        };
        if let Err(kind) = ahead.gather(piece, last, &mut gathered) {
            self.give_up(kind, now);
            return;
        }
        if !last {
            self.gathered = gathered;
            return;
        }
        transaction.needs_chunk = false;
        transaction.all_given = true;
        transaction.queued = Queued::Data;
        let line = format!("BDAT {} LAST\r\n", gathered.len());
        self.out.reserve(line.len() + gathered.len());
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(&gathered);
        let begin = self.queued + line.len() as u64;
        self.queued = begin + gathered.len() as u64;
        let end = self.queued;
        if let Some(ahead) = self
            .transaction_mut(place)
            .and_then(|transaction| transaction.ahead.as_mut())
        {
            ahead.span = begin..end;
        }
        self.show(|| Line::Said(line.trim_end().to_owned()), now);
        self.expected.push_back(Expected {
            command: Command::Chunk { last: true },
            phase: Phase::DataBlock,
            octets: line.len(),
            end,
        });
        gathered.clear();
        self.gathered = gathered;
        self.fill(now);
    }

    /// The message that is being handed over can't be sent to its end. Those before it are not
    /// touched.
    pub(super) fn give_up(&mut self, kind: FailureKind, now: Instant) {
        self.gathered.clear();
        match self.saying_place() {
            Some(place) if place > 0 => {
                if let Some(transaction) = self.transaction_mut(place) {
                    transaction.needs_chunk = false;
                    transaction.given_up = Some(kind);
                }
            }
            _ => self.fail(kind, None, now),
        }
    }

    /// The transport took commands: where it took the last octet of a message, the server may have
    /// it from here on.
    pub(super) fn ahead_transmitted(&mut self, now: Instant) {
        let Job::Transaction(current) = &mut self.job else {
            return;
        };
        let mut left = Vec::new();
        let mut moved = false;
        let all = core::iter::once(current).chain(&mut self.following);
        for (place, transaction) in all.enumerate() {
            let Some(ahead) = &mut transaction.ahead else {
                continue;
            };
            let Range { start, end } = ahead.span;
            if end == 0 || self.taken <= start.min(end - 1) {
                break;
            }
            let taken = self.taken.min(end) - start;
            moved |= place == 0 && taken > ahead.taken;
            ahead.taken = taken;
            if self.taken >= end && transaction.outcome == Outcome::NotAccepted {
                transaction.outcome = Outcome::Ambiguous;
                left.push((place, taken));
            }
        }
        if let (Some(armed), Job::Transaction(current)) = (&mut self.armed, &self.job)
            && moved
            && armed.phase == Phase::DataBlock
        {
            armed.credit(&self.config.timeouts, current.octets_taken(), now);
        }
        for (place, octets) in left {
            self.show(|| Line::MailData(octets), now);
            if place == 0 && self.phase() == Some(Phase::DataBlock) {
                self.arm_front(now);
            }
        }
    }

    /// The wait for the next reply that is due begins.
    pub(super) fn arm_front(&mut self, now: Instant) {
        let Some(next) = self.expected.front() else {
            return;
        };
        let whole = next.command.is_end_of_mail_data()
            && matches!(&self.job, Job::Transaction(current) if current.outcome == Outcome::Ambiguous);
        let phase = if whole {
            Phase::DataTermination
        } else {
            next.phase
        };
        self.arm(phase, now);
    }

    /// The final reply to a message of which nothing was wanted: it was on its way before that was
    /// known.
    pub(super) fn settle_refused(&mut self, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let Some((phase, refusal)) = transaction.refusal.take() else {
            return;
        };
        if reply.code().is_negative() {
            transaction.outcome = Outcome::NotAccepted;
            self.reset_due = true;
            let recipients = transaction.take_recipients(Outcome::NotAccepted);
            self.refused(phase, refusal, recipients, now);
        } else {
            // It says that it took a message for nobody: who knows what it did with it.
            let kind = FailureKind::Protocol(ProtocolError::Unexpected);
            self.fail_at(Phase::DataTermination, kind, Some(reply), now);
        }
    }

    /// What a 421 makes of the current call. Behind a message that has left whole it is the reply to
    /// the command that waits for one, and says nothing of what the server does with the rest.
    pub(super) fn service_ends(&mut self, reply: &Reply) -> FailureKind {
        let command = self.expected.front().map(|next| next.command);
        if let Job::Transaction(transaction) = &mut self.job
            && transaction.ahead.is_some()
            && transaction.outcome() == Outcome::Ambiguous
        {
            match command {
                Some(Command::Mail) => transaction.refusal = Some((Phase::Mail, reply.clone())),
                Some(Command::Rcpt(index)) => {
                    transaction.settle_recipient(index, reply.clone());
                    transaction.decide_recipients();
                }
                Some(Command::Chunk { .. }) => return FailureKind::Refused,
                _ => {}
            }
            if transaction.outcome() == Outcome::Ambiguous {
                return FailureKind::Closed;
            }
        }
        FailureKind::Refused
    }

    /// What became of the messages behind the one that ended the connection: those that have left
    /// whole may have been accepted.
    pub(super) fn fail_following(
        &mut self,
        following: VecDeque<Box<Transaction>>,
        kind: &FailureKind,
        reply: Option<&Reply>,
    ) {
        for mut transaction in following {
            if transaction.outcome() != Outcome::Ambiguous {
                return;
            }
            let kind = match kind {
                FailureKind::Refused => FailureKind::Closed,
                kind => kind.clone(),
            };
            self.finish(Err(Box::new(Failure {
                reply: reply.cloned(),
                recipients: transaction.take_recipients(Outcome::Ambiguous),
                ..Failure::new(Phase::DataTermination, kind, Outcome::Ambiguous)
            })));
        }
    }
}
