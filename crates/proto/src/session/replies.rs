//! What is answered, and what follows from it.

use std::time::Instant;

use super::chunks::Stop;
use super::mail_data::MailData;
use super::transaction::Acceptance;
use super::{Command, Completed, Expected, Job, Session};
use crate::envelope::Recipient;
use crate::ext::Extensions;
use crate::failure::{Failure, FailureKind, ProtocolError, Unsupported};
use crate::transparency::Encoder;
use crate::{Outcome, Phase, Protocol, Reply, ReplyCode};

impl Session {
    /// One complete reply has arrived.
    pub(super) fn settle(&mut self, reply: Reply, now: Instant) {
        // A challenge is taken in as it is.
        let reply = match reply.code().get() {
            334 => reply,
            _ => self.discreet(reply),
        };
        self.show_reply(&reply, now);
        // RFC 5321 §3.8: a server that must shut down may say so at any time.
        if reply.code() == ReplyCode::SERVICE_UNAVAILABLE && !self.is_final_for_one() {
            let kind = self.service_ends(&reply);
            self.fail(kind, Some(reply), now);
            return;
        }
        let front = self.expected.front().copied();
        if self.is_in_chunks() {
            self.settle_chunk(front, reply, now);
            return;
        }
        let Some(expected) = front else {
            self.fail(
                FailureKind::Protocol(ProtocolError::Early),
                Some(reply),
                now,
            );
            return;
        };
        if expected.command.is_end_of_mail_data() {
            self.settle_mail_data(reply, now);
            return;
        }
        if self.taken < expected.end {
            self.fail(
                FailureKind::Protocol(ProtocolError::Early),
                Some(reply),
                now,
            );
            return;
        }
        if !expected.command.may_have(reply.code()) {
            let kind = FailureKind::Protocol(ProtocolError::Unexpected);
            self.fail(kind, Some(reply), now);
            return;
        }
        self.expected.pop_front();
        self.disarm(now);
        self.arm_front(now);
        match expected.command {
            Command::Greeting => self.settle_greeting(reply, now),
            Command::Ehlo => self.settle_ehlo(reply, now),
            Command::Helo => self.settle_helo(reply, now),
            Command::Auth => self.settle_auth(reply, now),
            Command::StartTls => self.settle_starttls(reply, now),
            Command::Quit => {
                let timings = self.rest(now);
                self.spend(Phase::Quit, FailureKind::Closed, Some(reply));
                self.result = Some(Ok(Completed::Closed(Box::new(timings))));
            }
            Command::Rset => self.settle_rset(reply, now),
            // A refusal is an answer like any other.
            Command::Custom => {
                let answered = |timings| Completed::Answered(Box::new(reply), timings);
                self.complete(answered, now);
            }
            Command::Mail | Command::Rcpt(_) | Command::Data => {
                self.settle_command(expected.command, reply, now);
            }
            Command::MailData | Command::Chunk { .. } => {}
        }
    }

    fn settle_greeting(&mut self, reply: Reply, now: Instant) {
        if reply.code() == ReplyCode::SERVICE_READY {
            self.say_ehlo(now);
        } else {
            self.refuse(Phase::Greeting, reply, now);
        }
    }

    fn settle_ehlo(&mut self, reply: Reply, now: Instant) {
        match reply.code().get() {
            250 => {
                self.extensions =
                    Extensions::from_ehlo(&reply, &self.config.limits).without(&self.config.masked);
                let security = self.config.security;
                if self.encrypted || !security.is_starttls() {
                    self.complete(Completed::Ready, now);
                } else if self.extensions.starttls() {
                    self.say_starttls(now);
                } else if security.is_required() {
                    self.refuse_clear(reply, now);
                } else {
                    self.complete(Completed::Ready, now);
                }
            }
            // Without EHLO there is no STARTTLS.
            500 | 502 | 504 if self.config.security.is_required() && !self.encrypted => {
                self.refuse_clear(reply, now);
            }
            // RFC 5321 §3.2: the server does not know the command, nothing else.
            500 | 502 | 504 if self.config.protocol == Protocol::Smtp => self.say_helo(now),
            _ => self.refuse(Phase::Ehlo, reply, now),
        }
    }

    fn settle_helo(&mut self, reply: Reply, now: Instant) {
        if reply.code() == ReplyCode::OK {
            self.extensions = Extensions::none();
            self.complete(Completed::Ready, now);
        } else {
            self.refuse(Phase::Ehlo, reply, now);
        }
    }

    fn settle_starttls(&mut self, reply: Reply, now: Instant) {
        if reply.code() == ReplyCode::SERVICE_READY {
            self.upgrade_due = true;
            let timings = Box::new(core::mem::take(&mut self.timings));
            self.result = Some(Ok(Completed::Upgrade(timings)));
        } else if self.config.security.is_required() {
            self.refuse(Phase::StartTls, reply, now);
        } else {
            self.complete(Completed::Ready, now);
        }
    }

    /// TLS is required and not to be had: nothing more is said.
    fn refuse_clear(&mut self, reply: Reply, now: Instant) {
        let kind = FailureKind::Unsupported(Unsupported::StartTls);
        self.fail_at(Phase::StartTls, kind, Some(reply), now);
    }

    /// Octets came where TLS is due: none is looked at, and TLS never begins.
    pub(super) fn refuse_injection(&mut self, now: Instant) {
        let kind = FailureKind::Protocol(ProtocolError::Injected);
        // That TLS is due may not have been told yet; it never will be.
        self.result = None;
        self.fail_at(Phase::StartTls, kind, None, now);
    }

    fn settle_rset(&mut self, reply: Reply, now: Instant) {
        if !reply.code().is_completion() {
            // Ahead of it a whole message has left, for whichever transaction there is.
            if self.outcome() == Outcome::Ambiguous {
                let kind = FailureKind::Protocol(ProtocolError::Unexpected);
                self.fail_at(Phase::Reset, kind, Some(reply), now);
            } else {
                self.refuse(Phase::Reset, reply, now);
            }
            return;
        }
        self.reset_due = false;
        if matches!(self.job, Job::Reset) {
            self.complete(Completed::Reset, now);
        } else {
            self.fill(now);
        }
    }

    /// A refusal that leaves nothing to go on with.
    fn refuse(&mut self, phase: Phase, reply: Reply, now: Instant) {
        self.fail_at(phase, FailureKind::Refused, Some(reply), now);
    }

    fn settle_command(&mut self, command: Command, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let positive = !reply.code().is_negative();
        match command {
            Command::Mail if positive => transaction.mail_accepted = true,
            Command::Rcpt(_) if positive && transaction.is_refused_ahead() => {
                // It has refused MAIL: this is the reply to something else, or a transaction that is
                // not known here.
                transaction.refusal = None;
                let kind = FailureKind::Protocol(ProtocolError::Unexpected);
                self.fail_at(Phase::Rcpt, kind, Some(reply), now);
                return;
            }
            Command::Rcpt(index) => transaction.settle_recipient(index, reply),
            Command::Data if positive => {
                transaction.decide_recipients();
                if transaction.wants_data() {
                    let encoder = Encoder::new(transaction.options.line_endings);
                    transaction.mail_data = Some(MailData::Data(encoder));
                    transaction.needs_chunk = true;
                    self.expect(Command::MailData, 0, now);
                } else {
                    // The server now waits for mail data that nobody wants to send; every way on
                    // but closing would commit an unwanted message.
                    let (phase, reply) = transaction
                        .refusal
                        .take()
                        .unwrap_or((Phase::DataInitiation, reply));
                    self.fail_at(phase, FailureKind::Refused, Some(reply), now);
                }
                return;
            }
            Command::Data => {
                transaction.decide_recipients();
                transaction
                    .refusal
                    .get_or_insert((Phase::DataInitiation, reply));
            }
            _ => {
                transaction.refusal.get_or_insert((Phase::Mail, reply));
            }
        }
        transaction.decide_recipients();
        self.fill(now);
        self.end_refused(now);
    }

    /// Ends a refused transaction once every reply to what was sent has arrived: the connection is
    /// then at rest and may be used again, behind an RSET.
    fn end_refused(&mut self, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        if !self.expected.is_empty() {
            return;
        }
        let (refusal, given_up) = (transaction.refusal.take(), transaction.given_up.take());
        if refusal.is_none() && given_up.is_none() {
            return;
        }
        let recipients = transaction.take_recipients(Outcome::NotAccepted);
        self.reset_due = true;
        match (refusal, given_up) {
            (Some((phase, reply)), _) => self.refused(phase, reply, recipients, now),
            (None, given_up) => {
                let kind = given_up.unwrap_or(FailureKind::Source);
                self.ended(Phase::DataBlock, kind, None, recipients, now);
            }
        }
    }

    /// The server said no and the connection is at rest again.
    pub(super) fn refused(
        &mut self,
        phase: Phase,
        reply: Reply,
        recipients: Vec<Recipient>,
        now: Instant,
    ) {
        self.ended(phase, FailureKind::Refused, Some(reply), recipients, now);
    }

    fn ended(
        &mut self,
        phase: Phase,
        kind: FailureKind,
        reply: Option<Reply>,
        recipients: Vec<Recipient>,
        now: Instant,
    ) {
        let timings = self.rest(now);
        self.gathered.clear();
        self.finish(Err(Box::new(Failure {
            reply,
            recipients,
            timings,
            ..Failure::new(phase, kind, Outcome::NotAccepted)
        })));
        self.go_on(now);
    }

    /// Whether the mail data goes by BDAT and has begun to.
    fn is_in_chunks(&self) -> bool {
        matches!(&self.job, Job::Transaction(transaction)
            if matches!(transaction.mail_data, Some(MailData::Chunks(_))))
    }

    /// A reply while mail data goes by BDAT: to the chunk that waits for one the longest.
    fn settle_chunk(&mut self, front: Option<Expected>, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let Some(MailData::Chunks(chunks)) = &mut transaction.mail_data else {
            return;
        };
        let code = reply.code();
        let left = front.is_some_and(|chunk| chunks.has_left(chunk.end));
        match front.map(|chunk| chunk.command) {
            Some(Command::Chunk { last: false }) if left => {}
            // To the last one, or to none that has left whole.
            _ => {
                self.settle_mail_data(reply, now);
                return;
            }
        }
        if !code.is_completion() && !code.is_negative() {
            let kind = FailureKind::Protocol(ProtocolError::Unexpected);
            self.fail(kind, Some(reply), now);
            return;
        }
        self.expected.pop_front();
        if code.is_negative() && transaction.refusal.is_none() {
            // RFC 3030 §2: the transaction has failed, and no further chunk may be sent.
            transaction.refusal = Some((Phase::DataBlock, reply));
            transaction.needs_chunk = false;
            match chunks.stop() {
                Stop::Clean => {}
                Stop::Granted => {
                    self.expected.pop_back();
                }
                Stop::HalfSaid => {
                    self.fail_at(Phase::DataBlock, FailureKind::Refused, None, now);
                    return;
                }
            }
        }
        self.arm(Phase::DataBlock, now);
        self.grant_chunk(now);
        self.end_refused(now);
    }

    fn settle_mail_data(&mut self, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let code = reply.code();
        if transaction.outcome == Outcome::NotAccepted {
            // RFC 5321 has no reply here; a server that says no has said what matters, one that
            // says yes to half a message has said nothing that can be believed.
            let kind = if code.is_negative() {
                FailureKind::Refused
            } else {
                FailureKind::Protocol(ProtocolError::Early)
            };
            self.fail(kind, Some(reply), now);
        } else if !code.is_completion() && !code.is_negative() {
            let kind = FailureKind::Protocol(ProtocolError::Unexpected);
            self.fail(kind, Some(reply), now);
        } else if transaction.refusal.is_some() {
            self.settle_refused(reply, now);
        } else if transaction.lmtp {
            self.settle_final(reply, now);
        } else if code.is_completion() {
            self.accept(reply, now);
        } else {
            self.refuse_mail_data(reply, now);
        }
    }

    fn accept(&mut self, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let recipients = transaction.take_recipients(Outcome::Accepted);
        let octets = transaction.octets_taken();
        let acceptance = Box::new(Acceptance {
            reply,
            recipients,
            timings: self.rest(now),
            octets,
        });
        self.finish(Ok(Completed::Accepted(acceptance)));
        self.go_on(now);
    }

    fn refuse_mail_data(&mut self, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        transaction.outcome = Outcome::NotAccepted;
        // RFC 3030 does not say that a refused chunk ends the transaction.
        self.reset_due |= transaction.ahead.is_some();
        let recipients = transaction.take_recipients(Outcome::NotAccepted);
        self.refused(Phase::DataTermination, reply, recipients, now);
    }

    /// The final reply for one recipient of several (RFC 2033 §4.2).
    fn settle_final(&mut self, reply: Reply, now: Instant) {
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let closing = reply.code() == ReplyCode::SERVICE_UNAVAILABLE;
        if transaction.settle_final(&reply) {
            if closing {
                // About the others it has said nothing.
                self.fail(FailureKind::Refused, Some(reply), now);
            } else {
                self.arm(Phase::DataTermination, now);
            }
            return;
        }
        match transaction.positive_final() {
            Some(positive) => self.accept(positive, now),
            None => self.refuse_mail_data(reply.clone(), now),
        }
        if closing {
            // About the message behind it, which may have left whole, it has said nothing.
            let kind = match self.outcome() {
                Outcome::Ambiguous => FailureKind::Closed,
                _ => FailureKind::Refused,
            };
            self.fail(kind, Some(reply), now);
        }
    }

    /// Whether a reply would be the final one for one recipient and for nobody else.
    fn is_final_for_one(&self) -> bool {
        let last = self.expected.front();
        last.is_some_and(|last| last.command.is_end_of_mail_data())
            && matches!(&self.job, Job::Transaction(transaction)
                if transaction.lmtp && transaction.outcome() == Outcome::Ambiguous)
    }

    /// Whether some recipients have their final reply and others have not.
    pub(super) fn is_partly_final(&self) -> bool {
        matches!(&self.job, Job::Transaction(transaction)
            if transaction.recipients.iter().any(|r| r.final_reply().is_some()))
    }

    /// Ends the call, and the connection with it, in the phase that was being waited for.
    pub(super) fn fail(&mut self, kind: FailureKind, reply: Option<Reply>, now: Instant) {
        let phase = self.phase().unwrap_or(Phase::Quit);
        self.fail_at(phase, kind, reply, now);
    }

    pub(super) fn fail_at(
        &mut self,
        phase: Phase,
        kind: FailureKind,
        reply: Option<Reply>,
        now: Instant,
    ) {
        let reply = reply.map(|reply| self.discreet(reply));
        if matches!(self.job, Job::None) {
            self.spend(phase, kind, reply);
            return;
        }
        let for_one = self.is_final_for_one();
        let following = core::mem::take(&mut self.following);
        let (why, because) = (kind.clone(), reply.clone());
        self.spend(phase, FailureKind::NotIdle, None);
        let mut failure = Box::new(Failure {
            reply,
            ..Failure::new(phase, kind, self.outcome())
        });
        if let Job::Transaction(transaction) = &mut self.job {
            // 421 and every other complete negative final reply say that the message was not taken.
            if failure.kind == FailureKind::Refused && !for_one {
                failure.outcome = Outcome::NotAccepted;
            }
            transaction.decide_recipients();
            failure.recipients = transaction.take_recipients(failure.outcome);
            // What the server has already refused is not hidden by how the connection ended.
            let refusal = transaction.refusal.take();
            if let Some((phase, reply)) = refusal.filter(|_| failure.outcome != Outcome::Ambiguous)
            {
                if failure.kind != FailureKind::Cancelled && failure.kind != FailureKind::Refused {
                    failure.phase = phase;
                    failure.kind = FailureKind::Refused;
                }
                failure.reply.get_or_insert(reply);
            }
        }
        if let Job::Auth(authentication) = &mut self.job {
            failure.detail = authentication.detail.take();
        }
        failure.timings = self.rest(now);
        self.finish(Err(failure));
        self.fail_following(following, &why, because.as_ref());
    }
}

impl Command {
    /// Whether the reply is the final one.
    pub(super) const fn is_end_of_mail_data(self) -> bool {
        matches!(self, Self::MailData | Self::Chunk { last: true })
    }

    /// Whether RFC 5321 §4.3.2 knows a meaning for this kind of code here.
    fn may_have(self, code: ReplyCode) -> bool {
        if code.is_negative() {
            return true;
        }
        match self {
            Self::Greeting | Self::StartTls => code == ReplyCode::SERVICE_READY,
            Self::Data => code == ReplyCode::START_MAIL_INPUT,
            Self::Ehlo | Self::Helo => code == ReplyCode::OK,
            Self::Auth => matches!(code.get(), 235 | 334),
            Self::Quit => true,
            Self::Mail
            | Self::Rcpt(_)
            | Self::MailData
            | Self::Chunk { .. }
            | Self::Rset
            | Self::Custom => code.is_completion(),
        }
    }
}
