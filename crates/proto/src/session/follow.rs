//! One transaction behind another: its commands leave in one group with the mail data before them.

use std::time::Instant;

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
    /// result on it is the current one, and another one may follow.
    ///
    /// If the current transaction ends the connection, the one behind it has not begun: there is no
    /// result for it, and nothing of its message was or will be sent.
    ///
    /// # Errors
    /// If there is no current transaction, or one behind it already, or the message needs what the
    /// server does not offer. The current transaction is not touched.
    pub fn follow(
        &mut self,
        envelope: &Envelope,
        options: TransactionOptions,
        now: Instant,
    ) -> Result<(), Box<Failure>> {
        let current = matches!(self.job, Job::Transaction(_))
            && self.spent.is_none()
            && self.lingering.is_none();
        if !current || self.following.is_some() {
            let kind = FailureKind::NotIdle;
            return Err(Box::new(Failure::new(
                Phase::Mail,
                kind,
                Outcome::NotAccepted,
            )));
        }
        self.following = Some(Box::new(self.prepare(envelope, options)?));
        self.fill(now);
        Ok(())
    }

    /// Whether a mail transaction is under way, or has a result that was not taken.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        matches!(self.job, Job::Transaction(_)) || self.result.is_some()
    }

    /// Makes the transaction that follows the current one, if one does.
    pub(super) fn go_on(&mut self, now: Instant) {
        let Some(next) = self.following.take() else {
            return;
        };
        let mail_data = |expected: &super::Expected| {
            matches!(
                expected.command,
                Command::MailData | Command::Chunk { last: true }
            )
        };
        if self.expected.front().is_some_and(mail_data) {
            self.expected.pop_front();
        }
        self.job = Job::Transaction(next);
        if let Some(expected) = self.expected.front() {
            self.arm(expected.phase, now);
        }
        if self.reset_due {
            self.say("RSET\r\n", Command::Rset, now);
        }
        self.fill(now);
    }
}
