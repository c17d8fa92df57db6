//! One transaction behind another: its commands leave in one group with the mail data before them.

use std::time::Instant;

use super::transaction::Queued;
use super::{Command, Job, Session};
use crate::envelope::{Envelope, TransactionOptions};
use crate::failure::{Failure, FailureKind};
use crate::{Outcome, Phase};

impl Session {
    /// Queues the mail transaction that follows the current one, under the same bounds.
    ///
    /// Once the last chunk of the current message is given, its commands are handed out right
    /// behind the end of mail data where the server offers PIPELINING (RFC 2920 §3.1 lets mail data
    /// be the first of a group), and else once the current transaction has its result. From that
    /// result on it is the current one, and another one may follow. With
    /// [`Chunking::Ahead`](crate::Chunking::Ahead) so many may be under way at once as it says, and
    /// the results are had in the order in which the transactions were queued.
    ///
    /// If the current transaction ends the connection, there is no result for one behind it whose
    /// message has not left whole: it is not accepted, and nothing more of it will be sent. Those
    /// whose last octet had left have theirs.
    ///
    /// # Errors
    /// If there is no current transaction and no result that is still to be taken, or there are as
    /// many under way as there may be, or the message needs what the server does not offer. What is
    /// under way is not touched.
    pub fn follow(
        &mut self,
        envelope: &Envelope,
        options: TransactionOptions,
        now: Instant,
    ) -> Result<(), Box<Failure>> {
        let current = match &self.job {
            Job::Transaction(current) => Some(current.as_ref()),
            // Its results are not taken yet, and it is at rest.
            Job::None if self.result.is_some() && !self.reader.is_midway() => None,
            _ => return Err(Self::not_now()),
        };
        if self.spent.is_some() || self.lingering.is_some() {
            return Err(Self::not_now());
        }
        let ahead = self.goes_ahead(options);
        let rest = self.following.iter().map(AsRef::as_ref);
        let under_way = current.into_iter().chain(rest);
        if !Self::has_room(under_way, ahead, self.config.limits.ahead_octets) {
            return Err(Self::not_now());
        }
        let next = self.prepare(envelope, options)?;
        if matches!(self.job, Job::None) {
            self.job = Job::Transaction(next);
            if self.reset_due {
                self.say("RSET\r\n", Command::Rset, now);
            }
        } else {
            self.following.push_back(next);
        }
        self.fill(now);
        Ok(())
    }

    fn not_now() -> Box<Failure> {
        let kind = FailureKind::NotIdle;
        Box::new(Failure::new(Phase::Mail, kind, Outcome::NotAccepted))
    }

    /// Whether a mail transaction is under way, or has a result that was not taken.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        matches!(self.job, Job::Transaction(_)) || self.result.is_some()
    }

    /// Makes the transaction that follows the current one, if one does.
    pub(super) fn go_on(&mut self, now: Instant) {
        let Some(next) = self.following.pop_front() else {
            return;
        };
        let mail_data = |expected: &super::Expected| expected.command.is_end_of_mail_data();
        if self.expected.front().is_some_and(mail_data) {
            self.expected.pop_front();
        }
        let unsaid = next.queued == Queued::Nothing;
        self.job = Job::Transaction(next);
        self.arm_front(now);
        if self.reset_due && unsaid {
            self.say("RSET\r\n", Command::Rset, now);
        }
        self.fill(now);
    }
}
