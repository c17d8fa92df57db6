//! What is said, and when it may be said.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Instant;

use super::ahead::Ahead;
use super::mail_data::MailData;
use super::transaction::{Queued, Transaction};
use super::{Armed, Bounds, Command, Expected, Job, Line, Session};
use crate::envelope::{BodyType, Chunking, Envelope, TransactionOptions};
use crate::ext::Extensions;
use crate::failure::{Failure, FailureKind, Limit, ProtocolError, Unsupported};
use crate::reader::ReplyReader;
use crate::{CustomCommand, Outcome, Phase, Protocol};

/// Room in a line for a command's words and common parameters.
const COMMAND: usize = 48;
/// Octets of a usual group of commands.
const GROUP: usize = 192;

impl Session {
    /// Begins a mail transaction.
    ///
    /// # Errors
    /// If the connection is not at rest, or the message needs what the server does not offer.
    /// Nothing was sent then.
    pub fn begin(
        &mut self,
        envelope: &Envelope,
        options: TransactionOptions,
        bounds: Bounds,
        now: Instant,
    ) -> Result<(), Box<Failure>> {
        self.check_idle(Phase::Mail)?;
        let transaction = self.prepare(envelope, options)?;
        self.bounds = bounds;
        self.job = Job::Transaction(transaction);
        if self.reset_due {
            self.say("RSET\r\n", Command::Rset, now);
        }
        self.fill(now);
        Ok(())
    }

    /// Makes the server forget the current transaction (RFC 5321 §4.1.1.5).
    ///
    /// # Errors
    /// If the connection is not at rest.
    pub fn reset(&mut self, bounds: Bounds, now: Instant) -> Result<(), Box<Failure>> {
        self.check_idle(Phase::Reset)?;
        self.bounds = bounds;
        self.job = Job::Reset;
        self.say("RSET\r\n", Command::Rset, now);
        Ok(())
    }

    /// Says a command that is no part of a transaction.
    ///
    /// # Errors
    /// If the connection is not at rest.
    pub fn command(
        &mut self,
        command: &CustomCommand,
        bounds: Bounds,
        now: Instant,
    ) -> Result<(), Box<Failure>> {
        self.check_idle(Phase::Command)?;
        self.bounds = bounds;
        self.job = Job::Command;
        self.say(&format!("{command}\r\n"), Command::Custom, now);
        Ok(())
    }

    /// Says goodbye (RFC 5321 §4.1.1.10).
    ///
    /// # Errors
    /// If the connection is not at rest.
    pub fn quit(&mut self, bounds: Bounds, now: Instant) -> Result<(), Box<Failure>> {
        self.check_idle(Phase::Quit)?;
        self.bounds = bounds;
        self.job = Job::Quit;
        self.say("QUIT\r\n", Command::Quit, now);
        Ok(())
    }

    /// Whether a call that begins with `phase` may be made.
    ///
    /// # Errors
    /// Why not: what the peer did meanwhile, such as saying 421, or that the connection is not at
    /// rest.
    pub fn check_idle(&self, phase: Phase) -> Result<(), Box<Failure>> {
        if let Some(spent) = &self.spent {
            let mut failure = spent.clone();
            failure.phase = phase;
            return Err(failure);
        }
        let kind = if !matches!(self.job, Job::None) || self.result.is_some() {
            FailureKind::NotIdle
        } else if self.reader.is_midway() {
            FailureKind::Protocol(ProtocolError::Early)
        } else {
            return Ok(());
        };
        Err(Box::new(Failure::new(phase, kind, Outcome::NotAccepted)))
    }

    /// A transaction that the server offers all of.
    pub(super) fn prepare(
        &mut self,
        envelope: &Envelope,
        options: TransactionOptions,
    ) -> Result<Box<Transaction>, Box<Failure>> {
        self.check_supported(envelope, options).map_err(|what| {
            Box::new(Failure::new(
                Phase::Mail,
                FailureKind::Unsupported(what),
                Outcome::NotAccepted,
            ))
        })?;
        self.transactions = self.transactions.saturating_add(1);
        let mail = self.mail_line(envelope, options);
        let mut transaction = Box::new(Transaction::new(envelope, options, mail));
        transaction.lmtp = self.config.protocol == Protocol::Lmtp;
        if self.extensions.chunking() {
            transaction.chunked = match (options.chunking, options.body) {
                (Chunking::UpTo(octets), _) => Some(octets),
                (Chunking::Ahead(_), _) => Some(u32::MAX),
                (Chunking::Never, BodyType::BinaryMime) => Some(u32::MAX),
                (Chunking::Never, _) => None,
            };
        }
        if let Some((_, size)) = self.goes_ahead(options) {
            transaction.ahead = Some(Ahead::new(size, transaction.chunk_encoder()));
        }
        Ok(transaction)
    }

    fn mail_line(&self, envelope: &Envelope, options: TransactionOptions) -> String {
        let path = envelope.reverse_path().as_str();
        let mut mail = String::with_capacity(path.len() + COMMAND);
        mail.push_str("MAIL FROM:<");
        mail.push_str(path);
        mail.push('>');
        if let (Some(size), Some(_)) = (options.size, self.extensions.size()) {
            // Writing to a String can't fail.
            let _ = write!(mail, " SIZE={size}");
        }
        mail.push_str(match options.body {
            BodyType::SevenBit => "",
            BodyType::EightBitMime => " BODY=8BITMIME",
            BodyType::BinaryMime => " BODY=BINARYMIME",
        });
        if needs_smtputf8(envelope) {
            mail.push_str(" SMTPUTF8");
        }
        envelope.mail_parameters().append(&mut mail);
        mail.push_str("\r\n");
        mail
    }

    /// Whether the server offers all that the transaction needs. Looked at before anything is sent.
    fn check_supported(
        &self,
        envelope: &Envelope,
        options: TransactionOptions,
    ) -> Result<(), Unsupported> {
        let offered = &self.extensions;
        if needs_smtputf8(envelope) && !offered.smtputf8() {
            return Err(Unsupported::SmtpUtf8);
        }
        if options.body == BodyType::EightBitMime && !offered.eight_bit_mime() {
            return Err(Unsupported::EightBitMime);
        }
        if options.body == BodyType::BinaryMime && !offered.binary_mime() {
            return Err(Unsupported::BinaryMime);
        }
        if let (Some(size), Some(limit)) = (options.size, offered.size())
            && let Some(maximum) = limit.maximum()
            && size > maximum
        {
            return Err(Unsupported::Size { size, maximum });
        }
        envelope.mail_parameters().check(offered)?;
        // RFC 8689 §4.2.1: an offer in clear is none.
        if envelope.mail_parameters().require_tls && !self.encrypted {
            return Err(Unsupported::RequireTls);
        }
        let reports = envelope.rcpt_parameters().iter().any(|p| !p.is_none());
        if reports && !offered.dsn() {
            return Err(Unsupported::Dsn);
        }
        self.check_limits(envelope)
    }

    /// RFC 9422.
    fn check_limits(&self, envelope: &Envelope) -> Result<(), Unsupported> {
        let limits = self.extensions.limits();
        if let Some(maximum) = limits.mail
            && self.transactions >= maximum
        {
            return Err(Unsupported::Transactions { maximum });
        }
        let recipients = envelope.forward_paths().len();
        if let Some(maximum) = limits.recipients
            && exceeds(recipients, maximum)
        {
            return Err(Unsupported::Recipients {
                recipients,
                maximum,
            });
        }
        if let Some(maximum) = limits.recipient_domains {
            let domains: BTreeSet<String> = envelope
                .forward_paths()
                .iter()
                .map(|path| path.domain().to_ascii_lowercase())
                .collect();
            let domains = domains.len();
            if exceeds(domains, maximum) {
                return Err(Unsupported::RecipientDomains { domains, maximum });
            }
        }
        Ok(())
    }

    /// Queues a command and the reply that it must have.
    pub(super) fn say(&mut self, line: &str, command: Command, now: Instant) {
        self.show(|| Line::Said(line.trim_end().to_owned()), now);
        if self.out.capacity() == 0 {
            self.out.reserve(GROUP);
        }
        self.out.extend_from_slice(line.as_bytes());
        self.queued += line.len() as u64;
        self.expect(command, line.len(), now);
    }

    pub(super) fn expect(&mut self, command: Command, octets: usize, now: Instant) {
        let phase = command.phase();
        self.expected.push_back(Expected {
            command,
            phase,
            octets,
            end: self.queued,
        });
        if self.expected.len() == 1 {
            self.arm(phase, now);
        }
    }

    /// A phase starts: its limit runs from here and no octet moves it.
    pub(super) fn arm(&mut self, phase: Phase, now: Instant) {
        self.disarm(now);
        let octets = match &self.job {
            Job::Transaction(transaction) => transaction.octets_taken(),
            _ => 0,
        };
        let limit = match phase {
            // Whoever has answered once has read all of it.
            Phase::DataTermination if self.is_partly_final() => self.config.timeouts.of(phase),
            Phase::DataTermination => self.config.timeouts.data_termination(octets),
            _ => self.config.timeouts.of(phase),
        };
        self.armed = Some(Armed::new(phase, limit, now).behind(octets));
    }

    /// Says EHLO, or what LMTP has for it.
    pub(super) fn say_ehlo(&mut self, now: Instant) {
        let verb = match self.config.protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        let line = [verb, " ", self.config.ehlo_name.as_str(), "\r\n"].concat();
        self.say(&line, Command::Ehlo, now);
    }

    /// Says STARTTLS (RFC 3207): alone, because nothing may follow it in clear.
    pub(super) fn say_starttls(&mut self, now: Instant) {
        self.say("STARTTLS\r\n", Command::StartTls, now);
    }

    /// TLS is up, and the server is who it has to be. Whatever was known of it is forgotten, because
    /// anybody may have said it (RFC 3207 §4.2), and EHLO is said again.
    pub fn upgraded(&mut self, now: Instant) {
        if !core::mem::take(&mut self.upgrade_due) || self.spent.is_some() {
            return;
        }
        self.encrypted = true;
        self.extensions = Extensions::none();
        self.reader = ReplyReader::new(&self.config.limits);
        self.say_ehlo(now);
    }

    /// Says HELO to a server that does not know EHLO.
    pub(super) fn say_helo(&mut self, now: Instant) {
        let line = ["HELO ", self.config.ehlo_name.as_str(), "\r\n"].concat();
        self.say(&line, Command::Helo, now);
    }

    /// Queues as much of the transaction as may be under way at once: with PIPELINING what the
    /// window holds (RFC 2920), without it one command.
    pub(super) fn fill(&mut self, now: Instant) {
        let window = self.config.limits.pipeline_window.max(1);
        let pipelining = self.extensions.pipelining();
        let reserve_is_broken = self.reserve_is_broken(now);
        // One line after the other in the same memory.
        let mut line = String::new();
        loop {
            // RFC 2920 §3.1: behind the mail data the next group may begin.
            let Some(place) = self
                .saying_place()
                .filter(|place| *place == 0 || pipelining)
            else {
                return;
            };
            let behind = place > 0;
            // What is not answered may leave a transaction behind.
            let reset = behind
                && self
                    .transaction(place - 1)
                    .is_some_and(|t| t.ahead.is_some());
            let transaction = match (&mut self.job, place.checked_sub(1)) {
                (Job::Transaction(current), None) => current,
                (_, Some(place)) if let Some(next) = self.following.get_mut(place) => next,
                _ => return,
            };
            let room = self.expected.is_empty() || (pipelining && self.expected.octets() < window);
            let ended = transaction.refusal.is_some() || transaction.given_up.is_some();
            if !room || ended || self.lingering.is_some() {
                return;
            }
            let command = match transaction.queued {
                Queued::Nothing if reset => {
                    transaction.queued = Queued::Reset;
                    "RSET\r\n".clone_into(&mut line);
                    Command::Rset
                }
                Queued::Nothing | Queued::Reset => {
                    transaction.queued = Queued::Mail;
                    line = core::mem::take(&mut transaction.mail);
                    Command::Mail
                }
                Queued::Mail | Queued::Recipients(_) => {
                    let next = match transaction.queued {
                        Queued::Recipients(count) => count,
                        _ => 0,
                    };
                    if let Some(recipient) = transaction.recipients.get(next) {
                        transaction.queued = Queued::Recipients(next + 1);
                        let path = recipient.path.as_str();
                        line.clear();
                        line.push_str("RCPT TO:<");
                        line.push_str(path);
                        line.push('>');
                        if let Some(parameters) = transaction.rcpt_parameters.get(next) {
                            parameters.append(&mut line);
                        }
                        line.push_str("\r\n");
                        Command::Rcpt(next)
                    } else if transaction.ahead.is_some() {
                        if reserve_is_broken && !behind {
                            let limit = Limit::Reserve(self.bounds.reserve);
                            self.fail(FailureKind::TimedOut(limit), None, now);
                        } else if !reserve_is_broken {
                            transaction.needs_chunk = true;
                            if self.armed.is_none() {
                                self.arm(Phase::DataBlock, now);
                            }
                        }
                        return;
                    } else if transaction.chunked.is_some()
                        && (behind || !self.expected.is_empty() || !transaction.wants_data())
                    {
                        // Behind nothing that is not answered: a chunk can't be taken back.
                        return;
                    } else if transaction.may_queue_data() {
                        if reserve_is_broken && behind {
                            return;
                        }
                        if reserve_is_broken {
                            let limit = Limit::Reserve(self.bounds.reserve);
                            self.fail(FailureKind::TimedOut(limit), None, now);
                            return;
                        }
                        transaction.queued = Queued::Data;
                        if transaction.begin_chunks() {
                            self.arm(Phase::DataBlock, now);
                            return;
                        }
                        "DATA\r\n".clone_into(&mut line);
                        Command::Data
                    } else {
                        return;
                    }
                }
                Queued::Data => return,
            };
            self.say(&line, command, now);
        }
    }

    fn reserve_is_broken(&self, now: Instant) -> bool {
        !self.bounds.reserve.is_zero() && self.bounds.before_commit().is_some_and(|at| now > at)
    }

    /// Gives the next chunk of the message; `last` says that no other follows, and may come with an
    /// empty chunk. The same chunk goes to [`transmit`](Self::transmit) until the next is wanted.
    pub fn provide(&mut self, chunk: &[u8], last: bool, now: Instant) {
        if let Some((place, transaction)) = self.saying()
            && transaction.ahead.is_some()
        {
            self.provide_ahead(place, chunk, last, now);
            return;
        }
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        transaction.last_piece = last;
        transaction.needs_chunk = false;
        let Some(mail_data) = &mut transaction.mail_data else {
            return;
        };
        mail_data.next_source();
        if let Err(error) = mail_data.prepare(chunk, last) {
            self.fail(FailureKind::Message(error), None, now);
            return;
        }
        // A chunk may be absorbed whole, such as one CR that waits for what follows it.
        transaction.needs_chunk = !last && mail_data.pending() == 0;
        if let MailData::Data(_) = mail_data {
            transaction.all_given = last;
        }
        self.grant_chunk(now);
        if last {
            self.fill(now);
        }
    }

    /// Lets the chunk that is prepared leave, if it may: the last one once every other is answered,
    /// any other where the window has room.
    pub(super) fn grant_chunk(&mut self, now: Instant) {
        let under_way = self.expected.octets();
        let window = self.config.limits.pipeline_window.max(1);
        let pipelining = self.extensions.pipelining();
        let idle = self.expected.is_empty();
        let Job::Transaction(transaction) = &mut self.job else {
            return;
        };
        let Some(MailData::Chunks(chunks)) = &mut transaction.mail_data else {
            return;
        };
        let Some(last) = chunks.held().filter(|_| transaction.refusal.is_none()) else {
            return;
        };
        if !idle && (last || !pipelining || under_way >= window) {
            return;
        }
        let (command, end) = chunks.grant();
        let (octets, line) = (command.len(), String::from_utf8_lossy(command).into_owned());
        transaction.all_given = last;
        self.show(|| Line::Said(line.trim_end().to_owned()), now);
        self.expected.push_back(Expected {
            command: Command::Chunk { last },
            phase: Phase::DataBlock,
            octets,
            end,
        });
        if last {
            self.fill(now);
        }
    }

    pub(super) fn mail_data_transmitted(&mut self, count: usize, chunk: &[u8], now: Instant) {
        let Self {
            job: Job::Transaction(transaction),
            armed,
            config,
            ..
        } = self
        else {
            return;
        };
        let Some(mail_data) = &mut transaction.mail_data else {
            return;
        };
        mail_data.taken(count);
        if let Some(armed) = armed
            && count > 0
        {
            armed.credit(&config.timeouts, mail_data.octets_taken(), now);
        }
        if mail_data.is_finished() {
            // From here on the server may have the message.
            transaction.outcome = Outcome::Ambiguous;
            let octets = mail_data.octets_taken();
            self.show(|| Line::MailData(octets), now);
            self.expected.enter(Phase::DataTermination);
            self.arm(Phase::DataTermination, now);
            return;
        }
        let last = transaction.last_piece;
        if let Err(error) = mail_data.prepare(chunk, last) {
            self.fail(FailureKind::Message(error), None, now);
            return;
        }
        transaction.needs_chunk = !last && mail_data.pending() == 0;
        self.grant_chunk(now);
    }
}

/// Whether a path or the header section has characters outside US-ASCII.
fn needs_smtputf8(envelope: &Envelope) -> bool {
    envelope.mail_parameters().smtputf8
        || envelope.reverse_path().needs_smtputf8()
        || envelope.forward_paths().iter().any(|p| p.needs_smtputf8())
}

fn exceeds(count: usize, maximum: u32) -> bool {
    usize::try_from(maximum).is_ok_and(|maximum| count > maximum)
}

impl Command {
    const fn phase(self) -> Phase {
        match self {
            Self::Greeting => Phase::Greeting,
            Self::Ehlo | Self::Helo => Phase::Ehlo,
            Self::Auth => Phase::Auth,
            Self::StartTls => Phase::StartTls,
            Self::Mail => Phase::Mail,
            Self::Rcpt(_) => Phase::Rcpt,
            Self::Data => Phase::DataInitiation,
            Self::MailData | Self::Chunk { .. } => Phase::DataBlock,
            Self::Rset => Phase::Reset,
            Self::Quit => Phase::Quit,
            Self::Custom => Phase::Command,
        }
    }
}
